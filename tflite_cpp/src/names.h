// Names of classes: as a file holds them, and as people type them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

namespace jaxgan {

using Names = std::vector<std::string>;

// Whether a text is UTF-8 without control characters, so that it can be shown as it is.
bool is_plain(const std::string& text) noexcept;

// Reads the names of so many classes, one a line. Returns what is wrong; nothing where it is well.
std::string read_names(const std::string& text, int classes, Names& names);

// Names as a list, cut where it grows long: "T-shirt/top, Trouser, ...".
std::string list_of(const Names& names);

// Classes to be found by what a person types.
class Classes {
 public:
  // `names` is empty where they have numbers alone; it must outlive this.
  Classes(int count, const Names& names);

  // A name; else one but for the case of A to Z, where that is one class alone; else a number.
  std::optional<std::int32_t> find(const std::string& text) const;

  // What is wrong with a text that names none, with the name that it is closest to.
  std::string fault(const std::string& text) const;

  std::size_t max_commas() const noexcept { return max_commas_; }  // in a name

 private:
  std::int32_t count_;
  const Names& names_;
  std::unordered_map<std::string, std::int32_t> exact_, folded_;  // -1: several
  std::size_t max_commas_ = 0;
};

}  // namespace jaxgan
