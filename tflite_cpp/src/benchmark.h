// --benchmark: how long a generator takes to start and to draw.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "jaxgan/generator.h"

namespace jaxgan {

struct BenchmarkOptions {
  std::vector<int> threads = {1};
  std::vector<int> batches = {1, 64};
  int warmup = 10;       // calls before the clock runs, after the first
  int repetitions = 0;   // calls on the clock; 0: as many as fit in `seconds`
  double seconds = 2.0;  // a row
};

// One row: a number of threads and of images a call. Times in seconds.
struct BenchmarkRow {
  int threads = 0, batch = 0;
  std::size_t calls = 0;
  double load = 0.0, compile = 0.0, first = 0.0;  // of this row's own start
  double mean = 0.0, deviation = 0.0, p50 = 0.0, p95 = 0.0, p99 = 0.0;
  std::size_t peak_memory = 0;  // bytes that the process has held at most, so far

  double images_per_second() const { return batch / mean; }
};

// Times every combination, one after the other, each with a start of its own. A call is
// Generator::draw: latents and labels in, values in [-1, 1] out. Throws as Generator does.
std::vector<BenchmarkRow> benchmark(const std::string& path, const GeneratorOptions& options,
                                    const BenchmarkOptions& wanted);

// The rows as text; format is table, csv or json.
std::string benchmark_text(const std::vector<BenchmarkRow>& rows, const std::string& format,
                           const std::string& model);

}  // namespace jaxgan
