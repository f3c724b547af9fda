// draw-floats MODEL COUNT > FILE: images of seed 0, each class in turn, as float32, before they
// become levels.

#include <cstdio>
#include <cstdlib>
#include <vector>

#include "jaxgan/generator.h"
#include "jaxgan/latents.h"

int main(int argc, char** argv) try {
  if (argc != 3) return 2;
  jaxgan::Generator generator(argv[1]);
  const std::size_t count = std::strtoul(argv[2], nullptr, 10), size = generator.latent_size();
  std::vector<float> latents(count * size), images(count * generator.image_shape().size());
  std::vector<std::int32_t> labels(count);
  for (std::size_t i = 0; i < count; ++i) {
    jaxgan::latent(0, static_cast<std::uint32_t>(i), size, latents.data() + i * size);
    if (generator.classes() != 0) labels[i] = static_cast<std::int32_t>(i) % generator.classes();
  }
  generator.draw(latents.data(), generator.classes() != 0 ? labels.data() : nullptr, count,
                 images.data());
  const bool written = std::fwrite(images.data(), 4, images.size(), stdout) == images.size();
  return written && std::fflush(stdout) == 0 ? 0 : 5;
} catch (const jaxgan::Error& error) {
  std::fprintf(stderr, "error: %s\n", error.what());
  return error.exit_code;
}
