#include "fuzz.h"
#include "images.h"

namespace jaxgan::fuzz {

// --describe.
int try_png(const Bytes& content) {
  return exit_code([&] { read_texts(content, "mutant"); });
}

}  // namespace jaxgan::fuzz
