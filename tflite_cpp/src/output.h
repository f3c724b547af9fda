// Where pictures and latents go: --out and --save-latents.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "images.h"
#include "jaxgan/generator.h"

namespace jaxgan {

// What --out says: a grid (NAME.png, or - for stdout), a file an image (digit_%04d.png), or an array
// of bytes (NAME.npy).
class Target {
 public:
  // Throws UsageError.
  explicit Target(const std::string& out);

  // Whether images are laid out in rows and columns.
  bool is_grid() const noexcept { return kind_ == kStdout || kind_ == kGrid; }

  // Writes `count` images, [count, H, W, C]; PNGs carry the texts. Throws OutputError.
  void write(const std::vector<std::uint8_t>& levels, Shape shape, std::size_t count,
             std::size_t columns, Texts texts) const;

 private:
  enum Kind { kStdout, kGrid, kFiles, kNpy };

  void read_pattern(const std::string& out, std::size_t percent, bool png);
  std::string name(std::size_t index) const;

  Kind kind_ = kGrid;
  std::string before_, after_;  // the number
  int digits_ = 0;              // that it has at least
};

// Whether --save-latents names a file of its own kind, and another one than --out. Throws UsageError.
void check_save_latents(const std::optional<std::string>& path, const std::string& out);

// Writes latents as float32 [count, size] to an .npy file. Throws OutputError.
void write_latents(const std::string& path, const std::vector<float>& latents, std::size_t count);

}  // namespace jaxgan
