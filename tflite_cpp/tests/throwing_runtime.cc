// A LiteRT whose every function throws: what it throws must not reach who uses our library.
#include <stdexcept>

#include "litert_c.h"

extern "C" void LiteRtCreateModelFromFd() {}
#define JAXGAN_THROW(name, result, parameters) \
  extern "C" void LiteRt##name() { throw std::length_error("thrown by the runtime"); }
JAXGAN_LITERT_FUNCTIONS(JAXGAN_THROW)
