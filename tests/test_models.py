"""Shapes, ranges and counts of both players."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan.config import ImageSpec
from jaxgan.errors import UserError
from jaxgan.models import Discriminator, Generator, channels, count, halvings

SIZES = [(28, 28, 1), (32, 32, 3), (16, 16, 1), (20, 24, 1), (44, 44, 3), (60, 60, 1), (64, 64, 3)]
LATENT = 16


@pytest.mark.parametrize("classes", (10, 0))
@pytest.mark.parametrize("shape", SIZES)
def test_shapes_and_ranges(shape, classes):
    spec, batch = ImageSpec(shape, classes), 3
    label = jnp.arange(batch) if classes else None
    latent = 10 * jax.random.normal(jax.random.key(0), (batch, LATENT))
    for form in ("xla", "gemm", "litert"):
        image, _ = Generator(spec, 4, form).init_with_output(jax.random.key(1), latent, label)
        assert image.shape == (batch, *shape)
        assert image.dtype == jnp.float32
        assert -1 <= image.min() < image.max() <= 1
        logit, _ = Discriminator(spec, 4, form).init_with_output(jax.random.key(2), image, label)
        assert logit.shape == (batch,)
        assert logit.dtype == jnp.float32


def test_halvings_and_channels():
    assert [halvings(size, size) for size in (16, 20, 28, 32, 60, 64)] == [2, 2, 2, 3, 2, 4]
    assert [channels(32, level) for level in (1, 2, 3, 4)] == [32, 64, 128, 128]


def test_parameter_counts_by_hand():
    spec, width = ImageSpec((28, 28, 1), 10), 32
    one = jnp.zeros(1, jnp.int32)
    params = Generator(spec, width, "xla").init(jax.random.key(0), jnp.zeros((1, 64)), one)
    project = 64 * 7 * 7 * 64 + 7 * 7 * 64
    table = 10 * 7 * 7 * 64
    up = 4 * 4 * 32 * 64 + 32
    image = 4 * 4 * 1 * 32 + 1
    assert count(params) == project + table + up + image
    params = Discriminator(spec, width, "xla").init(
        jax.random.key(0), jnp.zeros((1, 28, 28, 1)), one
    )
    down = 4 * 4 * 1 * 32 + 32 + 4 * 4 * 32 * 64 + 64
    head = 7 * 7 * 64 * 128 + 128 + 128 * 10 + 10
    assert count(params) == down + head


def test_the_label_matters_only_with_classes():
    latent = jnp.ones((2, LATENT))
    image, _ = Generator(ImageSpec((28, 28, 1), 2), 4, "xla").init_with_output(
        jax.random.key(0), latent, jnp.array([0, 1])
    )
    assert not jnp.allclose(image[0], image[1])
    image, _ = Generator(ImageSpec((28, 28, 1), 0), 4, "xla").init_with_output(
        jax.random.key(0), latent
    )
    assert jnp.array_equal(image[0], image[1])


def test_an_image_does_not_depend_on_its_batch():
    generator = Generator(ImageSpec((28, 28, 1), 3), 4, "gemm")
    latent, label = jax.random.normal(jax.random.key(0), (5, LATENT)), jnp.arange(5) % 3
    params = generator.init(jax.random.key(1), latent, label)
    whole = generator.apply(params, latent, label)
    alone = generator.apply(params, latent[3:4], label[3:4])
    assert jnp.allclose(whole[3], alone[0], atol=1e-6)


@pytest.mark.parametrize("shape", [(12, 12, 1), (68, 68, 1), (30, 30, 1), (28, 28, 2), (28, 26, 1)])
def test_other_shapes_are_refused(shape):
    with pytest.raises(UserError, match="multiples of 4 from 16 to 64"):
        ImageSpec(shape, 10)


def test_a_generator_goes_from_one_class_to_another():
    generator = Generator(ImageSpec((16, 16, 1), 3), 4, "xla")
    latent = jax.random.normal(jax.random.key(0), (4, 8))
    label, toward = jnp.array([0, 1, 2, 0]), jnp.array([2, 2, 1, 0])
    params = generator.init(jax.random.key(1), latent, label)

    def at(share):
        return generator.apply(params, latent, label, toward, jnp.full(4, share))

    close = functools.partial(np.testing.assert_allclose, atol=1e-6)
    close(at(0.0), generator.apply(params, latent, label))
    close(at(1.0), generator.apply(params, latent, toward))
    assert np.abs(at(0.5) - at(0.0)).max(axis=(1, 2, 3))[:3].min() > 1e-3
    close(at(0.5)[3], at(0.0)[3])  # from a class to itself
