"""Losses at points where they can be worked out by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxgan.gan.losses import BCE, HINGE, OBJECTIVES, RPGAN, gradient_penalty

ZERO = jnp.zeros(8)
LOG2 = 0.6931471805599453


@pytest.mark.parametrize(
    ("objective", "discriminator", "generator"),
    [(BCE, 2 * LOG2, LOG2), (HINGE, 2.0, 0.0), (RPGAN, LOG2, LOG2)],
)
def test_at_zero_logits(objective, discriminator, generator):
    assert objective.discriminator(ZERO, ZERO) == pytest.approx(discriminator, rel=1e-6)
    assert objective.generator(ZERO, ZERO) == pytest.approx(generator, rel=1e-6)


@pytest.mark.parametrize(
    # d/dx softplus(-x) = -1/2 at 0, that of the hinge -1; divided by the batch of 8.
    ("objective", "slope"),
    [(BCE, 1 / 16), (HINGE, 1 / 8), (RPGAN, 1 / 16)],
)
def test_slopes_at_zero_logits(objective, slope):
    real, fake = jax.grad(objective.discriminator, argnums=(0, 1))(ZERO, ZERO)
    assert real[0] == pytest.approx(-slope)
    assert fake[0] == pytest.approx(slope)
    assert jax.grad(objective.generator, argnums=1)(ZERO, ZERO)[0] == pytest.approx(-slope)


@pytest.mark.parametrize("objective", OBJECTIVES.values(), ids=OBJECTIVES)
def test_a_wrong_judgement_costs_and_a_right_one_does_not(objective):
    # By 1000 nats each, so softplus is the ramp that it nears. The hinge's margin adds 1 a side.
    low, high = jnp.full(4, -1000.0), jnp.full(4, 1000.0)
    assert objective.discriminator(high, low) == 0.0
    assert 2000.0 <= objective.discriminator(low, high) <= 2002.0
    assert objective.generator(low, high) <= 0.0
    assert objective.generator(high, low) >= 1000.0


def test_pairing_looks_at_differences_alone():
    real, fake = jnp.array([1.0, -2.0, 0.5]), jnp.array([0.3, 4.0, -1.0])
    for loss in RPGAN[:2]:
        assert loss(real + 7.0, fake + 7.0) == pytest.approx(float(loss(real, fake)), rel=1e-5)


def test_the_penalty_of_a_linear_critic_is_half_its_squared_norm():
    weight = np.arange(12, dtype=np.float32).reshape(2, 2, 3)
    slope = jnp.broadcast_to(weight, (5, 2, 2, 3))
    assert gradient_penalty(slope) == pytest.approx(np.sum(weight**2) / 2)
