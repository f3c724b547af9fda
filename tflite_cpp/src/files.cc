#include "files.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <random>
#include <system_error>

#include "jaxgan/errors.h"
#include "open.h"
#include "platform.h"

namespace jaxgan {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void cannot_write(const std::string& path, const std::string& why) {
  throw OutputError("cannot write " + path + ": " + why);
}

// A new file beside its target, gone again unless it was moved over it.
class Beside {
 public:
  explicit Beside(const fs::path& target) : file_(nullptr, std::fclose) {
    std::random_device random;
    for (int attempt = 0; !file_ && attempt < 100; ++attempt) {
      name_ = target.parent_path() / (".jaxgan." + std::to_string(random()));
      file_.reset(std::fopen(name_.string().c_str(), "wbx"));
      if (!file_ && errno != EEXIST) break;
    }
    if (!file_) cannot_write(target.string(), std::strerror(errno));
  }
  ~Beside() {
    file_.reset();
    std::error_code ignored;
    if (!moved_) fs::remove(name_, ignored);
  }
  Beside(const Beside&) = delete;
  Beside& operator=(const Beside&) = delete;

  void write(const fs::path& target, const Bytes& content) {
    const bool written =
        (content.empty() ||
         std::fwrite(content.data(), 1, content.size(), file_.get()) == content.size()) &&
        sync(file_.get());
    if (!written) cannot_write(target.string(), std::strerror(errno));
    if (std::fclose(file_.release()) != 0) cannot_write(target.string(), std::strerror(errno));
    std::error_code fault;
    fs::rename(name_, target, fault);
    if (fault) cannot_write(target.string(), fault.message());
    moved_ = true;
  }

 private:
  fs::path name_;
  File file_;
  bool moved_ = false;
};

}  // namespace

Bytes read_input(const std::string& path, std::size_t max, const std::string& option) {
  std::string why;
  const File file = open_regular(path, why);
  Bytes content;
  std::uint8_t block[65536];
  while (file && content.size() <= max) {
    const std::size_t size = std::fread(block, 1, sizeof block, file.get());
    if (size == 0) break;
    content.insert(content.end(), block, block + size);
  }
  if (file && std::ferror(file.get()) != 0) why = std::strerror(errno);
  if (!why.empty()) {
    throw UsageError(option + ": cannot read " + path + ": " + why);
  }
  if (content.size() > max) {
    throw UsageError(option + ": " + path + " is too large; expected at most " +
                     std::to_string(max) + " bytes");
  }
  return content;
}

void write_whole(const std::string& path, const Bytes& content) {
  if (is_special(path)) cannot_write(path, "it is there already, and is no regular file");
  const fs::path target(path);
  std::error_code fault;
  if (target.has_parent_path()) fs::create_directories(target.parent_path(), fault);
  if (fault) cannot_write(path, fault.message());
  Beside(target).write(target, content);
}

void write_stdout(const Bytes& content) {
  binary_stdout();
  if (std::fwrite(content.data(), 1, content.size(), stdout) != content.size() ||
      std::fflush(stdout) != 0) {
    cannot_write("to standard output", std::strerror(errno));
  }
}

}  // namespace jaxgan
