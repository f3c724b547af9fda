"""What changes in the course of a run, as pure functions of the images seen.

Nothing of it is stored: a run that goes on computes it anew from its step. The learning rate rises
to its height, if wanted, and falls as an inverse square root, which needs no end of the run to be
known. Other values go from those of a run's start to the ``…_final`` ones along a half cosine over
the first ``anneal_images`` images, as those of R3GAN do (Huang et al. 2024, appendix).
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from jaxgan.config import TrainConfig


def learning_rate(config: TrainConfig, seen: jax.Array) -> jax.Array:
    """Return Adam's step size after some images, learning_rate / √(1 + seen / N), float32.

    Until ``warmup_images`` are seen it is smaller, in proportion to them.
    """
    warm = jnp.minimum(1.0, seen / config.warmup_images) if config.warmup_images else 1.0
    assert config.learning_rate is not None  # resolved
    return config.learning_rate * warm * jax.lax.rsqrt(1.0 + seen / config.learning_rate_images)


def beta2(config: TrainConfig, seen: jax.Array) -> jax.Array:
    """Return Adam's decay of the second moment, float32."""
    final = config.beta2 if config.beta2_final is None else config.beta2_final
    return _annealed(config, config.beta2, final, seen)


def penalties(config: TrainConfig, seen: jax.Array) -> jax.Array:
    """Return the weights of R1 and R2, float32 [2]."""
    scale = _annealed(config, 1.0, config.penalty_final, seen)
    return scale * jnp.array([config.r1 or 0.0, config.r2 or 0.0])


def ema_decay(config: TrainConfig, seen: jax.Array, batch_size: int) -> jax.Array:
    """Return the decay of the weight EMA over one step of some images, float32.

    0.5 ** (batch / min(half_life, 0.05 * seen)): Karras et al. 2020, the code of StyleGAN2-ADA.
    """
    return 0.5 ** (batch_size / jnp.minimum(config.ema_half_life, 0.05 * seen))


def _annealed(config: TrainConfig, first: float, final: float, seen: jax.Array) -> jax.Array:
    passed = jnp.minimum(seen / config.anneal_images, 1.0)
    return final + (first - final) * (0.5 + 0.5 * jnp.cos(jnp.pi * passed))
