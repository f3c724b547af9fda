"""Strided convolution, its input gradient and its kernel gradient: closed under differentiation.

With x the large image, y the small one and w the kernel, three bilinear maps

    y = convolve(x, w)      x = input_gradient(y, w)      w = kernel_gradient(x, y)

are adjoint to each other, so the derivative of each in either argument is another of the three.
Stating that as rules keeps every order of differentiation on fast code: left to itself, XLA:CPU
runs the kernel gradient of a transposed convolution some thirty times slower than it need be.
``input_gradient`` *is* the transposed convolution of a generator.

Shapes, with kernel k, stride s (k - s even) and "same" padding (k - s) / 2 on each side:
x [B, s*h, s*w, C], y [B, h, w, D], kernel [k, k, C, D]; all float32.

Backends, all equal up to rounding:
    ``xla``     every map an XLA convolution: what converts to TFLite, and what GPUs run best.
    ``gemm``    the input gradient of large batches as one matrix product and an overlap-add, the
                kernel gradient in parts: the fastest that XLA alone does on a CPU.
    ``litert``  as ``xla``, but a transposed convolution to few channels as what LiteRT runs fast:
                for export alone.
    ``onednn``  calls into oneDNN (``jaxgan.native``), layers with their bias, activation and
                gradients in one call each: the fastest on a CPU.
"""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
from jax import lax
from jax.custom_derivatives import SymbolicZero

from jaxgan.errors import UserError
from jaxgan.gan import native

_DIMENSIONS = ("NHWC", "HWIO", "NHWC")
_BLOCK = 16  # channels that XNNPACK computes at a time
_MAX_BLOCK = 64  # channels of a block of pixels
_PART = 32  # images: XLA:CPU's kernel gradient of more than 64 falls out of the cache


def choose_backend(wanted: str = "auto") -> str:
    """Return the backend to run on JAX's default backend. The one place that decides.

    Args:
        wanted: A backend, or ``auto`` for the fastest that is there.

    Raises:
        UserError: ``onednn`` is wanted and cannot be had.
    """
    on_cpu = jax.default_backend() == "cpu"
    if wanted == "auto":
        return "xla" if not on_cpu else "gemm" if native.missing() else "onednn"
    reason = native.missing() if on_cpu else f"it runs on a CPU, not on {jax.default_backend()}"
    if wanted == "onednn" and reason:
        raise UserError(f"--convolution onednn: {reason}; or give --convolution auto")
    return wanted


@partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def convolve(x: jax.Array, kernel: jax.Array, stride: int, backend: str) -> jax.Array:
    """Return the strided convolution y [B, h, w, D] of x [B, s*h, s*w, C] with the kernel."""
    return (native.convolve if backend == "onednn" else _convolve)(x, kernel, stride)


@partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def input_gradient(y: jax.Array, kernel: jax.Array, stride: int, backend: str) -> jax.Array:
    """Return the transposed convolution x [B, s*h, s*w, C] of y [B, h, w, D]."""
    maps = {"gemm": _overlap_add, "onednn": native.input_gradient}
    return maps.get(backend, _dilated)(y, kernel, stride)


@partial(jax.custom_vjp, nondiff_argnums=(2, 3, 4))
def kernel_gradient(x: jax.Array, y: jax.Array, size: int, stride: int, backend: str) -> jax.Array:
    """Return the kernel [size, size, C, D] that correlates x with y, summed over the batch."""
    if backend == "onednn":
        return native.kernel_gradient(x, y, size, stride)
    if backend == "gemm" and len(x) > _PART:
        parts = [slice(at, at + _PART) for at in range(0, len(x), _PART)]
        gradients = [kernel_gradient(x[part], y[part], size, stride, backend) for part in parts]
        return sum(gradients[1:], gradients[0])
    # The convolution is linear in its kernel, so any primal will do; XLA drops it.
    zero = jnp.zeros((size, size, x.shape[-1], y.shape[-1]), x.dtype)
    return jax.vjp(lambda kernel: _convolve(x, kernel, stride), zero)[1](y)[0]


# The forward rules call the wrapped maps: a raw one would leave second derivatives to XLA.
def _convolve_forward(x, kernel, stride, backend):
    return convolve(x, kernel, stride, backend), (x, kernel)


def _convolve_backward(stride, backend, saved, dy):
    x, kernel = saved
    return (
        input_gradient(dy, kernel, stride, backend),
        kernel_gradient(x, dy, kernel.shape[0], stride, backend),
    )


def _input_gradient_forward(y, kernel, stride, backend):
    return input_gradient(y, kernel, stride, backend), (y, kernel)


def _input_gradient_backward(stride, backend, saved, dx):
    y, kernel = saved
    return (
        convolve(dx, kernel, stride, backend),
        kernel_gradient(dx, y, kernel.shape[0], stride, backend),
    )


def _kernel_gradient_forward(x, y, size, stride, backend):
    return kernel_gradient(x, y, size, stride, backend), (x, y)


def _kernel_gradient_backward(size, stride, backend, saved, dkernel):
    x, y = saved
    return input_gradient(y, dkernel, stride, backend), convolve(x, dkernel, stride, backend)


convolve.defvjp(_convolve_forward, _convolve_backward)
input_gradient.defvjp(_input_gradient_forward, _input_gradient_backward)
kernel_gradient.defvjp(_kernel_gradient_forward, _kernel_gradient_backward)


def layer(
    x: jax.Array, kernel: jax.Array, bias: jax.Array, doubles: bool, stride: int, slope: float,
    backend: str,
) -> jax.Array:  # fmt: skip
    """Return leaky_relu(map(x, kernel) + bias).

    Args:
        x: Images, large ones for ``convolve``, small ones for ``input_gradient``.
        kernel: [k, k, C, D].
        bias: One number a channel of the result.
        doubles: Whether the map is ``input_gradient``, which doubles images where s = 2.
        stride: s.
        slope: Of leaky ReLU, for negative values; above 0, as gradients tell a value's sign by
            the result's.
        backend: Backend of the family.
    """
    if slope <= 0:
        raise ValueError(f"slope: expected a number above 0, got {slope}")
    if backend == "onednn":
        return _layer(x, kernel, bias, native.Layer(doubles, kernel.shape[0], stride, slope))
    return jax.nn.leaky_relu(affine(x, kernel, bias, doubles, stride, backend), slope)


def affine(
    x: jax.Array, kernel: jax.Array, bias: jax.Array, doubles: bool, stride: int, backend: str
) -> jax.Array:
    """Return map(x, kernel) + bias; for the arguments see ``layer``."""
    if doubles and backend == "litert":
        return _in_blocks(x, kernel, bias, stride)
    apply = input_gradient if doubles else convolve
    return apply(x, kernel, stride, backend) + bias


def gate(x: jax.Array, around: jax.Array, slope: float) -> jax.Array:
    """Return x times the slope that leaky ReLU has at its results ``around``."""
    return jnp.where(around >= 0, x, slope * x)


def linearized(
    x: jax.Array, kernel: jax.Array, bias: jax.Array, bias_scale: jax.Array, around: jax.Array,
    stride: int, slope: float, backend: str,
) -> jax.Array:  # fmt: skip
    """Return a layer of ``convolve``, linearized around some of its results.

    gate(convolve(x, kernel) + bias_scale * bias): the layer itself, were every unit to stay on the
    side of 0 that it is on ``around`` that result. Linear in (x, bias_scale).

    Args:
        x: [B, s*h, s*w, C].
        kernel: [k, k, C, D].
        bias: [D].
        bias_scale: How much of the bias each image takes, [B].
        around: Result of the layer, [B, h, w, D].
        stride: s.
        slope: Of leaky ReLU.
        backend: Backend of the family.

    Its gradients in bias_scale and around are none.
    """
    bias_scale, around = lax.stop_gradient((bias_scale, around))
    if backend == "onednn":
        return _linearized(
            x, kernel, bias, bias_scale, around, native.Layer(False, len(kernel), stride, slope)
        )
    return _in_steps(x, kernel, bias, bias_scale, around, stride, slope, backend)


def _in_steps(x, kernel, bias, bias_scale, around, stride, slope, backend):
    sum_ = convolve(x, kernel, stride, backend) + bias_scale[:, None, None, None] * bias
    return gate(sum_, around, slope)


# The same, but with its gradients in x and the kernel by one call of oneDNN.
@partial(jax.custom_vjp, nondiff_argnums=(5,))
def _linearized(x, kernel, bias, bias_scale, around, what):
    return _in_steps(x, kernel, bias, bias_scale, around, what.stride, what.slope, "onednn")


def _linearized_forward(x, kernel, bias, bias_scale, around, what):
    return _linearized(x, kernel, bias, bias_scale, around, what), (x, kernel, bias_scale, around)


def _linearized_backward(what, saved, gradient):
    x, kernel, bias_scale, around = saved
    d_x, d_kernel, _ = native.layer_gradient(x, kernel, around, gradient, what)
    d_bias = bias_scale @ jnp.sum(gate(gradient, around, what.slope), (1, 2))
    return d_x, d_kernel, d_bias, None, None


_linearized.defvjp(_linearized_forward, _linearized_backward)


# A layer as one call of oneDNN, and its gradients as another, so that what lies between the sums
# stays in a core's cache. Only the gradients' own derivatives are taken step by step.
@partial(jax.custom_vjp, nondiff_argnums=(3,))
def _layer(x, kernel, bias, what):
    return native.layer(x, kernel, bias, what)


def _layer_forward(x, kernel, bias, what):
    # What is not saved tells the backward rule which gradient nobody needs.
    result = _layer(x.value, kernel.value, bias.value, what)
    saved_x = x.value if kernel.perturbed or bias.perturbed else None
    saved_kernel = kernel.value if x.perturbed else None
    return result, (saved_x, saved_kernel, result)


def _layer_backward(what, saved, gradient):
    if isinstance(gradient, SymbolicZero):
        return None, None, None
    return _layer_gradient(*saved, gradient, what)


@partial(jax.custom_vjp, nondiff_argnums=(4,))
def _layer_gradient(x, kernel, result, gradient, what):
    return native.layer_gradient(x, kernel, result, gradient, what)


def _layer_gradient_forward(x, kernel, result, gradient, what):
    found = _layer_gradient(x, kernel, result, gradient, what)
    return found, (x, kernel, result, gradient)


def _layer_gradient_backward(what, saved, cotangents):
    def in_steps(x, kernel, result, gradient):
        z = jnp.where(result >= 0, 1.0, what.slope) * gradient
        d_x = d_kernel = None
        if kernel is not None:
            d_x = (convolve if what.doubles else input_gradient)(z, kernel, what.stride, "onednn")
        if x is not None:
            large, small = (z, x) if what.doubles else (x, z)
            d_kernel = kernel_gradient(large, small, what.size, what.stride, "onednn")
        return d_x, d_kernel, jnp.sum(z, (0, 1, 2))

    return jax.vjp(in_steps, *saved)[1](cotangents)


_layer.defvjp(_layer_forward, _layer_backward, symbolic_zeros=True)
_layer_gradient.defvjp(_layer_gradient_forward, _layer_gradient_backward)


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


def _in_blocks(y: jax.Array, kernel: jax.Array, bias: jax.Array, stride: int) -> jax.Array:
    """Let an ordinary convolution give whole blocks of pixels as its channels.

    XNNPACK, which runs LiteRT's convolutions, computes 16 channels at a time, and of a transposed
    one to 1 or 3 channels it throws most away. Here the pixels of a block and their channels fill
    16 or more: a block is what n x n pixels of y and their neighbours paint.
    """
    batch, height, width, depth = y.shape
    size, _, channels, _ = kernel.shape
    fits = channels * (2 * stride) ** 2 <= _BLOCK and height % 2 == width % 2 == 0
    n = 2 if fits else 1
    side, pad = n * stride, (size - stride) // 2
    if size != 2 * stride or channels >= _BLOCK or channels * side**2 > _MAX_BLOCK:
        return _dilated(y, kernel, stride) + bias
    # Whether tap k of a window's pixel r paints pixel a of the block.
    r, k, a = jnp.ogrid[: n + 2, :size, :side]
    paints = (a == stride * (r - 1) + k - pad).astype(y.dtype)
    blocks = jnp.einsum("rka,slb,klcd->rsdabc", paints, paints, kernel)
    x = lax.conv_general_dilated(
        y, blocks.reshape(n + 2, n + 2, depth, -1), (n, n), ((1, 1), (1, 1)),
        dimension_numbers=_DIMENSIONS,
    )  # fmt: skip
    # Before pixels are moved, so that it is part of the convolution. The converter computes this
    # concatenation; a tile it would leave as two operations on whole images.
    x += jnp.concatenate([bias] * side**2)
    x = x.reshape(batch, height // n, width // n, side, side, channels).transpose(0, 1, 3, 2, 4, 5)
    return x.reshape(batch, height * stride, width * stride, channels)


def _overlap_add(y: jax.Array, kernel: jax.Array, stride: int) -> jax.Array:
    """Let every pixel of y paint its kernel-sized patch by one matrix product; add the patches.

    A patch is cut into tiles of stride x stride. Tiles of one place in their patches lie side by
    side without overlap, so they form a whole image, and k/s x k/s shifted images are added.
    """
    batch, height, width, depth = y.shape
    size, _, channels, _ = kernel.shape
    few = batch <= 2 * _PART and channels > 4  # then XLA's own is as fast, and cheaper around it
    if size % stride or few:
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
    # Else XLA adds the patches anew wherever the result is used.
    return lax.optimization_barrier(
        painted[:, pad : pad + height * stride, pad : pad + width * stride]
    )
