// What runs a model file. Two implement it, and CMake takes one: litert.cc and tflite.cc.
#pragma once

#include <cstddef>
#include <exception>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <vector>

#include "jaxgan/generator.h"

namespace jaxgan {

// Does what a public function does, so that only what its documentation names is thrown: Fault
// stands in for what else a runtime or the standard library throws, such as std::length_error.
template <typename Fault, typename Work>
auto announced(const std::string& name, Work&& work) -> decltype(work()) try {
  return work();
} catch (const Error&) {
  throw;
} catch (const std::bad_alloc&) {
  throw;
} catch (const std::exception& error) {
  throw Fault(name + ": " + error.what());
} catch (...) {
  throw Fault(name + ": the runtime fails and does not say why");
}

class Model {
 public:
  // Loads the runtime and checks a model file; `name` stands for it in messages. Throws
  // RuntimeError where the runtime is missing, too old, or does not start, and ModelError where the
  // file is no model.
  Model(std::vector<char> content, std::string name, const GeneratorOptions& options);
  ~Model();
  Model(const Model&) = delete;
  Model& operator=(const Model&) = delete;

  const std::vector<char>& content() const noexcept;
  const std::vector<SignatureInfo>& signatures() const noexcept;
  std::optional<std::string> metadata(const std::string& key) const;

  // Prepares it to run; once, before run(). Throws ModelError.
  void compile();

  // Runs a signature of static shapes: `inputs` in the order of its info, each as large as its
  // dimensions say, its one output written to `output`. Throws ModelError.
  void run(std::size_t signature, const std::vector<const void*>& inputs, float* output);

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

// The name of an element type; LiteRT and TensorFlow Lite number them alike.
std::string type_name(int element_type);

// The size of a tensor, whose type is one of the two that a generator has: both take four bytes.
std::size_t bytes(const TensorInfo& tensor);

}  // namespace jaxgan
