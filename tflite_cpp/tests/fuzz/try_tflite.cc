#include <memory>
#include <string>

#include "fuzz.h"
#include "jaxgan/c.h"
#include "platform.h"

namespace jaxgan::fuzz {
namespace {

// Goes on where a call went well.
void check(jaxgan_status status, const jaxgan_error& error) {
  if (status != JAXGAN_OK) throw Error(status, error.message);
}

// All that is told of a generator.
void describe(jaxgan_generator* generator) {
  std::size_t letters = 0, count = 0;
  for (const char* const name : {"version", "dataset", "classes", "image_shape"}) {
    std::size_t size = 0;
    const char* const text = jaxgan_metadata(generator, name, &size);
    if (text != nullptr) letters += std::string(text, size).size();
  }
  const jaxgan_signature* const signatures = jaxgan_signatures(generator, &count);
  for (std::size_t i = 0; i < count; ++i) {
    for (std::size_t j = 0; j < signatures[i].input_count; ++j) {
      const jaxgan_tensor& tensor = signatures[i].inputs[j];
      letters += std::string(tensor.name).size() + tensor.rank;
    }
  }
  if (letters == 0 || std::string(jaxgan_sha256(generator)).size() != 64) {
    throw std::logic_error("nothing to tell");
  }
}

// Draws what the options of jaxgan-generate say.
void draw(jaxgan_generator* generator, const jaxgan_sampling& sampling) {
  const jaxgan_info info = jaxgan_describe(generator);
  jaxgan_error error;
  jaxgan_sample* made = nullptr;
  const char* const names =
      info.classes == 0 ? nullptr : jaxgan_metadata(generator, "class_names", nullptr);
  check(jaxgan_choose(&sampling, static_cast<std::size_t>(info.latent_size), info.classes, names,
                      &made, &error),
        error);
  const std::unique_ptr<jaxgan_sample, void (*)(jaxgan_sample*)> sample(made, jaxgan_free);
  const auto pixels = static_cast<std::size_t>(info.height) * static_cast<std::size_t>(info.width) *
                      static_cast<std::size_t>(info.channels);
  Bytes levels(jaxgan_view(made).count * pixels);
  check(jaxgan_draw_sample(generator, made, levels.data(), &error), error);

  // The same by its parts.
  const jaxgan_sample_view view = jaxgan_view(made);
  std::vector<float> images(view.count * pixels);
  check(jaxgan_draw(generator, view.latents, view.labels, view.count, images.data(), &error),
        error);
  if (view.labels == nullptr) return;
  check(jaxgan_draw_between(generator, view.latents, view.labels, view.target_labels, view.weights,
                            1, images.data(), &error),
        error);
}

}  // namespace

// --info, then five images by signatures of several sizes, then some between classes.
int try_tflite(const Bytes& content) {
  return exit_code([&] {
    const QuietStderr quiet(true);
    jaxgan_error error;
    jaxgan_generator* made = nullptr;
    check(jaxgan_open_content(content.data(), content.size(), "mutant", nullptr, &made, &error),
          error);
    const std::unique_ptr<jaxgan_generator, void (*)(jaxgan_generator*)> generator(made,
                                                                                   jaxgan_close);
    describe(made);
    jaxgan_sampling sampling = {};
    sampling.count = "5";
    draw(made, sampling);
    sampling.count = "2";
    sampling.interpolate = "3";
    draw(made, sampling);
  });
}

}  // namespace jaxgan::fuzz
