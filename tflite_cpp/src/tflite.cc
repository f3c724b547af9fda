// Classic TensorFlow Lite: tflite::Interpreter, of a library that is linked.

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <map>
#include <utility>

#include "runtime.h"
#include "tensorflow/lite/c/c_api.h"
#include "tensorflow/lite/core/api/flatbuffer_conversions.h"
#include "tensorflow/lite/core/tools/verifier.h"
#include "tensorflow/lite/interpreter.h"
#include "tensorflow/lite/interpreter_builder.h"
#include "tensorflow/lite/kernels/register.h"
#include "tensorflow/lite/logger.h"
#include "tensorflow/lite/model_builder.h"
#include "tensorflow/lite/schema/schema_generated.h"
#include "tensorflow/lite/signature_runner.h"

namespace jaxgan {
namespace {

// Collects what TensorFlow Lite complains of, for the message of one line that follows.
class Complaints : public tflite::ErrorReporter {
 public:
  explicit Complaints(bool verbose) : verbose_(verbose) {}

  int Report(const char* format, va_list values) override {
    char text[400];
    const int length = std::vsnprintf(text, sizeof text, format, values);
    if (verbose_) std::fprintf(stderr, "ERROR: %s\n", text);
    if (text_.size() < sizeof text) text_ += (text_.empty() ? ": " : "; ") + std::string(text);
    return length;
  }

  // ": the complaints", nothing if there were none; begins anew.
  std::string take() {
    std::string text = std::exchange(text_, "");
    text.erase(std::remove(text.begin(), text.end(), '\n'), text.end());
    return text;
  }

 private:
  bool verbose_;
  std::string text_;
};

std::string description() { return std::string("TensorFlow Lite ") + TfLiteVersion(); }

void check(const GeneratorOptions& options) {
  if (options.runtime.empty()) return;
  throw UsageError("expected no runtime library, got " + options.runtime + ": " + description() +
                   " is linked");
}

// A process has one log, so its first Generator decides for all.
void set_log(bool verbose) {
  static const tflite::LogSeverity before = tflite::LoggerOptions::SetMinimumLogSeverity(
      verbose ? tflite::TFLITE_LOG_INFO : tflite::TFLITE_LOG_SILENT);
  static_cast<void>(before);
}

}  // namespace

struct Model::Parts {
  Parts(std::vector<char> bytes, std::string file, const GeneratorOptions& options)
      : name(std::move(file)),
        content(std::move(bytes)),
        threads(options.threads),
        complaints(options.verbose) {
    check(options);
    set_log(options.verbose);
    // That its tables lie within it, as VerifyAndBuildFromBuffer does, and fit together besides.
    if (tflite::Verify(content.data(), content.size(), &complaints)) {
      model = tflite::FlatBufferModel::BuildFromBuffer(content.data(), content.size(), &complaints);
    }
    if (model == nullptr) throw fault("not a TensorFlow Lite model");
    metadata = model->ReadAllMetadata();
    if ((*model)->signature_defs() == nullptr) return;
    for (const auto* signature : *(*model)->signature_defs()) {
      signatures.push_back(describe(*signature));
    }
  }

  ModelError fault(const std::string& what) {
    return ModelError(name + ": " + what + complaints.take());
  }

  SignatureInfo describe(const tflite::SignatureDef& signature) {
    const auto& graphs = *(*model)->subgraphs();
    if (signature.signature_key() == nullptr || signature.inputs() == nullptr ||
        signature.outputs() == nullptr || signature.subgraph_index() >= graphs.size()) {
      throw fault("signature");
    }
    const tflite::SubGraph& graph = *graphs.Get(signature.subgraph_index());
    return {signature.signature_key()->str(), describe(signature.inputs(), graph.inputs(), graph),
            describe(signature.outputs(), graph.outputs(), graph)};
  }

  // The named tensors, in the order in which the graph has them.
  template <typename Names, typename Indices>
  std::vector<TensorInfo> describe(const Names* names, const Indices* order,
                                   const tflite::SubGraph& graph) {
    std::vector<TensorInfo> infos;
    if (order == nullptr || graph.tensors() == nullptr) throw fault("signature");
    for (const std::int32_t index : *order) {
      for (const tflite::TensorMap* named : *names) {
        if (named->tensor_index() != static_cast<std::uint32_t>(index)) continue;
        if (named->name() == nullptr || named->tensor_index() >= graph.tensors()->size()) {
          throw fault("signature");
        }
        const tflite::Tensor& tensor = *graph.tensors()->Get(named->tensor_index());
        infos.push_back(describe(named->name()->str(), tensor));
      }
    }
    return infos;
  }

  TensorInfo describe(const std::string& word, const tflite::Tensor& tensor) {
    TfLiteType type = kTfLiteNoType;
    if (tflite::ConvertTensorType(tensor.type(), &type, &complaints) != kTfLiteOk) {
      throw fault("tensor " + word);
    }
    TensorInfo info{word, type_name(type), {}};
    const auto* const open = tensor.shape_signature();  // where it is there, -1 is any size
    const auto* const sizes = open != nullptr && open->size() != 0 ? open : tensor.shape();
    if (sizes != nullptr) info.dimensions.assign(sizes->begin(), sizes->end());
    return info;
  }

  // A library older than the converter lacks operations, or their newer versions.
  void check_operations(const tflite::OpResolver& known) const {
    if ((*model)->operator_codes() == nullptr) return;
    for (const auto* code : *(*model)->operator_codes()) {
      // Older files have the operation in the one field, newer ones in the other.
      const auto older = static_cast<tflite::BuiltinOperator>(code->deprecated_builtin_code());
      const auto builtin = std::max(code->builtin_code(), older);
      std::string operation = tflite::EnumNameBuiltinOperator(builtin);
      if (operation.empty()) operation = std::to_string(builtin);
      const bool custom = builtin == tflite::BuiltinOperator_CUSTOM;
      if (custom && code->custom_code() != nullptr) operation = code->custom_code()->str();
      const auto* const found = custom ? known.FindOp(operation.c_str(), code->version())
                                       : known.FindOp(builtin, code->version());
      if (found != nullptr) continue;
      throw ModelError(name + ": " + description() + " does not have operation " + operation +
                       " in version " + std::to_string(code->version()) +
                       "; use a newer one, LiteRT, or a model of float32 or float16 weights");
    }
  }

  tflite::SignatureRunner& runner_of(std::size_t signature) {
    if (const auto found = runners.find(signature); found != runners.end()) return *found->second;
    auto* const runner = interpreter->GetSignatureRunner(signatures[signature].name.c_str());
    if (runner == nullptr || runner->AllocateTensors() != kTfLiteOk) {
      throw fault("cannot be compiled");
    }
    return *runners.emplace(signature, runner).first->second;
  }

  // Where the values of a tensor lie, if they are what its description says.
  char* values(const TfLiteTensor* tensor, const TensorInfo& info) {
    if (tensor == nullptr || tensor->data.raw == nullptr || tensor->bytes != bytes(info) ||
        tensor->allocation_type == kTfLiteMmapRo) {
      throw fault("buffer of " + info.text());
    }
    return tensor->data.raw;
  }

  std::string name;
  std::vector<char> content;  // must outlive the model
  int threads;
  Complaints complaints;  // must outlive the model and the interpreter
  std::unique_ptr<tflite::FlatBufferModel> model;
  std::map<std::string, std::string> metadata;
  std::vector<SignatureInfo> signatures;
  std::unique_ptr<tflite::Interpreter> interpreter;
  std::map<std::size_t, tflite::SignatureRunner*> runners;  // with memory, since their first run
};

Model::Model(std::vector<char> content, std::string name, const GeneratorOptions& options)
    : parts_(std::make_unique<Parts>(std::move(content), std::move(name), options)) {}

Model::~Model() = default;

const std::vector<char>& Model::content() const noexcept { return parts_->content; }

const std::vector<SignatureInfo>& Model::signatures() const noexcept { return parts_->signatures; }

std::optional<std::string> Model::metadata(const std::string& key) const {
  const auto found = parts_->metadata.find(key);
  if (found == parts_->metadata.end()) return std::nullopt;
  return found->second;
}

void Model::compile() {
  const tflite::ops::builtin::BuiltinOpResolver operations;
  parts_->check_operations(operations);
  tflite::InterpreterBuilder builder(*parts_->model, operations);
  if (builder.SetNumThreads(parts_->threads) != kTfLiteOk ||
      builder(&parts_->interpreter) != kTfLiteOk) {
    throw parts_->fault("cannot be compiled");
  }
}

void Model::run(std::size_t signature, const std::vector<const void*>& inputs, float* output) {
  Parts& parts = *parts_;
  const SignatureInfo& info = parts.signatures[signature];
  tflite::SignatureRunner& runner = parts.runner_of(signature);
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const TensorInfo& input = info.inputs[i];
    std::memcpy(parts.values(runner.input_tensor(input.name.c_str()), input), inputs[i],
                bytes(input));
  }
  if (runner.Invoke() != kTfLiteOk) throw parts.fault("does not run");
  const TensorInfo& result = info.outputs[0];
  std::memcpy(output, parts.values(runner.output_tensor(result.name.c_str()), result),
              bytes(result));
}

std::string runtime_description(const GeneratorOptions& options) {
  check(options);
  return description();
}

}  // namespace jaxgan
