// What each operation of a generator makes of its inputs: the exporter's, and no other.
#pragma once

#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <vector>

#include "flatbuffer.h"

namespace jaxgan::verification {

using Sizes = std::vector<std::int32_t>;
using Misfit = std::invalid_argument;  // says what is wrong with a part of the file

inline void expect(bool holds, const char* what) {
  if (!holds) throw Misfit(what);
}

enum Type : int { kFloat32 = 0, kFloat16 = 1, kInt32 = 2, kInt64 = 4, kBool = 6, kInt8 = 9 };

struct Tensor {
  int type = kFloat32;
  Sizes sizes;
  std::size_t elements = 1;
  flatbuffer::Vector<char> data;     // of a constant
  flatbuffer::Vector<float> scales;  // one, or one for each of a dimension; none if not quantized
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
  const std::vector<flatbuffer::Table>& options;  // one, or none
};

// An operation's name, its inputs, of which one may be left out, the kind of its options, and what
// holds its result against its inputs: it throws Misfit.
struct Rule {
  const char* name;
  std::size_t inputs;
  int optional;  // -1: none
  int options;
  void (*check)(const Operation&);
};

// Null where the exporter emits no such operation.
const Rule* rule_for(int code) noexcept;

}  // namespace jaxgan::verification
