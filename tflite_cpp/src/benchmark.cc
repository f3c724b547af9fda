#include "benchmark.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <numeric>

#include "jaxgan/latents.h"
#include "platform.h"

namespace jaxgan {
namespace {

constexpr std::size_t kMaxTimes = 10000000;  // whose times are held

// What to draw in each call, and where to.
struct Batch {
  Batch(const Generator& generator, std::size_t count)
      : latents(count * generator.latent_size()), images(count * generator.image_shape().size()) {
    for (std::size_t i = 0; i < count; ++i) {
      latent(0, static_cast<std::uint32_t>(i), generator.latent_size(),
             latents.data() + i * generator.latent_size());
      if (generator.classes() != 0) {
        labels.push_back(static_cast<std::int32_t>(i) % generator.classes());
      }
    }
  }

  // Returns the seconds that one call takes.
  double draw(Generator& generator, std::size_t count) {
    const auto start = std::chrono::steady_clock::now();
    generator.draw(latents.data(), labels.empty() ? nullptr : labels.data(), count, images.data());
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  }

  std::vector<float> latents, images;
  std::vector<std::int32_t> labels;
};

// The value that a part of the sorted times do not exceed, interpolated as NumPy's percentile.
double quantile(const std::vector<double>& sorted, double part) {
  const double place = part * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<std::size_t>(place);
  const std::size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (place - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

void summarise(std::vector<double> times, BenchmarkRow& row) {
  std::sort(times.begin(), times.end());
  const auto count = static_cast<double>(times.size());
  row.calls = times.size();
  row.mean = std::accumulate(times.begin(), times.end(), 0.0) / count;
  double squares = 0.0;
  for (const double time : times) squares += (time - row.mean) * (time - row.mean);
  row.deviation = times.size() > 1 ? std::sqrt(squares / (count - 1.0)) : 0.0;
  row.p50 = quantile(times, 0.50);
  row.p95 = quantile(times, 0.95);
  row.p99 = quantile(times, 0.99);
}

BenchmarkRow measure(const std::string& path, GeneratorOptions options, int threads, int batch_size,
                     const BenchmarkOptions& wanted) {
  options.threads = threads;
  const auto count = static_cast<std::size_t>(batch_size);
  BenchmarkRow row;
  row.threads = threads;
  row.batch = batch_size;
  Generator generator(path, options);
  row.load = generator.start_times().load;
  row.compile = generator.start_times().compile;
  Batch batch(generator, count);
  row.first = batch.draw(generator, count);
  for (int i = 0; i < wanted.warmup; ++i) batch.draw(generator, count);
  std::vector<double> times;
  double passed = 0.0;
  const auto enough = [&] {
    if (wanted.repetitions > 0) return times.size() >= static_cast<std::size_t>(wanted.repetitions);
    return passed >= wanted.seconds || times.size() == kMaxTimes;
  };
  while (times.empty() || !enough()) {
    times.push_back(batch.draw(generator, count));
    passed += times.back();
  }
  summarise(std::move(times), row);
  row.peak_memory = peak_memory();
  return row;
}

// One column of every format: a name with its unit, and the value of a row.
struct Column {
  const char* name;
  double (*value)(const BenchmarkRow&);
  int digits;
};

constexpr double kMilli = 1e3, kMega = 1e-6;

const Column kColumns[] = {
    {"threads", [](const BenchmarkRow& row) { return double(row.threads); }, 0},
    {"batch", [](const BenchmarkRow& row) { return double(row.batch); }, 0},
    {"load_ms", [](const BenchmarkRow& row) { return kMilli * row.load; }, 2},
    {"compile_ms", [](const BenchmarkRow& row) { return kMilli * row.compile; }, 2},
    {"first_ms", [](const BenchmarkRow& row) { return kMilli * row.first; }, 3},
    {"calls", [](const BenchmarkRow& row) { return double(row.calls); }, 0},
    {"mean_ms", [](const BenchmarkRow& row) { return kMilli * row.mean; }, 4},
    {"deviation_ms", [](const BenchmarkRow& row) { return kMilli * row.deviation; }, 4},
    {"p50_ms", [](const BenchmarkRow& row) { return kMilli * row.p50; }, 4},
    {"p95_ms", [](const BenchmarkRow& row) { return kMilli * row.p95; }, 4},
    {"p99_ms", [](const BenchmarkRow& row) { return kMilli * row.p99; }, 4},
    {"images_per_second", [](const BenchmarkRow& row) { return row.images_per_second(); }, 0},
    {"peak_memory_mb", [](const BenchmarkRow& row) { return kMega * double(row.peak_memory); }, 1},
};

std::string formatted(double value, int digits) {
  char text[64];
  std::snprintf(text, sizeof text, "%.*f", digits, value);
  return text;
}

std::string padded(const std::string& text, std::size_t width) {
  return std::string(width > text.size() ? width - text.size() : 0, ' ') + text;
}

std::string as_table(const std::vector<BenchmarkRow>& rows) {
  std::vector<std::string> lines(rows.size() + 1);
  for (const Column& column : kColumns) {
    std::vector<std::string> cells = {column.name};
    for (const BenchmarkRow& row : rows) {
      cells.push_back(formatted(column.value(row), column.digits));
    }
    std::size_t width = 0;
    for (const std::string& cell : cells) width = std::max(width, cell.size());
    for (std::size_t i = 0; i < cells.size(); ++i) {
      lines[i] += (lines[i].empty() ? "" : "  ") + padded(cells[i], width);
    }
  }
  std::string text;
  for (const std::string& line : lines) text += line + "\n";
  return text;
}

std::string as_csv(const std::vector<BenchmarkRow>& rows) {
  std::string text;
  for (const Column& column : kColumns) text += (text.empty() ? "" : ",") + std::string(column.name);
  text += "\n";
  for (const BenchmarkRow& row : rows) {
    std::string line;
    for (const Column& column : kColumns) {
      line += (line.empty() ? "" : ",") + formatted(column.value(row), column.digits);
    }
    text += line + "\n";
  }
  return text;
}

std::string quoted(const std::string& text) {
  std::string quoted = "\"";
  for (const char letter : text) {
    char code[8];
    std::snprintf(code, sizeof code, "\\u%04x", static_cast<unsigned char>(letter));
    if (letter == '"' || letter == '\\') quoted += '\\';
    quoted += static_cast<unsigned char>(letter) < 0x20 ? code : std::string(1, letter);
  }
  return quoted + "\"";
}

std::string as_json(const std::vector<BenchmarkRow>& rows, const std::string& model) {
  std::string text = "{\"model\": " + quoted(model) + ", \"rows\": [";
  for (std::size_t i = 0; i < rows.size(); ++i) {
    std::string row;
    for (const Column& column : kColumns) {
      row += (row.empty() ? "" : ", ") + quoted(column.name) + ": " +
             formatted(column.value(rows[i]), column.digits);
    }
    text += std::string(i == 0 ? "" : ",") + "\n  {" + row + "}";
  }
  return text + "\n]}\n";
}

}  // namespace

std::vector<BenchmarkRow> benchmark(const std::string& path, const GeneratorOptions& options,
                                    const BenchmarkOptions& wanted) {
  std::vector<BenchmarkRow> rows;
  for (const int threads : wanted.threads) {
    for (const int batch : wanted.batches) {
      rows.push_back(measure(path, options, threads, batch, wanted));
    }
  }
  return rows;
}

std::string benchmark_text(const std::vector<BenchmarkRow>& rows, const std::string& format,
                           const std::string& model) {
  if (format == "csv") return as_csv(rows);
  if (format == "json") return as_json(rows, model);
  return as_table(rows);
}

}  // namespace jaxgan
