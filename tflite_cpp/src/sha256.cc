#include "sha256.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>

namespace jaxgan {
namespace {

std::uint32_t rotate_right(std::uint32_t word, int bits) {
  return (word >> bits) | (word << (32 - bits));
}

using Digest = std::array<std::uint32_t, 8>;

// FIPS 180-4, section 6.2.2: one block of 64 bytes.
void hash_block(const std::uint8_t* block, Digest& digest) {
  static constexpr std::uint32_t kRounds[64] = {
      0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4,
      0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe,
      0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f,
      0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7,
      0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc,
      0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b,
      0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116,
      0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
      0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7,
      0xc67178f2};
  std::uint32_t words[64];
  for (int i = 0; i < 16; ++i) {
    words[i] = std::uint32_t{block[4 * i]} << 24 | std::uint32_t{block[4 * i + 1]} << 16 |
               std::uint32_t{block[4 * i + 2]} << 8 | std::uint32_t{block[4 * i + 3]};
  }
  for (int i = 16; i < 64; ++i) {
    const std::uint32_t early = words[i - 15], late = words[i - 2];
    words[i] = words[i - 16] + words[i - 7] +
               (rotate_right(early, 7) ^ rotate_right(early, 18) ^ (early >> 3)) +
               (rotate_right(late, 17) ^ rotate_right(late, 19) ^ (late >> 10));
  }
  auto [a, b, c, d, e, f, g, h] = digest;
  for (int i = 0; i < 64; ++i) {
    const std::uint32_t one = h + (rotate_right(e, 6) ^ rotate_right(e, 11) ^ rotate_right(e, 25)) +
                              ((e & f) ^ (~e & g)) + kRounds[i] + words[i];
    const std::uint32_t two = (rotate_right(a, 2) ^ rotate_right(a, 13) ^ rotate_right(a, 22)) +
                              ((a & b) ^ (a & c) ^ (b & c));
    h = g, g = f, f = e, e = d + one, d = c, c = b, b = a, a = one + two;
  }
  const std::uint32_t result[8] = {a, b, c, d, e, f, g, h};
  for (std::size_t i = 0; i < 8; ++i) digest[i] += result[i];
}

}  // namespace

std::string sha256(const void* data, std::size_t size) {
  Digest digest = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                   0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  const auto* from = static_cast<const std::uint8_t*>(data);
  std::size_t left = size;
  for (; left >= 64; from += 64, left -= 64) hash_block(from, digest);
  // The rest, a bit, zeros, and the number of bits in 8 bytes.
  std::uint8_t last[128] = {};
  std::copy_n(from, left, last);
  last[left] = 0x80;
  const std::size_t end = left < 56 ? 64 : 128;
  for (std::size_t i = 0; i < 8; ++i) {
    last[end - 1 - i] = static_cast<std::uint8_t>(std::uint64_t{size} * 8 >> (8 * i));
  }
  for (std::size_t at = 0; at < end; at += 64) hash_block(last + at, digest);
  std::string text;
  for (const std::uint32_t word : digest) {
    char digits[9];
    std::snprintf(digits, sizeof digits, "%08x", word);
    text += digits;
  }
  return text;
}

}  // namespace jaxgan
