#include "names.h"

#include <algorithm>
#include <numeric>

#include "bounds.h"
#include "numbers.h"

namespace jaxgan {
namespace {

// Only A to Z: what is upper case elsewhere depends on the language.
std::string folded(std::string text) {
  for (char& letter : text) {
    if (letter >= 'A' && letter <= 'Z') letter = static_cast<char>(letter - 'A' + 'a');
  }
  return text;
}

// The number of bytes to insert, drop or change (Levenshtein 1966).
std::size_t distance(const std::string& a, const std::string& b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = row[0]++;
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t changed = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({row[j] + 1, diagonal + 1, changed});
    }
  }
  return row.back();
}

// The name that differs from a text by the fewest bytes, a third of them at most; or null.
const std::string* closest(const std::string& text, const Names& names) {
  const std::string* found = nullptr;
  if (text.empty() || text.size() > kMaxClassName) return found;
  const std::string lower = folded(text);
  std::size_t least = std::max<std::size_t>(text.size() / 3, 1) + 1;
  for (const std::string& name : names) {
    const std::size_t apart = std::max(name.size(), text.size()) - std::min(name.size(), text.size());
    if (apart >= least) continue;
    const std::size_t far = distance(lower, folded(name));
    if (far >= least) continue;
    least = far;
    found = &name;
  }
  return found;
}

}  // namespace

bool is_plain(const std::string& text) noexcept {
  for (std::size_t at = 0; at < text.size();) {
    const auto byte = [&](std::size_t place) {
      return place < text.size() ? static_cast<std::uint32_t>(static_cast<unsigned char>(text[place]))
                                 : 0u;
    };
    const std::uint32_t lead = byte(at);
    const std::size_t more = lead < 0x80 ? 0 : lead < 0xC2 ? 4 : lead < 0xE0 ? 1 : lead < 0xF0 ? 2 : 3;
    if (more == 4 || lead > 0xF4) return false;
    std::uint32_t letter = more == 0 ? lead : lead & (0x3Fu >> more);
    for (std::size_t i = 1; i <= more; ++i) {
      if ((byte(at + i) & 0xC0u) != 0x80u) return false;
      letter = letter << 6 | (byte(at + i) & 0x3Fu);
    }
    constexpr std::uint32_t kLeast[] = {0, 0x80, 0x800, 0x10000};
    const bool control = letter < 0x20 || (letter >= 0x7F && letter < 0xA0);
    const bool surrogate = letter >= 0xD800 && letter < 0xE000;
    if (control || surrogate || letter < kLeast[more] || letter > 0x10FFFF) return false;
    at += more + 1;
  }
  return true;
}

std::string read_names(const std::string& text, int classes, Names& names) {
  if (text.size() > kMaxClassNames) return "names of more than " + std::to_string(kMaxClassNames) + " bytes";
  names.clear();
  for (std::size_t start = 0; start <= text.size();) {
    const std::size_t end = std::min(text.find('\n', start), text.size());
    names.push_back(text.substr(start, end - start));
    const std::string& name = names.back();
    if (name.empty() || name.size() > kMaxClassName || !is_plain(name)) {
      return "name " + std::to_string(names.size() - 1) + " is not 1 to " +
             std::to_string(kMaxClassName) + " bytes of UTF-8 without control characters";
    }
    start = end + 1;
  }
  if (names.size() != static_cast<std::size_t>(std::max(classes, 0))) {
    return std::to_string(names.size()) + " names of " + std::to_string(classes) + " classes";
  }
  Names sorted = names;
  std::sort(sorted.begin(), sorted.end());
  const auto twice = std::adjacent_find(sorted.begin(), sorted.end());
  return twice == sorted.end() ? "" : "two classes are called '" + *twice + "'";
}

std::string list_of(const Names& names) {
  std::string text;
  for (const std::string& name : names) {
    if (text.size() + name.size() > kMaxNamesShown) return text + (text.empty() ? "..." : ", ...");
    text += (text.empty() ? "" : ", ") + name;
  }
  return text;
}

Classes::Classes(int count, const Names& names) : count_(count), names_(names) {
  for (std::size_t i = 0; i < names.size(); ++i) {
    const auto label = static_cast<std::int32_t>(i);
    exact_.emplace(names[i], label);
    const auto [place, fresh] = folded_.emplace(folded(names[i]), label);
    if (!fresh) place->second = -1;
    const auto commas = std::count(names[i].begin(), names[i].end(), ',');
    max_commas_ = std::max(max_commas_, static_cast<std::size_t>(commas));
  }
}

std::optional<std::int32_t> Classes::find(const std::string& text) const {
  const auto exact = exact_.find(text);
  if (exact != exact_.end()) return exact->second;
  const auto close = folded_.find(folded(text));
  if (close != folded_.end() && close->second >= 0) return close->second;
  std::uint32_t label = 0;
  const auto last = static_cast<std::uint32_t>(count_ - 1);
  if (count_ < 1 || !read_whole(text, 0, last, label).empty()) return std::nullopt;
  return static_cast<std::int32_t>(label);
}

std::string Classes::fault(const std::string& text) const {
  const std::string numbers = "from 0 to " + std::to_string(count_ - 1);
  if (names_.empty()) return "expected classes " + numbers + ", separated by commas, got '" + text + "'";
  const std::string* const meant = closest(text, names_);
  return "expected names of classes, or numbers " + numbers + ", separated by commas, got '" + text +
         "'" + (meant == nullptr ? "" : " (did you mean '" + *meant + "'?)") +
         "; the names are: " + list_of(names_);
}

}  // namespace jaxgan
