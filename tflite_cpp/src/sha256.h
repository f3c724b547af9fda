#pragma once

#include <cstddef>
#include <string>

namespace jaxgan {

// The SHA-256 of some bytes in 64 hexadecimal digits (FIPS 180-4).
std::string sha256(const void* data, std::size_t size);

}  // namespace jaxgan
