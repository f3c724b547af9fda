"""Shapes, ranges and counts of both networks."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan.config import COMPONENTS, ImageSpec, TrainConfig, resolved
from jaxgan.errors import UserError
from jaxgan.gan.latents import latents
from jaxgan.gan.networks import (
    DiscriminatorNetwork,
    GeneratorNetwork,
    count,
    generator,
    maps,
)

SIZES = [
    (28, 28, 1), (32, 32, 3), (16, 16, 1), (20, 24, 1), (44, 44, 3), (60, 60, 1), (64, 64, 4),
    (64, 96, 3), (128, 128, 3), (256, 192, 4), (132, 140, 1),
]  # fmt: skip
LATENT = 16


@pytest.mark.parametrize("classes", (10, 0))
@pytest.mark.parametrize("shape", SIZES)
@pytest.mark.parametrize("backend", ("xla", "gemm", "litert"))
def test_shapes(shape, classes, backend):
    spec, batch = ImageSpec(shape, classes), 3
    label = jnp.arange(batch) if classes else None
    latent, key = jnp.zeros((batch, LATENT)), jax.random.key(0)
    draw = GeneratorNetwork(spec, 4, backend, residuals=2).init_with_output
    image, _ = jax.eval_shape(draw, key, latent, label)
    assert (image.shape, image.dtype) == ((batch, *shape), jnp.float32)
    rate = DiscriminatorNetwork(spec, 4, backend).init_with_output
    logit, _ = jax.eval_shape(rate, key, image, label)
    assert (logit.shape, logit.dtype) == ((batch,), jnp.float32)


@pytest.mark.parametrize("shape", [(28, 28, 1), (128, 132, 4)])
def test_images_are_in_range(shape):
    generator = GeneratorNetwork(ImageSpec(shape, 0), 4, "xla", residuals=2)
    latent = 10 * jax.random.normal(jax.random.key(0), (3, LATENT))
    image, _ = jax.jit(generator.init_with_output)(jax.random.key(1), latent)
    assert -1 <= image.min() < image.max() <= 1


@pytest.mark.parametrize(
    ("side", "strides", "channels"),
    [
        (16, [2, 2], [32, 64]),
        (28, [2, 2], [32, 64]),
        (32, [2, 2, 2], [32, 64, 128]),
        (48, [2, 2, 2], [32, 64, 128]),
        (64, [2, 2, 2, 2], [16, 32, 64, 128]),
        (96, [2, 2, 2, 2], [16, 32, 64, 128]),
        (128, [4, 2, 2, 2], [16, 32, 64, 128]),
        (256, [4, 2, 2, 2, 2], [16, 32, 64, 128, 128]),
    ],
)
def test_maps_shrink_to_4_to_7_and_channels_double_inwards(side, strides, channels):
    found = maps(side, side, 32)
    assert [level.stride for level in found] == strides
    assert [level.channels for level in found] == channels
    assert 4 <= side // np.prod(strides) <= 7


def test_every_admissible_size_has_maps_of_whole_sides():
    for height in range(16, 257, 4):
        for width in range(16, 257, 4):
            shrunk = int(np.prod([level.stride for level in maps(height, width, 8)]))
            assert height % shrunk == width % shrunk == 0
            assert min(height, width) // shrunk >= 4


def test_parameter_counts_by_hand():
    spec, width = ImageSpec((28, 28, 1), 10), 32
    one = jnp.zeros(1, jnp.int32)
    params = GeneratorNetwork(spec, width, "xla").init(jax.random.key(0), jnp.zeros((1, 64)), one)
    project = 64 * 7 * 7 * 64 + 7 * 7 * 64
    table = 10 * 7 * 7 * 64
    up = 4 * 4 * 32 * 64 + 32
    image = 4 * 4 * 1 * 32 + 1
    assert count(params) == project + table + up + image
    params = DiscriminatorNetwork(spec, width, "xla").init(
        jax.random.key(0), jnp.zeros((1, 28, 28, 1)), one
    )
    down = 4 * 4 * 1 * 32 + 32 + 4 * 4 * 32 * 64 + 64
    head = 7 * 7 * 64 * 128 + 128 + 128 * 10 + 10
    assert count(params) == down + head


def test_the_largest_number_picks_a_component():
    mixed = GeneratorNetwork(ImageSpec((16, 16, 1), 0), 4, "xla", components=3)
    latent = jnp.eye(4, LATENT)
    latent = latent.at[3, 1].set(0.5)  # the 1 in this row stands behind the components
    params = mixed.init(jax.random.key(0), latent)["params"]
    table = params["components"]["table"]
    assert table.shape == (3, params["project"]["kernel"].shape[1])
    plain = GeneratorNetwork(mixed.spec, mixed.width, mixed.backend)
    rest = {name: part for name, part in params.items() if name != "components"}
    for row, chosen in enumerate((0, 1, 2, 1)):
        project = {**rest["project"], "bias": rest["project"]["bias"] + table[chosen]}
        expected = plain.apply({"params": {**rest, "project": project}}, latent[row : row + 1])
        got = mixed.apply({"params": params}, latent[row : row + 1])
        np.testing.assert_allclose(got, expected, atol=1e-6)


def test_truncated_latents_choose_too():
    mixed = GeneratorNetwork(ImageSpec((16, 16, 1), 0), 4, "xla", components=COMPONENTS)
    latent = latents(0, range(1000), 64, truncation=0.5)
    params = mixed.init(jax.random.key(0), latent)["params"]
    _, kept = mixed.apply({"params": params}, latent, capture_intermediates=True)
    (added,) = kept["intermediates"]["components"]["__call__"]
    chosen = params["components"]["table"][latent[:, :COMPONENTS].argmax(1)]
    distance = jnp.linalg.norm(added - chosen, axis=1) / jnp.linalg.norm(chosen, axis=1)
    assert np.mean(distance < 0.15) > 0.85


@pytest.mark.parametrize(
    "shape, classes, options, components",
    [
        ((28, 28, 1), 0, {}, COMPONENTS),
        ((28, 28, 1), 0, {"latent_size": 5}, 5),
        ((28, 28, 1), 0, {"components": 0}, 0),
        ((28, 28, 1), 10, {}, 0),
        ((28, 28, 1), 10, {"components": 7}, 7),
        ((28, 28, 3), 0, {}, 0),
    ],
)
def test_which_images_have_a_mixture(shape, classes, options, components):
    spec = ImageSpec(shape, classes)
    config = resolved(TrainConfig(width=4, **options), spec)
    assert config.components == components
    assert generator(config, spec, "xla").components == components


@pytest.mark.parametrize(
    ("components", "expected"), [(-1, "at least 0"), (65, "0 to --latent-size, 64")]
)
def test_more_components_than_latents_are_refused(components, expected):
    with pytest.raises(UserError, match=f"--components: expected {expected}, got {components}"):
        TrainConfig(components=components)


def test_residual_layers_change_nothing_at_first():
    plain = GeneratorNetwork(ImageSpec((28, 28, 1), 2), 4, "xla")
    deep = GeneratorNetwork(plain.spec, 4, "xla", residuals=2)
    latent, label = jax.random.normal(jax.random.key(0), (3, LATENT)), jnp.array([0, 1, 0])
    image, before = plain.init_with_output(jax.random.key(1), latent, label)
    after = deep.init(jax.random.key(1), latent, label)
    assert count(after) - count(before) == 2 * (4 * 4 + 4) + 2 * (8 * 8 + 8)
    assert jnp.array_equal(deep.apply(after, latent, label), image)
    # What they add is at least leaky ReLU's smaller slope of their bias.
    after["params"]["residual_1_1"]["bias"] += 1.0
    assert not jnp.allclose(deep.apply(after, latent, label), image, atol=1e-3)


@pytest.mark.parametrize("residuals", (-1, 5))
def test_too_many_residual_layers_are_refused(residuals):
    with pytest.raises(UserError, match=f"--residuals: expected 0 to 4, got {residuals}"):
        TrainConfig(residuals=residuals)


def test_the_label_matters_only_with_classes():
    latent = jnp.ones((2, LATENT))
    image, _ = GeneratorNetwork(ImageSpec((28, 28, 1), 2), 4, "xla").init_with_output(
        jax.random.key(0), latent, jnp.array([0, 1])
    )
    assert not jnp.allclose(image[0], image[1])
    plain = GeneratorNetwork(ImageSpec((28, 28, 1), 0), 4, "xla")
    image, params = plain.init_with_output(jax.random.key(0), latent)
    assert jnp.allclose(image[0], image[1], atol=1e-6)  # a CPU may sum rows of a batch differently
    assert jnp.array_equal(plain.apply(params, latent, jnp.array([0, 1])), image)


def test_an_image_does_not_depend_on_its_batch():
    generator = GeneratorNetwork(ImageSpec((28, 28, 1), 3), 4, "gemm")
    latent, label = jax.random.normal(jax.random.key(0), (5, LATENT)), jnp.arange(5) % 3
    params = generator.init(jax.random.key(1), latent, label)
    whole = generator.apply(params, latent, label)
    alone = generator.apply(params, latent[3:4], label[3:4])
    assert jnp.allclose(whole[3], alone[0], atol=1e-6)


@pytest.mark.parametrize(
    "shape", [(12, 12, 1), (260, 64, 1), (30, 30, 1), (28, 28, 2), (28, 26, 1), (28, 28, 5)]
)
def test_other_shapes_are_refused(shape):
    with pytest.raises(UserError, match="multiples of 4 from 16 to 256"):
        ImageSpec(shape, 10)


def test_a_generator_goes_from_one_class_to_another():
    generator = GeneratorNetwork(ImageSpec((16, 16, 1), 3), 4, "xla")
    latent = jax.random.normal(jax.random.key(0), (4, 8))
    label, target_label = jnp.array([0, 1, 2, 0]), jnp.array([2, 2, 1, 0])
    params = generator.init(jax.random.key(1), latent, label)

    def at(weight):
        return generator.apply(params, latent, label, target_label, jnp.full(4, weight))

    close = functools.partial(np.testing.assert_allclose, atol=1e-6)
    close(at(0.0), generator.apply(params, latent, label))
    close(at(1.0), generator.apply(params, latent, target_label))
    assert np.abs(at(0.5) - at(0.0)).max(axis=(1, 2, 3))[:3].min() > 1e-3
    close(at(0.5)[3], at(0.0)[3])  # from a class to itself
