#include <sys/mman.h>
#include <unistd.h>

#include <stdexcept>
#include <string>

#include "fuzz.h"
#include "npy.h"

namespace jaxgan::fuzz {

// --latents of a model that takes 8 numbers an image.
int try_npy(const Bytes& content) {
  static const int file = memfd_create("latents", 0);
  return exit_code([&] {
    if (ftruncate(file, 0) != 0 ||
        pwrite(file, content.data(), content.size(), 0) != static_cast<ssize_t>(content.size())) {
      throw std::runtime_error("no memory for a file");
    }
    read_latents("/proc/self/fd/" + std::to_string(file), 8);
  });
}

}  // namespace jaxgan::fuzz
