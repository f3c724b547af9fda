"""Strided convolution, its input gradient and its kernel gradient: closed under differentiation.

With x the large image, y the small one and w the kernel, three bilinear maps

    y = convolve(x, w)      x = input_gradient(y, w)      w = kernel_gradient(x, y)

are adjoint to each other, so the derivative of each in either argument is another of the three.
Stating that as rules keeps every order of differentiation on fast code: left to itself, XLA:CPU
runs the kernel gradient of a transposed convolution some thirty times slower than it need be.
``input_gradient`` *is* the transposed convolution of a generator.

Shapes, with kernel k, stride s (k - s even) and "same" padding (k - s) / 2 on each side:
x [B, s*h, s*w, C], y [B, h, w, D], kernel [k, k, C, D]; all float32.

Forms, all equal up to rounding:
    ``xla``   every map an XLA convolution: what converts to TFLite, and what GPUs run best.
    ``gemm``  the input gradient as one matrix product and an overlap-add: faster on a CPU.
"""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
from jax import lax

_DIMENSIONS = ("NHWC", "HWIO", "NHWC")


def default_form() -> str:
    """Return the form that is fastest on JAX's default backend. The one place that decides."""
    return "gemm" if jax.default_backend() == "cpu" else "xla"


@partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def convolve(x: jax.Array, kernel: jax.Array, stride: int, form: str) -> jax.Array:
    """Return the strided convolution y [B, h, w, D] of x [B, s*h, s*w, C] with the kernel."""
    return _convolve(x, kernel, stride)


@partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def input_gradient(y: jax.Array, kernel: jax.Array, stride: int, form: str) -> jax.Array:
    """Return the transposed convolution x [B, s*h, s*w, C] of y [B, h, w, D]."""
    return {"xla": _dilated, "gemm": _overlap_add}[form](y, kernel, stride)


@partial(jax.custom_vjp, nondiff_argnums=(2, 3, 4))
def kernel_gradient(x: jax.Array, y: jax.Array, size: int, stride: int, form: str) -> jax.Array:
    """Return the kernel [size, size, C, D] that correlates x with y, summed over the batch."""
    # The convolution is linear in its kernel, so any primal will do; XLA drops it.
    zero = jnp.zeros((size, size, x.shape[-1], y.shape[-1]), x.dtype)
    return jax.vjp(lambda kernel: _convolve(x, kernel, stride), zero)[1](y)[0]


# The forward rules call the wrapped maps: a raw one would leave second derivatives to XLA.
def _convolve_forward(x, kernel, stride, form):
    return convolve(x, kernel, stride, form), (x, kernel)


def _convolve_backward(stride, form, saved, dy):
    x, kernel = saved
    return (
        input_gradient(dy, kernel, stride, form),
        kernel_gradient(x, dy, kernel.shape[0], stride, form),
    )


def _input_gradient_forward(y, kernel, stride, form):
    return input_gradient(y, kernel, stride, form), (y, kernel)


def _input_gradient_backward(stride, form, saved, dx):
    y, kernel = saved
    return (
        convolve(dx, kernel, stride, form),
        kernel_gradient(dx, y, kernel.shape[0], stride, form),
    )


def _kernel_gradient_forward(x, y, size, stride, form):
    return kernel_gradient(x, y, size, stride, form), (x, y)


def _kernel_gradient_backward(size, stride, form, saved, dkernel):
    x, y = saved
    return input_gradient(y, dkernel, stride, form), convolve(x, dkernel, stride, form)


convolve.defvjp(_convolve_forward, _convolve_backward)
input_gradient.defvjp(_input_gradient_forward, _input_gradient_backward)
kernel_gradient.defvjp(_kernel_gradient_forward, _kernel_gradient_backward)


def _convolve(x: jax.Array, kernel: jax.Array, stride: int) -> jax.Array:
    pad = (kernel.shape[0] - stride) // 2
    return lax.conv_general_dilated(
        x, kernel, (stride, stride), ((pad, pad), (pad, pad)), dimension_numbers=_DIMENSIONS
    )


def _dilated(y: jax.Array, kernel: jax.Array, stride: int) -> jax.Array:
    """Spread y apart with zeros and convolve with the mirrored kernel."""
    size = kernel.shape[0]
    pad = size - 1 - (size - stride) // 2
    mirrored = jnp.flip(kernel, (0, 1)).swapaxes(2, 3)  # [k, k, D, C]
    return lax.conv_general_dilated(
        y, mirrored, (1, 1), ((pad, pad), (pad, pad)),
        lhs_dilation=(stride, stride), dimension_numbers=_DIMENSIONS,
    )  # fmt: skip


def _overlap_add(y: jax.Array, kernel: jax.Array, stride: int) -> jax.Array:
    """Let every pixel of y paint its kernel-sized patch by one matrix product; add the patches.

    A patch is cut into tiles of stride x stride. Tiles of one place in their patches lie side by
    side without overlap, so they form a whole image, and k/s x k/s shifted images are added.
    """
    batch, height, width, depth = y.shape
    size, _, channels, _ = kernel.shape
    if size % stride:
        return _dilated(y, kernel, stride)
    tiles = size // stride
    patches = y.reshape(-1, depth) @ kernel.reshape(-1, depth).T  # [B*h*w, k*k*C]
    patches = patches.reshape(batch, height, width, tiles, stride, tiles, stride, channels)
    painted = jnp.zeros((), y.dtype)
    for row in range(tiles):
        for column in range(tiles):
            tile = patches[:, :, :, row, :, column]  # [B, h, w, s, s, C]
            image = tile.transpose(0, 1, 3, 2, 4, 5)
            image = image.reshape(batch, height * stride, width * stride, channels)
            below, right = tiles - 1 - row, tiles - 1 - column
            painted += jnp.pad(
                image,
                ((0, 0), (row * stride, below * stride), (column * stride, right * stride), (0, 0)),
            )
    pad = (size - stride) // 2
    return painted[:, pad : pad + height * stride, pad : pad + width * stride]
