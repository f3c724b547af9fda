// draw MODEL SEED COUNT: writes the pixels of images to stdout, bytes [COUNT, H, W, C], every class in
// turn. A small program that uses the library.
#include <jaxgan/generator.h>
#include <jaxgan/latents.h>

#include <cstdlib>
#include <iostream>

int main(int argc, char** argv) try {
  if (argc != 4) throw jaxgan::UsageError("expected MODEL SEED COUNT");
  jaxgan::Generator generator(argv[1]);
  const auto seed = static_cast<std::uint32_t>(std::strtoul(argv[2], nullptr, 10));
  const auto count = static_cast<std::uint32_t>(std::strtoul(argv[3], nullptr, 10));

  const std::size_t size = generator.latent_size();
  std::vector<float> latents(count * size);
  std::vector<std::int32_t> labels;
  for (std::uint32_t i = 0; i < count; ++i) {
    jaxgan::latent(seed, i, size, latents.data() + i * size);
    if (generator.classes() != 0) {
      labels.push_back(static_cast<std::int32_t>(i) % generator.classes());
    }
  }
  const std::vector<float> images = generator.draw(latents, labels);
  const auto channels = static_cast<std::size_t>(generator.image_shape().channels);
  std::vector<std::uint8_t> levels(images.size());
  jaxgan::to_levels(images.data(), images.size() / channels, channels, levels.data());
  std::cout.write(reinterpret_cast<const char*>(levels.data()),
                  static_cast<std::streamsize>(levels.size()));
  return std::cout.flush() ? 0 : 5;
} catch (const jaxgan::Error& error) {
  std::cerr << "error: " << error.what() << "\n";
  return error.exit_code;
}
