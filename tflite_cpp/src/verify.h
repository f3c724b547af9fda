// Whether a model file may be given to a runtime.
#pragma once

#include <cstddef>
#include <string>

namespace jaxgan {

// Refuses a file that is not of the kind that convert_tflite.py writes. LiteRT and TensorFlow Lite
// see to it that a file's tables lie within it, but believe its tensors: where one has another size
// than the operation that makes it, they write outside of its memory; where a number divides, or
// scales 8-bit values, they take any. So only operations that the exporter emits pass, each with
// tensors of the very types and sizes that follow from its inputs, made before they are used.
// `name` stands for the file in messages. Throws ModelError.
void verify(const char* content, std::size_t size, const std::string& name);

}  // namespace jaxgan
