#include "jaxgan/generator.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <initializer_list>
#include <iterator>
#include <map>
#include <system_error>
#include <utility>

#include "bounds.h"
#include "open.h"
#include "runtime.h"
#include "verify.h"

namespace jaxgan {
namespace {

constexpr char kSignature[] = "generate_", kBetween[] = "between_1", kMetadata[] = "jaxgan.";

// The number that a text is, or -1.
int number(const std::string& text) {
  int value = -1;
  const char* const end = text.data() + text.size();
  const auto [rest, fault] = std::from_chars(text.data(), end, value);
  return fault == std::errc() && rest == end ? value : -1;
}

// What a large file that is no model is told by before it is read whole.
bool begins_as_model(const std::vector<char>& content) {
  constexpr char kIdentifier[] = "TFL3";
  return content.size() >= 8 && std::equal(kIdentifier, kIdentifier + 4, content.begin() + 4);
}

std::vector<char> read(const std::string& path) {
  const auto fail = [&](const std::string& why) {
    return ModelError("cannot read " + path + ": " + why +
                      "; expected a file of convert_tflite.py");
  };
  const auto none = [&](const char* what) {
    return ModelError(path + " is not a TensorFlow Lite model: " + what);
  };
  std::string why;
  const File file = open_regular(path, why);
  if (!file) throw fail(why);
  std::error_code unknown;
  const std::uintmax_t size = std::filesystem::file_size(path, unknown);
  if (!unknown && size > kMaxModelBytes) throw none("it is 2 GiB or larger");
  std::vector<char> content;
  char block[65536];
  while (const std::size_t count = std::fread(block, 1, sizeof block, file.get())) {
    content.insert(content.end(), block, block + count);
    if (!begins_as_model(content)) throw none("it does not begin as one");
    if (content.size() > kMaxModelBytes) throw none("it is 2 GiB or larger");
    if (!unknown) content.reserve(static_cast<std::size_t>(size));
  }
  if (std::ferror(file.get()) != 0) throw fail(std::strerror(errno));
  if (content.empty()) throw ModelError(path + " is empty; convert the model again");
  return content;
}

const TensorInfo* find(const std::vector<TensorInfo>& tensors, const char* name) {
  const auto found = std::find_if(tensors.begin(), tensors.end(),
                                  [&](const TensorInfo& tensor) { return tensor.name == name; });
  return found == tensors.end() ? nullptr : &*found;
}

// Whether a tensor is there, of a type and of sizes; -1 stands for any size up to a bound.
bool fits(const TensorInfo* tensor, const char* type, const std::vector<int>& sizes,
          int max = 0) {
  if (tensor == nullptr || tensor->type != type) return false;
  return std::equal(tensor->dimensions.begin(), tensor->dimensions.end(), sizes.begin(),
                    sizes.end(), [&](std::int32_t got, int wanted) {
                      return wanted == -1 ? got >= 1 && got <= max : got == wanted;
                    });
}

bool are_channels(int count) {
  return std::find(std::begin(kChannels), std::end(kChannels), count) != std::end(kChannels);
}

// "1 or 3".
std::string channels_text() {
  std::string text;
  for (const int count : kChannels) text += (text.empty() ? "" : " or ") + std::to_string(count);
  return text;
}

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
      : name(std::move(file)), model(std::move(content), name, options) {}

  void read_signatures();
  void check_batch(int size, const SignatureInfo& signature);
  void check_between(const SignatureInfo& signature) const;
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
  std::map<int, std::size_t> sizes;     // batch size -> signature
  std::optional<std::size_t> between;   // its signature
  Shape shape;
  int latent_size = 0;
  int classes = 0;
  std::vector<float> latents, images;   // of a batch that is not full
  std::vector<std::int32_t> labels;
};

void Generator::Parts::read_signatures() {
  std::string names;
  const std::vector<SignatureInfo>& found = model.signatures();
  for (std::size_t i = 0; i < found.size(); ++i) {
    names += (names.empty() ? "" : ", ") + found[i].name;
    if (found[i].name.rfind(kSignature, 0) != 0) continue;
    const int size = number(found[i].name.substr(sizeof kSignature - 1));
    if (size < 1 || size > kMaxBatch) continue;
    check_batch(size, found[i]);
    sizes[size] = i;
  }
  if (sizes.empty()) {
    if (names.size() > kMaxNamesShown) names = names.substr(0, kMaxNamesShown) + "...";
    throw ModelError(name + " is not a generator: expected a signature such as generate_1, got " +
                     (names.empty() ? "none" : names));
  }
  for (std::size_t i = 0; i < found.size(); ++i) {
    if (found[i].name != kBetween) continue;
    check_between(found[i]);
    between = i;
  }
}

void Generator::Parts::check_batch(int size, const SignatureInfo& signature) {
  const std::string not_one = name + " is not a generator: " + signature.name + " has ";
  const TensorInfo* const latent = find(signature.inputs, "latent");
  const TensorInfo* const label = find(signature.inputs, "label");
  if (latent == nullptr || signature.inputs.size() != (label != nullptr ? 2u : 1u) ||
      signature.outputs.size() != 1 || signature.outputs[0].name != "image") {
    throw ModelError(not_one + "other inputs and outputs than latent, label and image");
  }
  const TensorInfo& image = signature.outputs[0];
  if (!fits(latent, "float32", {size, -1}, kMaxLatent) ||
      !fits(&image, "float32", {size, -1, -1, -1}, kMaxSide) ||
      !are_channels(image.dimensions[3]) ||
      (label != nullptr && !fits(label, "int32", {size}))) {
    const std::string count = std::to_string(size);
    throw ModelError(not_one + latent->text() + " -> " + image.text() +
                     ", expected latent float32 [" + count + ", Z] -> image float32 [" + count +
                     ", H, W, " + channels_text() + "]");
  }
  const Shape found{image.dimensions[1], image.dimensions[2], image.dimensions[3]};
  if (!sizes.empty() && (found.height != shape.height || found.width != shape.width ||
                         found.channels != shape.channels || latent->dimensions[1] != latent_size ||
                         (label != nullptr) != (classes != 0))) {
    throw ModelError(not_one + "other shapes than the signatures before it");
  }
  shape = found;
  latent_size = latent->dimensions[1];
  classes = label != nullptr ? 1 : 0;  // how many, the metadata tells
}

void Generator::Parts::check_between(const SignatureInfo& signature) const {
  const auto& in = signature.inputs;
  const auto& out = signature.outputs;
  if (classes == 0 || in.size() != 4 || out.size() != 1 ||
      !fits(find(in, "latent"), "float32", {1, latent_size}) ||
      !fits(find(in, "label"), "int32", {1}) || !fits(find(in, "target_label"), "int32", {1}) ||
      !fits(find(in, "weight"), "float32", {1}) ||
      !fits(&out[0], "float32", {1, shape.height, shape.width, shape.channels})) {
    throw ModelError(name + " is not a generator: " + kBetween +
                     " does not take latent, label, target_label and weight; convert it again with "
                     "convert_tflite.py");
  }
}

void Generator::Parts::read_classes() {
  if (classes == 0) return;
  const std::optional<std::string> told = model.metadata(std::string(kMetadata) + "classes");
  classes = told ? number(*told) : -1;
  if (classes < 1 || classes > kMaxClasses) {
    throw ModelError(name + " is not a generator: it takes labels, but its metadata names no "
                            "number of classes from 1 to " + std::to_string(kMaxClasses) +
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
  const auto length = static_cast<std::size_t>(latent_size);
  float* result = to;
  if (used < rows) {
    latents.assign(rows * length, 0.0f);
    std::copy_n(from, used * length, latents.begin());
    from = latents.data();
    if (classes != 0) {
      labels.assign(rows, 0);
      std::copy_n(classes_of, used, labels.begin());
      classes_of = labels.data();
    }
    images.resize(rows * shape.size());
    result = images.data();
  }
  const std::size_t signature = sizes.at(size);
  model.run(signature, in_order(signature, {{"latent", from}, {"label", classes_of}}), result);
  if (result != to) std::copy_n(result, used * shape.size(), to);
}

void Generator::Parts::draw(const float* from, const std::int32_t* classes_of, std::size_t count,
                            float* to) {
  if ((classes_of == nullptr) != (classes == 0)) {
    throw UsageError(classes == 0 ? "expected no labels: the model has no classes"
                                  : "expected labels, got none: the model has classes");
  }
  for (std::size_t i = 0; classes != 0 && i < count; ++i) check_label(classes_of[i]);
  const auto length = static_cast<std::size_t>(latent_size);
  for (std::size_t start = 0; start < count;) {
    // The largest signature that still fits, else the smallest with some rows left unused.
    const auto left = static_cast<int>(std::min<std::size_t>(count - start, kMaxBatch));
    auto fitting = sizes.upper_bound(left);
    if (fitting != sizes.begin()) --fitting;
    const std::size_t used = std::min(static_cast<std::size_t>(fitting->first), count - start);
    draw_batch(fitting->first, used, from + start * length,
               classes_of == nullptr ? nullptr : classes_of + start, to + start * shape.size());
    start += used;
  }
}

void Generator::Parts::draw_between(const float* from, const std::int32_t* classes_of,
                                    const std::int32_t* target_labels, const float* weights,
                                    std::size_t count, float* to) {
  if (!between) {
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
    const float* const latent = from + i * static_cast<std::size_t>(latent_size);
    model.run(*between,
              in_order(*between, {{"latent", latent},
                                  {"label", classes_of + i},
                                  {"target_label", target_labels + i},
                                  {"weight", weights + i}}),
              to + i * shape.size());
  }
}

Generator::Generator(const std::string& path, const GeneratorOptions& options) {
  const auto start = std::chrono::steady_clock::now();
  *this = Generator(announced<ModelError>(path, [&] { return read(path); }), path, options);
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
    parts_->read_signatures();
    parts_->read_classes();
    parts_->times.load = seconds_since(start);
    parts_->model.compile();
    parts_->times.compile = seconds_since(start) - parts_->times.load;
  });
}

Generator::~Generator() = default;
Generator::Generator(Generator&&) noexcept = default;
Generator& Generator::operator=(Generator&&) noexcept = default;

Shape Generator::image_shape() const noexcept { return parts_->shape; }

std::size_t Generator::latent_size() const noexcept {
  return static_cast<std::size_t>(parts_->latent_size);
}

int Generator::classes() const noexcept { return parts_->classes; }

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

}  // namespace jaxgan
