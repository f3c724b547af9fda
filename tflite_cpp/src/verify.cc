#include "verify.h"

#include <algorithm>
#include <cstring>

#include "bounds.h"
#include "flatbuffer.h"
#include "jaxgan/errors.h"
#include "rules.h"

namespace jaxgan {
namespace {

using namespace verification;
using flatbuffer::Buffer;
using flatbuffer::Damaged;
using flatbuffer::Table;
using flatbuffer::Vector;

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
        const std::vector<const Rule*>& rules)
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
        check(operation, *rules[code]);
      } catch (const Misfit& misfit) {
        throw Misfit("operation " + std::to_string(number) + ", " + rules[code]->name + ": " +
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
    auto in = table.vector<std::int32_t>(1).copy(rule.inputs);
    if (static_cast<int>(in.size()) == rule.optional) in.push_back(-1);  // the last one
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

const Rule& rule_of(const Table& table) {
  table.has_none_from(4);
  // Older files have the operation in the one field, newer ones in the other.
  const int code = std::max<int>(table.number<std::int8_t>(0, 0), table.number<std::int32_t>(3, 0));
  const Rule* const rule = rule_for(code);
  if (rule == nullptr || table.has(1)) {
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
  std::vector<const Rule*> rules;
  for (const Table& code : model.tables(1, kMaxCodes)) rules.push_back(&rule_of(code));
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
