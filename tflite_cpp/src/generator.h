// A generator in a .tflite file: latent vectors and labels -> images.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "images.h"
#include "litert_c.h"
#include "runtime.h"

namespace jaxgan {

// The name, element type and dimensions of a tensor: "latent float32 [64, 64]".
struct TensorInfo {
  std::string name;
  int element_type = 0;
  std::vector<std::int32_t> dimensions;

  std::string text() const;
};

struct SignatureInfo {
  std::string name;
  std::vector<TensorInfo> inputs;
  std::vector<TensorInfo> outputs;
};

// Not for use by two threads at once; several generators may run in several threads.
class Generator {
 public:
  // Reads a model file and checks that it is a generator: signatures generate_N with static
  // shapes, inputs latent float32 [N, Z] and, if it has classes, label int32 [N], output image
  // float32 [N, H, W, C]. The runtime must outlive it. Throws ModelError.
  Generator(const Runtime& runtime, const std::string& path, int threads);
  ~Generator();
  Generator(const Generator&) = delete;
  Generator& operator=(const Generator&) = delete;

  Shape image_shape() const { return shape_; }
  int latent_size() const { return latent_size_; }
  int classes() const { return classes_; }  // 0: takes no labels
  std::size_t file_size() const { return content_.size(); }
  const std::vector<SignatureInfo>& signatures() const { return signatures_; }

  // Our entries of the model's metadata, (name, text).
  const std::vector<std::pair<std::string, std::string>>& metadata() const { return metadata_; }

  // Draws images 0 to count-1 of a seed. Image i takes label labels[i % size]; `labels` is empty
  // for a model without classes. Returns levels [count, H, W, C]. Throws ModelError
  // where the model does not run.
  std::vector<std::uint8_t> draw(std::uint32_t seed, int count,
                                 const std::vector<std::int32_t>& labels);

 private:
  struct Batch;  // the buffers of one signature generate_N

  void expect(litert::Status status, const std::string& what) const;
  void load();
  void read_signatures();
  void read_metadata();
  SignatureInfo describe(litert::Signature signature) const;
  TensorInfo describe(litert::Tensor tensor, const char* name) const;
  void check_batch(int size, const SignatureInfo& signature);
  void compile(int threads);
  Batch& batch(int size);
  void run(Batch& batch, const float* latents, const std::int32_t* labels, float* images);

  const litert::Functions& lite_;
  litert::Environment environment_;
  std::string path_;
  std::vector<char> content_;  // must outlive the model
  Handle<litert::Model> model_{nullptr, nullptr};
  Handle<litert::CompiledModel> compiled_{nullptr, nullptr};
  std::vector<SignatureInfo> signatures_;
  std::vector<std::pair<std::string, std::string>> metadata_;
  std::map<int, std::size_t> sizes_;  // batch size -> signature
  std::map<int, std::unique_ptr<Batch>> batches_;  // batch size -> buffers, made at first use
  Shape shape_;
  int latent_size_ = 0;
  int classes_ = 0;
};

}  // namespace jaxgan
