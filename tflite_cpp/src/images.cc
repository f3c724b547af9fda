#include "images.h"

#include <png.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <system_error>

#include "errors.h"

namespace jaxgan {
namespace {

// A file beside its target, gone again unless it was moved over it.
class Beside {
 public:
  explicit Beside(const std::filesystem::path& target)
      : name_((target.parent_path() / ".jaxgan.XXXXXX").string()),
        file_(mkstemp(name_.data())) {
    if (file_ < 0) fail(target);
  }
  ~Beside() {
    if (file_ >= 0) ::close(file_);
    if (!moved_) ::unlink(name_.c_str());
  }
  Beside(const Beside&) = delete;
  Beside& operator=(const Beside&) = delete;

  void write(const std::filesystem::path& target, const std::vector<std::uint8_t>& content) {
    for (std::size_t done = 0; done < content.size();) {
      const ssize_t step = ::write(file_, content.data() + done, content.size() - done);
      if (step < 0 && errno == EINTR) continue;
      if (step < 0) fail(target);
      done += static_cast<std::size_t>(step);
    }
    const mode_t mask = ::umask(0);
    ::umask(mask);
    const int file = file_;
    if (::fchmod(file, 0666 & ~mask) != 0 || ::fsync(file) != 0) fail(target);
    file_ = -1;
    if (::close(file) != 0 || std::rename(name_.c_str(), target.c_str()) != 0) fail(target);
    moved_ = true;
  }

 private:
  [[noreturn]] static void fail(const std::filesystem::path& target) {
    throw OutputError("cannot write " + target.string() + ": " + std::strerror(errno));
  }

  std::string name_;
  int file_;
  bool moved_ = false;
};

}  // namespace

std::uint8_t to_level(float value) {
  if (!(value > -1.0f)) return 0;  // not a number, too
  return static_cast<std::uint8_t>(std::nearbyint((std::min(value, 1.0f) + 1.0f) * 127.5f));
}

void check_grid(Shape shape, int count, int columns) {
  constexpr std::int64_t kMost = 1000000;  // libpng's own bound on a side
  const std::int64_t rows = (std::int64_t{count} + columns - 1) / columns;
  const std::int64_t height = rows * shape.height, width = std::int64_t{columns} * shape.width;
  if (height > kMost || width > kMost) {
    throw UsageError("--columns: " + std::to_string(count) + " images in " +
                     std::to_string(columns) + " columns make a picture of " +
                     std::to_string(width) + "x" + std::to_string(height) +
                     " pixels, expected at most " + std::to_string(kMost) + " a side");
  }
}

Picture grid(const std::vector<std::uint8_t>& pictures, Shape shape, int count, int columns) {
  const int rows = (count + columns - 1) / columns;
  Picture sheet{{rows * shape.height, columns * shape.width, shape.channels}, {}};
  sheet.pixels.resize(sheet.shape.size());
  const auto line = static_cast<std::size_t>(shape.width) * static_cast<std::size_t>(shape.channels);
  const std::size_t sheet_line = line * static_cast<std::size_t>(columns);
  const std::uint8_t* from = pictures.data();
  for (int i = 0; i < count; ++i) {
    const auto top = static_cast<std::size_t>(i / columns) * static_cast<std::size_t>(shape.height);
    const auto left = static_cast<std::size_t>(i % columns) * line;
    for (int y = 0; y < shape.height; ++y, from += line) {
      std::copy_n(from, line,
                  sheet.pixels.data() + (top + static_cast<std::size_t>(y)) * sheet_line + left);
    }
  }
  return sheet;
}

std::vector<std::uint8_t> encode_png(const Picture& picture) {
  png_image header = {};
  header.version = PNG_IMAGE_VERSION;
  header.width = static_cast<png_uint_32>(picture.shape.width);
  header.height = static_cast<png_uint_32>(picture.shape.height);
  header.format = picture.shape.channels == 1 ? PNG_FORMAT_GRAY : PNG_FORMAT_RGB;
  png_alloc_size_t size = PNG_IMAGE_PNG_SIZE_MAX(header);
  std::vector<std::uint8_t> content(size);
  if (png_image_write_to_memory(&header, content.data(), &size, 0, picture.pixels.data(), 0,
                                nullptr) == 0) {
    throw OutputError(std::string("cannot make a PNG of ") + std::to_string(picture.shape.width) +
                      "x" + std::to_string(picture.shape.height) + " pixels: " + header.message);
  }
  content.resize(size);
  return content;
}

void write_whole(const std::string& path, const std::vector<std::uint8_t>& content) {
  const std::filesystem::path target(path);
  std::error_code fault;
  if (target.has_parent_path()) std::filesystem::create_directories(target.parent_path(), fault);
  if (fault) throw OutputError("cannot write " + path + ": " + fault.message());
  Beside(target).write(target, content);
}

}  // namespace jaxgan
