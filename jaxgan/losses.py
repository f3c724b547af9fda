"""Losses: logits → scalar. A logit is the discriminator's log-odds that an image is real."""

from __future__ import annotations

import jax
import jax.numpy as jnp


def discriminator_loss(real: jax.Array, fake: jax.Array) -> jax.Array:
    """Return the binary cross-entropy of a discriminator.

    L_D = mean(-log sigmoid(real)) + mean(-log(1 - sigmoid(fake))), Goodfellow et al. 2014, eq. 1,
    written with softplus so that no logit overflows. 2 log 2 where all logits are zero.

    Args:
        real: Logits on real images [B], float32.
        fake: Logits on generated images [B], float32.
    """
    return jnp.mean(jax.nn.softplus(-real)) + jnp.mean(jax.nn.softplus(fake))


def generator_loss(fake: jax.Array) -> jax.Array:
    """Return the non-saturating loss of a generator.

    L_G = mean(-log sigmoid(fake)), Goodfellow et al. 2014, section 3. log 2 at zero logits.

    Args:
        fake: Logits on generated images [B], float32.
    """
    return jnp.mean(jax.nn.softplus(-fake))
