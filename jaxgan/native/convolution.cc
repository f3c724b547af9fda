// The three maps of jaxgan/convolution.py as XLA FFI calls into oneDNN. CPU, float32.
//
// Activations are NHWC and kernels HWIO, dense, as JAX hands them over; nothing is copied but the
// kernel, which oneDNN wants in an order of its own.

#include <omp.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <dnnl.hpp>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <tuple>
#include <vector>

#include "parallel.h"
#include "xla/ffi/api/ffi.h"

namespace {

namespace ffi = xla::ffi;
using dnnl::memory;
using Tag = memory::format_tag;
using Array = ffi::Buffer<ffi::F32>;
using Result = ffi::ResultBuffer<ffi::F32>;

enum class Map { kConvolve, kInputGradient, kKernelGradient };

// x [batch, stride*height, stride*width, large], y [batch, height, width, small],
// kernel [size, size, large, small].
struct Shape {
  int64_t batch, height, width, large, small, size, stride;

  auto Tuple() const { return std::tie(batch, height, width, large, small, size, stride); }
  bool operator<(const Shape& other) const { return Tuple() < other.Tuple(); }
  int64_t XStep() const { return stride * height * stride * width * large; }
  int64_t YStep() const { return height * width * small; }
  int64_t KernelCount() const { return size * size * large * small; }
};

const dnnl::engine& Engine() {
  static const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  return engine;
}

memory::desc Describe(const memory::dims& sizes, Tag tag) {
  return {sizes, memory::data_type::f32, tag};
}

class Space {
 public:
  float* Get(size_t bytes) {
    if (bytes > size_) {
      std::free(data_);
      size_ = (bytes + 4095) / 4096 * 4096;
      data_ = static_cast<float*>(std::aligned_alloc(4096, size_));
    }
    return data_;
  }
  ~Space() { std::free(data_); }

 private:
  float* data_ = nullptr;
  size_t size_ = 0;
};

class Convolution {
 public:
  Convolution(Map map, const Shape& s)
      : map_(map),
        x_(Describe({s.batch, s.large, s.stride * s.height, s.stride * s.width}, Tag::nhwc)),
        y_(Describe({s.batch, s.small, s.height, s.width}, Tag::nhwc)),
        kernel_(Describe({s.small, s.large, s.size, s.size}, Tag::hwio)) {
    const auto any = Describe({s.small, s.large, s.size, s.size}, Tag::any);
    const memory::dims strides{s.stride, s.stride};
    const memory::dims pad{(s.size - s.stride) / 2, (s.size - s.stride) / 2};
    const auto direct = dnnl::algorithm::convolution_direct;
    dnnl::primitive_attr own_scratchpad;
    own_scratchpad.set_scratchpad_mode(dnnl::scratchpad_mode::user);
#if DNNL_VERSION_MAJOR >= 3
#define JAXGAN_DESCRIBE(kind, ...) \
  dnnl::kind::primitive_desc(Engine(), __VA_ARGS__, x_, any, y_, strides, pad, pad
    const dnnl::convolution_forward::primitive_desc forward(
        Engine(), dnnl::prop_kind::forward_training, direct, x_, any, y_, strides, pad, pad,
        own_scratchpad);
#else
    const dnnl::convolution_forward::primitive_desc forward(
        {dnnl::prop_kind::forward_training, direct, x_, any, y_, strides, pad, pad},
        own_scratchpad, Engine());
#endif
    switch (map) {
      case Map::kConvolve:
        Take<dnnl::convolution_forward>(forward, forward.weights_desc());
        break;
      case Map::kInputGradient: {
#if DNNL_VERSION_MAJOR >= 3
        const dnnl::convolution_backward_data::primitive_desc backward(
            Engine(), direct, x_, any, y_, strides, pad, pad, forward, own_scratchpad);
#else
        const dnnl::convolution_backward_data::primitive_desc backward(
            {direct, x_, any, y_, strides, pad, pad}, own_scratchpad, Engine(), forward);
#endif
        Take<dnnl::convolution_backward_data>(backward, backward.weights_desc());
        break;
      }
      case Map::kKernelGradient: {
#if DNNL_VERSION_MAJOR >= 3
        const dnnl::convolution_backward_weights::primitive_desc backward(
            Engine(), direct, x_, any, y_, strides, pad, pad, forward, own_scratchpad);
#else
        const dnnl::convolution_backward_weights::primitive_desc backward(
            {direct, x_, any, y_, strides, pad, pad}, own_scratchpad, Engine(), forward);
#endif
        Take<dnnl::convolution_backward_weights>(backward, backward.diff_weights_desc());
        break;
      }
    }
  }
  size_t OrderedSize() const { return ordered_.get_size(); }

  // kernel → ordered, or ordered → kernel
  void Reorder(float* kernel, float* ordered) const {
    dnnl::stream stream(Engine());
    memory a(kernel_, Engine(), kernel), b(ordered_, Engine(), ordered);
    if (map_ == Map::kKernelGradient)
      reorder_.execute(stream, b, a);
    else
      reorder_.execute(stream, a, b);
    stream.wait();
  }

  void Run(float* x, float* y, float* ordered) const {
    static thread_local dnnl::stream stream(Engine());
    static thread_local Space scratchpad;
    memory x_memory(x_, Engine(), x), y_memory(y_, Engine(), y);
    memory kernel_memory(ordered_, Engine(), ordered);
    memory scratch(scratch_, Engine(), scratchpad.Get(scratch_.get_size()));
    switch (map_) {
      case Map::kConvolve:
        primitive_.execute(stream, {{DNNL_ARG_SRC, x_memory},
                                    {DNNL_ARG_WEIGHTS, kernel_memory},
                                    {DNNL_ARG_SCRATCHPAD, scratch},
                                    {DNNL_ARG_DST, y_memory}});
        break;
      case Map::kInputGradient:
        primitive_.execute(stream, {{DNNL_ARG_DIFF_DST, y_memory},
                                    {DNNL_ARG_WEIGHTS, kernel_memory},
                                    {DNNL_ARG_SCRATCHPAD, scratch},
                                    {DNNL_ARG_DIFF_SRC, x_memory}});
        break;
      case Map::kKernelGradient:
        primitive_.execute(stream, {{DNNL_ARG_SRC, x_memory},
                                    {DNNL_ARG_DIFF_DST, y_memory},
                                    {DNNL_ARG_SCRATCHPAD, scratch},
                                    {DNNL_ARG_DIFF_WEIGHTS, kernel_memory}});
        break;
    }
    stream.wait();
  }

 private:
  template <typename Primitive, typename Description>
  void Take(const Description& description, const memory::desc& kernel) {
    primitive_ = Primitive(description);
    ordered_ = kernel;
    scratch_ = description.scratchpad_desc();
    const auto r = map_ == Map::kKernelGradient
                       ? dnnl::reorder::primitive_desc(Engine(), ordered_, Engine(), kernel_)
                       : dnnl::reorder::primitive_desc(Engine(), kernel_, Engine(), ordered_);
    reorder_ = dnnl::reorder(r);
  }

  Map map_;
  memory::desc x_, y_, kernel_, ordered_, scratch_;
  dnnl::primitive primitive_;
  dnnl::reorder reorder_;
};

const Convolution& Ready(Map map, const Shape& shape) {
  static std::mutex mutex;
  static std::map<std::pair<Map, Shape>, Convolution> ready;
  const std::lock_guard<std::mutex> lock(mutex);
  auto found = ready.find({map, shape});
  if (found == ready.end()) found = ready.try_emplace({map, shape}, map, shape).first;
  return found->second;
}

int64_t Env(const char* n, int64_t d) { auto* e = std::getenv(n); return e ? atoi(e) : d; }

ffi::Error Run(ffi::ThreadPool& pool, Map map, const Shape& whole, float* x, float* y,
               float* kernel) try {
  static const int64_t chunk_c = Env("JG_CHUNK", 8), chunk_k = Env("JG_CHUNKK", 32);
  const int64_t chunk = map == Map::kKernelGradient ? chunk_k : chunk_c;
  const int64_t count = (whole.batch + chunk - 1) / chunk;
  static thread_local Space space;
  omp_set_num_threads(1);
  Shape part = whole, rest = whole;
  part.batch = std::min(chunk, whole.batch);
  rest.batch = whole.batch - (count - 1) * chunk;
  const Convolution &main = Ready(map, part), &last = Ready(map, rest);
  const size_t slot = main.OrderedSize() / 4;
  const bool gradient = map == Map::kKernelGradient;
  float* ordered = space.Get(slot * 4 * (gradient ? count : 1));
  if (!gradient) main.Reorder(kernel, ordered);
  jaxgan::ForEach(pool, count, [&](int64_t index) {
    omp_set_num_threads(1);
    const Convolution& c = index == count - 1 ? last : main;
    c.Run(x + index * chunk * whole.XStep(), y + index * chunk * whole.YStep(),
          ordered + (gradient ? index * slot : 0));
  });
  if (gradient) {
    // In the order of the images, so that every run gives the same bits.
    for (int64_t i = 1; i < count; ++i)
      for (size_t j = 0; j < slot; ++j) ordered[j] += ordered[i * slot + j];
    main.Reorder(kernel, ordered);
  }
  return ffi::Error::Success();
} catch (const dnnl::error& error) {
  return ffi::Error::Internal(std::string("oneDNN: ") + error.what());
}

ffi::Error Convolve(ffi::ThreadPool pool, Array x, Array kernel, Result y, int64_t stride) {
  const auto k = kernel.dimensions(), small = y->dimensions();
  const Shape shape{small[0], small[1], small[2], k[2], k[3], k[0], stride};
  return Run(pool, Map::kConvolve, shape, x.typed_data(), y->typed_data(), kernel.typed_data());
}

ffi::Error InputGradient(ffi::ThreadPool pool, Array y, Array kernel, Result x, int64_t stride) {
  const auto k = kernel.dimensions(), small = y.dimensions();
  const Shape shape{small[0], small[1], small[2], k[2], k[3], k[0], stride};
  return Run(pool, Map::kInputGradient, shape, x->typed_data(), y.typed_data(), kernel.typed_data());
}

ffi::Error KernelGradient(ffi::ThreadPool pool, Array x, Array y, Result kernel, int64_t stride) {
  const auto k = kernel->dimensions(), small = y.dimensions();
  const Shape shape{small[0], small[1], small[2], k[2], k[3], k[0], stride};
  return Run(pool, Map::kKernelGradient, shape, x.typed_data(), y.typed_data(), kernel->typed_data());
}

auto Binding() {
  return ffi::Ffi::Bind().Ctx<ffi::ThreadPool>().Arg<Array>().Arg<Array>().Ret<Array>().Attr<int64_t>("stride");
}

}  // namespace

XLA_FFI_DEFINE_HANDLER_SYMBOL(jaxgan_convolve, Convolve, Binding());
XLA_FFI_DEFINE_HANDLER_SYMBOL(jaxgan_input_gradient, InputGradient, Binding());
XLA_FFI_DEFINE_HANDLER_SYMBOL(jaxgan_kernel_gradient, KernelGradient, Binding());
