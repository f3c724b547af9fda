#include "npy.h"

#include <charconv>
#include <cmath>
#include <cstring>
#include <utility>

#include "bounds.h"
#include "jaxgan/errors.h"
#include "sha256.h"

namespace jaxgan {
namespace {

constexpr char kMagic[] = "\x93NUMPY";
constexpr std::size_t kMagicSize = 6, kHeaderStart = 10;  // magic, version, size of the header

// What an .npy header says: {'descr': '<f4', 'fortran_order': False, 'shape': (3, 64), }
struct Header {
  std::string type;
  bool fortran = true;
  std::vector<std::size_t> shape;
};

// Reads that Python literal, and no other.
class HeaderReader {
 public:
  explicit HeaderReader(std::string text) : text_(std::move(text)) {}

  bool read(Header& header) {
    if (!take('{')) return false;
    while (!take('}')) {
      std::string key;
      if (!string(key) || !take(':')) return false;
      const bool known = (key == "descr" && string(header.type)) ||
                         (key == "fortran_order" && boolean(header.fortran)) ||
                         (key == "shape" && tuple(header.shape));
      if (!known) return false;
      if (!take(',') && !at('}')) return false;
    }
    spaces();
    return place_ == text_.size();
  }

 private:
  void spaces() {
    while (place_ < text_.size() && (text_[place_] == ' ' || text_[place_] == '\n')) ++place_;
  }
  bool at(char letter) {
    spaces();
    return place_ < text_.size() && text_[place_] == letter;
  }
  bool take(char letter) {
    if (!at(letter)) return false;
    ++place_;
    return true;
  }
  bool string(std::string& out) {
    const char quote = at('"') ? '"' : '\'';
    if (!take(quote)) return false;
    const std::size_t end = text_.find(quote, place_);
    if (end == std::string::npos) return false;
    out = text_.substr(place_, end - place_);
    place_ = end + 1;
    return true;
  }
  bool boolean(bool& out) {
    spaces();
    for (const bool value : {true, false}) {
      const std::string word = value ? "True" : "False";
      if (text_.compare(place_, word.size(), word) != 0) continue;
      place_ += word.size();
      out = value;
      return true;
    }
    return false;
  }
  bool tuple(std::vector<std::size_t>& out) {
    if (!take('(')) return false;
    while (!take(')')) {
      spaces();
      std::size_t size = 0;
      const char* const start = text_.data() + place_;
      const auto [end, fault] = std::from_chars(start, text_.data() + text_.size(), size);
      if (fault != std::errc()) return false;
      place_ += static_cast<std::size_t>(end - start);
      out.push_back(size);
      if (!take(',') && !at(')')) return false;
    }
    return true;
  }

  std::string text_;
  std::size_t place_ = 0;
};

}  // namespace

Matrix read_latents(const std::string& path, std::size_t columns) {
  const std::size_t max = kMaxCount * columns * sizeof(float) + kMaxHeaderBytes + 12;
  const Bytes content = read_input(path, max, "--latents");
  const auto fail = [&](const std::string& is) {
    return UsageError("--latents: " + path + " is " + is + "; expected float32 [N, " +
                      std::to_string(columns) + "] in an .npy file, C order");
  };
  const bool second = content.size() > kMagicSize && content[kMagicSize] == 2;
  const std::size_t start = second ? kHeaderStart + 2 : kHeaderStart;
  if (content.size() < start || std::memcmp(content.data(), kMagic, kMagicSize) != 0 ||
      content[kMagicSize] > 2 || content[kMagicSize] == 0 || content[kMagicSize + 1] != 0) {
    throw fail("no .npy file of version 1.0 or 2.0");
  }
  std::size_t length = content[8] + (std::size_t{content[9]} << 8);
  if (second) length += (std::size_t{content[10]} << 16) + (std::size_t{content[11]} << 24);
  Header header;
  if (length > content.size() - start ||
      !HeaderReader({content.begin() + static_cast<std::ptrdiff_t>(start),
                     content.begin() + static_cast<std::ptrdiff_t>(start + length)})
           .read(header)) {
    throw fail("damaged");
  }
  if (header.type != "<f4") throw fail("of type " + header.type);
  if (header.fortran) throw fail("in Fortran order");
  if (header.shape.size() != 2 || header.shape[1] != columns || header.shape[0] < 1 ||
      header.shape[0] > kMaxCount) {
    std::string sizes;
    for (const std::size_t size : header.shape) {
      sizes += (sizes.empty() ? "" : ", ") + std::to_string(size);
    }
    throw fail("of shape [" + sizes + "]");
  }
  Matrix matrix{header.shape[0], columns, std::vector<float>(header.shape[0] * columns),
                sha256(content.data(), content.size())};
  const std::size_t size = matrix.values.size() * sizeof(float);
  if (content.size() - start - length != size) throw fail("cut off or too long");
  std::memcpy(matrix.values.data(), content.data() + start + length, size);
  for (const float value : matrix.values) {
    if (!std::isfinite(value)) throw fail("not finite everywhere");
  }
  return matrix;
}

Bytes encode_npy(const void* data, std::size_t bytes, const std::string& type,
                 const std::vector<std::size_t>& shape) {
  std::string sizes;
  for (const std::size_t size : shape) {
    sizes += (sizes.empty() ? "" : ", ") + std::to_string(size);
  }
  if (shape.size() == 1) sizes += ",";
  std::string header =
      "{'descr': '" + type + "', 'fortran_order': False, 'shape': (" + sizes + "), }";
  // The data start at a multiple of 64 bytes, with room for the first size to grow to 21 digits.
  header += std::string(21 - (shape.empty() ? 21 : std::to_string(shape[0]).size()), ' ');
  header += std::string(64 - (kHeaderStart + header.size() + 1) % 64, ' ') + "\n";
  Bytes content(kMagic, kMagic + kMagicSize);
  content.insert(content.end(), {1, 0, static_cast<std::uint8_t>(header.size() & 0xFF),
                                 static_cast<std::uint8_t>(header.size() >> 8)});
  content.insert(content.end(), header.begin(), header.end());
  const auto* const from = static_cast<const std::uint8_t*>(data);
  content.insert(content.end(), from, from + bytes);
  return content;
}

}  // namespace jaxgan
