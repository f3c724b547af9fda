// Whole numbers as people write them.
#pragma once

#include <charconv>
#include <cstdint>
#include <string>
#include <system_error>

namespace jaxgan {

// Reads a plain decimal number from `min` to `max`: no sign, no 0x10, nothing around it. Returns
// what is wrong, such as "expected 1 to 1000000, got 0"; nothing where it is well.
inline std::string read_whole(const std::string& text, std::uint32_t min, std::uint32_t max,
                              std::uint32_t& value) {
  const char* const end = text.data() + text.size();
  const bool digits = text.find_first_not_of("0123456789") == std::string::npos;
  const auto [rest, fault] = std::from_chars(text.data(), end, value);
  if (digits && fault == std::errc() && rest == end && value >= min && value <= max) return "";
  return "expected " + std::to_string(min) + " to " + std::to_string(max) + ", got " +
         (text.empty() ? "nothing" : text);
}

}  // namespace jaxgan
