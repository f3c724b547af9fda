// jaxgan-generate: draws images with a .tflite generator. Pictures go to files, descriptions to
// stdout, faults to stderr.

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <iostream>
#include <optional>
#include <string>
#include <vector>

#include "benchmark.h"
#include "bounds.h"
#include "files.h"
#include "images.h"
#include "jaxgan/generator.h"
#include "npy.h"
#include "numbers.h"
#include "platform.h"
#include "sampling.h"
#include "sha256.h"

namespace {

using namespace jaxgan;

struct Options {
  std::string model = "generator.tflite";
  SamplingOptions sampling;
  std::optional<std::string> save_latents;
  std::string out = "digits.png";
  std::optional<int> columns;
  std::vector<int> threads = {1};
  bool info = false;
  std::optional<std::string> describe;
  bool benchmark = false;
  BenchmarkOptions timing;
  std::string format = "table";
  bool version = false;
  bool verbose = false;
};

// Takes the numbers that Python's --options take, and zeros off their front, which CLI11 would take
// for those of an octal one.
CLI::Validator whole_number(std::uint32_t min, std::uint32_t max) {
  return {[=](std::string& text) {
            std::uint32_t value = 0;
            std::string fault = read_whole(text, min, max, value);
            if (fault.empty()) text = std::to_string(value);
            return fault;
          },
          std::to_string(min) + " to " + std::to_string(max)};
}

// The one table of options: names, help, bounds. Defaults are the values above.
void declare(CLI::App& app, Options& options) {
  const auto whole = [](CLI::Option* option, std::uint32_t min, std::uint32_t max) {
    return option->transform(whole_number(min, max))->type_name("N");
  };
  app.add_option("--model", options.model, "A .tflite file of convert_tflite.py")
      ->capture_default_str();
  app.add_option("--out", options.out,
                 "NAME.png: a grid; with a pattern such as digit_%04d.png, one file an image; "
                 "NAME.npy: bytes [N, H, W, C]; -: a PNG to stdout")
      ->capture_default_str();
  whole(app.add_option("--columns", options.columns,
                       "Images in a row of the grid (default: 10, or those of --interpolate)"),
        1, kMaxCount);

  SamplingOptions& sampling = options.sampling;
  const std::string what = "What to draw";
  whole(app.add_option("--seed", sampling.seed, "Seed of the latent vectors (default: 0)"),
        kMinSeed, kMaxSeed)
      ->group(what);
  whole(app.add_option("--count", sampling.count, "Number of images (default: 64)"),
        kMinCount, kMaxCount)
      ->group(what);
  app.add_option("--seeds", sampling.seeds,
                 "Instead of both: the first image of each of some seeds, such as 1,5,9-12")
      ->group(what);
  app.add_option("--label", sampling.label,
                 "Class, or classes such as 3,1,4 that images take in turn (default: all classes "
                 "in turn)")
      ->group(what);
  app.add_option("--truncation", sampling.truncation,
                 "Keep latents within this many standard deviations, above 0 to 10: more usual "
                 "images, less variety (default: no bound)")
      ->group(what);
  whole(app.add_option("--interpolate", sampling.interpolate,
                       "From each image to the next this many, both included: a row each"),
        kMinInterpolate, kMaxInterpolate)
      ->group(what);
  app.add_option("--latents", sampling.latents,
                 "Take latent vectors from an .npy file, float32 [N, latent size]")
      ->group(what);
  app.add_option("--save-latents", options.save_latents, "Write them to an .npy file")->group(what);

  whole(app.add_option("--threads", options.threads,
                       "Threads that run the model; a list such as 1,2 with --benchmark")
            ->delimiter(','),
        kMinThreads, kMaxThreads)
      ->capture_default_str();
  CLI::Option* const info = app.add_flag("--info", options.info, "Describe the model and leave");
  app.add_option("--describe", options.describe, "Print what a PNG says of itself and leave");
  app.add_flag("--version", options.version, "Print the version and the runtime's file and leave");
  app.add_flag("--verbose", options.verbose, "Let the runtime log to stderr");

  const std::string timing = "Timing";
  CLI::Option* const benchmark =
      app.add_flag("--benchmark", options.benchmark, "Time the model instead of drawing")
          ->excludes(info)
          ->group(timing);
  for (CLI::Option* const option : app.get_options()) {
    if (option->get_group() == what) benchmark->excludes(option);
  }
  whole(app.add_option("--batch", options.timing.batches, "Images a call, a list")->delimiter(','),
        1, kMaxBatch)
      ->capture_default_str()
      ->group(timing);
  whole(app.add_option("--warmup", options.timing.warmup, "Calls before the clock runs"), 0,
        kMaxCalls)
      ->capture_default_str()
      ->group(timing);
  CLI::Option* const seconds =
      app.add_option("--seconds", options.timing.seconds, "Seconds of calls a row")
          ->check(CLI::Range(kMinSeconds, kMaxSeconds))
          ->capture_default_str()
          ->group(timing);
  whole(app.add_option("--repetitions", options.timing.repetitions, "Calls a row, instead"), 1,
        kMaxCalls)
      ->excludes(seconds)
      ->group(timing);
  app.add_option("--format", options.format, "table, csv or json")
      ->check(CLI::IsMember({"table", "csv", "json"}))
      ->capture_default_str()
      ->group(timing);
  for (CLI::Option* const option : app.get_options()) {
    if (option->get_group() == timing && option != benchmark) option->needs(benchmark);
  }
}

// Bytes that are no printable ASCII as \x1b, so that a line stays one.
std::string printable(const std::string& text) {
  std::string shown;
  for (const char letter : text) {
    char code[8];
    std::snprintf(code, sizeof code, "\\x%02x", static_cast<unsigned char>(letter));
    shown += letter >= ' ' && letter <= '~' ? std::string(1, letter) : code;
  }
  return shown;
}

void print_info(const Generator& generator, const std::string& path) {
  static constexpr const char* kNames[] = {"version", "revision",    "dataset",  "seed",
                                           "step",    "latent_size", "classes",  "image_shape",
                                           "quantization"};
  std::cout << path << ": " << generator.content().size() << " bytes\n";
  for (const SignatureInfo& signature : generator.signatures()) {
    std::cout << signature.name << ":";
    for (const TensorInfo& input : signature.inputs) std::cout << "  " << input.text();
    std::cout << "  ->";
    for (const TensorInfo& output : signature.outputs) std::cout << "  " << output.text();
    std::cout << "\n";
  }
  for (const char* const name : kNames) {
    const auto text = generator.metadata(name);
    if (text) std::cout << name << ": " << printable(text->substr(0, kMaxEntryShown)) << "\n";
  }
}

void print_texts(const std::string& path) {
  const std::string name = "--describe: " + path;
  const Texts texts = read_texts(read_input(path, kMaxPictureBytes, "--describe"), name);
  const bool ours = std::any_of(texts.begin(), texts.end(), [](const auto& entry) {
    return entry.first.rfind("jaxgan.", 0) == 0;
  });
  if (!ours) throw UsageError(name + " names no jaxgan model; expected a PNG of jaxgan");
  for (const auto& [keyword, text] : texts) {
    std::cout << printable(keyword) << ": " << printable(text) << "\n";
  }
}

// Where pictures go: "digit_%04d.png" -> the text before the number, its digits at least, the text
// after.
struct Target {
  enum Kind { kStdout, kGrid, kFiles, kNpy };
  Kind kind = kGrid;
  std::string before, after;
  int digits = 0;

  explicit Target(const std::string& out) : before(out) {
    if (out == "-") {
      kind = kStdout;
      return;
    }
    const std::size_t slash = out.find_last_of("/\\") + 1;  // 0 where there is none
    const std::size_t dot = out.find_last_of('.');
    const bool named = dot != std::string::npos && dot > slash;
    const std::string ending = named ? out.substr(dot) : "";
    if (ending == ".gif" || ending == ".apng") {
      throw UsageError("--out: python -m jaxgan.generate writes .gif and .apng, got '" + out + "'");
    }
    if (ending != ".png" && ending != ".npy") {
      throw UsageError("--out: expected a name that ends in .png or .npy, or -, got '" + out + "'");
    }
    if (ending == ".npy") kind = kNpy;
    const std::size_t percent = out.find('%');
    if (percent == std::string::npos) return;
    kind = kFiles;
    before = out.substr(0, percent);
    after = out.substr(percent + 1);
    if (after.size() > 2 && after[0] == '0' && after[1] >= '1' && after[1] <= '9') {
      digits = after[1] - '0';
      after.erase(0, 2);
    }
    if (ending == ".npy" || after.empty() || after[0] != 'd' ||
        after.find('%') != std::string::npos) {
      throw UsageError("--out: expected one number pattern such as %04d in a name that ends in "
                       ".png, got '" + out + "'");
    }
    after.erase(0, 1);
  }

  std::string name(std::size_t index) const {
    std::string number = std::to_string(index);
    const auto missing = std::max(digits - static_cast<int>(number.size()), 0);
    return before + std::string(static_cast<std::size_t>(missing), '0') + number + after;
  }
};

void write_pictures(const std::vector<std::uint8_t>& levels, Shape shape, std::size_t count,
                    std::size_t columns, Texts texts, const Target& target) {
  if (target.kind == Target::kNpy) {
    const auto size = [](int side) { return static_cast<std::size_t>(side); };
    write_whole(target.before, encode_npy(levels.data(), levels.size(), "|u1",
                                          {count, size(shape.height), size(shape.width),
                                           size(shape.channels)}));
  } else if (target.kind == Target::kFiles) {
    auto from = levels.begin();
    texts.emplace_back("jaxgan.image", "");
    for (std::size_t i = 0; i < count; ++i) {
      const auto next = from + static_cast<std::ptrdiff_t>(shape.size());
      texts.back().second = std::to_string(i);
      write_whole(target.name(i), encode_png({shape, {from, next}}, texts));
      from = next;
    }
  } else {
    const Bytes content = encode_png(grid(levels, shape, count, columns), texts);
    target.kind == Target::kStdout ? write_stdout(content) : write_whole(target.before, content);
  }
}

void check_save_latents(const Options& options) {
  const std::string name = options.save_latents.value_or(".npy");
  if (name.size() < 4 || name.compare(name.size() - 4, 4, ".npy") != 0) {
    throw UsageError("--save-latents: expected a name that ends in .npy, got '" + name + "'");
  }
  const auto place = [](const std::string& path) {
    std::error_code ignored;
    return std::filesystem::weakly_canonical(std::filesystem::absolute(path, ignored), ignored);
  };
  if (options.save_latents && place(name) == place(options.out)) {
    throw UsageError("--save-latents and --out name the same file; change one");
  }
}

void draw_pictures(Generator& generator, const Options& options, const Target& target) {
  const Sample sample = choose(options.sampling, generator.latent_size(), generator.classes());
  const std::size_t columns = std::min(
      sample.count,
      options.columns ? static_cast<std::size_t>(*options.columns) : sample.columns);
  if (target.kind == Target::kGrid || target.kind == Target::kStdout) {
    check_grid(generator.image_shape(), sample.count, columns);
  }
  const std::vector<std::uint8_t> levels = draw(generator, sample);
  Texts texts = {{"Software", "jaxgan " JAXGAN_VERSION},
                 {"jaxgan.model", sha256(generator.content().data(), generator.content().size())}};
  texts.insert(texts.end(), sample.texts.begin(), sample.texts.end());
  write_pictures(levels, generator.image_shape(), sample.count, columns, std::move(texts), target);
  if (options.save_latents) {
    write_whole(*options.save_latents,
                encode_npy(sample.latents.data(), sample.latents.size() * sizeof(float), "<f4",
                           {sample.count, generator.latent_size()}));
  }
}

void run(const Options& options) {
  GeneratorOptions start;
  start.threads = options.threads.front();
  start.verbose = options.verbose;
  if (options.version) {
    std::cout << "jaxgan-generate " JAXGAN_VERSION "\nruntime " << runtime_description(start)
              << "\n";
    return;
  }
  if (options.describe) {
    print_texts(*options.describe);
    return;
  }
  if (!options.benchmark && options.threads.size() > 1) {
    throw UsageError("--threads: expected one number without --benchmark, got " +
                     std::to_string(options.threads.size()));
  }
  const Target target(options.out);
  check_save_latents(options);
  const QuietStderr quiet(!options.verbose);
  if (options.benchmark) {
    BenchmarkOptions timing = options.timing;
    timing.threads = options.threads;
    std::cout << benchmark_text(benchmark(options.model, start, timing), options.format,
                                options.model);
    return;
  }
  Generator generator(options.model, start);
  if (options.info) {
    print_info(generator, options.model);
  } else {
    draw_pictures(generator, options, target);
  }
}

// Such letters could do anything to the terminal that a message is shown on.
void refuse_control_characters(int argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    for (std::size_t at = 0; at < argument.size(); ++at) {
      const auto byte = [&](std::size_t place) {
        return place < argument.size() ? static_cast<unsigned char>(argument[place]) : 0;
      };
      const bool further = byte(at) == 0xc2 && byte(at + 1) >= 0x80 && byte(at + 1) < 0xa0;
      if (byte(at) < 0x20 || byte(at) == 0x7f || further) {
        throw UsageError("expected no control characters in options, got one in number " +
                         std::to_string(i));
      }
    }
  }
}

}  // namespace

// Exit codes: 0 done, 1 a fault of the program itself, 2 wrong options, 3 model, 4 runtime library,
// 5 output.
int main(int argc, char** argv) {
  Options options;
  CLI::App app("Draws images with a .tflite generator. Image i depends on the seed, i and its "
               "label alone; python -m jaxgan.generate draws the same pixels.",
               "jaxgan-generate");
  declare(app, options);
  ignore_broken_pipes();
  try {
    refuse_control_characters(argc, argv);
    app.parse(argc, argv);
    run(options);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);  // --help
    std::cerr << "error: " << error.what() << " (see: jaxgan-generate --help)\n";
    return 2;
  } catch (const ModelError& error) {
    std::cerr << "error: --model: " << error.what() << "\n";
    return error.exit_code;
  } catch (const Error& error) {
    std::cerr << "error: " << error.what() << "\n";
    return error.exit_code;
  } catch (const std::bad_alloc&) {
    std::cerr << "error: out of memory; choose a smaller --count\n";
    return 5;
  } catch (const std::exception& error) {
    std::cerr << "error: " << error.what() << "\n";
    return 1;
  }
  if (!std::cout.flush()) {
    std::cerr << "error: cannot write to standard output\n";
    return 5;
  }
  return 0;
}
