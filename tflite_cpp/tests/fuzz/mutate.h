// Damages files, each time in the same way: mutant i of a seed depends on both alone.
#pragma once

#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "fuzz.h"

namespace jaxgan::fuzz {

using Random = std::mt19937_64;

// A way to damage a file; `others` are files of its kind, to splice with.
struct Mutation {
  std::string name;
  Bytes (*make)(Bytes file, const std::vector<Bytes>& others, Random& random);
};

// Those of a kind of files: "tflite", "npy" or "png".
std::vector<Mutation> mutations(const std::string& kind);

}  // namespace jaxgan::fuzz
