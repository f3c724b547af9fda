#include "runtime.h"

#include <dlfcn.h>

#include <map>

#include "errors.h"

namespace jaxgan {
namespace {

// Exported from 2.1.6 on; before, functions of the same names took other parameters.
constexpr char kNewestSymbol[] = "LiteRtCreateModelFromFd";
constexpr char kNeeded[] = "LiteRT 2.1.6 or newer (the wheel ai-edge-litert has it)";

void* find(void* library, const char* name) {
  void* symbol = dlsym(library, name);
  if (symbol == nullptr) {
    throw RuntimeError(std::string(JAXGAN_LITERT_FILE " is too old: it has no ") + name +
                       "; put " + kNeeded + " beside the program");
  }
  return symbol;
}

}  // namespace

void Runtime::CloseLibrary::operator()(void* library) const { dlclose(library); }

Runtime::Runtime(bool verbose) : library_(dlopen(JAXGAN_LITERT_FILE, RTLD_NOW | RTLD_LOCAL)) {
  if (!library_) {
    throw RuntimeError(std::string("cannot load the runtime: ") + dlerror() + "; put " +
                       JAXGAN_LITERT_FILE " of " + kNeeded + " beside the program");
  }
  find(library_.get(), kNewestSymbol);
#define JAXGAN_FIND(name, result, parameters) \
  functions_.name =                           \
      reinterpret_cast<decltype(functions_.name)>(find(library_.get(), "LiteRt" #name));
  JAXGAN_LITERT_FUNCTIONS(JAXGAN_FIND)
#undef JAXGAN_FIND
  litert::EnvironmentOption options[2] = {};
  options[0].tag = litert::kTagNoAcceleratorProbe;
  options[0].value.type = litert::kAnyInteger;
  options[0].value.integer = 1;
  options[1].tag = litert::kTagLeastLogSeverity;
  options[1].value.type = litert::kAnyInteger;
  options[1].value.integer = verbose ? 1 : 4;
  litert::Environment environment = nullptr;
  check<RuntimeError>(functions_.CreateEnvironment(2, options, &environment),
                      "cannot start the runtime");
  environment_ = {environment, functions_.DestroyEnvironment};
}

std::string Runtime::path() const {
  Dl_info info;
  // Any function of the library tells which file it came from.
  const bool found = dladdr(reinterpret_cast<void*>(functions_.CreateEnvironment), &info) != 0;
  return found ? info.dli_fname : JAXGAN_LITERT_FILE;
}

std::string status_name(litert::Status status) {
  static const std::map<litert::Status, const char*> names = {
      {1, "invalid argument"},       {2, "out of memory"},
      {3, "runtime failure"},        {4, "missing input"},
      {5, "unsupported"},            {6, "not found"},
      {500, "file error"},           {501, "invalid flatbuffer"},
      {502, "library loading error"}, {504, "compilation failed"},
      {1000, "index out of bounds"},
  };
  const auto name = names.find(status);
  return std::string(name == names.end() ? "LiteRT status" : name->second) + " (" +
         std::to_string(status) + ")";
}

}  // namespace jaxgan
