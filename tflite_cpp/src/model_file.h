// A model file, read whole and once.
#pragma once

#include <string>
#include <vector>

namespace jaxgan {

// Reads a .tflite file. Throws ModelError where that cannot be, or where its first bytes already say
// that it is none.
std::vector<char> read_model_file(const std::string& path);

}  // namespace jaxgan
