// The three maps of jaxgan/convolution.py for a few images, on one thread.
//
// Arrays are float32 and dense: images NHWC, kernels HWIO, as JAX hands them over.

#pragma once

#include <cstdint>
#include <memory>
#include <tuple>

namespace jaxgan {

// x [batch, stride*height, stride*width, large], y [batch, height, width, small],
// kernel [size, size, large, small]; size - stride even.
struct Shape {
  int64_t batch, height, width, large, small, size, stride;

  int64_t ImageX() const { return stride * height * stride * width * large; }
  int64_t ImageY() const { return height * width * small; }
  auto Tuple() const { return std::tie(batch, height, width, large, small, size, stride); }
  bool operator<(const Shape& other) const { return Tuple() < other.Tuple(); }
};

// What a layer does to each value after its sum: leaky_relu(value + bias[channel], slope).
struct Finish {
  bool biased = false;
  float slope = 1;

  bool operator<(const Finish& other) const {
    return std::tie(biased, slope) < std::tie(other.biased, other.slope);
  }
};

enum class Map { kConvolve, kInputGradient, kKernelGradient };

// One map at one shape, ready to run; safe to run on several threads at once. All of it may throw
// std::exception.
class Ready {
 public:
  virtual ~Ready() = default;

  // The number of floats that a kernel takes in the order that suits the map.
  virtual size_t OrderedCount() const = 0;

  // Brings a kernel into that order; for the kernel gradient, back from it.
  virtual void Order(float* kernel, float* ordered) const = 0;

  // Computes x, y or the ordered kernel, whichever is the map's result, from the other two.
  virtual void Run(float* x, float* y, float* ordered, const float* bias) const = 0;
};

// Returns the map at a shape, made once and kept. A finish belongs to kConvolve and kInputGradient.
const Ready& Get(Map map, const Shape& shape, const Finish& finish);

}  // namespace jaxgan
