// Faults a person can mend, each kind with the exit code that jaxgan-generate ends with.
#pragma once

#include <stdexcept>
#include <string>

namespace jaxgan {

struct Error : std::runtime_error {
  Error(int exit_code, const std::string& what) : std::runtime_error(what), exit_code(exit_code) {}
  int exit_code;
};

// A wrong option or argument.
struct UsageError : Error {
  explicit UsageError(const std::string& what) : Error(2, what) {}
};

// A model file that cannot be read, or is no generator.
struct ModelError : Error {
  explicit ModelError(const std::string& what) : Error(3, what) {}
};

// The runtime library is missing, too old, or does not start.
struct RuntimeError : Error {
  explicit RuntimeError(const std::string& what) : Error(4, what) {}
};

// A file that cannot be written.
struct OutputError : Error {
  explicit OutputError(const std::string& what) : Error(5, what) {}
};

}  // namespace jaxgan
