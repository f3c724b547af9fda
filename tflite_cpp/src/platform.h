// What operating systems do in ways of their own: POSIX and Windows.
#pragma once

#include <cstddef>
#include <cstdio>
#include <string>

namespace jaxgan {

// A library loaded while the program runs; never unloaded, as a runtime may have threads.
class SharedLibrary {
 public:
  // By name: from where the program's rpath or the system's search path has it.
  explicit SharedLibrary(const std::string& name);

  const std::string& fault() const noexcept { return fault_; }  // empty if it was loaded
  void* find(const char* symbol) const noexcept;                // null if it has none
  std::string file_of(const void* symbol) const;                // path of the library

 private:
  void* library_ = nullptr;
  std::string name_, fault_;
};

// Sends stderr to nowhere while it lives: a runtime announces itself whatever it is told.
class QuietStderr {
 public:
  explicit QuietStderr(bool quiet) noexcept;
  ~QuietStderr();
  QuietStderr(const QuietStderr&) = delete;
  QuietStderr& operator=(const QuietStderr&) = delete;

 private:
  int original_ = -1;
};

// The most bytes of memory that this process has held so far; 0 where the system does not tell.
std::size_t peak_memory() noexcept;

// Whether all that was written to a file is on the disk.
bool sync(std::FILE* file) noexcept;

// Lets stdout carry bytes unchanged.
void binary_stdout() noexcept;

// Lets a write to a pipe that nobody reads fail, instead of ending the program.
void ignore_broken_pipes() noexcept;

}  // namespace jaxgan
