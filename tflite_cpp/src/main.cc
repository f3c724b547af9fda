// jaxgan-generate: draws images with a .tflite generator. Pictures go to files, descriptions to
// stdout, faults to stderr.

#include <fcntl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <iostream>
#include <optional>
#include <string>

#include "errors.h"
#include "generator.h"
#include "images.h"
#include "latents.h"
#include "runtime.h"

namespace {

using namespace jaxgan;

struct Options {
  std::string model = "generator.tflite";
  std::int64_t seed = 0;
  int count = 64;
  std::optional<std::string> label;
  std::string out = "digits.png";
  int columns = 10;
  int threads = 1;
  bool info = false;
  bool version = false;
  bool verbose = false;
};

// Refuses other spellings of a number than Python's --options take, such as 0x10.
const CLI::Validator kDecimal(
    [](const std::string& text) {
      const bool digits = text.find_first_not_of("-0123456789") == std::string::npos;
      return digits ? std::string() : "expected a whole number, got " + text;
    },
    "");

// The one table of options: names, help, bounds. Defaults are the values above.
void declare(CLI::App& app, Options& options) {
  app.add_option("--model", options.model, "A .tflite file of convert_tflite.py")
      ->capture_default_str();
  app.add_option("--seed", options.seed, "Seed of the latent vectors")
      ->check(kDecimal)
      ->check(CLI::Range(std::int64_t{0}, std::int64_t{4294967295}))
      ->capture_default_str();
  app.add_option("--count", options.count, "Number of images")
      ->check(kDecimal)
      ->check(CLI::Range(1, 1000000))
      ->capture_default_str();
  app.add_option("--label", options.label,
                 "Class, or classes such as 3,1,4 that images take in turn (default: all classes "
                 "in turn)");
  app.add_option("--out", options.out,
                 "PNG file of a grid; with a pattern such as digit_%04d.png, one file an image")
      ->capture_default_str();
  app.add_option("--columns", options.columns, "Images in a row of the grid")
      ->check(kDecimal)
      ->check(CLI::Range(1, 1000000))
      ->capture_default_str();
  app.add_option("--threads", options.threads, "Threads that run the model")
      ->check(kDecimal)
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  app.add_flag("--info", options.info, "Describe the model and leave");
  app.add_flag("--version", options.version, "Print the version and the runtime's file and leave");
  app.add_flag("--verbose", options.verbose, "Let the runtime log to stderr");
}

// Sends stderr to nowhere while it lives: the runtime announces itself whatever it is told.
class QuietStderr {
 public:
  explicit QuietStderr(bool quiet) {
    if (!quiet) return;
    std::fflush(stderr);
    original_ = ::dup(STDERR_FILENO);
    const int nowhere = ::open("/dev/null", O_WRONLY);
    if (nowhere >= 0) {
      ::dup2(nowhere, STDERR_FILENO);
      ::close(nowhere);
    }
  }
  ~QuietStderr() {
    if (original_ < 0) return;
    ::dup2(original_, STDERR_FILENO);
    ::close(original_);
  }
  QuietStderr(const QuietStderr&) = delete;
  QuietStderr& operator=(const QuietStderr&) = delete;

 private:
  int original_ = -1;
};

void print_info(const Generator& generator, const std::string& path) {
  std::cout << path << ": " << generator.file_size() << " bytes\n";
  for (const SignatureInfo& signature : generator.signatures()) {
    std::cout << signature.name << ":";
    for (const TensorInfo& input : signature.inputs) std::cout << "  " << input.text();
    std::cout << "  ->";
    for (const TensorInfo& output : signature.outputs) std::cout << "  " << output.text();
    std::cout << "\n";
  }
  for (const auto& [name, text] : generator.metadata()) {
    std::cout << name << ": " << text << "\n";
  }
}

// "digit_%04d.png" -> the text before the number, its least digits, the text after.
struct Pattern {
  std::string before, after;
  int digits = 0;
  bool one_file = true;

  explicit Pattern(const std::string& out) : before(out) {
    const std::size_t percent = out.find('%');
    if (out.empty()) throw UsageError("--out: expected the name of a PNG file, got none");
    if (percent == std::string::npos) return;
    one_file = false;
    before = out.substr(0, percent);
    after = out.substr(percent + 1);
    if (after.size() > 2 && after[0] == '0' && after[1] >= '1' && after[1] <= '9') {
      digits = after[1] - '0';
      after.erase(0, 2);
    }
    if (after.empty() || after[0] != 'd' || after.find('%') != std::string::npos) {
      throw UsageError("--out: expected one number pattern such as %04d, got '" + out + "'");
    }
    after.erase(0, 1);
  }

  std::string name(int index) const {
    std::string number = std::to_string(index);
    const auto missing = std::max(digits - static_cast<int>(number.size()), 0);
    return before + std::string(static_cast<std::size_t>(missing), '0') + number + after;
  }
};

void write_pictures(const std::vector<std::uint8_t>& levels, Shape shape, const Options& options,
                    const Pattern& pattern) {
  if (pattern.one_file) {
    const int columns = std::min(options.columns, options.count);
    write_whole(options.out, encode_png(grid(levels, shape, options.count, columns)));
    return;
  }
  auto from = levels.begin();
  for (int i = 0; i < options.count; ++i) {
    const auto next = from + static_cast<std::ptrdiff_t>(shape.size());
    write_whole(pattern.name(i), encode_png({shape, {from, next}}));
    from = next;
  }
}

void run(const Options& options) {
  if (options.version) {
    const Runtime runtime(options.verbose);
    std::cout << "jaxgan-generate " JAXGAN_VERSION "\nruntime " << runtime.path() << "\n";
    return;
  }
  const Pattern pattern(options.out);
  const QuietStderr quiet(!options.verbose);
  const Runtime runtime(options.verbose);
  Generator generator(runtime, options.model, options.threads);
  if (options.info) {
    print_info(generator, options.model);
    return;
  }
  if (pattern.one_file) {
    check_grid(generator.image_shape(), options.count, std::min(options.columns, options.count));
  }
  const auto labels = parse_labels(options.label, generator.classes());
  const auto levels =
      generator.draw(static_cast<std::uint32_t>(options.seed), options.count, labels);
  write_pictures(levels, generator.image_shape(), options, pattern);
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
  try {
    app.parse(argc, argv);
    run(options);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);  // --help
    std::cerr << "error: " << error.what() << " (see: jaxgan-generate --help)\n";
    return 2;
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
