// A generator in a .tflite file of convert_tflite.py: latent vectors and labels -> images.
//
//   jaxgan::Generator generator("generator.tflite");
//   std::vector<float> latents(generator.latent_size());
//   jaxgan::latent(7, 0, latents.size(), latents.data());              // image 0 of seed 7
//   const std::vector<float> image = generator.draw(latents, {3});     // a 3: [28, 28, 1]
//   jaxgan::to_levels(image.data(), 28 * 28, 1, bytes);
//
// Threads: as with a container of the standard library, any number of threads may call the const
// functions of one Generator, and while one thread draws with it no other may use it. Generators
// are independent: each thread can have its own, with the same options they draw the same bits,
// and there is no state outside of them.
//
// Errors: what is not noexcept throws the classes of errors.h, each with a message of one line, and
// std::bad_alloc; nothing else. A Generator whose draw() threw can be used again. One that was
// moved from can only be assigned to or destroyed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "jaxgan/errors.h"

namespace jaxgan {

// The size of an image or a picture, in pixels.
struct Shape {
  int height = 0;
  int width = 0;
  int channels = 0;  // 1 grey, 3 red-green-blue, 4 those and alpha

  std::size_t size() const noexcept {
    return static_cast<std::size_t>(height) * static_cast<std::size_t>(width) *
           static_cast<std::size_t>(channels);
  }
};

// An input or output of a signature: latent float32 [64, 64].
struct TensorInfo {
  std::string name;
  std::string type;  // float32, int32, or "type N" for another
  std::vector<std::int32_t> dimensions;

  std::string text() const;
};

struct SignatureInfo {
  std::string name;
  std::vector<TensorInfo> inputs;
  std::vector<TensorInfo> outputs;
};

// A library built for TensorFlow Lite (JAXGAN_RUNTIME=tflite) has it linked: it refuses another
// `runtime` with a UsageError. TensorFlow Lite has one log a process, so `verbose` of the first
// Generator counts for all.
struct GeneratorOptions {
  int threads = 1;       // that run the model, 1 to 1024
  bool verbose = false;  // whether the runtime may log to stderr; LiteRT writes one line anyway
  std::string runtime;   // file of the runtime library; empty: the one that the rpath leads to
};

// How long the parts of a start took, in seconds.
struct StartTimes {
  double load = 0.0;     // reading and checking the file, loading the runtime
  double compile = 0.0;  // preparing the model for the runtime's threads
};

class Generator {
 public:
  // Reads a file and checks that it is a generator: signatures generate_N with static shapes,
  // inputs latent float32 [N, Z] and, if it has classes, label int32 [N], output image float32
  // [N, H, W, C]. Throws ModelError for the file, RuntimeError for the runtime library, UsageError
  // for the number of threads.
  explicit Generator(const std::string& path, const GeneratorOptions& options = {});

  // The same of a file's bytes in memory; `name` stands for its path in messages.
  Generator(std::vector<char> content, const std::string& name,
            const GeneratorOptions& options = {});

  ~Generator();
  Generator(Generator&&) noexcept;
  Generator& operator=(Generator&&) noexcept;

  Shape image_shape() const noexcept;
  std::size_t latent_size() const noexcept;
  int classes() const noexcept;  // 0: takes no labels
  const std::vector<std::string>& class_names() const noexcept;  // [classes()], or empty; UTF-8
  const std::vector<SignatureInfo>& signatures() const noexcept;
  const std::vector<char>& content() const noexcept;  // of the file
  StartTimes start_times() const noexcept;

  // An entry of the metadata that convert_tflite.py wrote, such as "dataset"; none if not there.
  // Throws ModelError where the runtime cannot tell.
  std::optional<std::string> metadata(const std::string& name) const;

  // Draws `count` images. `latents` is [count, latent_size()], standard normal in training;
  // `labels` is [count], each from 0 to classes()-1, and null for a model without classes. Writes
  // values in [-1, 1] to `images`, [count, height, width, channels]; of 4 channels, the colours are
  // premultiplied by the alpha, and to_levels divides by it. An image depends on its own
  // latent and label alone. Throws UsageError for a wrong label, or labels where there should be
  // none, before anything is drawn; ModelError where the model does not run.
  void draw(const float* latents, const std::int32_t* labels, std::size_t count, float* images);

  // The same, with sizes that are checked: as many images as labels, or as whole latent vectors for
  // a model without classes. Throws UsageError where they do not fit, too.
  std::vector<float> draw(const std::vector<float>& latents,
                          const std::vector<std::int32_t>& labels = {});

  // Draws `count` images of classes that lie between two: each weight from 0 (its label) to 1 (its
  // target label). Throws UsageError for a wrong label or weight, before anything is drawn;
  // ModelError where the model does not run, or where its file has no signature between_1, as that
  // of a model without classes.
  void draw_between(const float* latents, const std::int32_t* labels,
                    const std::int32_t* target_labels, const float* weights, std::size_t count,
                    float* images);

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

// A value in [-1, 1] as one of 256 levels, rounded to the nearest; values outside are clipped, not
// a number is 0.
std::uint8_t to_level(float value) noexcept;

// Values [pixels, channels] as levels. Of 4 channels, premultiplied RGBA becomes straight RGBA, as a
// PNG has it: colours are divided by their alpha and rounded once, and 0 where its level is 0.
void to_levels(const float* values, std::size_t pixels, std::size_t channels,
               std::uint8_t* levels) noexcept;

// The name and file of the runtime that is used: "LiteRT, /path/libLiteRt.so". Throws
// RuntimeError. Of TensorFlow Lite, the name and version: "TensorFlow Lite 2.14.1".
std::string runtime_description(const GeneratorOptions& options = {});

}  // namespace jaxgan
