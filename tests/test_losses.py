"""Losses at points where they can be worked out by hand."""

import jax
import jax.numpy as jnp
import pytest

from jaxgan.losses import discriminator_loss, generator_loss

ZERO = jnp.zeros(8)
LOG2 = 0.6931471805599453


def test_at_zero_logits():
    assert discriminator_loss(ZERO, ZERO) == pytest.approx(2 * LOG2, rel=1e-6)
    assert generator_loss(ZERO) == pytest.approx(LOG2, rel=1e-6)


def test_slopes_at_zero_logits():
    # d/dx softplus(-x) = -1/2 at 0, divided by the batch of 8.
    assert jax.grad(generator_loss)(ZERO)[0] == pytest.approx(-1 / 16)
    real, fake = jax.grad(discriminator_loss, argnums=(0, 1))(ZERO, ZERO)
    assert real[0] == pytest.approx(-1 / 16)
    assert fake[0] == pytest.approx(1 / 16)


def test_far_logits_stay_finite():
    # A wrong judgement of 1000 costs 1000 nats, a right one nothing.
    assert generator_loss(jnp.full(4, -1000.0)) == 1000.0
    assert discriminator_loss(jnp.full(4, -1000.0), jnp.full(4, 1000.0)) == 2000.0
    assert discriminator_loss(jnp.full(4, 1000.0), jnp.full(4, -1000.0)) == 0.0
