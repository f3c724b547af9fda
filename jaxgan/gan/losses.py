"""Objectives: logits → scalar. A logit is the discriminator's log-odds that an image is real."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

Loss = Callable[[jax.Array, jax.Array], jax.Array]


class Objective(NamedTuple):
    """What the two networks minimise, each (real logits [B], fake logits [B]) → scalar, float32.

    Attributes:
        discriminator: The discriminator's loss.
        generator: The generator's loss.
        paired: Whether the generator's loss looks at real logits at all.
    """

    discriminator: Loss
    generator: Loss
    paired: bool = False


def _bce_discriminator(real: jax.Array, fake: jax.Array) -> jax.Array:
    return jnp.mean(jax.nn.softplus(-real)) + jnp.mean(jax.nn.softplus(fake))


def _bce_generator(real: jax.Array, fake: jax.Array) -> jax.Array:
    return jnp.mean(jax.nn.softplus(-fake))


BCE = Objective(_bce_discriminator, _bce_generator)
"""Binary cross-entropy, the generator's in its non-saturating form.

L_D = mean(-log sigmoid(real)) + mean(-log(1 - sigmoid(fake))), L_G = mean(-log sigmoid(fake)):
Goodfellow et al. 2014, eq. 1 and section 3, written with softplus so that no logit overflows.
2 log 2 and log 2 where all logits are zero.
"""


def _hinge_discriminator(real: jax.Array, fake: jax.Array) -> jax.Array:
    return jnp.mean(jax.nn.relu(1.0 - real)) + jnp.mean(jax.nn.relu(1.0 + fake))


def _hinge_generator(real: jax.Array, fake: jax.Array) -> jax.Array:
    return -jnp.mean(fake)


HINGE = Objective(_hinge_discriminator, _hinge_generator)
"""The hinge loss.

L_D = mean(max(0, 1 - real)) + mean(max(0, 1 + fake)), L_G = -mean(fake): Lim and Ye 2017;
Miyato et al. 2018, eq. 16 and 17. 2 and 0 at zero logits.
"""


def _rpgan_discriminator(real: jax.Array, fake: jax.Array) -> jax.Array:
    return jnp.mean(jax.nn.softplus(fake - real))


def _rpgan_generator(real: jax.Array, fake: jax.Array) -> jax.Array:
    return jnp.mean(jax.nn.softplus(real - fake))


RPGAN = Objective(_rpgan_discriminator, _rpgan_generator, paired=True)
"""Relativistic pairing: a real and a generated image are scored by the difference of their logits.

L_D = mean(-log sigmoid(real - fake)), L_G = mean(-log sigmoid(fake - real)):
Jolicoeur-Martineau 2019; Huang et al. 2024 (R3GAN), eq. 2. log 2 each where all logits are equal.
Both networks see the same real images; R3GAN draws fresh ones for the generator.
"""

OBJECTIVES = {"bce": BCE, "hinge": HINGE, "rpgan": RPGAN}


def gradient_penalty(slope: jax.Array) -> jax.Array:
    """Return half the mean squared norm of a discriminator's gradients in its images.

    mean(|slope|² / 2), the norm taken over pixels and channels: R1 on real images, R2 on generated
    ones (Mescheder et al. 2018, eq. 9 and 10).

    Args:
        slope: d logit / d image, float32 [B, H, W, C].
    """
    return jnp.mean(jnp.sum(slope**2, (1, 2, 3))) / 2
