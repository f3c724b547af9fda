// jaxgan-generate: draws images with a .tflite generator. Pictures go to files, descriptions to
// stdout, faults to stderr.

#include <algorithm>
#include <cstdint>
#include <future>
#include <iostream>
#include <string>
#include <vector>

#include "benchmark.h"
#include "describe.h"
#include "images.h"
#include "jaxgan/generator.h"
#include "options.h"
#include "output.h"
#include "platform.h"
#include "sampling.h"
#include "sha256.h"

namespace {

using namespace jaxgan;

void draw_pictures(Generator& generator, const Options& options, const Target& target) {
  const Sample sample = choose(options.sampling, generator.latent_size(), generator.classes(),
                               generator.class_names());
  const std::vector<char>& content = generator.content();
  const std::size_t columns = std::min(
      sample.count,
      options.columns ? static_cast<std::size_t>(*options.columns) : sample.columns);
  if (target.is_grid()) check_grid(generator.image_shape(), sample.count, columns);
  // Of a file of 6 MB the digest takes as long as 20 images do: beside them, by a thread of its own.
  std::future<std::string> digest = std::async(std::launch::async, [&content] {
    return sha256(content.data(), content.size());
  });
  const std::vector<std::uint8_t> levels = draw(generator, sample);
  Texts texts = {{"Software", "jaxgan " JAXGAN_VERSION}, {"jaxgan.model", digest.get()}};
  texts.insert(texts.end(), sample.texts.begin(), sample.texts.end());
  target.write(levels, generator.image_shape(), sample.count, columns, std::move(texts));
  if (options.save_latents) write_latents(*options.save_latents, sample.latents, sample.count);
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
    std::cout << describe_picture(*options.describe);
    return;
  }
  if (!options.benchmark && options.threads.size() > 1) {
    throw UsageError("--threads: expected one number without --benchmark, got " +
                     std::to_string(options.threads.size()));
  }
  const Target target(options.out);
  check_save_latents(options.save_latents, options.out);
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
    std::cout << describe_model(generator, options.model);
  } else {
    draw_pictures(generator, options, target);
  }
}

int fail(const std::string& message, int code) {
  std::cerr << "error: " << message << "\n";
  return code;
}

// Exit codes: 0 done, 1 a fault of the program itself, 2 wrong options, 3 model, 4 runtime library,
// 5 output.
int exit_code(CLI::App& app, Options& options, int argc, char** argv) try {
  refuse_control_characters(argc, argv);
  app.parse(argc, argv);
  run(options);
  return std::cout.flush() ? 0 : fail("cannot write to standard output", 5);
} catch (const CLI::ParseError& error) {
  if (error.get_exit_code() == 0) return app.exit(error);  // --help
  return fail(std::string(error.what()) + " (see: jaxgan-generate --help)", 2);
} catch (const ModelError& error) {
  return fail(std::string("--model: ") + error.what(), error.exit_code);
} catch (const Error& error) {
  return fail(error.what(), error.exit_code);
} catch (const std::bad_alloc&) {
  return fail("out of memory; choose a smaller --count", 5);
} catch (const std::exception& error) {
  return fail(error.what(), 1);
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app("Draws images with a .tflite generator. Image i depends on the seed, i and its "
               "label alone; jaxgan generate draws the same pixels.",
               "jaxgan-generate");
  declare(app, options);
  ignore_broken_pipes();
  return exit_code(app, options, argc, argv);
}
