"""The three maps: equal in every form, adjoint, and closed under differentiation."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from jaxgan.convolution import convolve, input_gradient, kernel_gradient

FORMS = ("xla", "gemm")
# (batch, small height, small width, large channels, small channels, kernel, stride)
SHAPES = [
    (3, 7, 7, 8, 16, 4, 2),
    (2, 14, 14, 1, 8, 4, 2),
    (1, 5, 9, 3, 4, 4, 2),
    (5, 6, 6, 4, 4, 3, 1),
    (2, 4, 4, 3, 5, 1, 1),
    (2, 3, 5, 2, 3, 6, 2),
    (2, 3, 3, 2, 3, 5, 3),
]


def operands(shape):
    batch, height, width, large, small, size, stride = shape
    keys = jax.random.split(jax.random.key(0), 3)
    x = jax.random.normal(keys[0], (batch, height * stride, width * stride, large))
    y = jax.random.normal(keys[1], (batch, height, width, small))
    return x, y, jax.random.normal(keys[2], (size, size, large, small)), size, stride


def plain(x, kernel, stride):
    """The convolution, which XLA differentiates by itself."""
    pad = (kernel.shape[0] - stride) // 2
    return lax.conv_general_dilated(
        x, kernel, (stride, stride), [(pad, pad)] * 2, dimension_numbers=("NHWC", "HWIO", "NHWC")
    )


def close(got, expected):
    """Relative to the largest value: 1e-5."""
    np.testing.assert_allclose(got, expected, atol=1e-5 * float(jnp.abs(expected).max()), rtol=0)


def test_a_value_by_hand():
    # One pixel of 1 under a 4x4 kernel of 0..15, stride 2, pad 1: it is seen at place (1, 1).
    x = jnp.zeros((1, 2, 2, 1)).at[0, 0, 0, 0].set(1.0)
    kernel = jnp.arange(16.0).reshape(4, 4, 1, 1)
    assert convolve(x, kernel, 2, "xla").item() == 5.0
    # Transposed, a pixel of 1 paints the middle of the kernel onto 2x2 pixels.
    painted = input_gradient(jnp.ones((1, 1, 1, 1)), kernel, 2, "gemm")
    np.testing.assert_array_equal(painted[0, :, :, 0], [[5.0, 6.0], [9.0, 10.0]])


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("shape", SHAPES)
def test_the_maps_are_those_that_xla_derives(form, shape):
    x, y, kernel, size, stride = operands(shape)
    pull_back = jax.vjp(lambda x, kernel: plain(x, kernel, stride), x, kernel)[1]
    close(convolve(x, kernel, stride, form), plain(x, kernel, stride))
    close(input_gradient(y, kernel, stride, form), pull_back(y)[0])
    close(kernel_gradient(x, y, size, stride, form), pull_back(y)[1])


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("shape", SHAPES)
def test_the_maps_are_adjoint(form, shape):
    x, y, kernel, size, stride = operands(shape)
    forward = jnp.vdot(y, convolve(x, kernel, stride, form))
    np.testing.assert_allclose(
        jnp.vdot(x, input_gradient(y, kernel, stride, form)), forward, rtol=1e-4, atol=1e-3
    )
    np.testing.assert_allclose(
        jnp.vdot(kernel, kernel_gradient(x, y, size, stride, form)), forward, rtol=1e-4, atol=1e-3
    )


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("shape", SHAPES)
def test_first_derivatives_of_each_map(form, shape):
    x, y, kernel, size, stride = operands(shape)

    def by_xla(y, kernel):
        return jax.vjp(lambda x: plain(x, kernel, stride), x)[1](y)[0]

    def kernel_by_xla(x, y):
        return jax.vjp(lambda kernel: plain(x, kernel, stride), kernel)[1](y)[0]

    for ours, theirs, arguments in (
        (lambda a, b: convolve(a, b, stride, form), lambda a, b: plain(a, b, stride), (x, kernel)),
        (lambda a, b: input_gradient(a, b, stride, form), by_xla, (y, kernel)),
        (lambda a, b: kernel_gradient(a, b, size, stride, form), kernel_by_xla, (x, y)),
    ):
        result, pull_back = jax.vjp(ours, *arguments)
        expected = jax.vjp(theirs, *arguments)[1](result)
        for got, want in zip(pull_back(result), expected, strict=True):
            close(got, want)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("shape", SHAPES)
def test_second_derivatives_of_a_gradient_penalty(form, shape):
    x, _, kernel, _, stride = operands(shape)

    def penalty(apply):
        def norm(kernel, x):
            gradient = jax.grad(lambda x: jnp.sum(jnp.tanh(apply(x, kernel))))(x)
            return jnp.sum(gradient**2)

        return jax.grad(norm, argnums=(0, 1))(kernel, x)

    for got, want in zip(
        penalty(lambda x, k: convolve(x, k, stride, form)),
        penalty(lambda x, k: plain(x, k, stride)),
        strict=True,
    ):
        close(got, want)


def test_the_fast_form_keeps_derivatives_from_the_slow_convolution():
    # Left to itself, XLA differentiates a transposed convolution into one with a dilated operand.
    y, kernel = jnp.ones((2, 7, 7, 4)), jnp.ones((4, 4, 3, 4))

    def loss(y, kernel):
        return jnp.sum(input_gradient(y, kernel, 2, "gemm") ** 2)

    text = jax.jit(jax.grad(loss, argnums=(0, 1))).lower(y, kernel).as_text()
    assert "lhs_dilate = [1, 1]" in text or "lhs_dilate" not in text
    assert "lhs_dilate = [2, 2]" not in text
