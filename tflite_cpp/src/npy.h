// NumPy's .npy files: latent vectors in, latent vectors and images out.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "files.h"

namespace jaxgan {

// A matrix of an .npy file, [rows, columns], and the file's SHA-256.
struct Matrix {
  std::size_t rows = 0, columns = 0;
  std::vector<float> values;
  std::string sha256;
};

// Reads --latents: little-endian float32 [N, columns] in C order, all finite, N from 1 to a million.
// Throws UsageError.
Matrix read_latents(const std::string& path, std::size_t columns);

// The bytes that numpy.save writes of an array; `type` is "<f4" or "|u1".
Bytes encode_npy(const void* data, std::size_t bytes, const std::string& type,
                 const std::vector<std::size_t>& shape);

}  // namespace jaxgan
