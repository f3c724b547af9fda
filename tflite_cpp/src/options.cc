#include "options.h"

#include <cstdint>

#include "bounds.h"
#include "numbers.h"

namespace jaxgan {
namespace {

constexpr char kWhat[] = "What to draw", kTiming[] = "Timing";

// Takes the numbers that Python's --options take, and zeros off their front, which CLI11 would take
// for those of an octal one.
CLI::Option* whole(CLI::Option* option, std::uint32_t min, std::uint32_t max) {
  const auto read = [=](std::string& text) {
    std::uint32_t value = 0;
    std::string fault = read_whole(text, min, max, value);
    if (fault.empty()) text = std::to_string(value);
    return fault;
  };
  const std::string bounds = std::to_string(min) + " to " + std::to_string(max);
  return option->transform(CLI::Validator(read, bounds))->type_name("N");
}

void declare_files(CLI::App& app, Options& options) {
  app.add_option("--model", options.model, "A .tflite file of convert_tflite.py")
      ->capture_default_str();
  app.add_option("--out", options.out,
                 "NAME.png: a grid; with a pattern such as digit_%04d.png, one file an image; "
                 "NAME.npy: bytes [N, H, W, C]; -: a PNG to stdout")
      ->capture_default_str();
  whole(app.add_option("--columns", options.columns,
                       "Images in a row of the grid (default: 10, or as --interpolate says)"),
        1, kMaxCount);
}

void declare_sampling(CLI::App& app, Options& options) {
  SamplingOptions& sampling = options.sampling;
  whole(app.add_option("--seed", sampling.seed, "Seed of the latent vectors (default: 0)"),
        kMinSeed, kMaxSeed)
      ->group(kWhat);
  whole(app.add_option("--count", sampling.count, "Number of images (default: 64)"), kMinCount,
        kMaxCount)
      ->group(kWhat);
  app.add_option("--seeds", sampling.seeds,
                 "Instead of both: the first image of each of some seeds, such as 1,5,9-12")
      ->group(kWhat);
  app.add_option("--label", sampling.label,
                 "Class, or classes such as 3,1,4 or cat,dog that images take in turn (default: all "
                 "classes in turn)")
      ->group(kWhat);
  app.add_option("--truncation", sampling.truncation,
                 "Keep latents within this many standard deviations, above 0 to 10: more usual "
                 "images, less variety (default: no bound)")
      ->group(kWhat);
  whole(app.add_option("--interpolate", sampling.interpolate,
                       "Draw this many images on the way from each image to the next, both "
                       "included: a row each"),
        kMinInterpolate, kMaxInterpolate)
      ->group(kWhat);
  app.add_option("--latents", sampling.latents,
                 "Take latent vectors from an .npy file, float32 [N, latent size]")
      ->group(kWhat);
  app.add_option("--save-latents", options.save_latents,
                 "Write the latent vectors to an .npy file")
      ->group(kWhat);
}

CLI::Option* declare_running(CLI::App& app, Options& options) {
  whole(app.add_option("--threads", options.threads,
                       "Threads that run the model; a list such as 1,2 with --benchmark")
            ->delimiter(','),
        kMinThreads, kMaxThreads)
      ->capture_default_str();
  CLI::Option* const info = app.add_flag("--info", options.info, "Describe the model and leave");
  app.add_option("--describe", options.describe, "Print what a PNG says of itself and leave");
  app.add_flag("--version", options.version, "Print the version and the runtime's file and leave");
  app.add_flag("--verbose", options.verbose, "Let the runtime log to stderr");
  return info;
}

void declare_timing(CLI::App& app, Options& options, CLI::Option* info) {
  CLI::Option* const benchmark =
      app.add_flag("--benchmark", options.benchmark, "Time the model instead of drawing")
          ->excludes(info)
          ->group(kTiming);
  for (CLI::Option* const option : app.get_options()) {
    if (option->get_group() == kWhat) benchmark->excludes(option);
  }
  whole(app.add_option("--batch", options.timing.batches, "Images a call, a list")->delimiter(','),
        1, kMaxBatch)
      ->capture_default_str()
      ->group(kTiming);
  whole(app.add_option("--warmup", options.timing.warmup, "Calls before the clock runs"), 0,
        kMaxCalls)
      ->capture_default_str()
      ->group(kTiming);
  CLI::Option* const seconds =
      app.add_option("--seconds", options.timing.seconds, "Seconds of calls a row")
          ->check(CLI::Range(kMinSeconds, kMaxSeconds))
          ->capture_default_str()
          ->group(kTiming);
  whole(app.add_option("--repetitions", options.timing.repetitions,
                       "Calls a row, instead of --seconds"),
        1, kMaxCalls)
      ->excludes(seconds)
      ->group(kTiming);
  app.add_option("--format", options.format, "table, csv or json")
      ->check(CLI::IsMember({"table", "csv", "json"}))
      ->capture_default_str()
      ->group(kTiming);
  for (CLI::Option* const option : app.get_options()) {
    if (option->get_group() == kTiming && option != benchmark) option->needs(benchmark);
  }
}

}  // namespace

void declare(CLI::App& app, Options& options) {
  declare_files(app, options);
  declare_sampling(app, options);
  CLI::Option* const info = declare_running(app, options);
  declare_timing(app, options, info);
}

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

}  // namespace jaxgan
