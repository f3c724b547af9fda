#include "maps.h"

#include <omp.h>

#include <algorithm>
#include <cstring>
#include <dnnl.hpp>
#include <map>
#include <mutex>

#include "scratch.h"
#include "vector.h"

#if DNNL_VERSION_MAJOR < 2 || (DNNL_VERSION_MAJOR == 2 && DNNL_VERSION_MINOR < 6)
#error "oneDNN 2.6 or newer is needed"
#endif
#if DNNL_CPU_RUNTIME != DNNL_RUNTIME_OMP && DNNL_CPU_RUNTIME != DNNL_RUNTIME_SEQ
#error "a oneDNN that runs on OpenMP is needed: no other can be kept to one thread"
#endif

namespace jaxgan {
namespace {

using dnnl::memory;

const dnnl::engine& Engine() {
  static const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  return engine;
}

// While one lives, OpenMP and with it oneDNN stays on the calling thread.
class OneThread {
 public:
  OneThread() : before_(omp_get_max_threads()) { omp_set_num_threads(1); }
  ~OneThread() { omp_set_num_threads(before_); }
  OneThread(const OneThread&) = delete;
  OneThread& operator=(const OneThread&) = delete;

 private:
  int before_;
};

// Each row of values, one a channel, through leaky_relu(value + bias).
JAXGAN_VECTORIZED void Apply(const Finish& finish, float* __restrict__ values, int64_t rows, int64_t channels,
           const float* __restrict__ bias) {
  const float slope = finish.slope;
  for (int64_t row = 0; row < rows; ++row, values += channels) {
    for (int64_t channel = 0; channel < channels; ++channel) {
      const float value = values[channel] + bias[channel];
      values[channel] = value >= 0 ? value : slope * value;
    }
  }
}

#if DNNL_VERSION_MAJOR >= 3
#define JAXGAN_DESCRIBE(kind, ...) dnnl::kind::primitive_desc(Engine(), __VA_ARGS__, attributes)
#else
#define JAXGAN_DESCRIBE(kind, ...) \
  dnnl::kind::primitive_desc({__VA_ARGS__}, attributes, Engine())
#endif

class OneDnn : public Ready {
 public:
  OneDnn(Map map, const Shape& s, const Finish& finish) : map_(map), shape_(s), finish_(finish) {
    const auto describe = [](memory::dims sizes, memory::format_tag order) {
      return memory::desc(sizes, memory::data_type::f32, order);
    };
    const memory::dims kernel{s.small, s.large, s.size, s.size}, strides{s.stride, s.stride};
    const memory::dims pad{(s.size - s.stride) / 2, (s.size - s.stride) / 2};
    const auto direct = dnnl::algorithm::convolution_direct;
    x_ = describe({s.batch, s.large, s.stride * s.height, s.stride * s.width},
                  memory::format_tag::nhwc);
    y_ = describe({s.batch, s.small, s.height, s.width}, memory::format_tag::nhwc);
    bias_ = describe({s.small}, memory::format_tag::x);
    kernel_ = describe(kernel, memory::format_tag::hwio);
    const auto any = describe(kernel, memory::format_tag::any);

    dnnl::primitive_attr attributes;
    attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
    const auto forward = dnnl::prop_kind::forward_training;
    if (map == Map::kConvolve && finish.biased) {
      if (finish.slope != 1) attributes.set_post_ops(Leaky(finish.slope));
      Take(JAXGAN_DESCRIBE(convolution_forward, forward, direct, x_, any, bias_, y_, strides, pad,
                           pad));
      return;
    }
    const auto plain = JAXGAN_DESCRIBE(convolution_forward, forward, direct, x_, any, y_, strides,
                                       pad, pad);
    if (map == Map::kConvolve) {
      Take(plain);
    } else if (map == Map::kInputGradient) {
      Take(Hinted<dnnl::convolution_backward_data>(plain, attributes, direct, any, strides, pad));
    } else {
      Take(Hinted<dnnl::convolution_backward_weights>(plain, attributes, direct, any, strides,
                                                      pad));
    }
  }

  size_t OrderedCount() const override { return ordered_.get_size() / sizeof(float); }

  void Order(float* kernel, float* ordered) const override {
    const OneThread one;
    dnnl::stream stream(Engine());
    memory given(kernel_, Engine(), kernel), own(ordered_, Engine(), ordered);
    const bool back = map_ == Map::kKernelGradient;
    reorder_.execute(stream, back ? own : given, back ? given : own);
    stream.wait();
  }

  void Run(float* x, float* y, float* ordered, const float* bias) const override {
    const OneThread one;
    thread_local dnnl::stream stream(Engine());
    const auto at = [](const memory::desc& description, const void* data) {
      return memory(description, Engine(), const_cast<void*>(data));
    };
    const bool forward = map_ == Map::kConvolve, to_kernel = map_ == Map::kKernelGradient;
    primitive_.execute(
        stream,
        {{map_ == Map::kInputGradient ? DNNL_ARG_DIFF_SRC : DNNL_ARG_SRC, at(x_, x)},
         {forward ? DNNL_ARG_DST : DNNL_ARG_DIFF_DST, at(y_, y)},
         {to_kernel ? DNNL_ARG_DIFF_WEIGHTS : DNNL_ARG_WEIGHTS, at(ordered_, ordered)},
         {DNNL_ARG_BIAS, at(bias_, bias)},
         {DNNL_ARG_SCRATCHPAD, at(scratchpad_, Scratch<kMap>(scratchpad_.get_size() / sizeof(float) + 1))}});
    stream.wait();
    if (map_ == Map::kInputGradient && finish_.biased) {
      Apply(finish_, x, shape_.batch * shape_.ImageX() / shape_.large, shape_.large, bias);
    }
  }

 private:
  static dnnl::post_ops Leaky(float slope) {
    dnnl::post_ops after;
#if DNNL_VERSION_MAJOR >= 3
    after.append_eltwise(dnnl::algorithm::eltwise_relu, slope, 0);
#else
    after.append_eltwise(1, dnnl::algorithm::eltwise_relu, slope, 0);
#endif
    return after;
  }

  template <typename Gradient>
  typename Gradient::primitive_desc Hinted(
      const dnnl::convolution_forward::primitive_desc& forward,
      const dnnl::primitive_attr& attributes, dnnl::algorithm direct, const memory::desc& any,
      const memory::dims& strides, const memory::dims& pad) const {
#if DNNL_VERSION_MAJOR >= 3
    return {Engine(), direct, x_, any, y_, strides, pad, pad, forward, attributes};
#else
    return {{direct, x_, any, y_, strides, pad, pad}, attributes, Engine(), forward};
#endif
  }

  void Take(const dnnl::convolution_forward::primitive_desc& made) {
    Keep(dnnl::convolution_forward(made), made.weights_desc(), made.scratchpad_desc());
  }
  void Take(const dnnl::convolution_backward_data::primitive_desc& made) {
    Keep(dnnl::convolution_backward_data(made), made.weights_desc(), made.scratchpad_desc());
  }
  void Take(const dnnl::convolution_backward_weights::primitive_desc& made) {
    Keep(dnnl::convolution_backward_weights(made), made.diff_weights_desc(),
         made.scratchpad_desc());
  }
  void Keep(const dnnl::primitive& primitive, const memory::desc& ordered,
            const memory::desc& scratchpad) {
    primitive_ = primitive;
    ordered_ = ordered;
    scratchpad_ = scratchpad;
    const bool back = map_ == Map::kKernelGradient;
    reorder_ = dnnl::reorder(dnnl::reorder::primitive_desc(
        Engine(), back ? ordered_ : kernel_, Engine(), back ? kernel_ : ordered_));
  }

  Map map_;
  Shape shape_;
  Finish finish_;
  memory::desc x_, y_, kernel_, bias_, ordered_, scratchpad_;
  dnnl::primitive primitive_;
  dnnl::reorder reorder_;
};

// The input gradient for images of few channels, where oneDNN's own runs at a twentieth of its
// speed: every pixel of y paints its patch by one matrix product, and the patches are added.
class Patches : public Ready {
 public:
  Patches(const Shape& shape, const Finish& finish) : s_(shape), finish_(finish) {}

  size_t OrderedCount() const override { return s_.size * s_.size * s_.large * s_.small; }

  void Order(float* kernel, float* ordered) const override {
    std::memcpy(ordered, kernel, OrderedCount() * sizeof(float));
  }

  void Run(float* x, float* y, float* ordered, const float* bias) const override {
    const OneThread one;
    const int64_t pixels = s_.batch * s_.height * s_.width, patch = s_.size * s_.size * s_.large;
    float* patches = Scratch<kMap>(pixels * patch);  // [pixels, size, size, large]
    const auto status = dnnl_sgemm('N', 'T', pixels, patch, s_.small, 1, y, s_.small, ordered,
                                   s_.small, 0, patches, patch);
    if (status != dnnl_success) throw dnnl::error(status, "sgemm");
    std::fill(x, x + s_.batch * s_.ImageX(), 0.f);
    for (int64_t image = 0; image < s_.batch; ++image, x += s_.ImageX()) {
      for (int64_t row = 0; row < s_.height; ++row) {
        for (int64_t column = 0; column < s_.width; ++column, patches += patch) {
          Paint(patches, row, column, x);
        }
      }
      if (finish_.biased) Apply(finish_, x, s_.ImageX() / s_.large, s_.large, bias);
    }
  }

 private:
  // Adds the patch of a pixel of y to the image x, but for what lies outside.
  void Paint(const float* patch, int64_t row, int64_t column, float* x) const {
    const int64_t height = s_.stride * s_.height, width = s_.stride * s_.width;
    const int64_t pad = (s_.size - s_.stride) / 2;
    const int64_t top = row * s_.stride - pad, left = column * s_.stride - pad;
    const int64_t first = std::max<int64_t>(-left, 0), last = std::min(width - left, s_.size);
    for (int64_t i = std::max<int64_t>(-top, 0); i < std::min(height - top, s_.size); ++i) {
      float* to = x + ((top + i) * width + left + first) * s_.large;
      const float* from = patch + (i * s_.size + first) * s_.large;
      for (int64_t j = 0; j < (last - first) * s_.large; ++j) to[j] += from[j];
    }
  }

  Shape s_;
  Finish finish_;
};

}  // namespace

const Ready& Get(Map map, const Shape& shape, const Finish& finish) {
  static std::mutex mutex;
  static std::map<std::tuple<Map, Shape, Finish>, std::unique_ptr<Ready>> made;
  const std::lock_guard<std::mutex> lock(mutex);
  auto& ready = made[{map, shape, finish}];
  if (!ready) {
    const OneThread one;
    if (map == Map::kInputGradient && shape.large <= 4) {
      ready = std::make_unique<Patches>(shape, finish);
    } else {
      ready = std::make_unique<OneDnn>(map, shape, finish);
    }
  }
  return *ready;
}

}  // namespace jaxgan
