// (seed, index) -> latent vector, (choice, index) -> label: the contract of jaxgan/latents.py.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace jaxgan {

// Writes the latent vector of one image: `size` standard normal floats, equal to
// jax.random.normal(jax.random.fold_in(jax.random.key(seed), index), (size,)) to 2e-6.
void latent(std::uint32_t seed, std::uint32_t index, std::size_t size, float* out);

// Returns the labels that images take in turn: those of a text such as "3" or "3,1,4", every
// class without a text, none for a model without classes. Throws UsageError where the text
// names no class of the model.
std::vector<std::int32_t> parse_labels(const std::optional<std::string>& text, int classes);

}  // namespace jaxgan
