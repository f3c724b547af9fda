#include "model_file.h"

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <system_error>

#include "bounds.h"
#include "jaxgan/errors.h"
#include "open.h"

namespace jaxgan {
namespace {

// What a large file that is no model is told by before it is read whole.
bool begins_as_model(const std::vector<char>& content) {
  constexpr char kIdentifier[] = "TFL3";
  return content.size() >= 8 && std::equal(kIdentifier, kIdentifier + 4, content.begin() + 4);
}

}  // namespace

std::vector<char> read_model_file(const std::string& path) {
  const auto fail = [&](const std::string& why) {
    return ModelError("cannot read " + path + ": " + why +
                      "; expected a file of convert_tflite.py");
  };
  const auto none = [&](const char* what) {
    return ModelError(path + " is not a TensorFlow Lite model: " + what);
  };
  std::string why;
  const File file = open_regular(path, why);
  if (!file) throw fail(why);
  std::error_code unknown;
  const std::uintmax_t size = std::filesystem::file_size(path, unknown);
  if (!unknown && size > kMaxModelBytes) throw none("it is 2 GiB or larger");
  std::vector<char> content;
  char block[65536];
  while (const std::size_t count = std::fread(block, 1, sizeof block, file.get())) {
    content.insert(content.end(), block, block + count);
    if (!begins_as_model(content)) throw none("it does not begin as one");
    if (content.size() > kMaxModelBytes) throw none("it is 2 GiB or larger");
    if (!unknown) content.reserve(static_cast<std::size_t>(size));
  }
  if (std::ferror(file.get()) != 0) throw fail(std::strerror(errno));
  if (content.empty()) throw ModelError(path + " is empty; convert the model again");
  return content;
}

}  // namespace jaxgan
