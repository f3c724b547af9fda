// What is a file to be read, or to be replaced.
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

// Whether a path leads to a pipe, a device or a socket. A directory is none: who opens or replaces it
// is told what it is.
inline bool is_special(const std::string& path) {
  std::error_code fault;
  const auto kind = std::filesystem::status(path, fault).type();
  return std::filesystem::exists(std::filesystem::file_status(kind)) &&
         kind != std::filesystem::file_type::regular &&
         kind != std::filesystem::file_type::directory;
}

// Opens a file; null, and why, where that cannot be. Pipes and devices are refused: they may keep a
// program waiting, or never end.
inline File open_regular(const std::string& path, std::string& why) {
  const bool special = is_special(path);
  File file(special ? nullptr : std::fopen(path.c_str(), "rb"), std::fclose);
  if (!file) why = special ? "it is no regular file" : std::strerror(errno);
  return file;
}

}  // namespace jaxgan
