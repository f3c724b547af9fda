"""Augmentation of what D sees: exact with the cheap penalty, affine, and how likely it is."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan.config import ImageSpec, TrainConfig, resolved
from jaxgan.gan import convolution, gradients, losses, networks
from jaxgan.gan.augment import adapted, augment, averaged, lecam

KEY = jax.random.key(5)
SHAPES = [(16, 20, 1), (16, 16, 3), (20, 16, 4)]


def images_of(shape, count=6):
    return jax.random.uniform(jax.random.key(1), (count, *shape), minval=-1, maxval=1)


@pytest.mark.parametrize("shape", SHAPES)
def test_with_probability_0_an_image_is_itself(shape):
    image = images_of(shape)
    np.testing.assert_allclose(augment(image, KEY, jnp.float32(0)), image, atol=1e-6)


@pytest.mark.parametrize("shape", SHAPES)
def test_every_augmentation_is_affine_in_its_image(shape):
    one, other = images_of(shape), -images_of(shape) / 2

    def t(image):
        return augment(image, KEY, jnp.float32(1))

    np.testing.assert_allclose(t(0.3 * one + 0.7 * other), 0.3 * t(one) + 0.7 * t(other), atol=1e-5)
    assert np.abs(t(one) - one).max() > 0.1


def test_about_half_of_the_images_are_changed_with_probability_one_half_of_each():
    image = images_of((16, 16, 3), 400)
    same = np.isclose(augment(image, KEY, jnp.float32(0.5)), image, atol=1e-5).all((1, 2, 3))
    assert 0.5**3 * 0.6 < same.mean() < 0.5**3 * 1.6


def test_a_shift_repeats_the_edge_so_no_new_level_appears():
    image = jnp.zeros((32, 16, 16, 1)).at[:].set(jnp.linspace(-1, 1, 16)[:, None])
    from jaxgan.gan.augment import _shift

    moved = np.asarray(_shift(image, KEY, jnp.float32(1)))
    known = np.linspace(-1, 1, 16, dtype=np.float32)
    assert np.abs(moved[..., None] - known).min(-1).max() < 1e-6
    first = np.round((moved[:, 0, 0, 0] + 1) * 7.5).astype(int)
    assert set(first) <= {0, 1, 2}  # downwards the first row repeats, upwards it is another
    assert len(set(first)) > 1


def test_where_alpha_is_0_no_colour_appears():
    image = jnp.full((50, 16, 16, 4), -1.0)  # transparent: premultiplied colours are 0 as well
    from jaxgan.gan.augment import _recolour

    np.testing.assert_allclose(_recolour(image, KEY, jnp.float32(1)), image, atol=1e-6)


@pytest.mark.parametrize("name", ["bce", "rpgan"])
def test_a_step_with_augmentation_and_lecam_is_what_differentiating_twice_gives(name):
    spec, weights = ImageSpec((16, 16, 4), 3), jnp.array([0.3, 0.7])
    discriminator = networks.DiscriminatorNetwork(spec, 8, convolution.choose_backend())
    real, made = images_of(spec.shape), jnp.flip(images_of(spec.shape)) / 2
    label = jnp.arange(6) % 3
    params = discriminator.init(jax.random.key(2), real, label)["params"]
    objective = lecam(losses.OBJECTIVES[name], 0.5, jnp.array([0.2, -0.1]))
    keys = jax.random.split(KEY)

    def t(image, key):
        return augment(image, key, jnp.float32(0.8))

    def logits_of(params, image):
        return discriminator.apply({"params": params}, image, label)

    def d_loss(params):
        loss = objective.discriminator(
            logits_of(params, t(real, keys[0])), logits_of(params, t(made, keys[1]))
        )
        for weight, image, key in zip(weights, (real, made), keys, strict=True):
            slope = jax.grad(lambda image: jnp.sum(logits_of(params, image)))(t(image, key))
            loss += weight * losses.gradient_penalty(slope)
        return loss

    fake, pull_back = jax.vjp(lambda image: t(image, keys[1]), made)
    found = gradients.with_penalties(
        discriminator, objective, params, t(real, keys[0]), fake, label, weights
    )

    def close(mine, theirs):
        np.testing.assert_allclose(mine, theirs, rtol=0, atol=1e-4 * jnp.abs(theirs).max() + 1e-6)

    jax.tree.map(close, found.gradient, jax.grad(d_loss)(params))
    (got,) = pull_back(found.for_generator(None)[1])
    expected = jax.grad(
        lambda image: objective.generator(
            logits_of(params, t(real, keys[0])), logits_of(params, t(image, keys[1]))
        )
    )(made)
    close(got, expected)


def test_the_probability_rises_while_d_ranks_too_surely_and_falls_else():
    sure = [jnp.ones(64), -jnp.ones(64)]
    unsure = [jnp.zeros(64), jnp.zeros(64)]
    step = 64 / 100_000
    assert adapted(jnp.float32(0.5), sure, 1.0) == pytest.approx(0.5 + step)
    assert adapted(jnp.float32(0.5), unsure, 1.0) == pytest.approx(0.5 - step)
    assert adapted(jnp.float32(0.8), sure, 0.8) == pytest.approx(0.8)
    assert adapted(jnp.float32(0), unsure, 1.0) == 0


def test_lecam_by_hand():
    objective = lecam(losses.OBJECTIVES["hinge"], 2.0, jnp.array([1.0, -1.0]))
    real, fake = jnp.array([2.0]), jnp.array([-3.0])
    # Hinge: 0 + 0. Real is 3 above what fakes have been, fake 4 below what real ones have been.
    assert objective.discriminator(real, fake) == pytest.approx(2 * (3**2 + 4**2))
    moved = averaged(jnp.array([1.0, -1.0]), [real, fake])
    np.testing.assert_allclose(moved, [0.99 + 0.02, -0.99 - 0.03], rtol=1e-6)


@pytest.mark.parametrize(
    ("count", "augmentation", "weight"),
    [(300, "fixed", 0.1), (3_000, "adaptive", 0.0), (60_000, "none", 0.0)],
)
def test_the_size_of_the_set_chooses(count, augmentation, weight):
    config = resolved(TrainConfig(), ImageSpec((64, 64, 3), 0), count)
    assert (config.augment, config.lecam) == (augmentation, weight)
    said = resolved(TrainConfig(augment="none", lecam=0.5), ImageSpec((64, 64, 3), 0), count)
    assert (said.augment, said.lecam) == ("none", 0.5)
