// The LiteRT runtime library, loaded while the program runs, so that its absence has a message.
#pragma once

#include <memory>
#include <string>
#include <type_traits>

#include "litert_c.h"

namespace jaxgan {

// Owns one of LiteRT's handles.
template <typename Opaque>
using Handle = std::unique_ptr<std::remove_pointer_t<Opaque>, void (*)(Opaque)>;

class Runtime {
 public:
  // Loads the library from beside the program (or where LD_LIBRARY_PATH says). It logs nothing
  // unless verbose. Throws RuntimeError where it is missing, too old, or does not start.
  explicit Runtime(bool verbose);

  const litert::Functions& functions() const { return functions_; }
  litert::Environment environment() const { return environment_.get(); }

  // The library's file.
  std::string path() const;

 private:
  struct CloseLibrary {
    void operator()(void* library) const;
  };
  std::unique_ptr<void, CloseLibrary> library_;
  litert::Functions functions_;
  Handle<litert::Environment> environment_{nullptr, nullptr};
};

// The name of one of LiteRT's status codes: "invalid flatbuffer (501)".
std::string status_name(litert::Status status);

// Throws Fault where a call of LiteRT failed; `doing` says what was tried.
template <typename Fault>
void check(litert::Status status, const std::string& doing) {
  if (status != litert::kOk) throw Fault(doing + ": " + status_name(status));
}

}  // namespace jaxgan
