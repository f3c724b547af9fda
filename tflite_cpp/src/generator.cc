#include "jaxgan/generator.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <initializer_list>
#include <utility>

#include "bounds.h"
#include "model_file.h"
#include "names.h"
#include "numbers.h"
#include "runtime.h"
#include "signatures.h"
#include "verify.h"

namespace jaxgan {
namespace {

constexpr char kMetadata[] = "jaxgan.";

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

std::string TensorInfo::text() const {
  std::string sizes;
  for (const std::int32_t size : dimensions) {
    sizes += (sizes.empty() ? "" : ", ") + std::to_string(size);
  }
  return name + " " + type + " [" + sizes + "]";
}

std::string type_name(int element_type) {
  return element_type == 1   ? "float32"
         : element_type == 2 ? "int32"
                             : "type " + std::to_string(element_type);
}

std::size_t bytes(const TensorInfo& tensor) {
  std::size_t size = 4;
  for (const std::int32_t dimension : tensor.dimensions) size *= static_cast<std::size_t>(dimension);
  return size;
}

struct Generator::Parts {
  Parts(std::vector<char> content, std::string file, const GeneratorOptions& options)
      : name(std::move(file)),
        model(std::move(content), name, options),
        signatures(read_signatures(model.signatures(), name)) {}

  std::size_t length() const { return static_cast<std::size_t>(signatures.latent_size); }
  void read_classes();
  void check_label(std::int32_t label) const;
  void draw(const float* latents, const std::int32_t* labels, std::size_t count, float* images);
  void draw_between(const float* latents, const std::int32_t* labels,
                    const std::int32_t* target_labels, const float* weights, std::size_t count,
                    float* images);
  void draw_batch(int size, std::size_t used, const float* latents, const std::int32_t* labels,
                  float* images);
  using Named = std::initializer_list<std::pair<const char*, const void*>>;
  std::vector<const void*> in_order(std::size_t signature, Named named) const;

  std::string name;
  Model model;
  StartTimes times;
  Signatures signatures;
  int classes = 0;
  Names class_names;
  std::vector<float> latents, images;  // of a batch that is not full
  std::vector<std::int32_t> labels;
};

void Generator::Parts::read_classes() {
  if (!signatures.labelled) return;
  const std::optional<std::string> told = model.metadata(std::string(kMetadata) + "classes");
  std::uint32_t count = 0;
  if (!told || !read_whole(*told, 1, kMaxClasses, count).empty()) {
    throw ModelError(name + " is not a generator: it takes labels, but its metadata names no "
                            "number of classes from 1 to " + std::to_string(kMaxClasses) +
                     "; convert it again with convert_tflite.py");
  }
  classes = static_cast<int>(count);
  const std::optional<std::string> names = model.metadata(std::string(kMetadata) + "class_names");
  const std::string fault = names ? read_names(*names, classes, class_names) : "";
  if (!fault.empty()) {
    throw ModelError(name + " is not a generator: in its metadata class_names, " + fault +
                     "; convert it again with convert_tflite.py");
  }
}

void Generator::Parts::check_label(std::int32_t label) const {
  if (label < 0 || label >= classes) {
    throw UsageError("expected labels from 0 to " + std::to_string(classes - 1) + ", got " +
                     std::to_string(label));
  }
}

// The inputs of a signature in its own order; the checks above know that each has a name.
std::vector<const void*> Generator::Parts::in_order(std::size_t signature, Named named) const {
  std::vector<const void*> inputs;
  for (const TensorInfo& input : model.signatures()[signature].inputs) {
    const auto is_it = [&](const auto& one) { return input.name == one.first; };
    inputs.push_back(std::find_if(named.begin(), named.end(), is_it)->second);
  }
  return inputs;
}

// Draws `used` images by the signature of `size`; its other rows are zeros.
void Generator::Parts::draw_batch(int size, std::size_t used, const float* from,
                                  const std::int32_t* classes_of, float* to) {
  const auto rows = static_cast<std::size_t>(size);
  float* result = to;
  if (used < rows) {
    latents.assign(rows * length(), 0.0f);
    std::copy_n(from, used * length(), latents.begin());
    from = latents.data();
    if (classes != 0) {
      labels.assign(rows, 0);
      std::copy_n(classes_of, used, labels.begin());
      classes_of = labels.data();
    }
    images.resize(rows * signatures.shape.size());
    result = images.data();
  }
  const std::size_t signature = signatures.batches.at(size);
  model.run(signature, in_order(signature, {{"latent", from}, {"label", classes_of}}), result);
  if (result != to) std::copy_n(result, used * signatures.shape.size(), to);
}

void Generator::Parts::draw(const float* from, const std::int32_t* classes_of, std::size_t count,
                            float* to) {
  if ((classes_of == nullptr) != (classes == 0)) {
    throw UsageError(classes == 0 ? "expected no labels: the model has no classes"
                                  : "expected labels, got none: the model has classes");
  }
  for (std::size_t i = 0; classes != 0 && i < count; ++i) check_label(classes_of[i]);
  for (std::size_t start = 0; start < count;) {
    // The largest signature that still fits, else the smallest with some rows left unused.
    const auto left = static_cast<int>(std::min<std::size_t>(count - start, kMaxBatch));
    auto fitting = signatures.batches.upper_bound(left);
    if (fitting != signatures.batches.begin()) --fitting;
    const std::size_t used = std::min(static_cast<std::size_t>(fitting->first), count - start);
    draw_batch(fitting->first, used, from + start * length(),
               classes_of == nullptr ? nullptr : classes_of + start,
               to + start * signatures.shape.size());
    start += used;
  }
}

void Generator::Parts::draw_between(const float* from, const std::int32_t* classes_of,
                                    const std::int32_t* target_labels, const float* weights,
                                    std::size_t count, float* to) {
  if (!signatures.between) {
    throw ModelError(name + " cannot go from one class to another: it has no signature " +
                     kBetween + "; convert it again with convert_tflite.py");
  }
  for (std::size_t i = 0; i < count; ++i) {
    check_label(classes_of[i]);
    check_label(target_labels[i]);
    if (!(weights[i] >= 0.0f && weights[i] <= 1.0f)) {
      throw UsageError("expected weights from 0 to 1, got " + std::to_string(weights[i]));
    }
  }
  for (std::size_t i = 0; i < count; ++i) {
    const float* const latent = from + i * length();
    model.run(*signatures.between,
              in_order(*signatures.between, {{"latent", latent},
                                  {"label", classes_of + i},
                                  {"target_label", target_labels + i},
                                  {"weight", weights + i}}),
              to + i * signatures.shape.size());
  }
}

Generator::Generator(const std::string& path, const GeneratorOptions& options) {
  const auto start = std::chrono::steady_clock::now();
  *this = Generator(announced<ModelError>(path, [&] { return read_model_file(path); }), path,
                    options);
  // All that was not compiling.
  parts_->times.load = seconds_since(start) - parts_->times.compile;
}

Generator::Generator(std::vector<char> content, const std::string& name,
                     const GeneratorOptions& options) {
  if (options.threads < kMinThreads || options.threads > kMaxThreads) {
    throw UsageError("expected 1 to " + std::to_string(kMaxThreads) + " threads, got " +
                     std::to_string(options.threads));
  }
  announced<ModelError>(name, [&] {
    const auto start = std::chrono::steady_clock::now();
    verify(content.data(), content.size(), name);
    parts_ = std::make_unique<Parts>(std::move(content), name, options);
    parts_->read_classes();
    parts_->times.load = seconds_since(start);
    parts_->model.compile();
    parts_->times.compile = seconds_since(start) - parts_->times.load;
  });
}

Generator::~Generator() = default;
Generator::Generator(Generator&&) noexcept = default;
Generator& Generator::operator=(Generator&&) noexcept = default;

Shape Generator::image_shape() const noexcept { return parts_->signatures.shape; }

std::size_t Generator::latent_size() const noexcept {
  return static_cast<std::size_t>(parts_->signatures.latent_size);
}

int Generator::classes() const noexcept { return parts_->classes; }

const std::vector<std::string>& Generator::class_names() const noexcept {
  return parts_->class_names;
}

const std::vector<SignatureInfo>& Generator::signatures() const noexcept {
  return parts_->model.signatures();
}

const std::vector<char>& Generator::content() const noexcept { return parts_->model.content(); }

StartTimes Generator::start_times() const noexcept { return parts_->times; }

std::optional<std::string> Generator::metadata(const std::string& name) const {
  return announced<ModelError>(parts_->name,
                               [&] { return parts_->model.metadata(kMetadata + name); });
}

void Generator::draw(const float* latents, const std::int32_t* labels, std::size_t count,
                     float* images) {
  announced<ModelError>(parts_->name, [&] { parts_->draw(latents, labels, count, images); });
}

std::vector<float> Generator::draw(const std::vector<float>& latents,
                                   const std::vector<std::int32_t>& labels) {
  const std::size_t count = classes() != 0 ? labels.size() : latents.size() / latent_size();
  if (latents.size() != count * latent_size() || (classes() == 0 && !labels.empty())) {
    throw UsageError("expected " + std::to_string(latent_size()) + " numbers " +
                     (classes() != 0 ? "and a label" : "and no label") + " an image, got " +
                     std::to_string(latents.size()) + " and " + std::to_string(labels.size()));
  }
  std::vector<float> images(count * image_shape().size());
  if (count == 0) return images;
  draw(latents.data(), classes() != 0 ? labels.data() : nullptr, count, images.data());
  return images;
}

void Generator::draw_between(const float* latents, const std::int32_t* labels,
                             const std::int32_t* target_labels, const float* weights,
                             std::size_t count, float* images) {
  announced<ModelError>(parts_->name, [&] {
    parts_->draw_between(latents, labels, target_labels, weights, count, images);
  });
}

std::uint8_t to_level(float value) noexcept {
  if (!(value > -1.0f)) return 0;  // not a number, too
  return static_cast<std::uint8_t>(std::nearbyint((std::min(value, 1.0f) + 1.0f) * 127.5f));
}

void to_levels(const float* values, std::size_t pixels, std::size_t channels,
               std::uint8_t* levels) noexcept {
  if (channels != 4) {
    std::transform(values, values + pixels * channels, levels, to_level);
    return;
  }
  for (const float* const end = values + 4 * pixels; values != end; values += 4, levels += 4) {
    levels[3] = to_level(values[3]);
    const float alpha = std::min(values[3], 1.0f) + 1.0f;  // twice as much, as the colours
    for (std::size_t i = 0; i < 3; ++i) {
      const bool seen = levels[3] != 0 && values[i] > -1.0f;
      const float colour = seen ? std::min((std::min(values[i], 1.0f) + 1.0f) / alpha, 1.0f) : 0.0f;
      levels[i] = static_cast<std::uint8_t>(std::nearbyint(colour * 255.0f));
    }
  }
}

}  // namespace jaxgan
