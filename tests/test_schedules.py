"""Schedules at points where they can be worked out by hand."""

import dataclasses

import jax.numpy as jnp
import pytest

from jaxgan.config import TrainConfig
from jaxgan.gan import schedules

CONFIG = TrainConfig(
    learning_rate=1e-3, learning_rate_images=1000.0, beta2=0.9, beta2_final=0.99, r1=1.0, r2=0.5,
    penalty_final=0.2, anneal_images=1000.0, ema_half_life=40_000.0,
)  # fmt: skip


@pytest.mark.parametrize(
    ("seen", "beta2", "penalties"),
    # At half the way a half cosine is at the middle; after its end it stays.
    [(0, 0.9, (1.0, 0.5)), (500, 0.945, (0.6, 0.3)),
     (1000, 0.99, (0.2, 0.1)), (10**7, 0.99, (0.2, 0.1))],
)  # fmt: skip
def test_values_go_along_a_half_cosine(seen, beta2, penalties):
    seen = jnp.float32(seen)
    assert schedules.beta2(CONFIG, seen) == pytest.approx(beta2, rel=1e-5)
    assert schedules.penalties(CONFIG, seen) == pytest.approx(penalties, rel=1e-5)


@pytest.mark.parametrize(("seen", "share"), [(0, 1.0), (3000, 1 / 2), (99_000, 1 / 10)])
def test_the_learning_rate_falls_as_an_inverse_square_root(seen, share):
    rate = schedules.learning_rate(CONFIG, jnp.float32(seen))
    assert rate == pytest.approx(share * 1e-3, rel=1e-5)


@pytest.mark.parametrize(("seen", "share"), [(30, 0.1), (150, 0.5), (300, 1.0), (3000, 1.0)])
def test_the_learning_rate_rises_over_the_first_images(seen, share):
    config = dataclasses.replace(CONFIG, warmup_images=300.0)
    ratio = schedules.learning_rate(config, seen) / schedules.learning_rate(CONFIG, seen)
    assert ratio == pytest.approx(share, rel=1e-5)


def test_a_decay_without_an_end_stays():
    config = dataclasses.replace(CONFIG, beta2_final=None)
    assert schedules.beta2(config, jnp.float32(700)) == pytest.approx(0.9)


def test_the_averages_half_life_grows_to_its_setting():
    # 0.05 * 1,000,000 images seen is above the setting, so the setting holds: 64 images fade by
    # 0.5 ** (64 / 40,000).
    decay = schedules.ema_decay
    assert decay(CONFIG, jnp.float32(10**6), 64) == pytest.approx(0.5 ** (64 / 40_000))
    assert decay(CONFIG, jnp.float32(6400), 64) == pytest.approx(0.5 ** (64 / 320))
