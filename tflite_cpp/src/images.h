// Images as people and files hold them: bytes, grids, PNG; as jaxgan/images.py does it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace jaxgan {

struct Shape {
  int height = 0;
  int width = 0;
  int channels = 0;  // 1 grey, 3 red-green-blue

  std::size_t size() const {
    return static_cast<std::size_t>(height) * static_cast<std::size_t>(width) *
           static_cast<std::size_t>(channels);
  }
};

// A picture of 8 bits a channel, rows from the top, [height, width, channels].
struct Picture {
  Shape shape;
  std::vector<std::uint8_t> pixels;
};

// A value in [-1, 1] as one of 256 levels, rounded to the nearest; values outside are clipped.
std::uint8_t to_level(float value);

// Throws UsageError where a grid would be larger than a PNG can be.
void check_grid(Shape shape, int count, int columns);

// Lays `count` pictures of one shape ([count, H, W, C] bytes) out row by row, black where the
// last row is not full.
Picture grid(const std::vector<std::uint8_t>& pictures, Shape shape, int count, int columns);

// The bytes of a PNG file. Throws OutputError where libpng cannot make one.
std::vector<std::uint8_t> encode_png(const Picture& picture);

// Writes a file whole: beside it first, then renamed over it; its folder is made where missing.
// Throws OutputError; what stood there before is then untouched.
void write_whole(const std::string& path, const std::vector<std::uint8_t>& content);

}  // namespace jaxgan
