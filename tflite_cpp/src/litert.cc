// LiteRT: its library from the wheel ai-edge-litert, loaded while the program runs, so that its
// absence has a message.

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <map>
#include <type_traits>
#include <utility>

#include "litert_c.h"
#include "platform.h"
#include "runtime.h"

namespace jaxgan {
namespace {

// Exported from 2.1.6 on; before, functions of the same names took other parameters.
constexpr char kNewestSymbol[] = "LiteRtCreateModelFromFd";
constexpr char kNeeded[] = "LiteRT 2.1.6 or newer (the wheel ai-edge-litert has it)";

// Owns one of LiteRT's handles.
template <typename Opaque>
using Handle = std::unique_ptr<std::remove_pointer_t<Opaque>, void (*)(Opaque)>;

const char* word(litert::Status status) {
  switch (status) {
    case 1: return "invalid argument";
    case 2: return "out of memory";
    case 3: return "runtime failure";
    case 4: return "missing input";
    case 5: return "unsupported";
    case 6: return "not found";
    case 500: return "file error";
    case 501: return "invalid flatbuffer";
    case 502: return "library loading error";
    case 504: return "compilation failed";
    case 1000: return "index out of bounds";
    default: return "LiteRT status";
  }
}

// The name of one of LiteRT's status codes: "invalid flatbuffer (501)".
std::string status_name(litert::Status status) {
  return std::string(word(status)) + " (" + std::to_string(status) + ")";
}

// Throws Fault where a call of LiteRT failed; `doing` says what was tried.
template <typename Fault>
void check(litert::Status status, const std::string& doing) {
  if (status != litert::kOk) throw Fault(doing + ": " + status_name(status));
}

// The loaded library.
class Library {
 public:
  explicit Library(const GeneratorOptions& options)
      : file_(options.runtime.empty() ? JAXGAN_LITERT_FILE : options.runtime), library_(file_) {
    if (!library_.fault().empty()) {
      throw RuntimeError("cannot load the runtime: " + library_.fault() + "; put " +
                         JAXGAN_LITERT_FILE + " of " + kNeeded + " beside the program");
    }
    find(kNewestSymbol);
#define JAXGAN_FIND(name, result, parameters) \
  functions.name = reinterpret_cast<decltype(functions.name)>(find("LiteRt" #name));
    JAXGAN_LITERT_FUNCTIONS(JAXGAN_FIND)
#undef JAXGAN_FIND
  }

  std::string path() const {
    return library_.file_of(reinterpret_cast<void*>(functions.CreateEnvironment));
  }

  litert::Functions functions;

 private:
  void* find(const char* name) const {
    void* const symbol = library_.find(name);
    if (symbol == nullptr) {
      throw RuntimeError(file_ + " is too old: it has no " + name + "; put " + kNeeded +
                         " beside the program");
    }
    return symbol;
  }

  std::string file_;
  SharedLibrary library_;
};

Handle<litert::Environment> start(const litert::Functions& lite, bool verbose) {
  litert::EnvironmentOption options[2] = {};
  options[0].tag = litert::kTagNoAcceleratorProbe;
  options[0].value.type = litert::kAnyInteger;
  options[0].value.integer = 1;
  options[1].tag = litert::kTagLeastLogSeverity;
  options[1].value.type = litert::kAnyInteger;
  options[1].value.integer = verbose ? 1 : 4;
  litert::Environment environment = nullptr;
  check<RuntimeError>(lite.CreateEnvironment(2, options, &environment),
                      "cannot start the runtime");
  return {environment, lite.DestroyEnvironment};
}

// The buffers of one signature.
struct Buffers {
  std::vector<Handle<litert::TensorBuffer>> inputs, outputs;
};

}  // namespace

struct Model::Parts {
  Parts(std::vector<char> bytes, std::string file, const GeneratorOptions& options)
      : name(std::move(file)),
        content(std::move(bytes)),
        threads(options.threads),
        library(options),
        environment(start(lite, options.verbose)) {
    // From a buffer, because from a file LiteRT does not verify what it reads.
    litert::Model made = nullptr;
    expect(lite.CreateModelFromBuffer(environment.get(), content.data(), content.size(), &made),
           "not a TensorFlow Lite model");
    model = {made, lite.DestroyModel};
    std::size_t count = 0;
    expect(lite.GetNumModelSignatures(made, &count), "signatures");
    for (std::size_t i = 0; i < count; ++i) {
      litert::Signature signature = nullptr;
      expect(lite.GetModelSignature(made, i, &signature), "signature");
      signatures.push_back(describe(signature));
    }
  }

  void expect(litert::Status status, const std::string& what) const {
    check<ModelError>(status, name + ": " + what);
  }

  SignatureInfo describe(litert::Signature signature) const {
    const char* word = nullptr;
    expect(lite.GetSignatureKey(signature, &word), "signature name");
    SignatureInfo info{word, {}, {}};
    std::size_t inputs = 0, outputs = 0;
    expect(lite.GetNumSignatureInputs(signature, &inputs), "signature inputs");
    expect(lite.GetNumSignatureOutputs(signature, &outputs), "signature outputs");
    litert::Tensor tensor = nullptr;
    for (std::size_t i = 0; i < inputs; ++i) {
      expect(lite.GetSignatureInputName(signature, i, &word), "input name");
      expect(lite.GetSignatureInputTensorByIndex(signature, i, &tensor), "input tensor");
      info.inputs.push_back(describe(tensor, word));
    }
    for (std::size_t i = 0; i < outputs; ++i) {
      expect(lite.GetSignatureOutputName(signature, i, &word), "output name");
      expect(lite.GetSignatureOutputTensorByIndex(signature, i, &tensor), "output tensor");
      info.outputs.push_back(describe(tensor, word));
    }
    return info;
  }

  TensorInfo describe(litert::Tensor tensor, const char* word) const {
    litert::RankedTensorType type = {};
    expect(lite.GetRankedTensorType(tensor, &type), std::string("tensor ") + word);
    const auto& sizes = type.layout.dimensions;
    const unsigned rank = std::min(type.layout.rank, 8u);
    return {word, type_name(type.element_type), {sizes, sizes + rank}};
  }

  Handle<litert::TensorBuffer> buffer(const TensorInfo& tensor,
                                      litert::BufferRequirements requirements) const {
    litert::RankedTensorType type = {};
    type.element_type = tensor.type == "float32" ? litert::kFloat32 : litert::kInt32;
    type.layout.rank = static_cast<unsigned>(tensor.dimensions.size()) & 0x7Fu;
    std::copy(tensor.dimensions.begin(), tensor.dimensions.end(), type.layout.dimensions);
    litert::TensorBuffer made = nullptr;
    expect(lite.CreateManagedTensorBufferFromRequirements(environment.get(), &type, requirements,
                                                          &made),
           "buffer of " + tensor.text());
    return {made, lite.DestroyTensorBuffer};
  }

  Buffers& buffers_of(std::size_t signature) {
    if (const auto found = buffers.find(signature); found != buffers.end()) return found->second;
    const SignatureInfo& info = signatures[signature];
    Buffers made;
    litert::BufferRequirements requirements = nullptr;
    for (std::size_t i = 0; i < info.inputs.size(); ++i) {
      expect(lite.GetCompiledModelInputBufferRequirements(compiled.get(), signature, i,
                                                          &requirements),
             "buffer of " + info.inputs[i].text());
      made.inputs.push_back(buffer(info.inputs[i], requirements));
    }
    expect(lite.GetCompiledModelOutputBufferRequirements(compiled.get(), signature, 0,
                                                         &requirements),
           "buffer of " + info.outputs[0].text());
    made.outputs.push_back(buffer(info.outputs[0], requirements));
    return buffers.emplace(signature, std::move(made)).first->second;
  }

  template <typename Copy>
  void locked(litert::TensorBuffer buffer, int mode, Copy&& copy) const {
    void* host = nullptr;
    expect(lite.LockTensorBuffer(buffer, &host, mode), "tensor buffer");
    copy(host);
    expect(lite.UnlockTensorBuffer(buffer), "tensor buffer");
  }

  std::string name;
  std::vector<char> content;  // must outlive the model
  int threads;
  Library library;
  const litert::Functions& lite = library.functions;
  Handle<litert::Environment> environment;
  Handle<litert::Model> model{nullptr, nullptr};
  Handle<litert::CompiledModel> compiled{nullptr, nullptr};
  std::vector<SignatureInfo> signatures;
  std::map<std::size_t, Buffers> buffers;  // made at a signature's first run
};

Model::Model(std::vector<char> content, std::string name, const GeneratorOptions& options)
    : parts_(std::make_unique<Parts>(std::move(content), std::move(name), options)) {}

Model::~Model() = default;

const std::vector<char>& Model::content() const noexcept { return parts_->content; }

const std::vector<SignatureInfo>& Model::signatures() const noexcept { return parts_->signatures; }

std::optional<std::string> Model::metadata(const std::string& key) const {
  const void* data = nullptr;
  std::size_t size = 0;
  const Parts& parts = *parts_;
  if (parts.lite.GetModelMetadata(parts.model.get(), key.c_str(), &data, &size) != litert::kOk) {
    return std::nullopt;
  }
  return std::string(static_cast<const char*>(data), size);
}

void Model::compile() {
  const litert::Functions& lite = parts_->lite;
  litert::Options made = nullptr;
  check<RuntimeError>(lite.CreateOptions(&made), "runtime options");
  const Handle<litert::Options> options{made, lite.DestroyOptions};
  check<RuntimeError>(lite.SetOptionsHardwareAccelerators(made, litert::kAcceleratorCpu),
                      "runtime options");
  litert::OpaqueOptions xnnpack = nullptr;
  const std::string text = "num_threads = " + std::to_string(parts_->threads);
  char* const payload = static_cast<char*>(std::malloc(text.size() + 1));  // LiteRT frees it
  if (payload == nullptr) throw std::bad_alloc();
  std::memcpy(payload, text.c_str(), text.size() + 1);
  check<RuntimeError>(lite.CreateOpaqueOptions("xnnpack", payload, std::free, &xnnpack),
                      "thread options");
  check<RuntimeError>(lite.AddOpaqueOptions(made, xnnpack), "thread options");
  litert::CompiledModel compiled = nullptr;
  parts_->expect(lite.CreateCompiledModel(parts_->environment.get(), parts_->model.get(), made,
                                          &compiled),
                 "cannot be compiled");
  parts_->compiled = {compiled, lite.DestroyCompiledModel};
}

void Model::run(std::size_t signature, const std::vector<const void*>& inputs, float* output) {
  Parts& parts = *parts_;
  const SignatureInfo& info = parts.signatures[signature];
  const Buffers& buffers = parts.buffers_of(signature);
  std::vector<litert::TensorBuffer> handles;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    handles.push_back(buffers.inputs[i].get());
    parts.locked(handles.back(), litert::kWrite, [&](void* host) {
      std::memcpy(host, inputs[i], bytes(info.inputs[i]));
    });
  }
  litert::TensorBuffer result = buffers.outputs[0].get();
  parts.expect(parts.lite.RunCompiledModel(parts.compiled.get(), signature, handles.size(),
                                           handles.data(), 1, &result),
               "does not run");
  parts.locked(result, litert::kRead, [&](void* host) {
    std::memcpy(output, host, bytes(info.outputs[0]));
  });
}

std::string runtime_description(const GeneratorOptions& options) {
  return announced<RuntimeError>("the runtime", [&] {
    const Library library(options);
    start(library.functions, options.verbose);
    return "LiteRT, " + library.path();
  });
}

}  // namespace jaxgan
