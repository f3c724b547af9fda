#include "generator.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "errors.h"
#include "latents.h"

namespace jaxgan {
namespace {

constexpr char kSignature[] = "generate_";
constexpr char kMetadataPrefix[] = "jaxgan.";
constexpr const char* kMetadataNames[] = {"version",     "revision", "dataset",     "seed", "step",
                                          "latent_size", "classes",  "image_shape"};
// Bounds on what a model may ask for, far above any real one, so that no product overflows.
constexpr int kMostBatch = 4096, kMostSide = 4096, kMostLatent = 65536;

// The number that a text is, or -1.
int number(const std::string& text) {
  int value = -1;
  const char* const end = text.data() + text.size();
  const auto [rest, fault] = std::from_chars(text.data(), end, value);
  return fault == std::errc() && rest == end ? value : -1;
}

std::vector<char> read(const std::string& path) {
  const auto fail = [&] {
    return ModelError("cannot read " + path + ": " + std::strerror(errno) +
                      "; --model takes a file of convert_tflite.py");
  };
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rb"),
                                                            std::fclose);
  if (!file) throw fail();
  std::vector<char> content;
  char block[65536];
  while (const std::size_t size = std::fread(block, 1, sizeof block, file.get())) {
    content.insert(content.end(), block, block + size);
  }
  if (std::ferror(file.get()) != 0) throw fail();
  if (content.empty()) throw ModelError(path + " is empty; convert the model again");
  return content;
}

std::size_t position(const std::vector<TensorInfo>& tensors, const std::string& name) {
  const auto found = std::find_if(tensors.begin(), tensors.end(),
                                  [&](const TensorInfo& tensor) { return tensor.name == name; });
  return static_cast<std::size_t>(found - tensors.begin());
}

bool fits(const TensorInfo& tensor, int element_type, std::vector<int> most) {
  if (tensor.element_type != element_type || tensor.dimensions.size() != most.size()) return false;
  for (std::size_t i = 0; i < most.size(); ++i) {
    if (tensor.dimensions[i] < 1 || tensor.dimensions[i] > most[i]) return false;
  }
  return true;
}

}  // namespace

std::string TensorInfo::text() const {
  const std::string type = element_type == litert::kFloat32 ? "float32"
                           : element_type == litert::kInt32 ? "int32"
                                                            : "type " + std::to_string(element_type);
  std::string sizes;
  for (const std::int32_t size : dimensions) {
    sizes += (sizes.empty() ? "" : ", ") + std::to_string(size);
  }
  return name + " " + type + " [" + sizes + "]";
}

struct Generator::Batch {
  std::size_t signature = 0;
  int size = 0;
  std::size_t latent = 0, label = 0;  // places among the inputs
  std::vector<Handle<litert::TensorBuffer>> inputs, outputs;
};

Generator::Generator(const Runtime& runtime, const std::string& path, int threads)
    : lite_(runtime.functions()),
      environment_(runtime.environment()),
      path_(path),
      content_(read(path)) {
  load();
  read_signatures();
  read_metadata();
  compile(threads);
}

Generator::~Generator() = default;

void Generator::expect(litert::Status status, const std::string& what) const {
  check<ModelError>(status, path_ + ": " + what);
}

void Generator::load() {
  // From a buffer, because from a file LiteRT does not verify what it reads.
  litert::Model model = nullptr;
  expect(lite_.CreateModelFromBuffer(environment_, content_.data(), content_.size(), &model),
         "not a TensorFlow Lite model");
  model_ = {model, lite_.DestroyModel};
}

void Generator::read_signatures() {
  std::size_t count = 0;
  expect(lite_.GetNumModelSignatures(model_.get(), &count), "signatures");
  std::string names;
  for (std::size_t i = 0; i < count; ++i) {
    litert::Signature signature = nullptr;
    expect(lite_.GetModelSignature(model_.get(), i, &signature), "signature");
    signatures_.push_back(describe(signature));
    const std::string& name = signatures_.back().name;
    names += (names.empty() ? "" : ", ") + name;
    if (name.rfind(kSignature, 0) != 0) continue;
    const int size = number(name.substr(sizeof kSignature - 1));
    if (size < 1 || size > kMostBatch) continue;
    check_batch(size, signatures_.back());
    sizes_[size] = i;
  }
  if (sizes_.empty()) {
    throw ModelError(path_ + " is not a generator: expected a signature such as generate_1, got " +
                     (names.empty() ? "none" : names));
  }
}

SignatureInfo Generator::describe(litert::Signature signature) const {
  const char* name = nullptr;
  expect(lite_.GetSignatureKey(signature, &name), "signature name");
  SignatureInfo info{name, {}, {}};
  std::size_t inputs = 0, outputs = 0;
  expect(lite_.GetNumSignatureInputs(signature, &inputs), "signature inputs");
  expect(lite_.GetNumSignatureOutputs(signature, &outputs), "signature outputs");
  litert::Tensor tensor = nullptr;
  for (std::size_t i = 0; i < inputs; ++i) {
    expect(lite_.GetSignatureInputName(signature, i, &name), "input name");
    expect(lite_.GetSignatureInputTensorByIndex(signature, i, &tensor), "input tensor");
    info.inputs.push_back(describe(tensor, name));
  }
  for (std::size_t i = 0; i < outputs; ++i) {
    expect(lite_.GetSignatureOutputName(signature, i, &name), "output name");
    expect(lite_.GetSignatureOutputTensorByIndex(signature, i, &tensor), "output tensor");
    info.outputs.push_back(describe(tensor, name));
  }
  return info;
}

TensorInfo Generator::describe(litert::Tensor tensor, const char* name) const {
  litert::RankedTensorType type = {};
  expect(lite_.GetRankedTensorType(tensor, &type), std::string("tensor ") + name);
  const auto& sizes = type.layout.dimensions;
  const unsigned rank = std::min(type.layout.rank, 8u);
  return {name, type.element_type, {sizes, sizes + rank}};
}

void Generator::check_batch(int size, const SignatureInfo& signature) {
  const std::string not_one = path_ + " is not a generator: " + signature.name + " has ";
  const std::size_t latent = position(signature.inputs, "latent");
  const std::size_t label = position(signature.inputs, "label");
  const bool labelled = label < signature.inputs.size();
  if (latent == signature.inputs.size() || signature.inputs.size() != (labelled ? 2u : 1u) ||
      signature.outputs.size() != 1 || signature.outputs[0].name != "image") {
    throw ModelError(not_one + "other inputs and outputs than latent, label and image");
  }
  const TensorInfo& from = signature.inputs[latent];
  const TensorInfo& to = signature.outputs[0];
  const bool fit = fits(from, litert::kFloat32, {size, kMostLatent}) &&
                   fits(to, litert::kFloat32, {size, kMostSide, kMostSide, 3}) &&
                   (!labelled || fits(signature.inputs[label], litert::kInt32, {size}));
  if (!fit || from.dimensions[0] != size || to.dimensions[0] != size || to.dimensions[3] == 2 ||
      (labelled && signature.inputs[label].dimensions[0] != size)) {
    throw ModelError(not_one + from.text() + " -> " + to.text() + ", expected latent float32 [" +
                     std::to_string(size) + ", Z] -> image float32 [" + std::to_string(size) +
                     ", H, W, 1 or 3]");
  }
  const Shape shape{to.dimensions[1], to.dimensions[2], to.dimensions[3]};
  const bool first = sizes_.empty();
  if (!first && (shape.height != shape_.height || shape.width != shape_.width ||
                 shape.channels != shape_.channels || from.dimensions[1] != latent_size_ ||
                 labelled != (classes_ != 0))) {
    throw ModelError(not_one + "other shapes than the signatures before it");
  }
  shape_ = shape;
  latent_size_ = from.dimensions[1];
  classes_ = labelled ? 1 : 0;  // how many, the metadata tells
}

void Generator::read_metadata() {
  for (const std::string name : kMetadataNames) {
    const void* data = nullptr;
    std::size_t size = 0;
    const std::string key = kMetadataPrefix + name;
    if (lite_.GetModelMetadata(model_.get(), key.c_str(), &data, &size) != litert::kOk) continue;
    metadata_.emplace_back(name, std::string(static_cast<const char*>(data), size));
    if (name == "classes" && classes_ != 0) classes_ = number(metadata_.back().second);
  }
  const bool told = std::any_of(metadata_.begin(), metadata_.end(),
                                [](const auto& entry) { return entry.first == "classes"; });
  if (classes_ != 0 && (!told || classes_ < 1)) {
    throw ModelError(path_ + " is not a generator: it takes labels, but its metadata names no "
                            "number of classes; convert it again with convert_tflite.py");
  }
}

void Generator::compile(int threads) {
  litert::Options made = nullptr;
  check<RuntimeError>(lite_.CreateOptions(&made), "runtime options");
  const Handle<litert::Options> options{made, lite_.DestroyOptions};
  check<RuntimeError>(lite_.SetOptionsHardwareAccelerators(made, litert::kAcceleratorCpu),
                      "runtime options");
  litert::OpaqueOptions xnnpack = nullptr;
  char* const text = strdup(("num_threads = " + std::to_string(threads)).c_str());
  check<RuntimeError>(lite_.CreateOpaqueOptions("xnnpack", text, std::free, &xnnpack),
                      "thread options");
  check<RuntimeError>(lite_.AddOpaqueOptions(made, xnnpack), "thread options");
  litert::CompiledModel compiled = nullptr;
  expect(lite_.CreateCompiledModel(environment_, model_.get(), made, &compiled),
         "cannot be compiled");
  compiled_ = {compiled, lite_.DestroyCompiledModel};
}

Generator::Batch& Generator::batch(int size) {
  std::unique_ptr<Batch>& batch = batches_[size];
  if (batch) return *batch;
  auto made = std::make_unique<Batch>();
  made->signature = sizes_.at(size);
  made->size = size;
  const SignatureInfo& info = signatures_[made->signature];
  made->latent = position(info.inputs, "latent");
  made->label = position(info.inputs, "label");
  const auto add = [&](const TensorInfo& tensor, litert::BufferRequirements requirements,
                       std::vector<Handle<litert::TensorBuffer>>& buffers) {
    litert::RankedTensorType type = {};
    type.element_type = tensor.element_type;
    type.layout.rank = static_cast<unsigned>(tensor.dimensions.size()) & 0x7Fu;
    std::copy(tensor.dimensions.begin(), tensor.dimensions.end(), type.layout.dimensions);
    litert::TensorBuffer buffer = nullptr;
    expect(lite_.CreateManagedTensorBufferFromRequirements(environment_, &type, requirements,
                                                           &buffer),
           "buffer of " + tensor.text());
    buffers.emplace_back(buffer, lite_.DestroyTensorBuffer);
  };
  for (std::size_t i = 0; i < info.inputs.size(); ++i) {
    litert::BufferRequirements requirements = nullptr;
    expect(lite_.GetCompiledModelInputBufferRequirements(compiled_.get(), made->signature, i,
                                                         &requirements),
           "buffer of " + info.inputs[i].text());
    add(info.inputs[i], requirements, made->inputs);
  }
  litert::BufferRequirements requirements = nullptr;
  expect(lite_.GetCompiledModelOutputBufferRequirements(compiled_.get(), made->signature, 0,
                                                        &requirements),
         "buffer of " + info.outputs[0].text());
  add(info.outputs[0], requirements, made->outputs);
  batch = std::move(made);
  return *batch;
}

void Generator::run(Batch& batch, const float* latents, const std::int32_t* labels,
                    float* images) {
  const auto size = static_cast<std::size_t>(batch.size);
  const auto locked = [&](litert::TensorBuffer buffer, int mode, auto&& copy) {
    void* host = nullptr;
    expect(lite_.LockTensorBuffer(buffer, &host, mode), "tensor buffer");
    copy(host);
    expect(lite_.UnlockTensorBuffer(buffer), "tensor buffer");
  };
  locked(batch.inputs[batch.latent].get(), litert::kWrite, [&](void* host) {
    std::memcpy(host, latents, size * static_cast<std::size_t>(latent_size_) * sizeof(float));
  });
  if (classes_ != 0) {
    locked(batch.inputs[batch.label].get(), litert::kWrite,
           [&](void* host) { std::memcpy(host, labels, size * sizeof(std::int32_t)); });
  }
  std::vector<litert::TensorBuffer> inputs;
  for (const auto& buffer : batch.inputs) inputs.push_back(buffer.get());
  litert::TensorBuffer output = batch.outputs[0].get();
  expect(lite_.RunCompiledModel(compiled_.get(), batch.signature, inputs.size(), inputs.data(), 1,
                                &output),
         "does not run");
  locked(output, litert::kRead, [&](void* host) {
    std::memcpy(images, host, size * shape_.size() * sizeof(float));
  });
}

std::vector<std::uint8_t> Generator::draw(std::uint32_t seed, int count,
                                          const std::vector<std::int32_t>& labels) {
  std::vector<std::uint8_t> levels(static_cast<std::size_t>(count) * shape_.size());
  std::vector<float> from, to;
  std::vector<std::int32_t> chosen;
  for (int start = 0; start < count;) {
    // The largest signature that still fits, else the smallest with some rows left unused.
    auto fitting = sizes_.upper_bound(count - start);
    if (fitting != sizes_.begin()) --fitting;
    const int size = fitting->first;
    from.assign(static_cast<std::size_t>(size) * static_cast<std::size_t>(latent_size_), 0.0f);
    to.resize(static_cast<std::size_t>(size) * shape_.size());
    chosen.assign(static_cast<std::size_t>(size), 0);
    const int used = std::min(size, count - start);
    for (int i = 0; i < used; ++i) {
      const auto image = static_cast<std::uint32_t>(start + i);
      const auto latent_length = static_cast<std::size_t>(latent_size_);
      latent(seed, image, latent_length, from.data() + static_cast<std::size_t>(i) * latent_length);
      if (!labels.empty()) chosen[static_cast<std::size_t>(i)] = labels[image % labels.size()];
    }
    run(batch(size), from.data(), chosen.data(), to.data());
    std::transform(to.begin(), to.begin() + static_cast<std::ptrdiff_t>(used * shape_.size()),
                   levels.begin() + static_cast<std::ptrdiff_t>(start * shape_.size()), to_level);
    start += used;
  }
  return levels;
}

}  // namespace jaxgan
