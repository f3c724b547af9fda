#include "output.h"

#include <algorithm>
#include <filesystem>
#include <system_error>

#include "files.h"
#include "npy.h"

namespace jaxgan {

Target::Target(const std::string& out) : before_(out) {
  if (out == "-") {
    kind_ = kStdout;
    return;
  }
  const std::size_t slash = out.find_last_of("/\\") + 1;  // 0 where there is none
  const std::size_t dot = out.find_last_of('.');
  const bool named = dot != std::string::npos && dot > slash;
  const std::string ending = named ? out.substr(dot) : "";
  if (ending == ".gif" || ending == ".apng") {
    throw UsageError("--out: jaxgan generate writes .gif and .apng, got '" + out + "'");
  }
  if (ending != ".png" && ending != ".npy") {
    throw UsageError("--out: expected a name that ends in .png or .npy, or -, got '" + out + "'");
  }
  if (ending == ".npy") kind_ = kNpy;
  const std::size_t percent = out.find('%');
  if (percent != std::string::npos) read_pattern(out, percent, ending == ".png");
}

void Target::read_pattern(const std::string& out, std::size_t percent, bool png) {
  kind_ = kFiles;
  before_ = out.substr(0, percent);
  after_ = out.substr(percent + 1);
  if (after_.size() > 2 && after_[0] == '0' && after_[1] >= '1' && after_[1] <= '9') {
    digits_ = after_[1] - '0';
    after_.erase(0, 2);
  }
  if (!png || after_.empty() || after_[0] != 'd' || after_.find('%') != std::string::npos) {
    throw UsageError("--out: expected one number pattern such as %04d in a name that ends in "
                     ".png, got '" + out + "'");
  }
  after_.erase(0, 1);
}

std::string Target::name(std::size_t index) const {
  std::string number = std::to_string(index);
  const auto missing = std::max(digits_ - static_cast<int>(number.size()), 0);
  return before_ + std::string(static_cast<std::size_t>(missing), '0') + number + after_;
}

void Target::write(const std::vector<std::uint8_t>& levels, Shape shape, std::size_t count,
                   std::size_t columns, Texts texts) const {
  if (kind_ == kNpy) {
    const auto size = [](int side) { return static_cast<std::size_t>(side); };
    write_whole(before_, encode_npy(levels.data(), levels.size(), "|u1",
                                    {count, size(shape.height), size(shape.width),
                                     size(shape.channels)}));
  } else if (kind_ == kFiles) {
    auto from = levels.begin();
    texts.emplace_back("jaxgan.image", "");
    for (std::size_t i = 0; i < count; ++i) {
      const auto next = from + static_cast<std::ptrdiff_t>(shape.size());
      texts.back().second = std::to_string(i);
      write_whole(name(i), encode_png({shape, {from, next}}, texts));
      from = next;
    }
  } else {
    const Bytes content = encode_png(grid(levels, shape, count, columns), texts);
    kind_ == kStdout ? write_stdout(content) : write_whole(before_, content);
  }
}

void check_save_latents(const std::optional<std::string>& path, const std::string& out) {
  if (!path) return;
  if (path->size() < 4 || path->compare(path->size() - 4, 4, ".npy") != 0) {
    throw UsageError("--save-latents: expected a name that ends in .npy, got '" + *path + "'");
  }
  const auto place = [](const std::string& name) {
    std::error_code ignored;
    return std::filesystem::weakly_canonical(std::filesystem::absolute(name, ignored), ignored);
  };
  if (place(*path) == place(out)) {
    throw UsageError("--save-latents and --out name the same file; change one");
  }
}

void write_latents(const std::string& path, const std::vector<float>& latents, std::size_t count) {
  write_whole(path, encode_npy(latents.data(), latents.size() * sizeof(float), "<f4",
                               {count, latents.size() / count}));
}

}  // namespace jaxgan
