#include <dlfcn.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <csignal>

#include "platform.h"

namespace jaxgan {

SharedLibrary::SharedLibrary(const std::string& name)
    : library_(dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE)), name_(name) {
  if (library_ == nullptr) fault_ = dlerror();
}

void* SharedLibrary::find(const char* symbol) const noexcept { return dlsym(library_, symbol); }

std::string SharedLibrary::file_of(const void* symbol) const {
  Dl_info info;
  return dladdr(symbol, &info) != 0 ? info.dli_fname : name_;
}

QuietStderr::QuietStderr(bool quiet) noexcept {
  if (!quiet) return;
  std::fflush(stderr);
  const int nowhere = ::open("/dev/null", O_WRONLY);
  if (nowhere < 0) return;
  original_ = ::dup(STDERR_FILENO);
  if (original_ >= 0) ::dup2(nowhere, STDERR_FILENO);
  ::close(nowhere);
}

QuietStderr::~QuietStderr() {
  if (original_ < 0) return;
  std::fflush(stderr);
  ::dup2(original_, STDERR_FILENO);
  ::close(original_);
}

std::size_t peak_memory() noexcept {
  rusage usage{};
  if (getrusage(RUSAGE_SELF, &usage) != 0) return 0;
#ifdef __APPLE__
  return static_cast<std::size_t>(usage.ru_maxrss);  // bytes there
#else
  return static_cast<std::size_t>(usage.ru_maxrss) * 1024;
#endif
}

bool sync(std::FILE* file) noexcept { return std::fflush(file) == 0 && ::fsync(fileno(file)) == 0; }

void binary_stdout() noexcept {}

void ignore_broken_pipes() noexcept { std::signal(SIGPIPE, SIG_IGN); }

}  // namespace jaxgan
