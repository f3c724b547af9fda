#include "jaxgan/latents.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

namespace jaxgan {
namespace {

using Words = std::array<std::uint32_t, 2>;

std::uint32_t rotate_left(std::uint32_t word, int bits) {
  return (word << bits) | (word >> (32 - bits));
}

// Threefry-2x32 with 20 rounds: Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3".
Words threefry(Words key, Words counter) {
  constexpr int kRotations[2][4] = {{13, 15, 26, 6}, {17, 29, 16, 24}};
  const std::uint32_t keys[3] = {key[0], key[1], key[0] ^ key[1] ^ 0x1BD11BDAu};
  std::uint32_t x = counter[0] + keys[0], y = counter[1] + keys[1];
  for (std::uint32_t group = 0; group < 5; ++group) {
    for (const int bits : kRotations[group % 2]) {
      x += y;
      y = rotate_left(y, bits) ^ x;
    }
    x += keys[(group + 1) % 3];
    y += keys[(group + 2) % 3] + group + 1;
  }
  return {x, y};
}

// The inverse of the error function in float32, as XLA computes it: Giles 2010, "Approximating
// the erfinv function", for |x| < 1.
float inverse_erf(float x) {
  constexpr float kCentral[] = {2.81022636e-08f,  3.43273939e-07f, -3.5233877e-06f,
                                -4.39150654e-06f, 0.00021858087f,  -0.00125372503f,
                                -0.00417768164f,  0.246640727f,    1.50140941f};
  constexpr float kTail[] = {-0.000200214257f, 0.000100950558f, 0.00134934322f,
                             -0.00367342844f,  0.00573950773f,  -0.0076224613f,
                             0.00943887047f,   1.00167406f,     2.83297682f};
  const float w = -std::log1p(-x * x);
  const bool central = w < 5.0f;
  const float argument = central ? w - 2.5f : std::sqrt(w) - 3.0f;
  float sum = 0.0f;
  for (const float coefficient : central ? kCentral : kTail) sum = sum * argument + coefficient;
  return sum * x;
}

// 32 random bits -> uniform in (-1, 1): 23 of them as the fraction of a float in [1, 2).
float uniform(std::uint32_t bits) {
  const std::uint32_t pattern = (bits >> 9) | 0x3F800000u;
  float fraction;
  std::memcpy(&fraction, &pattern, sizeof fraction);
  const float lowest = std::nextafter(-1.0f, 0.0f);
  return std::fmax(lowest, (fraction - 1.0f) * (1.0f - lowest) + lowest);
}

}  // namespace

void latent(std::uint32_t seed, std::uint32_t index, std::size_t size, float* out,
            double truncation) noexcept {
  const Words key = threefry({0, seed}, {0, index});  // fold_in(key(seed), index)
  const float mass =
      truncation > 0.0 ? static_cast<float>(std::erf(truncation / std::sqrt(2.0))) : 1.0f;
  for (std::size_t i = 0; i < size; ++i) {
    const Words words = threefry(key, {0, static_cast<std::uint32_t>(i)});
    out[i] = std::sqrt(2.0f) * inverse_erf(uniform(words[0] ^ words[1]) * mass);
  }
}

void interpolate(const float* from, const float* to, double t, std::size_t size,
                 float* out) noexcept {
  double product = 0.0, from_square = 0.0, to_square = 0.0;
  for (std::size_t i = 0; i < size; ++i) {
    const double a = from[i], b = to[i];
    product += a * b;
    from_square += a * a;
    to_square += b * b;
  }
  const double lengths = std::sqrt(from_square) * std::sqrt(to_square);
  const double cosine = lengths > 0.0 ? std::clamp(product / lengths, -1.0, 1.0) : 1.0;
  const double angle = std::acos(cosine), sine = std::sin(angle);
  const bool straight = sine < 1e-6;  // which way to turn is not to be told
  const double of_from = straight ? 1.0 - t : std::sin((1.0 - t) * angle) / sine;
  const double of_to = straight ? t : std::sin(t * angle) / sine;
  for (std::size_t i = 0; i < size; ++i) {
    out[i] = static_cast<float>(of_from * double{from[i]} + of_to * double{to[i]});
  }
}

}  // namespace jaxgan
