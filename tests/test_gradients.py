"""Gradients of a step: those with penalties against differentiating twice."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan.config import ImageSpec
from jaxgan.gan import convolution, gradients, losses, networks

SIZE = 5
SPEC = ImageSpec((28, 28, 1), 10)


def networks_of(backend, spec=SPEC):
    """Return D, its params and a batch: real and generated images, labels."""
    discriminator = networks.DiscriminatorNetwork(spec, 8, convolution.choose_backend(backend))
    keys = jax.random.split(jax.random.key(0), 3)
    real, fake = (jax.random.normal(key, (SIZE, *spec.shape)) for key in keys[:2])
    label = jnp.arange(SIZE) % 10
    params = discriminator.init(keys[2], real, label)["params"]
    return discriminator, params, real, fake, label


@pytest.mark.parametrize(
    ("backend", "name", "spec"),
    [
        ("auto", "bce", SPEC), ("auto", "hinge", SPEC), ("auto", "rpgan", SPEC),
        ("gemm", "bce", SPEC), ("xla", "bce", SPEC),
        ("auto", "rpgan", ImageSpec((32, 32, 3), 0)),
    ],
)  # fmt: skip
def test_gradients_with_penalties_are_what_differentiating_twice_gives(backend, name, spec):
    discriminator, params, real, fake, label = networks_of(backend, spec)
    objective, weights = losses.OBJECTIVES[name], jnp.array([0.3, 0.7])

    def logits_of(params, image):
        return discriminator.apply({"params": params}, image, label)

    def whole(params):
        loss = objective.discriminator(logits_of(params, real), logits_of(params, fake))
        for weight, image in zip(weights, (real, fake), strict=True):
            slope = jax.grad(lambda image: jnp.sum(logits_of(params, image)))(image)
            loss += weight * losses.gradient_penalty(slope)
        return loss

    found = gradients.with_penalties(discriminator, objective, params, real, fake, label, weights)
    expected, gradient = jax.value_and_grad(whole)(params)
    assert found.loss + found.penalty == pytest.approx(float(expected), rel=1e-5)

    def close(mine, theirs):
        np.testing.assert_allclose(mine, theirs, rtol=0, atol=1e-4 * jnp.abs(theirs).max() + 1e-6)

    jax.tree.map(close, found.gradient, gradient)

    g_loss, image_gradient = jax.value_and_grad(
        lambda image: objective.generator(logits_of(params, real), logits_of(params, image))
    )(fake)
    loss, got = found.for_generator(None)
    assert loss == pytest.approx(float(g_loss), rel=1e-5)
    close(got, image_gradient)


@pytest.mark.parametrize("name", losses.OBJECTIVES)
def test_without_penalties_both_ways_give_the_discriminator_the_same_gradient(name):
    discriminator, params, real, fake, label = networks_of("auto")
    batch = (losses.OBJECTIVES[name], params, real, fake, label)
    one = gradients.alternating(discriminator, *batch)
    other = gradients.with_penalties(discriminator, *batch, jnp.zeros(2))
    assert one.loss == pytest.approx(float(other.loss), rel=1e-5)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-6),
        one.gradient, other.gradient,
    )  # fmt: skip


@pytest.mark.parametrize("name", losses.OBJECTIVES)
def test_alternating_takes_the_generators_gradient_through_the_updated_discriminator(name):
    discriminator, params, real, fake, label = networks_of("auto")
    objective = losses.OBJECTIVES[name]
    found = gradients.alternating(discriminator, objective, params, real, fake, label)
    updated = jax.tree.map(lambda value: 2 * value, params)
    loss, gradient = found.for_generator(updated)
    logits = (discriminator.apply({"params": updated}, image, label) for image in (real, fake))
    assert loss == pytest.approx(float(objective.generator(*logits)), rel=1e-5)

    def g_loss(image):
        logits = (discriminator.apply({"params": updated}, one, label) for one in (real, image))
        return objective.generator(*logits)

    expected = jax.grad(g_loss)(fake)
    np.testing.assert_allclose(gradient, expected, atol=1e-4 * jnp.abs(expected).max())
