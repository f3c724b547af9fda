#include "images.h"

#include <png.h>
#include <zlib.h>

#include <algorithm>
#include <cstring>

#include "bounds.h"

namespace jaxgan {
namespace {

constexpr std::uint8_t kSignature[8] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1A, '\n'};
constexpr std::size_t kTextPlace = 8 + 12 + 13;  // after the signature and the header's chunk

void append_number(Bytes& bytes, std::uint32_t number) {
  for (int shift = 24; shift >= 0; shift -= 8) {
    bytes.push_back(static_cast<std::uint8_t>(number >> shift));
  }
}

std::uint32_t number_at(const Bytes& bytes, std::size_t place) {
  return std::uint32_t{bytes[place]} << 24 | std::uint32_t{bytes[place + 1]} << 16 |
         std::uint32_t{bytes[place + 2]} << 8 | std::uint32_t{bytes[place + 3]};
}

std::uint32_t checksum(const std::uint8_t* bytes, std::size_t size) {
  return static_cast<std::uint32_t>(crc32_z(0, bytes, size));
}

// Length, type, keyword, 0, text, checksum of all but the length. In between, an iTXt says that it is
// not compressed, by two zeros, and names neither a language nor a translated keyword.
void append_text(Bytes& bytes, const std::string& keyword, const std::string& text) {
  const bool ascii = std::all_of(text.begin(), text.end(), [](char letter) {
    return static_cast<unsigned char>(letter) < 0x80;
  });
  const std::string content =
      (ascii ? "tEXt" : "iTXt") + keyword + std::string(ascii ? 1 : 5, '\0') + text;
  append_number(bytes, static_cast<std::uint32_t>(content.size() - 4));
  const std::size_t start = bytes.size();
  bytes.insert(bytes.end(), content.begin(), content.end());
  append_number(bytes, checksum(bytes.data() + start, content.size()));
}

}  // namespace

void check_grid(Shape shape, std::size_t count, std::size_t columns) {
  const std::uint64_t rows = (std::uint64_t{count} + columns - 1) / columns;
  const std::uint64_t height = rows * static_cast<std::uint64_t>(shape.height);
  const std::uint64_t width = std::uint64_t{columns} * static_cast<std::uint64_t>(shape.width);
  if (height > kMaxPngSide || width > kMaxPngSide) {
    throw UsageError("--columns: " + std::to_string(count) + " images in " +
                     std::to_string(columns) + " columns make a picture of " +
                     std::to_string(width) + "x" + std::to_string(height) +
                     " pixels, expected at most " + std::to_string(kMaxPngSide) + " a side");
  }
}

Picture grid(const std::vector<std::uint8_t>& pictures, Shape shape, std::size_t count,
             std::size_t columns) {
  const auto rows = static_cast<int>((count + columns - 1) / columns);
  Picture sheet{{rows * shape.height, static_cast<int>(columns) * shape.width, shape.channels}, {}};
  sheet.pixels.resize(sheet.shape.size());
  const auto height = static_cast<std::size_t>(shape.height);
  const std::size_t line = shape.size() / height, sheet_line = line * columns;
  const std::uint8_t* from = pictures.data();
  for (std::size_t i = 0; i < count; ++i) {
    std::uint8_t* to = sheet.pixels.data() + i / columns * height * sheet_line + i % columns * line;
    for (std::size_t y = 0; y < height; ++y, from += line, to += sheet_line) {
      std::copy_n(from, line, to);
    }
  }
  return sheet;
}

Bytes encode_png(const Picture& picture, const Texts& texts) {
  png_image header = {};
  header.version = PNG_IMAGE_VERSION;
  header.width = static_cast<png_uint_32>(picture.shape.width);
  header.height = static_cast<png_uint_32>(picture.shape.height);
  header.format = picture.shape.channels == 1   ? PNG_FORMAT_GRAY
                  : picture.shape.channels == 3 ? PNG_FORMAT_RGB
                                                : PNG_FORMAT_RGBA;
  png_alloc_size_t size = PNG_IMAGE_PNG_SIZE_MAX(header);
  Bytes content(size);
  if (png_image_write_to_memory(&header, content.data(), &size, 0, picture.pixels.data(), 0,
                                nullptr) == 0) {
    throw OutputError(std::string("cannot make a PNG of ") + std::to_string(picture.shape.width) +
                      "x" + std::to_string(picture.shape.height) + " pixels: " + header.message);
  }
  content.resize(size);
  Bytes chunks;
  for (const auto& [keyword, text] : texts) append_text(chunks, keyword, text);
  content.insert(content.begin() + kTextPlace, chunks.begin(), chunks.end());
  return content;
}

Texts read_texts(const Bytes& content, const std::string& name) {
  const auto fail = [&](const char* is) { return UsageError(name + " is " + is); };
  if (content.size() < sizeof kSignature ||
      std::memcmp(content.data(), kSignature, sizeof kSignature) != 0) {
    throw fail("no PNG file");
  }
  Texts texts;
  for (std::size_t place = sizeof kSignature;;) {
    const std::size_t left = content.size() - place;
    const std::size_t size = left < 12 ? 0 : number_at(content, place);
    if (left < 12 || size > left - 12 ||
        checksum(content.data() + place + 4, size + 4) != number_at(content, place + 8 + size)) {
      throw fail("a damaged PNG file");
    }
    const auto body = content.begin() + static_cast<std::ptrdiff_t>(place + 8);
    const auto end = body + static_cast<std::ptrdiff_t>(size);
    const std::string type(body - 4, body);
    place += size + 12;
    if (type == "IEND") return texts;
    if (type != "tEXt" && type != "iTXt") continue;
    const auto middle = std::find(body, end, std::uint8_t{0});
    if (middle == end) throw fail("a damaged PNG file");
    auto start = middle + 1;
    if (type == "iTXt") {
      if (end - start < 2) throw fail("a damaged PNG file");
      if (*start != 0) continue;  // compressed
      start += 2;
      for (int names = 0; names < 2; ++names) {  // language and translated keyword
        start = std::find(start, end, std::uint8_t{0});
        if (start == end) throw fail("a damaged PNG file");
        ++start;
      }
    }
    texts.emplace_back(std::string(body, middle), std::string(start, end));
  }
}

}  // namespace jaxgan
