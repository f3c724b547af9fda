// XLA FFI calls: a batch is cut into parts that stay in a core's cache and that threads share.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <vector>

#include "maps.h"
#include "parallel.h"
#include "scratch.h"
#include "vector.h"
#include "xla/ffi/api/ffi.h"

namespace {

namespace ffi = xla::ffi;
using Array = ffi::Buffer<ffi::F32>;
using Result = ffi::ResultBuffer<ffi::F32>;
using jaxgan::Finish;
using jaxgan::Map;
using jaxgan::Ready;
using jaxgan::Shape;

// Images in a part. A kernel gradient makes one partial sum a part, so its parts are larger.
// Fixed, so that sums are taken in the same order whatever the number of threads.
constexpr int64_t kPart = 8, kGradientPart = 32;

Shape Describe(const Array& small, const Array& kernel, int64_t stride) {
  const auto y = small.dimensions(), k = kernel.dimensions();
  return {y[0], y[1], y[2], k[2], k[3], k[0], stride};
}

JAXGAN_VECTORIZED void Add(const float* __restrict__ values, size_t count, float* __restrict__ to) {
  for (size_t i = 0; i < count; ++i) to[i] += values[i];
}

template <typename Function>
ffi::Error Guarded(Function function) {
  try {
    function();
    return ffi::Error::Success();
  } catch (const std::exception& error) {
    return ffi::Error::Internal(error.what());
  }
}

// A map for a batch that is cut into parts of equal size and a smaller rest.
class Parts {
 public:
  Parts(Map map, const Shape& whole, const Finish& finish, int64_t size)
      : full_(whole.batch / size) {
    Shape shape = whole;
    shape.batch = size;
    if (full_ > 0) of_full_ = &jaxgan::Get(map, shape, finish);
    shape.batch = whole.batch % size;
    if (shape.batch > 0) of_rest_ = &jaxgan::Get(map, shape, finish);
    for (const Ready* ready : {of_full_, of_rest_}) {
      if (ready) slot_ = std::max(slot_, ready->OrderedCount());
    }
  }

  int64_t Count() const { return full_ + (of_rest_ != nullptr); }

  // Brings the kernel into the orders that the maps want, which may differ.
  void SetKernel(const float* kernel) {
    ordered_ = jaxgan::Scratch<jaxgan::kOrdered>(2 * slot_);
    if (of_full_) of_full_->Order(const_cast<float*>(kernel), ordered_);
    if (of_rest_) of_rest_->Order(const_cast<float*>(kernel), ordered_ + slot_);
  }

  // Makes room for a kernel's partial sums, one a part.
  void StartSums() { ordered_ = jaxgan::Scratch<jaxgan::kSums>((Count() + 1) * slot_); }

  // Adds the partial sums up, in the order of the images.
  void FinishSums(float* kernel, size_t count) {
    if (Count() == 0) std::fill(kernel, kernel + count, 0.f);
    float *rest = ordered_ + full_ * slot_, *of_rest = ordered_ + Count() * slot_;
    for (int64_t part = 1; part < full_; ++part) Add(ordered_ + part * slot_, slot_, ordered_);
    if (of_full_) of_full_->Order(kernel, ordered_);
    if (of_rest_) of_rest_->Order(of_full_ ? of_rest : kernel, rest);
    if (of_full_ && of_rest_) Add(of_rest, count, kernel);
  }

  // Runs the map on a part, whose images x and y point to. Kernel gradients go to their own sums.
  void Run(int64_t part, const float* x, const float* y, const float* bias, bool sums) const {
    const bool is_rest = part == full_;
    float* ordered = ordered_ + (sums ? part : is_rest) * slot_;
    (is_rest ? of_rest_ : of_full_)
        ->Run(const_cast<float*>(x), const_cast<float*>(y), ordered, bias);
  }

 private:
  int64_t full_;  // parts of full size
  const Ready *of_full_ = nullptr, *of_rest_ = nullptr;
  size_t slot_ = 0;  // floats for an ordered kernel
  float* ordered_ = nullptr;
};

ffi::Error Images(ffi::ThreadPool& pool, Map map, const Shape& whole, const Finish& finish,
                  const float* x, const float* y, const float* kernel, const float* bias) {
  return Guarded([&] {
    Parts parts(map, whole, finish, kPart);
    parts.SetKernel(kernel);
    jaxgan::ForEach(pool, parts.Count(), [&](int64_t part) {
      const int64_t first = part * kPart;
      parts.Run(part, x + first * whole.ImageX(), y + first * whole.ImageY(), bias, false);
    });
  });
}

ffi::Error Convolve(ffi::ThreadPool pool, Array x, Array kernel, Result y, int64_t stride) {
  return Images(pool, Map::kConvolve, Describe(*y, kernel, stride), {}, x.typed_data(),
                y->typed_data(), kernel.typed_data(), nullptr);
}

ffi::Error InputGradient(ffi::ThreadPool pool, Array y, Array kernel, Result x, int64_t stride) {
  return Images(pool, Map::kInputGradient, Describe(y, kernel, stride), {}, x->typed_data(),
                y.typed_data(), kernel.typed_data(), nullptr);
}

ffi::Error KernelGradient(ffi::ThreadPool pool, Array x, Array y, Result kernel, int64_t stride) {
  return Guarded([&] {
    const Shape whole = Describe(y, *kernel, stride);
    Parts parts(Map::kKernelGradient, whole, {}, kGradientPart);
    parts.StartSums();
    jaxgan::ForEach(pool, parts.Count(), [&](int64_t part) {
      const int64_t first = part * kGradientPart;
      parts.Run(part, x.typed_data() + first * whole.ImageX(),
                y.typed_data() + first * whole.ImageY(), nullptr, true);
    });
    parts.FinishSums(kernel->typed_data(), kernel->element_count());
  });
}

// leaky_relu(map(input, kernel) + bias): the map doubles the images or halves them.
ffi::Error Layer(ffi::ThreadPool pool, Array input, Array kernel, Array bias, Result result,
                 bool doubles, int64_t stride, float slope) {
  const Map map = doubles ? Map::kInputGradient : Map::kConvolve;
  const Shape whole = Describe(doubles ? input : *result, kernel, stride);
  const float *from = input.typed_data(), *to = result->typed_data();
  return Images(pool, map, whole, {true, slope}, doubles ? to : from, doubles ? from : to,
                kernel.typed_data(), bias.typed_data());
}

// z = gradient * leaky_relu'(result); sum: z's sum over all rows, a channel.
JAXGAN_VECTORIZED void ThroughLeaky(const float* __restrict__ result, const float* __restrict__ gradient,
                  int64_t rows, int64_t channels, float slope, float* __restrict__ z,
                  float* __restrict__ sum) {
  std::fill(sum, sum + channels, 0.f);
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t channel = 0; channel < channels; ++channel) {
      const float value = gradient[channel] * (result[channel] >= 0 ? 1.f : slope);
      z[channel] = value;
      sum[channel] += value;
    }
    result += channels, gradient += channels, z += channels;
  }
}

// The gradients of a layer in its input, kernel and bias, from the one in its result. The first two
// are left out where their array is empty; the part of z that they need stays in a core's cache.
ffi::Error LayerGradient(ffi::ThreadPool pool, Array input, Array kernel, Array result,
                         Array gradient, Result d_input, Result d_kernel, Result d_bias,
                         bool doubles, int64_t stride, float slope) {
  return Guarded([&] {
    const bool to_input = d_input->element_count() > 0, to_kernel = d_kernel->element_count() > 0;
    const auto z = result.dimensions(), k = (to_kernel ? *d_kernel : kernel).dimensions();
    const int64_t scale = doubles ? stride : 1;
    const Shape whole{z[0], z[1] / scale, z[2] / scale, k[2], k[3], k[0], stride};
    const int64_t channels = z[3], of_z = z[1] * z[2] * channels;
    const int64_t of_input = doubles ? whole.ImageY() : whole.ImageX();
    const int64_t size = to_kernel ? kGradientPart : kPart;

    Parts back(doubles ? Map::kConvolve : Map::kInputGradient, whole, {}, size);
    Parts sums(Map::kKernelGradient, whole, {}, size);
    if (to_input) back.SetKernel(kernel.typed_data());
    if (to_kernel) sums.StartSums();
    std::vector<float> bias_sums(back.Count() * channels);
    jaxgan::ForEach(pool, back.Count(), [&](int64_t part) {
      const int64_t first = part * size, images = std::min(size, whole.batch - first);
      float* part_z = jaxgan::Scratch<jaxgan::kZ>(images * of_z);
      ThroughLeaky(result.typed_data() + first * of_z, gradient.typed_data() + first * of_z,
                   images * z[1] * z[2], channels, slope, part_z, &bias_sums[part * channels]);
      if (to_input) {
        const float* to = d_input->typed_data() + first * of_input;
        back.Run(part, doubles ? part_z : to, doubles ? to : part_z, nullptr, false);
      }
      if (to_kernel) {
        const float* from = input.typed_data() + first * of_input;
        sums.Run(part, doubles ? part_z : from, doubles ? from : part_z, nullptr, true);
      }
    });
    if (to_kernel) sums.FinishSums(d_kernel->typed_data(), d_kernel->element_count());
    float* bias = d_bias->typed_data();
    std::fill(bias, bias + channels, 0.f);
    for (int64_t part = 0; part < back.Count(); ++part) {
      Add(&bias_sums[part * channels], channels, bias);
    }
  });
}

auto Binding() { return ffi::Ffi::Bind().Ctx<ffi::ThreadPool>().Arg<Array>().Arg<Array>(); }

}  // namespace

XLA_FFI_DEFINE_HANDLER_SYMBOL(jaxgan_convolve, Convolve,
                              Binding().Ret<Array>().Attr<int64_t>("stride"));
XLA_FFI_DEFINE_HANDLER_SYMBOL(jaxgan_input_gradient, InputGradient,
                              Binding().Ret<Array>().Attr<int64_t>("stride"));
XLA_FFI_DEFINE_HANDLER_SYMBOL(jaxgan_kernel_gradient, KernelGradient,
                              Binding().Ret<Array>().Attr<int64_t>("stride"));
XLA_FFI_DEFINE_HANDLER_SYMBOL(jaxgan_layer, Layer,
                              Binding()
                                  .Arg<Array>()
                                  .Ret<Array>()
                                  .Attr<bool>("doubles")
                                  .Attr<int64_t>("stride")
                                  .Attr<float>("slope"));
XLA_FFI_DEFINE_HANDLER_SYMBOL(jaxgan_layer_gradient, LayerGradient,
                              Binding()
                                  .Arg<Array>()
                                  .Arg<Array>()
                                  .Ret<Array>()
                                  .Ret<Array>()
                                  .Ret<Array>()
                                  .Attr<bool>("doubles")
                                  .Attr<int64_t>("stride")
                                  .Attr<float>("slope"));
