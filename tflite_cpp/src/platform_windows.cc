// Paths are in the process's code page, which the manifest of jaxgan-generate makes UTF-8.
#define WIN32_LEAN_AND_MEAN
#include <windows.h>
// after it
#include <fcntl.h>
#include <io.h>
#include <psapi.h>

#include "platform.h"

namespace jaxgan {

// Windows looks in the program's folder first.
SharedLibrary::SharedLibrary(const std::string& name)
    : library_(LoadLibraryA(name.c_str())), name_(name) {
  if (library_ != nullptr) return;
  const DWORD error = GetLastError();
  fault_ = name + ": Windows error " + std::to_string(error);
  if (error == ERROR_MOD_NOT_FOUND) {
    fault_ += " (it is not there, or Microsoft's Visual C++ runtime that it needs is not)";
  }
}

void* SharedLibrary::find(const char* symbol) const noexcept {
  return reinterpret_cast<void*>(GetProcAddress(static_cast<HMODULE>(library_), symbol));
}

std::string SharedLibrary::file_of(const void*) const {
  char path[MAX_PATH];
  const DWORD size = GetModuleFileNameA(static_cast<HMODULE>(library_), path, sizeof path);
  return size > 0 && size < sizeof path ? std::string(path, size) : name_;
}

QuietStderr::QuietStderr(bool quiet) noexcept {
  if (!quiet) return;
  std::fflush(stderr);
  const int nowhere = _open("NUL", _O_WRONLY);
  if (nowhere < 0) return;
  original_ = _dup(_fileno(stderr));
  if (original_ >= 0) _dup2(nowhere, _fileno(stderr));
  _close(nowhere);
}

QuietStderr::~QuietStderr() {
  if (original_ < 0) return;
  std::fflush(stderr);
  _dup2(original_, _fileno(stderr));
  _close(original_);
}

std::size_t peak_memory() noexcept {
  PROCESS_MEMORY_COUNTERS counters{};
  const BOOL told = GetProcessMemoryInfo(GetCurrentProcess(), &counters, sizeof counters);
  return told ? counters.PeakWorkingSetSize : 0;
}

bool sync(std::FILE* file) noexcept {
  return std::fflush(file) == 0 && _commit(_fileno(file)) == 0;
}

void binary_stdout() noexcept { _setmode(_fileno(stdout), _O_BINARY); }

void ignore_broken_pipes() noexcept {}

}  // namespace jaxgan
