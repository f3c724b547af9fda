"""The three maps: equal in every backend, adjoint, and closed under differentiation."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import python
from jax import lax

from jaxgan.errors import UserError
from jaxgan.gan import convolution, native
from jaxgan.gan.convolution import (
    affine,
    choose_backend,
    convolve,
    input_gradient,
    kernel_gradient,
    layer,
)

ONEDNN = pytest.param(
    "onednn", marks=pytest.mark.skipif(native.missing() is not None, reason=str(native.missing()))
)
BACKENDS = ("xla", "gemm", ONEDNN)
# (batch, small height, small width, large channels, small channels, kernel, stride)
SHAPES = [
    (3, 7, 7, 8, 16, 4, 2),
    (2, 14, 14, 1, 8, 4, 2),
    (1, 5, 9, 3, 4, 4, 2),
    (5, 6, 6, 4, 4, 3, 1),
    (2, 4, 4, 3, 5, 1, 1),
    (2, 3, 5, 2, 3, 6, 2),
    (2, 3, 3, 2, 3, 5, 3),
    # Layers of the default models, at batches that backends cut into parts with a rest.
    (67, 7, 7, 32, 64, 4, 2),
    (33, 14, 14, 1, 32, 4, 2),
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


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("shape", SHAPES)
def test_the_maps_are_those_that_xla_derives(backend, shape):
    x, y, kernel, size, stride = operands(shape)
    pull_back = jax.vjp(lambda x, kernel: plain(x, kernel, stride), x, kernel)[1]
    close(convolve(x, kernel, stride, backend), plain(x, kernel, stride))
    close(input_gradient(y, kernel, stride, backend), pull_back(y)[0])
    close(kernel_gradient(x, y, size, stride, backend), pull_back(y)[1])


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("shape", SHAPES)
def test_the_maps_are_adjoint(backend, shape):
    x, y, kernel, size, stride = operands(shape)
    forward = jnp.vdot(y, convolve(x, kernel, stride, backend))
    np.testing.assert_allclose(
        jnp.vdot(x, input_gradient(y, kernel, stride, backend)), forward, rtol=1e-4, atol=1e-3
    )
    np.testing.assert_allclose(
        jnp.vdot(kernel, kernel_gradient(x, y, size, stride, backend)),
        forward,
        rtol=1e-4,
        atol=1e-3,
    )


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("shape", SHAPES)
def test_first_derivatives_of_each_map(backend, shape):
    x, y, kernel, size, stride = operands(shape)

    def by_xla(y, kernel):
        return jax.vjp(lambda x: plain(x, kernel, stride), x)[1](y)[0]

    def kernel_by_xla(x, y):
        return jax.vjp(lambda kernel: plain(x, kernel, stride), kernel)[1](y)[0]

    for ours, theirs, arguments in (
        (
            lambda a, b: convolve(a, b, stride, backend),
            lambda a, b: plain(a, b, stride),
            (x, kernel),
        ),
        (lambda a, b: input_gradient(a, b, stride, backend), by_xla, (y, kernel)),
        (lambda a, b: kernel_gradient(a, b, size, stride, backend), kernel_by_xla, (x, y)),
    ):
        result, pull_back = jax.vjp(ours, *arguments)
        expected = jax.vjp(theirs, *arguments)[1](result)
        for got, want in zip(pull_back(result), expected, strict=True):
            close(got, want)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("shape", SHAPES)
def test_second_derivatives_of_a_gradient_penalty(backend, shape):
    x, _, kernel, size, stride = operands(shape)
    # Results of about 1, as in a network: where tanh is flat, float32 loses digits in any backend.
    kernel *= (size**2 * x.shape[-1]) ** -0.5

    def penalty(apply):
        def norm(kernel, x):
            gradient = jax.grad(lambda x: jnp.sum(jnp.tanh(apply(x, kernel))))(x)
            return jnp.sum(gradient**2)

        return jax.grad(norm, argnums=(0, 1))(kernel, x)

    for got, want in zip(
        penalty(lambda x, k: convolve(x, k, stride, backend)),
        penalty(lambda x, k: plain(x, k, stride)),
        strict=True,
    ):
        close(got, want)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("doubles", [False, True])
@pytest.mark.parametrize("batch", [1, 8, 41])
class TestLayer:
    """leaky_relu(map + bias), in one piece where the backend has one."""

    def operands(self, batch, doubles):
        x, y, kernel, _, stride = operands((batch, 5, 7, 3, 6, 4, 2))
        bias = jax.random.normal(jax.random.key(1), (3 if doubles else 6,))
        return (y if doubles else x), kernel, bias, stride

    def plainly(self, x, kernel, bias, doubles, stride):
        apply = input_gradient if doubles else convolve
        return jax.nn.leaky_relu(apply(x, kernel, stride, "xla") + bias, 0.2)

    def test_value_and_first_derivatives(self, backend, doubles, batch):
        x, kernel, bias, stride = self.operands(batch, doubles)
        got, pull_back = jax.vjp(
            lambda *a: layer(*a, doubles, stride, 0.2, backend), x, kernel, bias
        )
        expected, expected_pull_back = jax.vjp(
            lambda *a: self.plainly(*a, doubles, stride), x, kernel, bias
        )
        close(got, expected)
        back = jnp.sin(expected)
        for mine, theirs in zip(pull_back(back), expected_pull_back(back), strict=True):
            close(mine, theirs)

    @pytest.mark.parametrize("wanted", [(0,), (1,), (2,), (0, 2), (1, 2)])
    def test_some_derivatives_alone(self, backend, doubles, batch, wanted):
        x, kernel, bias, stride = self.operands(batch, doubles)

        def loss(apply):
            return lambda *a: jnp.sum(jnp.tanh(apply(*a, doubles, stride)))

        got = jax.grad(loss(lambda *a: layer(*a, 0.2, backend)), wanted)(x, kernel, bias)
        expected = jax.grad(loss(self.plainly), wanted)(x, kernel, bias)
        for mine, theirs in zip(got, expected, strict=True):
            close(mine, theirs)

    def test_second_derivatives(self, backend, doubles, batch):
        x, kernel, bias, stride = self.operands(batch, doubles)

        def penalty(apply):
            def norm(x, kernel, bias):
                loss = lambda x: jnp.sum(jnp.tanh(apply(x, kernel, bias, doubles, stride)))  # noqa: E731
                return jnp.sum(jax.grad(loss)(x) ** 2)

            return jax.grad(norm, (0, 1, 2))(x, kernel, bias)

        got = penalty(lambda *a: layer(*a, 0.2, backend))
        for mine, theirs in zip(got, penalty(self.plainly), strict=True):
            close(mine, theirs)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_gradient_penalty_against_finite_differences_in_float64(backend):
    """R1 of a small critic with two layers: d penalty / d kernel, along a random direction."""
    keys = jax.random.split(jax.random.key(3), 5)
    image = jax.random.normal(keys[0], (9, 12, 12, 1))
    first, second = (
        jax.random.normal(key, shape) * 0.3
        for key, shape in zip(keys[1:3], [(4, 4, 1, 6), (4, 4, 6, 5)], strict=True)
    )
    bias = jnp.zeros(6), jnp.zeros(5)
    way = jax.random.normal(keys[3], first.shape), jax.random.normal(keys[4], second.shape)

    def penalty(kernels, image, backend):
        def critic(image):
            x = layer(image, kernels[0], bias[0].astype(image.dtype), False, 2, 0.2, backend)
            x = layer(x, kernels[1], bias[1].astype(image.dtype), False, 2, 0.2, backend)
            return jnp.sum(jnp.tanh(x))

        return jnp.sum(jax.grad(critic)(image) ** 2)

    got = jax.grad(penalty)((first, second), image, backend)
    got = sum(float(jnp.vdot(part, step)) for part, step in zip(got, way, strict=True))
    with jax.enable_x64(True):
        wide = [np.asarray(array, np.float64) for array in (first, second, image, *way)]

        def at(distance):
            kernels = tuple(wide[i] + distance * wide[3 + i] for i in range(2))
            return float(penalty(tuple(map(jnp.asarray, kernels)), jnp.asarray(wide[2]), "xla"))

        expected = (at(1e-6) - at(-1e-6)) / 2e-6
    assert got == pytest.approx(expected, rel=1e-4)


@pytest.mark.slow
@pytest.mark.skipif(native.missing() is not None, reason=str(native.missing()))
def test_onednn_takes_sums_in_the_same_order_on_any_number_of_cores():
    code = (
        "import os, sys\n"
        "os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: int(sys.argv[1])])\n"
        "import jax, numpy, hashlib\n"
        "from jaxgan.gan import native\n"
        "from jaxgan.gan.convolution import kernel_gradient\n"
        "assert native.missing() is None\n"
        "x, y = (numpy.random.default_rng(0).standard_normal(shape, numpy.float32)\n"
        "        for shape in ((200, 14, 14, 8), (200, 7, 7, 16)))\n"
        "for _ in range(5):\n"
        "    found = numpy.asarray(kernel_gradient(x, y, 4, 2, 'onednn'))\n"
        "    print(hashlib.sha256(found.tobytes()).hexdigest())\n"
    )
    found = [python("-c", code, cores) for cores in ("1", "2")]
    assert all(done.returncode == 0 for done in found), found
    sums = {line for done in found for line in done.stdout.split()}
    assert len(sums) == 1


@pytest.mark.skipif(native.missing() is not None, reason=str(native.missing()))
@pytest.mark.parametrize(
    "call",
    [
        lambda x, y, kernel: convolve(x[..., :2], kernel, 2, "onednn"),
        lambda x, y, kernel: convolve(x[:, :13], kernel, 2, "onednn"),
        lambda x, y, kernel: convolve(x, kernel[:3, :3], 2, "onednn"),
        lambda x, y, kernel: input_gradient(y[..., :2], kernel, 2, "onednn"),
        lambda x, y, kernel: kernel_gradient(x, y[:2], 4, 2, "onednn"),
        lambda x, y, kernel: layer(x, kernel, jnp.zeros(1), False, 2, 0.2, "onednn"),
    ],
)
def test_onednn_refuses_shapes_that_do_not_fit(call):
    x, y, kernel, *_ = operands((3, 7, 7, 8, 16, 4, 2))
    with pytest.raises(ValueError, match="does not fit"):
        call(x, y, kernel)


def test_a_slope_that_hides_the_sign_is_refused():
    x, _, kernel, *_ = operands((3, 7, 7, 8, 16, 4, 2))
    with pytest.raises(ValueError, match="slope: expected a number above 0, got 0"):
        layer(x, kernel, jnp.zeros(16), False, 2, 0.0, "xla")


def test_the_form_is_chosen_in_one_place(monkeypatch):
    monkeypatch.setattr(native, "missing", lambda: None)
    assert choose_backend() == "onednn"
    assert choose_backend("xla") == "xla"
    monkeypatch.setattr(native, "missing", lambda: "it is not built; run: jaxgan native")
    assert choose_backend() == "gemm"
    with pytest.raises(
        UserError, match=r"--convolution onednn: it is not built; run: jaxgan native"
    ):
        choose_backend("onednn")
    monkeypatch.setattr(convolution.jax, "default_backend", lambda: "gpu")
    assert choose_backend() == "xla"
    with pytest.raises(UserError, match="it runs on a CPU, not on gpu"):
        choose_backend("onednn")


def test_the_fast_form_keeps_derivatives_from_the_slow_convolution():
    # Left to itself, XLA differentiates a transposed convolution into one with a dilated operand.
    y, kernel = jnp.ones((2, 7, 7, 4)), jnp.ones((4, 4, 3, 4))

    def loss(y, kernel):
        return jnp.sum(input_gradient(y, kernel, 2, "gemm") ** 2)

    text = jax.jit(jax.grad(loss, argnums=(0, 1))).lower(y, kernel).as_text()
    assert "lhs_dilate = [1, 1]" in text or "lhs_dilate" not in text
    assert "lhs_dilate = [2, 2]" not in text


@pytest.mark.parametrize(
    "shape", [(1, 4, 6, 1, 8), (2, 5, 4, 1, 3), (2, 4, 4, 3, 5), (1, 4, 4, 8, 2)]
)
def test_whole_blocks_are_a_transposed_convolution(shape):
    # Blocks of 2x2 pixels of y; of one, as 5 is odd; of three colours; too many channels for any.
    batch, height, width, channels, depth = shape
    y = jax.random.normal(jax.random.key(0), (batch, height, width, depth))
    kernel = jax.random.normal(jax.random.key(1), (4, 4, channels, depth))
    bias = jnp.arange(1.0, 1 + channels)
    found, expected = (affine(y, kernel, bias, True, 2, backend) for backend in ("litert", "xla"))
    np.testing.assert_allclose(found, expected, atol=1e-5)
