"""What a pass teaches: the penalties' gradients against differentiating twice."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan import convolution, lessons, losses, models
from jaxgan.config import ImageSpec

SIZE = 5
SPEC = ImageSpec((28, 28, 1), 10)


def players(form, spec=SPEC):
    """Return D, its params and a batch: real and generated images, labels."""
    discriminator = models.Discriminator(spec, 8, convolution.choose_form(form))
    keys = jax.random.split(jax.random.key(0), 3)
    real, fake = (jax.random.normal(key, (SIZE, *spec.shape)) for key in keys[:2])
    label = jnp.arange(SIZE) % 10
    params = discriminator.init(keys[2], real, label)["params"]
    return discriminator, params, real, fake, label


@pytest.mark.parametrize(
    ("form", "name", "spec"),
    [
        ("auto", "bce", SPEC), ("auto", "hinge", SPEC), ("auto", "rpgan", SPEC),
        ("gemm", "bce", SPEC), ("xla", "bce", SPEC),
        ("auto", "rpgan", ImageSpec((32, 32, 3), 0)),
    ],
)  # fmt: skip
def test_a_penalised_lesson_is_what_differentiating_twice_gives(form, name, spec):
    discriminator, params, real, fake, label = players(form, spec)
    objective, weights = losses.OBJECTIVES[name], jnp.array([0.3, 0.7])

    def judge(params, image):
        return discriminator.apply({"params": params}, image, label)

    def whole(params):
        loss = objective.discriminator(judge(params, real), judge(params, fake))
        for weight, image in zip(weights, (real, fake), strict=True):
            slope = jax.grad(lambda image: jnp.sum(judge(params, image)))(image)
            loss += weight * losses.gradient_penalty(slope)
        return loss

    lesson = lessons.penalised(discriminator, objective, params, real, fake, label, weights)
    expected, gradient = jax.value_and_grad(whole)(params)
    assert lesson.loss + lesson.penalty == pytest.approx(float(expected), rel=1e-5)

    def close(mine, theirs):
        np.testing.assert_allclose(mine, theirs, rtol=0, atol=1e-4 * jnp.abs(theirs).max() + 1e-6)

    jax.tree.map(close, lesson.gradient, gradient)

    g_loss, image_gradient = jax.value_and_grad(
        lambda image: objective.generator(judge(params, real), judge(params, image))
    )(fake)
    loss, got = lesson.for_generator(None)
    assert loss == pytest.approx(float(g_loss), rel=1e-5)
    close(got, image_gradient)


@pytest.mark.parametrize("name", losses.OBJECTIVES)
def test_without_penalties_both_lessons_teach_the_discriminator_the_same(name):
    discriminator, params, real, fake, label = players("auto")
    batch = (losses.OBJECTIVES[name], params, real, fake, label)
    one = lessons.in_turn(discriminator, *batch)
    other = lessons.penalised(discriminator, *batch, jnp.zeros(2))
    assert one.loss == pytest.approx(float(other.loss), rel=1e-5)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-6),
        one.gradient, other.gradient,
    )  # fmt: skip


@pytest.mark.parametrize("name", losses.OBJECTIVES)
def test_in_turn_the_generator_learns_from_the_updated_discriminator(name):
    discriminator, params, real, fake, label = players("auto")
    objective = losses.OBJECTIVES[name]
    lesson = lessons.in_turn(discriminator, objective, params, real, fake, label)
    updated = jax.tree.map(lambda value: 2 * value, params)
    loss, gradient = lesson.for_generator(updated)
    logits = (discriminator.apply({"params": updated}, image, label) for image in (real, fake))
    assert loss == pytest.approx(float(objective.generator(*logits)), rel=1e-5)

    def g_loss(image):
        judged = (discriminator.apply({"params": updated}, one, label) for one in (real, image))
        return objective.generator(*judged)

    expected = jax.grad(g_loss)(fake)
    np.testing.assert_allclose(gradient, expected, atol=1e-4 * jnp.abs(expected).max())
