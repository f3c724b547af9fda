// What the program does with a file that it is given, in this process: for the fuzz tests.
#pragma once

#include <cstdint>
#include <new>
#include <vector>

#include "jaxgan/errors.h"

namespace jaxgan::fuzz {

using Bytes = std::vector<std::uint8_t>;

// Each returns the exit code that jaxgan-generate would end with; 1 is never right.
int try_tflite(const Bytes& content);
int try_npy(const Bytes& content);
int try_png(const Bytes& content);

// The exit code of some work.
template <typename Work>
int exit_code(Work&& work) try {
  work();
  return 0;
} catch (const Error& error) {
  return error.exit_code;
} catch (const std::bad_alloc&) {
  return 5;
} catch (const std::exception&) {
  return 1;
}

}  // namespace jaxgan::fuzz
