// (seed, index) -> latent vector: the contract of jaxgan/latents.py, repeated.
#pragma once

#include <cstddef>
#include <cstdint>

namespace jaxgan {

// Writes the latent vector of one image: `size` standard normal floats, equal to
// jax.random.normal(jax.random.fold_in(jax.random.key(seed), index), (size,)) to 2e-6.
//
// A truncation above 0 draws each of them from the normal distribution truncated to [-truncation,
// truncation] instead (Brock et al. 2019), by squeezing the uniform number that it is made of: a
// continuous function of the truncation.
void latent(std::uint32_t seed, std::uint32_t index, std::size_t size, float* out,
            double truncation = 0.0) noexcept;

// Writes the spherical interpolation of two vectors at t from 0 (from) to 1 (to), computed in
// double: Shoemake 1985. Vectors of one direction, of opposite ones or of no length are
// interpolated linearly.
void interpolate(const float* from, const float* to, double t, std::size_t size,
                 float* out) noexcept;

}  // namespace jaxgan
