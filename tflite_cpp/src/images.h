// Images as people and files hold them: grids, PNG with text; as jaxgan/images.py does it.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "files.h"
#include "jaxgan/generator.h"

namespace jaxgan {

// A picture of 8 bits a channel, rows from the top, [height, width, channels].
struct Picture {
  Shape shape;
  std::vector<std::uint8_t> pixels;
};

// What a PNG says of itself, (keyword, text), in UTF-8: tEXt chunks, iTXt where one is not ASCII.
using Texts = std::vector<std::pair<std::string, std::string>>;

// Throws UsageError where a grid would be larger than a PNG can be.
void check_grid(Shape shape, std::size_t count, std::size_t columns);

// Lays `count` pictures of one shape ([count, H, W, C] bytes) out row by row, 0 where the
// last row is not full: black, or transparent.
Picture grid(const std::vector<std::uint8_t>& pictures, Shape shape, std::size_t count,
             std::size_t columns);

// The bytes of a PNG file, its texts before the pixels. Throws OutputError where libpng cannot
// make one.
Bytes encode_png(const Picture& picture, const Texts& texts);

// The texts of a PNG file, in order. Throws UsageError, its message beginning with `name`, where it
// is none or is damaged. Pixels are not unpacked, so that no picture is too large.
Texts read_texts(const Bytes& content, const std::string& name);

}  // namespace jaxgan
