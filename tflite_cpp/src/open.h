// How files are opened to be read.
#pragma once

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <memory>
#include <string>
#include <system_error>

namespace jaxgan {

using File = std::unique_ptr<std::FILE, int (*)(std::FILE*)>;

// Opens a file; null, and why, where that cannot be. Pipes and devices are refused: they may keep a
// program waiting, or never end.
inline File open_regular(const std::string& path, std::string& why) {
  std::error_code fault;
  const auto kind = std::filesystem::status(path, fault).type();
  const bool odd = std::filesystem::exists(std::filesystem::file_status(kind)) &&
                   kind != std::filesystem::file_type::regular &&
                   kind != std::filesystem::file_type::directory;  // opening one says what it is
  File file(odd ? nullptr : std::fopen(path.c_str(), "rb"), std::fclose);
  if (!file) why = odd ? "it is no regular file" : std::strerror(errno);
  return file;
}

}  // namespace jaxgan
