#include "rules.h"

#include <algorithm>
#include <cstring>
#include <numeric>

#include "bounds.h"

namespace jaxgan::verification {
namespace {

using flatbuffer::Table;

// The numbers in a constant vector, or in rows of a constant matrix.
std::vector<std::int64_t> integers(const Tensor& tensor, std::size_t rank = 1) {
  expect(tensor.constant() && tensor.sizes.size() == rank && tensor.elements <= 2 * kMaxRank &&
             (tensor.is(kInt32) || tensor.is(kInt64)),
         "expected a constant of sizes");
  std::vector<std::int64_t> values(tensor.elements);
  for (std::size_t i = 0; i < values.size(); ++i) {
    std::int32_t narrow = 0;
    if (tensor.type == kInt64) {
      std::memcpy(&values[i], tensor.data.bytes() + 8 * i, 8);
    } else {
      std::memcpy(&narrow, tensor.data.bytes() + 4 * i, 4);
      values[i] = narrow;
    }
  }
  return values;
}

bool equal(const std::vector<std::int64_t>& values, const Sizes& sizes) {
  return std::equal(values.begin(), values.end(), sizes.begin(), sizes.end());
}

// Values are moved, not changed: XNNPACK moves none where scales differ.
void expect_moved(const Tensor& from, const Tensor& to) {
  expect((from.holds_values() || from.is(kInt32)) && to.is(from.type), "types");
  expect(from.scales.size() == to.scales.size() && from.zero == to.zero &&
             (from.scales.size() == 0 || from.scales[0] == to.scales[0]),
         "scales");
}

void expect_sizes(const Tensor& tensor, const Sizes& sizes) {
  expect(tensor.sizes == sizes, "its result has other sizes than its inputs give");
}

void expect_same_type(const Operation& one) {
  for (const Tensor* const input : one.in) {
    expect(input->holds_values() && one.out.type == input->type, "types");
  }
  expect(one.out.holds_values(), "types");
}

// Sizes that fit when each is 1 or the same, counted from the last.
Sizes broadcast(const Sizes& a, const Sizes& b) {
  if (a.size() < b.size()) return broadcast(b, a);
  expect(a.size() <= 4, "too many dimensions");  // for kernels
  Sizes result = a;
  const std::size_t more = a.size() - b.size();
  for (std::size_t i = 0; i < b.size(); ++i) {
    std::int32_t& size = result[more + i];
    expect(size == b[i] || size == 1 || b[i] == 1, "inputs of sizes that do not fit");
    size = std::max(size, b[i]);
  }
  return result;
}

void expect_no_activation(const Operation& one, std::size_t slot) {
  expect(one.options.front().number<std::int8_t>(slot, 0) == 0, "has an activation");
}

void arithmetic(const Operation& one) {
  const Tensor& a = *one.in[0];
  const Tensor& b = *one.in[1];
  expect_same_type(one);
  expect_no_activation(one, 0);
  expect_sizes(one.out, broadcast(a.sizes, b.sizes));
  if (a.type != kInt8) return;
  expect(std::max(a.scales[0], b.scales[0]) <= kMaxRatio * one.out.scales[0], "scales");
}

void broadcast_to(const Operation& one) {
  expect_moved(*one.in[0], one.out);
  expect(equal(integers(*one.in[1]), one.out.sizes) &&
             one.in[0]->sizes.size() <= one.out.sizes.size(),
         "sizes");
  expect_sizes(one.out, broadcast(one.in[0]->sizes, one.out.sizes));
}

void elementwise(const Operation& one) {
  expect_same_type(one);
  expect_sizes(one.out, one.in[0]->sizes);
}

void softmax(const Operation& one) {
  elementwise(one);
  expect(one.options.front().number<float>(0, 0.0f) == 1.0f, "its exponents have a factor");
  if (one.out.type != kInt8) return;
  // Kernels make 1/256 the unit of its result, whatever is said.
  const float scale = one.in[0]->scales[0];
  expect(scale >= kMinFactor && scale <= kMaxFactor, "scales");
  expect(one.out.scales[0] == 0x1p-8f && one.out.zero == -128, "scales");
}

void slice(const Operation& one) {
  const Sizes& from = one.in[0]->sizes;
  expect_moved(*one.in[0], one.out);
  const std::vector<std::int64_t> first = integers(*one.in[1]);
  const std::vector<std::int64_t> count = integers(*one.in[2]);
  const char* const misfit = "inputs of sizes that do not fit";
  expect(from.size() == first.size() && from.size() == count.size() && from.size() <= 4,  // kernels
         misfit);
  for (std::size_t i = 0; i < from.size(); ++i) {
    expect(first[i] >= 0 && count[i] >= 1 && count[i] <= from[i] - first[i], misfit);
  }
  expect(equal(count, one.out.sizes), "its result has other sizes than its inputs give");
}

void leaky_relu(const Operation& one) {
  elementwise(one);
  const float slope = one.options.front().number<float>(0, 0.0f);
  const float scale = one.out.type == kInt8 ? one.in[0]->scales[0] / one.out.scales[0] : 1.0f;
  // Of 8-bit numbers, XNNPACK leaves the result as it is where a factor is below 2^-8.
  expect(slope * scale >= kMinFactor && slope <= 1.0f && scale <= kMaxFactor, "slope");
}

void quantize(const Operation& one) {
  const Tensor& in = *one.in[0];
  expect(in.holds_values() && one.out.is(kInt8), "types");
  expect_sizes(one.out, in.sizes);
  const float scale = in.type == kInt8 ? in.scales[0] / one.out.scales[0] : 1.0f;
  expect(scale >= kMinFactor && scale <= kMaxFactor, "scales");
}

void dequantize(const Operation& one) {
  const Tensor& in = *one.in[0];
  expect((in.is(kInt8) || in.type == kFloat16) && one.out.is(kFloat32), "types");
  expect_sizes(one.out, in.sizes);
}

void reshape(const Operation& one) {
  expect_moved(*one.in[0], one.out);
  expect(equal(integers(*one.in[1]), one.out.sizes) && one.out.elements == one.in[0]->elements,
         "its result has other sizes than its inputs give");
}

void transpose(const Operation& one) {
  const Sizes& from = one.in[0]->sizes;
  expect_moved(*one.in[0], one.out);
  const std::vector<std::int64_t> order = integers(*one.in[1]);
  std::vector<std::int64_t> all(from.size());
  std::iota(all.begin(), all.end(), 0);
  expect(std::is_permutation(order.begin(), order.end(), all.begin(), all.end()), "order");
  Sizes sizes;
  for (const std::int64_t place : order) sizes.push_back(from[static_cast<std::size_t>(place)]);
  expect_sizes(one.out, sizes);
}

void depth_to_space(const Operation& one) {
  const Sizes& from = one.in[0]->sizes;
  expect_moved(*one.in[0], one.out);
  const auto block = one.options.front().number<std::int32_t>(0, 0);
  expect(from.size() == 4 && block >= 1 && block <= kMaxStride &&
             from[3] % (block * block) == 0 && std::max(from[1], from[2]) <= kMaxSide,
         "inputs of sizes that do not fit");
  expect_sizes(one.out, {from[0], from[1] * block, from[2] * block, from[3] / (block * block)});
}

void pad(const Operation& one) {
  const Sizes& from = one.in[0]->sizes;
  expect_moved(*one.in[0], one.out);
  const std::vector<std::int64_t> around = integers(*one.in[1], 2);
  expect(from.size() <= 4 && around.size() == 2 * from.size(), "inputs of sizes that do not fit");
  expect(std::all_of(around.begin(), around.end(),
                     [](std::int64_t size) { return size >= 0 && size <= kMaxSide; }),
         "sizes");
  std::vector<std::int64_t> sizes(from.begin(), from.end());
  for (std::size_t i = 0; i < around.size(); ++i) sizes[i / 2] += around[i];
  expect(equal(sizes, one.out.sizes), "its result has other sizes than its inputs give");
}

void cast(const Operation& one) {
  expect(one.in[0]->is(kBool) && one.out.is(kFloat32), "types");
  expect_sizes(one.out, one.in[0]->sizes);
}

void equal_to(const Operation& one) {
  expect(one.in[0]->is(kInt32) && one.in[1]->is(kInt32) && one.out.is(kBool), "types");
  expect_sizes(one.out, broadcast(one.in[0]->sizes, one.in[1]->sizes));
}

void embedding_lookup(const Operation& one) {
  const Tensor& ids = *one.in[0];
  const Tensor& table = *one.in[1];
  const bool bytes = table.type == kInt8 && table.constant() && table.dimension == 0;
  expect(ids.is(kInt32) && (bytes || table.is(kFloat32)), "types");
  expect(one.out.holds_values(), "types");
  if (one.out.type != kFloat32) expect_moved(table, one.out);
  expect(ids.sizes.size() == 1 && table.sizes.size() == 2, "inputs of sizes that do not fit");
  expect_sizes(one.out, {ids.sizes[0], table.sizes[1]});
}

// Weights of a sum of products, and a number that is added for each of its outputs, which
// `dimension` of the weights counts.
void expect_weights(const Tensor& in, const Tensor& weights, std::size_t dimension,
                    const Tensor* bias, const Tensor& out) {
  const bool bytes = in.type == kInt8;
  expect(in.holds_values() && out.is(in.type), "types");
  expect(weights.is(kFloat32) ? !bytes
                              : weights.type == kInt8 && weights.constant() &&
                                    (weights.is(kInt8) || weights.dimension == dimension),
         "types of weights");
  expect(bias == nullptr || (bias->type == (bytes ? kInt32 : kFloat32) &&
                             bias->sizes == Sizes{weights.sizes[dimension]}),
         "bias");
}

void fully_connected(const Operation& one) {
  const Sizes& in = one.in[0]->sizes;
  const Sizes& weights = one.in[1]->sizes;
  expect(in.size() == 2 && weights.size() == 2 && in[1] == weights[1],
         "inputs of sizes that do not fit");
  expect_weights(*one.in[0], *one.in[1], 0, one.in[2], one.out);
  expect_no_activation(one, 0);
  expect(one.options.front().number<std::int8_t>(1, 0) == 0, "weights are shuffled");
  one.options.front().has_none_from(5);
  expect_sizes(one.out, {in[0], weights[0]});
}

struct Strides {
  std::int32_t down, across;
  bool padded;
};

// Of the options, padding is first, then come both strides; `activation` says where that is. To be
// asked after expect_kernel, which sees to it that the kernel has four sizes.
Strides strides(const Operation& one, std::size_t activation) {
  const Table& options = one.options.front();
  const auto padding = options.number<std::int8_t>(0, 0);
  const Strides found{options.number<std::int32_t>(2, 0), options.number<std::int32_t>(1, 0),
                      padding == 0};
  expect(std::min(found.down, found.across) >= 1 &&
             std::max(found.down, found.across) <= kMaxStride,
         "stride");
  expect(padding == 0 || padding == 1, "padding");
  expect_no_activation(one, activation);
  return found;
}

void expect_no_dilation(const Operation& one, std::size_t slot) {
  expect(one.options.front().number<std::int32_t>(slot, 1) == 1 &&
             one.options.front().number<std::int32_t>(slot + 1, 1) == 1,
         "dilation");
}

// `small` is the image with a patch around each of its pixels.
void expect_kernel(const Tensor& in, const Tensor& kernel, const Tensor& small) {
  expect(in.sizes.size() == 4 && kernel.sizes.size() == 4 && small.sizes.size() == 4 &&
             std::max(in.sizes[1], in.sizes[2]) <= kMaxSide &&
             std::max(kernel.sizes[1], kernel.sizes[2]) <= kMaxKernel,
         "inputs of sizes that do not fit");
  const auto size = [](std::int32_t one) { return static_cast<std::size_t>(one); };
  const std::size_t pixels = small.elements / size(small.sizes[3]);
  const std::size_t patch = size(kernel.sizes[1]) * size(kernel.sizes[2]);
  expect(pixels * patch * size(std::max(kernel.sizes[0], kernel.sizes[3])) <= kMaxPatches,
         "too large");
}

// The sizes of a convolution's result, with padding as SAME or VALID has it.
Sizes shrunk(const Operation& one, Strides by, std::int32_t channels) {
  const Sizes& in = one.in[0]->sizes;
  const Sizes& kernel = one.in[1]->sizes;
  const auto side = [&](std::size_t i, std::int32_t stride) {
    expect(by.padded || in[i] >= kernel[i], "inputs of sizes that do not fit");
    return (in[i] - (by.padded ? 1 : kernel[i])) / stride + 1;
  };
  return {in[0], side(1, by.down), side(2, by.across), channels};
}

void convolution(const Operation& one) {
  const Tensor& in = *one.in[0];
  const Tensor& kernel = *one.in[1];
  expect_kernel(in, kernel, one.out);
  expect_weights(in, kernel, 0, one.in[2], one.out);
  expect_no_dilation(one, 4);
  expect(in.sizes[3] == kernel.sizes[3], "inputs of sizes that do not fit");
  expect_sizes(one.out, shrunk(one, strides(one, 3), kernel.sizes[0]));
}

void depthwise_convolution(const Operation& one) {
  const Tensor& in = *one.in[0];
  const Tensor& kernel = *one.in[1];
  expect_kernel(in, kernel, one.out);
  expect_weights(in, kernel, 3, one.in[2], one.out);
  expect_no_dilation(one, 5);
  const std::int64_t multiplier = one.options.front().number<std::int32_t>(3, 0);
  expect(kernel.sizes[0] == 1 && multiplier >= 1 && in.sizes[3] * multiplier == kernel.sizes[3],
         "inputs of sizes that do not fit");
  expect_sizes(one.out, shrunk(one, strides(one, 4), kernel.sizes[3]));
}

void transposed_convolution(const Operation& one) {
  const Tensor& in = *one.in[2];
  const Tensor& kernel = *one.in[1];
  expect_kernel(in, kernel, in);
  expect_weights(in, kernel, 0, one.in[3], one.out);
  const auto [down, across, padded] = strides(one, 3);
  const bool one_pixel = kernel.sizes[1] == 1 && kernel.sizes[2] == 1;  // then VALID is SAME
  expect(padded || one_pixel, "padding is not SAME");
  expect(in.sizes[3] == kernel.sizes[3] && kernel.sizes[1] >= down && kernel.sizes[2] >= across,
         "inputs of sizes that do not fit");
  expect(equal(integers(*one.in[0]), one.out.sizes), "sizes");
  expect_sizes(one.out, {in.sizes[0], in.sizes[1] * down, in.sizes[2] * across, kernel.sizes[0]});
}

// By the number that the format has for an operation.
constexpr struct {
  int code;
  Rule rule;
} kRules[] = {
    {0, {"ADD", 2, -1, 11, arithmetic}},
    {3, {"CONV_2D", 3, 2, 1, convolution}},
    {4, {"DEPTHWISE_CONV_2D", 3, 2, 2, depthwise_convolution}},
    {5, {"DEPTH_TO_SPACE", 1, -1, 94, depth_to_space}},
    {6, {"DEQUANTIZE", 1, -1, 0, dequantize}},
    {7, {"EMBEDDING_LOOKUP", 2, -1, 0, embedding_lookup}},
    {9, {"FULLY_CONNECTED", 3, 2, 8, fully_connected}},
    {18, {"MUL", 2, -1, 21, arithmetic}},
    {22, {"RESHAPE", 2, -1, 0, reshape}},
    {25, {"SOFTMAX", 1, -1, 9, softmax}},
    {28, {"TANH", 1, -1, 0, elementwise}},
    {34, {"PAD", 2, -1, 22, pad}},
    {39, {"TRANSPOSE", 2, -1, 0, transpose}},
    {41, {"SUB", 2, -1, 28, arithmetic}},
    {53, {"CAST", 1, -1, 0, cast}},
    {65, {"SLICE", 3, -1, 0, slice}},
    {67, {"TRANSPOSE_CONV", 4, 3, 49, transposed_convolution}},
    {71, {"EQUAL", 2, -1, 0, equal_to}},
    {98, {"LEAKY_RELU", 1, -1, 75, leaky_relu}},
    {114, {"QUANTIZE", 1, -1, 0, quantize}},
    {130, {"BROADCAST_TO", 2, -1, 0, broadcast_to}},
};

}  // namespace

const Rule* rule_for(int code) noexcept {
  for (const auto& one : kRules) {
    if (one.code == code) return &one.rule;
  }
  return nullptr;
}

}  // namespace jaxgan::verification
