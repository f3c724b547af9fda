// Memory of the calling thread that grows and stays: fresh memory costs page faults.

#pragma once

#include <cstddef>
#include <vector>

namespace jaxgan {

// One piece a purpose. What a call shares out may use the caller's piece while the call lasts.
enum Purpose { kOrdered, kSums, kZ, kMap };

template <Purpose purpose>
float* Scratch(size_t count) {
  thread_local std::vector<float> memory;
  if (memory.size() < count) memory.resize(count);
  return memory.data();
}

}  // namespace jaxgan
