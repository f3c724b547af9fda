"""One layer of the network alone: its forward pass, or its gradients."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp

from benchmarks import dcgan
from jaxgan.gan.convolution import choose_backend, layer
from jaxgan.training import memory


def _sizes(layer: str) -> tuple[int, int, int]:
    """Return the side of the small map and the channels of the large and of the small one."""
    if layer == "inner":
        return dcgan.SMALL, dcgan.NARROW, dcgan.WIDE
    return 2 * dcgan.SMALL, 1, dcgan.NARROW


def gflop(batch: int, layer: str, doubles: bool = False, gradients: str = "") -> float:
    """Return the 10^9 multiplications and additions of what ``start`` times."""
    side, large, small = _sizes(layer)
    products = 2 * batch * side**2 * large * small * dcgan.KERNEL**2
    return (2 if gradients == "both" else 1) * products / 1e9


def start(
    batch: int, layer: str, doubles: bool = False, gradients: str = ""
) -> Callable[[int], None]:
    """Return what runs a layer.

    Args:
        batch: Images.
        layer: ``inner`` or ``outer``.
        doubles: The generator's layer instead of the discriminator's.
        gradients: ``both``, ``input`` or ``kernel``; the forward pass if empty.
    """
    memory.tune_malloc()
    memory.reuse(0)
    backend = choose_backend()
    side, large, small = _sizes(layer)
    shapes = (batch, 2 * side, 2 * side, large), (batch, side, side, small)
    x_shape, y_shape = shapes[::-1] if doubles else shapes
    keys = jax.random.split(jax.random.key(0), 3)
    x, y = jax.random.normal(keys[0], x_shape), jax.random.normal(keys[1], y_shape)
    kernel = jax.random.normal(keys[2], (dcgan.KERNEL, dcgan.KERNEL, large, small))
    bias = jnp.zeros(y_shape[-1])
    call = jax.jit(lambda *arrays: _apply(*arrays, backend, doubles))
    arguments = (x, kernel, bias)
    if gradients:
        saved = jax.jit(lambda *a: _pull_back(a, backend, doubles, gradients))(*arguments)
        call, arguments = jax.jit(lambda pull_back, y: pull_back(y)), (saved, y)

    def run(steps: int) -> None:
        result = None
        for _ in range(steps):
            result = call(*arguments)
        jax.block_until_ready(result)

    return run


def _apply(x, kernel, bias, backend: str, doubles: bool) -> jax.Array:
    return layer(x, kernel, bias, doubles, dcgan.STRIDE, dcgan.SLOPE, backend)


def _pull_back(arguments, backend: str, doubles: bool, gradients: str):
    """Return the function from the gradient in the result to the gradients that are wanted."""
    x, kernel, bias = arguments
    if gradients == "input":
        return jax.vjp(lambda x: _apply(x, kernel, bias, backend, doubles), x)[1]
    if gradients == "kernel":
        return jax.vjp(lambda k, b: _apply(x, k, b, backend, doubles), kernel, bias)[1]
    return jax.vjp(lambda *a: _apply(*a, backend, doubles), x, kernel, bias)[1]
