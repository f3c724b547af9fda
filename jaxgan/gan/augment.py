"""Augmentation of what D sees, so that it cannot learn a small set by heart.

Every transformation T is affine in its image, with random numbers of its own (Zhao et al. 2020,
DiffAugment). So D after T is piecewise linear as D is, and ``gradients.with_penalties`` is exact
for it: slopes are taken at T(x), and G's gradient is pulled back through T, by its transpose.

``adapted`` and ``lecam`` are the other two means against overfitting; both see logits alone.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxgan.gan.losses import Objective

_SHIFT = 1 / 8  # of a side, at most
_CUT = 1 / 2  # of a side
_BRIGHTNESS, _CONTRAST, _SATURATION = 0.25, 0.5, 1.0  # at most; images here are in [0, 1]
_TARGET = 0.6  # of mean sign(real - fake logit); Karras et al. 2020 have it for sign(real logit)
_ADAPT_IMAGES = 100_000  # over which the probability goes from 0 to 1
_LOGIT_DECAY = 0.99  # a step, of the moving averages that LeCam compares with


class Adaptive(NamedTuple):
    """What is carried from step to step beside the weights.

    Attributes:
        probability: Of each augmentation, float32.
        logits: Moving averages of the mean real and fake logits, float32 [2].
    """

    probability: jax.Array
    logits: jax.Array


def augment(image: jax.Array, key: jax.Array, probability: jax.Array) -> jax.Array:
    """Return images, each shifted, recoloured and cut with some probability each.

    Args:
        image: float32 [B, H, W, C] in [-1, 1], premultiplied where C is 4.
        key: Its randomness.
        probability: 0 to 1; 0 gives the images themselves.
    """
    keys = jax.random.split(key, 3)
    image = _shift(image, keys[0], probability)
    image = _recolour(image, keys[1], probability)
    return _cut_out(image, keys[2], probability)


def _chosen(key: jax.Array, count: int, probability: jax.Array) -> jax.Array:
    return jax.random.bernoulli(key, probability, (count,))


def _shift(image: jax.Array, key: jax.Array, probability: jax.Array) -> jax.Array:
    """Shift images by up to an eighth of a side; what comes in repeats the edge."""
    whether, *keys = jax.random.split(key, 3)
    chosen = _chosen(whether, len(image), probability)
    # As products with matrices of zeros and ones: XLA:CPU gathers slowly, and scatters, which the
    # transpose would be, slower yet.
    for side, one, sum_ in zip(
        image.shape[1:3], keys, ("bij,bjwc->biwc", "bij,bhjc->bhic"), strict=True
    ):
        most = max(1, round(side * _SHIFT))
        by = chosen * jax.random.randint(one, chosen.shape, -most, most + 1)
        source = jnp.clip(jnp.arange(side) - by[:, None], 0, side - 1)
        image = jnp.einsum(sum_, jax.nn.one_hot(source, side), image)
    return image


def _recolour(image: jax.Array, key: jax.Array, probability: jax.Array) -> jax.Array:
    """Change brightness, contrast and saturation. Colours stay premultiplied: 0 where alpha is."""
    whether, *keys = jax.random.split(key, 4)
    chosen = _chosen(whether, len(image), probability)[:, None, None, None]
    brightness, contrast, saturation = (
        chosen * jax.random.uniform(one, chosen.shape, minval=-most, maxval=most)
        for one, most in zip(keys, (_BRIGHTNESS, _CONTRAST, _SATURATION), strict=True)
    )
    levels = (image + 1) / 2
    colours, alpha = levels[..., :3], levels[..., 3:]
    opaque: jax.Array | float = alpha if alpha.shape[-1] else 1.0
    grey = jnp.mean(colours, -1, keepdims=True)
    colours = grey + (1 + saturation) * (colours - grey)
    colours = (1 + contrast) * colours + (brightness - contrast / 2) * opaque
    return 2 * jnp.concatenate([colours, alpha], -1) - 1


def _cut_out(image: jax.Array, key: jax.Array, probability: jax.Array) -> jax.Array:
    """Paint a rectangle of half the sides grey, anywhere, over the edge included."""
    whether, *keys = jax.random.split(key, 3)
    count, height, width, _ = image.shape
    inside = _chosen(whether, count, probability)[:, None, None, None]
    for side, one, shape in zip(
        (height, width), keys, ((1, height, 1, 1), (1, 1, width, 1)), strict=True
    ):
        middle = jax.random.uniform(one, (count, 1, 1, 1), maxval=side)
        inside = inside & (jnp.abs(jnp.arange(side).reshape(shape) - middle) < side * _CUT / 2)
    return jnp.where(inside, 0.0, image)


def adapted(before: jax.Array, logits: list[jax.Array], most: float) -> jax.Array:
    """Return the probability of augmentations after a step.

    It rises where D ranks real images above generated ones too surely, which on a small set says
    that it knows them by heart, and falls where it does not: Karras et al. 2020 (ADA), section 3,
    with pairs of logits in place of the real ones' signs, as relativistic losses leave logits free
    to drift.

    Args:
        before: The probability, float32.
        logits: Of the real and of the generated images, [B] each.
        most: The highest probability.
    """
    real, fake = logits
    certain = jnp.mean(jnp.sign(real - fake))
    by = jnp.sign(certain - _TARGET) * len(real) / _ADAPT_IMAGES
    return jnp.clip(before + by, 0.0, most)


def lecam(objective: Objective, weight: float, averages: jax.Array) -> Objective:
    """Return an objective whose D is also kept near what its logits have been.

    weight · (mean max(0, real - A_fake)² + mean max(0, A_real - fake)²), A the moving averages:
    Tseng et al. 2021, eq. 3, as in their code.
    """

    def discriminator(real: jax.Array, fake: jax.Array) -> jax.Array:
        above = jnp.mean(jax.nn.relu(real - averages[1]) ** 2)
        below = jnp.mean(jax.nn.relu(averages[0] - fake) ** 2)
        return objective.discriminator(real, fake) + weight * (above + below)

    return objective._replace(discriminator=discriminator)


def averaged(averages: jax.Array, logits: list[jax.Array]) -> jax.Array:
    """Return the moving averages of the mean logits after a step, float32 [2]."""
    return _LOGIT_DECAY * averages + (1 - _LOGIT_DECAY) * jnp.stack([*map(jnp.mean, logits)])
