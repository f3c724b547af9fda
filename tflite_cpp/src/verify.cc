#include "verify.h"

#include <algorithm>
#include <cstring>
#include <numeric>
#include <optional>
#include <stdexcept>

#include "bounds.h"
#include "flatbuffer.h"
#include "jaxgan/errors.h"

namespace jaxgan {
namespace {

using flatbuffer::Buffer;
using flatbuffer::Damaged;
using flatbuffer::Table;
using flatbuffer::Vector;
using Sizes = std::vector<std::int32_t>;

enum Type : int { kFloat32 = 0, kFloat16 = 1, kInt32 = 2, kInt64 = 4, kBool = 6, kInt8 = 9 };

using Misfit = std::invalid_argument;  // says what is wrong with a part of the file

void expect(bool holds, const char* what) {
  if (!holds) throw Misfit(what);
}

struct Tensor {
  int type = kFloat32;
  Sizes sizes;
  std::size_t elements = 1;
  Vector<char> data;     // of a constant
  Vector<float> scales;  // one, or one for each of a dimension; none if not quantized
  std::size_t dimension = 0;
  std::int64_t zero = 0;  // what the 8-bit number of 0 is
  bool ready = false;    // a constant, an input, or made by an operation before

  bool constant() const { return data.size() != 0; }
  bool is(int wanted) const { return type == wanted && scales.size() <= 1; }
  bool holds_values() const { return is(kFloat32) || is(kInt8); }
};

struct Operation {
  std::vector<const Tensor*> in;  // null where an optional one is left out
  const Tensor& out;
  const std::vector<Table>& options;  // one, or none
};

// --- What each operation makes of its inputs.

// The numbers in a constant vector.
std::vector<std::int64_t> integers(const Tensor& tensor) {
  expect(tensor.constant() && tensor.sizes.size() == 1 && tensor.elements <= kMaxRank &&
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
};

// Of the options, padding is first, then come both strides; `activation` says where that is. To be
// asked after expect_kernel, which sees to it that the kernel has four sizes.
Strides strides(const Operation& one, std::size_t activation) {
  const Table& options = one.options.front();
  const Strides found{options.number<std::int32_t>(2, 0), options.number<std::int32_t>(1, 0)};
  expect(std::min(found.down, found.across) >= 1 &&
             std::max(found.down, found.across) <= kMaxStride,
         "stride");
  const Sizes& kernel = one.in[1]->sizes;
  const bool one_pixel = kernel[1] == 1 && kernel[2] == 1;  // then VALID is SAME, and written
  const auto padding = options.number<std::int8_t>(0, 0);
  expect(padding == 0 || (padding == 1 && one_pixel), "padding is not SAME");
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

void convolution(const Operation& one) {
  const Tensor& in = *one.in[0];
  const Tensor& kernel = *one.in[1];
  expect_kernel(in, kernel, one.out);
  expect_weights(in, kernel, 0, one.in[2], one.out);
  expect_no_dilation(one, 4);
  expect(in.sizes[3] == kernel.sizes[3], "inputs of sizes that do not fit");
  const auto [down, across] = strides(one, 3);
  expect_sizes(one.out, {in.sizes[0], (in.sizes[1] + down - 1) / down,
                         (in.sizes[2] + across - 1) / across, kernel.sizes[0]});
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
  const auto [down, across] = strides(one, 4);
  expect_sizes(one.out, {in.sizes[0], (in.sizes[1] + down - 1) / down,
                         (in.sizes[2] + across - 1) / across, kernel.sizes[3]});
}

void transposed_convolution(const Operation& one) {
  const Tensor& in = *one.in[2];
  const Tensor& kernel = *one.in[1];
  expect_kernel(in, kernel, in);
  expect_weights(in, kernel, 0, one.in[3], one.out);
  const auto [down, across] = strides(one, 3);
  expect(in.sizes[3] == kernel.sizes[3] && kernel.sizes[1] >= down && kernel.sizes[2] >= across,
         "inputs of sizes that do not fit");
  expect(equal(integers(*one.in[0]), one.out.sizes), "sizes");
  expect_sizes(one.out, {in.sizes[0], in.sizes[1] * down, in.sizes[2] * across, kernel.sizes[0]});
}

// What the exporter emits: the operation's name, inputs, of which one may be left out, the kind of
// its options, and what it makes.
struct Rule {
  const char* name;
  std::size_t inputs;
  int optional;  // -1: none
  int options;
  void (*check)(const Operation&);
};

// No table of them, as the library has no data of its own that could be written.
std::optional<Rule> rule_for(int code) {
  switch (code) {
    case 0: return Rule{"ADD", 2, -1, 11, arithmetic};
    case 3: return Rule{"CONV_2D", 3, 2, 1, convolution};
    case 4: return Rule{"DEPTHWISE_CONV_2D", 3, 2, 2, depthwise_convolution};
    case 6: return Rule{"DEQUANTIZE", 1, -1, 0, dequantize};
    case 7: return Rule{"EMBEDDING_LOOKUP", 2, -1, 0, embedding_lookup};
    case 9: return Rule{"FULLY_CONNECTED", 3, 2, 8, fully_connected};
    case 18: return Rule{"MUL", 2, -1, 21, arithmetic};
    case 22: return Rule{"RESHAPE", 2, -1, 0, reshape};
    case 25: return Rule{"SOFTMAX", 1, -1, 9, softmax};
    case 28: return Rule{"TANH", 1, -1, 0, elementwise};
    case 39: return Rule{"TRANSPOSE", 2, -1, 0, transpose};
    case 41: return Rule{"SUB", 2, -1, 28, arithmetic};
    case 53: return Rule{"CAST", 1, -1, 0, cast};
    case 65: return Rule{"SLICE", 3, -1, 0, slice};
    case 67: return Rule{"TRANSPOSE_CONV", 4, 3, 49, transposed_convolution};
    case 71: return Rule{"EQUAL", 2, -1, 0, equal_to};
    case 98: return Rule{"LEAKY_RELU", 1, -1, 75, leaky_relu};
    case 114: return Rule{"QUANTIZE", 1, -1, 0, quantize};
    case 130: return Rule{"BROADCAST_TO", 2, -1, 0, broadcast_to};
    default: return std::nullopt;
  }
}

// --- The file around them.

std::size_t size_of(int type) {
  switch (type) {
    case kFloat32:
    case kInt32: return 4;
    case kFloat16: return 2;
    case kInt64: return 8;
    case kBool:
    case kInt8: return 1;
    default: throw Misfit("a tensor of a type that is not used");
  }
}

// The scales and zeros of a tensor of 8 bits, or of the sums that are made of such.
void read_quantization(const Table& table, Tensor& tensor) {
  table.has_none_from(7);
  expect(!table.has(4) && !table.has(5), "quantization of another kind");  // details
  tensor.scales = table.vector<float>(2);
  const auto zeros = table.vector<std::int64_t>(3);
  const auto dimension = table.number<std::int32_t>(6, 0);
  const std::size_t count = tensor.scales.size();
  expect(zeros.size() == count, "scales");
  if (count == 0) return;
  expect(tensor.type == kInt8 || tensor.type == kInt32, "scales");
  const std::size_t rank = tensor.sizes.size();
  tensor.dimension = static_cast<std::size_t>(std::max(dimension, 0));
  expect(dimension >= 0 && tensor.dimension < std::max<std::size_t>(rank, 1), "scales");
  expect(count <= kMaxScales, "scales");
  expect(count == 1 || (tensor.dimension < rank &&
                        count == static_cast<std::size_t>(tensor.sizes[tensor.dimension])),
         "scales");
  for (std::size_t i = 0; i < count; ++i) {
    expect(tensor.scales[i] >= kMinScale && tensor.scales[i] <= kMaxScale, "scales");
    const bool free = tensor.type == kInt8 && count == 1;
    expect(free ? zeros[i] >= -128 && zeros[i] <= 127 : zeros[i] == 0, "zeros");
  }
  tensor.zero = zeros[0];
}

Tensor read_tensor(const Table& table, const std::vector<Vector<char>>& buffers) {
  table.has_none_from(9);
  expect(!table.has(5) && !table.has(6) && !table.has(7), "a variable, sparse or open tensor");
  Tensor tensor;
  tensor.type = table.number<std::int8_t>(1, 0);
  tensor.sizes = table.vector<std::int32_t>(0).copy(kMaxRank);
  table.text(3, kMaxName);
  for (const std::int32_t size : tensor.sizes) {
    expect(size >= 1 && tensor.elements <= kMaxElements / static_cast<std::size_t>(size),
           "a tensor of sizes below 1, or too large");
    tensor.elements *= static_cast<std::size_t>(size);
  }
  const std::size_t bytes = tensor.elements * size_of(tensor.type);
  const std::size_t buffer = table.number<std::uint32_t>(2, 0);
  expect(buffer < buffers.size(), "a tensor without its buffer");
  tensor.data = buffers[buffer];
  tensor.ready = tensor.constant();
  expect(!tensor.constant() || tensor.data.size() == bytes, "a constant of another size");
  if (table.has(4)) read_quantization(table.table(4), tensor);
  expect(tensor.type != kInt8 || tensor.scales.size() != 0, "8 bits without a scale");
  expect(tensor.type != kFloat16 || tensor.constant(), "16 bits that are no constant");
  return tensor;
}

class Graph {
 public:
  Graph(const Table& table, const std::vector<Vector<char>>& buffers,
        const std::vector<Rule>& rules)
      : inputs(table.vector<std::int32_t>(1).copy(kMaxInputs)),
        outputs(table.vector<std::int32_t>(2).copy(kMaxInputs)) {
    table.has_none_from(5);
    table.text(4, kMaxName);
    for (const Table& tensor : table.tables(0, kMaxTensors)) {
      tensors_.push_back(read_tensor(tensor, buffers));
    }
    for (const std::int32_t input : inputs) make(input);
    std::size_t number = 0;
    for (const Table& operation : table.tables(3, kMaxTensors)) {
      const std::size_t code = operation.number<std::uint32_t>(0, 0);
      expect(code < rules.size(), "an operation without its code");
      try {
        check(operation, rules[code]);
      } catch (const Misfit& misfit) {
        throw Misfit("operation " + std::to_string(number) + ", " + rules[code].name + ": " +
                     misfit.what());
      }
      ++number;
    }
    for (const std::int32_t output : outputs) {
      expect(made(output) && !tensor(output).constant(), "an output that nothing makes");
    }
  }

  const std::vector<std::int32_t> inputs, outputs;

 private:
  Tensor& tensor(std::int32_t index) {
    expect(index >= 0 && static_cast<std::size_t>(index) < tensors_.size(), "a tensor is missing");
    return tensors_[static_cast<std::size_t>(index)];
  }
  bool made(std::int32_t index) { return tensor(index).ready; }
  void make(std::int32_t index) {
    expect(!made(index), "a tensor is made twice");
    tensor(index).ready = true;
  }

  void check(const Table& table, const Rule& rule) {
    table.has_none_from(5);
    const auto in = table.vector<std::int32_t>(1).copy(rule.inputs);
    const auto out = table.vector<std::int32_t>(2).copy(1);
    expect(in.size() == rule.inputs && out.size() == 1, "inputs and outputs");
    expect(table.number<std::uint8_t>(3, 0) == rule.options, "options");
    std::vector<Table> options;
    if (rule.options != 0) options.push_back(table.table(4));
    std::vector<const Tensor*> from;
    for (std::size_t i = 0; i < in.size(); ++i) {
      const bool left_out = in[i] == -1 && static_cast<int>(i) == rule.optional;
      from.push_back(left_out ? nullptr : &tensor(in[i]));
      expect(left_out || from.back()->ready, "an input that nothing made before");
    }
    rule.check({from, tensor(out[0]), options});
    make(out[0]);
  }

  std::vector<Tensor> tensors_;
};

Rule rule_of(const Table& table) {
  table.has_none_from(4);
  // Older files have the operation in the one field, newer ones in the other.
  const int code = std::max<int>(table.number<std::int8_t>(0, 0), table.number<std::int32_t>(3, 0));
  const std::optional<Rule> rule = rule_for(code);
  if (!rule || table.has(1)) {
    throw Misfit("operation " + std::to_string(code) + " is none of a generator");
  }
  return *rule;
}

// Weights, metadata and what is empty; no two of them the same bytes.
std::vector<Vector<char>> read_buffers(const Table& model, std::size_t left) {
  std::vector<Vector<char>> buffers;
  for (const Table& table : model.tables(4, kMaxBuffers)) {
    table.has_none_from(1);
    buffers.push_back(table.vector<char>(0));
    expect(buffers.back().size() <= left, "buffers that overlap");
    left -= buffers.back().size();
  }
  expect(buffers.empty() || buffers.front().size() == 0, "a first buffer that is not empty");
  return buffers;
}

// A name that a message can show.
void check_word(const std::string& word) {
  const auto shown = [](char letter) { return letter > ' ' && letter <= '~'; };
  expect(!word.empty() && std::all_of(word.begin(), word.end(), shown), "a name of odd letters");
}

// The tensors of a signature are those of its graph, each with a name.
void check_names(const std::vector<Table>& named, std::vector<std::int32_t> wanted) {
  std::vector<std::int32_t> found;
  for (const Table& one : named) {
    one.has_none_from(2);
    check_word(one.text(0, kMaxWord));
    found.push_back(static_cast<std::int32_t>(one.number<std::uint32_t>(1, 0)));
  }
  std::sort(found.begin(), found.end());
  std::sort(wanted.begin(), wanted.end());
  expect(found == wanted && std::adjacent_find(found.begin(), found.end()) == found.end(),
         "a signature that does not fit its graph");
}

void check_metadata(const Table& table, std::size_t buffers) {
  table.has_none_from(2);
  const std::string name = table.text(0, kMaxWord);
  const bool known = name.rfind("jaxgan.", 0) == 0 || name == "min_runtime_version" ||
                     name == "CONVERSION_METADATA" || name == "reduced_precision_support";
  expect(known && table.number<std::uint32_t>(1, 0) < buffers, "metadata of another kind");
}

void check_model(const char* content, std::size_t size) {
  expect(size <= kMaxModelBytes, "it is 2 GiB or larger");
  const Buffer buffer(content, size);
  if (std::memcmp(buffer.bytes(4, 4), "TFL3", 4) != 0) throw Damaged();
  const Table model(buffer, buffer.follow(0));
  model.has_none_from(8);
  const auto buffers = read_buffers(model, size);
  std::vector<Rule> rules;
  for (const Table& code : model.tables(1, kMaxCodes)) rules.push_back(rule_of(code));
  std::vector<Graph> graphs;
  for (const Table& graph : model.tables(2, kMaxGraphs)) {
    graphs.emplace_back(graph, buffers, rules);
  }
  for (const Table& signature : model.tables(7, kMaxGraphs)) {
    signature.has_none_from(5);
    check_word(signature.text(2, kMaxWord));
    const std::size_t graph = signature.number<std::uint32_t>(4, 0);
    expect(graph < graphs.size(), "a signature without its graph");
    check_names(signature.tables(0, kMaxInputs), graphs[graph].inputs);
    check_names(signature.tables(1, kMaxInputs), graphs[graph].outputs);
  }
  for (const Table& entry : model.tables(6, kMaxMetadata)) check_metadata(entry, buffers.size());
}

}  // namespace

void verify(const char* content, std::size_t size, const std::string& name) {
  const std::string none = name + " is not a TensorFlow Lite model of convert_tflite.py: ";
  try {
    check_model(content, size);
  } catch (const Damaged&) {
    throw ModelError(none + "it is cut off or damaged");
  } catch (const Misfit& misfit) {
    throw ModelError(none + misfit.what());
  }
}

}  // namespace jaxgan
