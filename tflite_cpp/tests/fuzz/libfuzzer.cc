// libFuzzer's entry: JAXGAN_TRY is the function that gets its inputs.
#include <cstdlib>

#include "fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (jaxgan::fuzz::JAXGAN_TRY({data, data + size}) == 1) std::abort();
  return 0;
}
