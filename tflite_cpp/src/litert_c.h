// The part of LiteRT's C interface that we call, declared here because the wheel ships no headers.
// Upstream keeps it ABI stable; the layouts below are asserted.
#pragma once

#include <cstddef>
#include <cstdint>

namespace jaxgan::litert {

// Opaque handles.
using Environment = struct EnvironmentT*;
using Model = struct ModelT*;
using Signature = struct SignatureT*;
using Tensor = struct TensorT*;
using Options = struct OptionsT*;
using OpaqueOptions = struct OpaqueOptionsT*;
using CompiledModel = struct CompiledModelT*;
using BufferRequirements = struct BufferRequirementsT*;
using TensorBuffer = struct TensorBufferT*;

using Status = int;
constexpr Status kOk = 0;

enum ElementType : int { kFloat32 = 1, kInt32 = 2 };
enum LockMode : int { kRead = 0, kWrite = 1 };
constexpr int kAcceleratorCpu = 1;

struct Any {
  int type;
  union {
    std::int64_t integer;
    double real;
    const void* pointer;
  };
};
static_assert(sizeof(Any) == 16 && offsetof(Any, integer) == 8);
constexpr int kAnyInteger = 2;

struct EnvironmentOption {
  int tag;
  Any value;
};
static_assert(sizeof(EnvironmentOption) == 24 && offsetof(EnvironmentOption, value) == 8);
constexpr int kTagNoAcceleratorProbe = 24;  // 1: do not look for GPU and NPU libraries
constexpr int kTagLeastLogSeverity = 25;    // 1 info, 4 silent

struct Layout {
  unsigned int rank : 7;
  unsigned int has_strides : 1;
  std::int32_t dimensions[8];  // -1 where dynamic
  std::uint32_t strides[8];
};
static_assert(sizeof(Layout) == 68 && offsetof(Layout, dimensions) == 4);

struct RankedTensorType {
  int element_type;
  Layout layout;
};
static_assert(sizeof(RankedTensorType) == 72 && offsetof(RankedTensorType, layout) == 4);

// X(name, result, (parameters)) for each function.
#define JAXGAN_LITERT_FUNCTIONS(X)                                                               \
  X(CreateEnvironment, Status, (int, const EnvironmentOption*, Environment*))                    \
  X(DestroyEnvironment, void, (Environment))                                                     \
  X(CreateModelFromBuffer, Status, (Environment, const void*, std::size_t, Model*))              \
  X(DestroyModel, void, (Model))                                                                 \
  X(GetNumModelSignatures, Status, (Model, std::size_t*))                                        \
  X(GetModelSignature, Status, (Model, std::size_t, Signature*))                                 \
  X(GetModelMetadata, Status, (Model, const char*, const void**, std::size_t*))                  \
  X(GetSignatureKey, Status, (Signature, const char**))                                          \
  X(GetNumSignatureInputs, Status, (Signature, std::size_t*))                                    \
  X(GetNumSignatureOutputs, Status, (Signature, std::size_t*))                                   \
  X(GetSignatureInputName, Status, (Signature, std::size_t, const char**))                       \
  X(GetSignatureOutputName, Status, (Signature, std::size_t, const char**))                      \
  X(GetSignatureInputTensorByIndex, Status, (Signature, std::size_t, Tensor*))                   \
  X(GetSignatureOutputTensorByIndex, Status, (Signature, std::size_t, Tensor*))                  \
  X(GetRankedTensorType, Status, (Tensor, RankedTensorType*))                                    \
  X(CreateOptions, Status, (Options*))                                                           \
  X(DestroyOptions, void, (Options))                                                             \
  X(SetOptionsHardwareAccelerators, Status, (Options, int))                                      \
  X(CreateOpaqueOptions, Status, (const char*, void*, void (*)(void*), OpaqueOptions*))          \
  X(AddOpaqueOptions, Status, (Options, OpaqueOptions))                                          \
  X(CreateCompiledModel, Status, (Environment, Model, Options, CompiledModel*))                  \
  X(DestroyCompiledModel, void, (CompiledModel))                                                 \
  X(GetCompiledModelInputBufferRequirements, Status,                                             \
    (CompiledModel, std::size_t, std::size_t, BufferRequirements*))                              \
  X(GetCompiledModelOutputBufferRequirements, Status,                                            \
    (CompiledModel, std::size_t, std::size_t, BufferRequirements*))                              \
  X(CreateManagedTensorBufferFromRequirements, Status,                                           \
    (Environment, const RankedTensorType*, BufferRequirements, TensorBuffer*))                   \
  X(DestroyTensorBuffer, void, (TensorBuffer))                                                   \
  X(LockTensorBuffer, Status, (TensorBuffer, void**, int))                                       \
  X(UnlockTensorBuffer, Status, (TensorBuffer))                                                  \
  X(RunCompiledModel, Status,                                                                    \
    (CompiledModel, std::size_t, std::size_t, TensorBuffer*, std::size_t, TensorBuffer*))

// LiteRT's functions, without their common prefix, as found in the loaded library.
struct Functions {
#define JAXGAN_DECLARE(name, result, parameters) result(*name) parameters = nullptr;
  JAXGAN_LITERT_FUNCTIONS(JAXGAN_DECLARE)
#undef JAXGAN_DECLARE
};

}  // namespace jaxgan::litert
