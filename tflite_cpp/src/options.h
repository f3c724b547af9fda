// The options of jaxgan-generate.
#pragma once

#include <CLI/CLI.hpp>
#include <optional>
#include <string>
#include <vector>

#include "benchmark.h"
#include "sampling.h"

namespace jaxgan {

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

// The one table of options: names, help, bounds. Defaults are the values above. What is parsed goes
// to `options`.
void declare(CLI::App& app, Options& options);

// Such letters could do anything to the terminal that a message is shown on. Throws UsageError.
void refuse_control_characters(int argc, char** argv);

}  // namespace jaxgan
