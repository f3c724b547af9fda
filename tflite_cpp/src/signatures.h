// The signatures of a model file, held against what a generator has.
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "jaxgan/generator.h"

namespace jaxgan {

constexpr char kBetween[] = "between_1";

// What signatures tell of a generator: their places in the file, and the sizes they agree on.
struct Signatures {
  std::map<int, std::size_t> batches;  // images -> generate_N
  std::optional<std::size_t> between;  // between_1
  Shape shape;
  int latent_size = 0;
  bool labelled = false;
};

// `name` stands for the file in messages. Throws ModelError where a signature is none of a
// generator's, or there is none.
Signatures read_signatures(const std::vector<SignatureInfo>& found, const std::string& name);

}  // namespace jaxgan
