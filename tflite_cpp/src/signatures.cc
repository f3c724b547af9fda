#include "signatures.h"

#include <algorithm>
#include <cstdint>
#include <iterator>

#include "bounds.h"
#include "numbers.h"

namespace jaxgan {
namespace {

constexpr char kBatch[] = "generate_";

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

// "1, 3 or 4".
std::string channels_text() {
  std::string text;
  for (const int& count : kChannels) {
    const bool last = &count + 1 == std::end(kChannels);
    text += (text.empty() ? "" : last ? " or " : ", ") + std::to_string(count);
  }
  return text;
}

// Takes a signature generate_N in, whose sizes are those of the others.
void add_batch(Signatures& all, int size, const SignatureInfo& signature, const std::string& name) {
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
  const bool same = found.height == all.shape.height && found.width == all.shape.width &&
                    found.channels == all.shape.channels &&
                    latent->dimensions[1] == all.latent_size &&
                    (label != nullptr) == all.labelled;
  if (!all.batches.empty() && !same) {
    throw ModelError(not_one + "other shapes than the signatures before it");
  }
  all.shape = found;
  all.latent_size = latent->dimensions[1];
  all.labelled = label != nullptr;
}

void check_between(const Signatures& all, const SignatureInfo& signature,
                   const std::string& name) {
  const auto& in = signature.inputs;
  const auto& out = signature.outputs;
  if (!all.labelled || in.size() != 4 || out.size() != 1 ||
      !fits(find(in, "latent"), "float32", {1, all.latent_size}) ||
      !fits(find(in, "label"), "int32", {1}) || !fits(find(in, "target_label"), "int32", {1}) ||
      !fits(find(in, "weight"), "float32", {1}) ||
      !fits(&out[0], "float32", {1, all.shape.height, all.shape.width, all.shape.channels})) {
    throw ModelError(name + " is not a generator: " + kBetween +
                     " does not take latent, label, target_label and weight; convert it again with "
                     "convert_tflite.py");
  }
}

}  // namespace

Signatures read_signatures(const std::vector<SignatureInfo>& found, const std::string& name) {
  Signatures all;
  std::string names;
  for (std::size_t i = 0; i < found.size(); ++i) {
    names += (names.empty() ? "" : ", ") + found[i].name;
    if (found[i].name.rfind(kBatch, 0) != 0) continue;
    std::uint32_t size = 0;
    if (!read_whole(found[i].name.substr(sizeof kBatch - 1), 1, kMaxBatch, size).empty()) continue;
    add_batch(all, static_cast<int>(size), found[i], name);
    all.batches[static_cast<int>(size)] = i;
  }
  if (all.batches.empty()) {
    if (names.size() > kMaxNamesShown) names = names.substr(0, kMaxNamesShown) + "...";
    throw ModelError(name + " is not a generator: expected a signature such as generate_1, got " +
                     (names.empty() ? "none" : names));
  }
  for (std::size_t i = 0; i < found.size(); ++i) {
    if (found[i].name != kBetween) continue;
    check_between(all, found[i], name);
    all.between = i;
  }
  return all;
}

}  // namespace jaxgan
