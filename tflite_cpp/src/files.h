// Files: read within bounds, written whole or not at all.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace jaxgan {

using Bytes = std::vector<std::uint8_t>;

// Reads a file of at most `max` bytes. Throws UsageError, its message beginning with the option.
Bytes read_input(const std::string& path, std::size_t max, const std::string& option);

// Writes a file whole: beside it first, then renamed over it; its folder is made where missing. A pipe
// or a device is not replaced. Throws OutputError; what stood there before is then untouched.
void write_whole(const std::string& path, const Bytes& content);

// Writes to stdout. Throws OutputError.
void write_stdout(const Bytes& content);

}  // namespace jaxgan
