"""What images are drawn from: latent vectors and labels, as functions of a seed and an index.

The C++ library draws the same latents (``tflite_cpp/src/latents.cc``); both are held against
``tflite_cpp/tests/latents.txt``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np


@partial(jax.jit, static_argnames="size")
def _draw(seeds: jax.Array, indices: jax.Array, kept: jax.Array | None, size: int) -> jax.Array:
    def one(seed: jax.Array, index: jax.Array) -> jax.Array:
        key = jax.random.fold_in(jax.random.key(seed, impl="threefry2x32"), index)
        if kept is None:
            return jax.random.normal(key, (size,))
        lowest = jnp.nextafter(jnp.float32(-1), jnp.float32(0))
        uniform = jax.random.uniform(key, (size,), minval=lowest, maxval=1.0)
        return np.float32(np.sqrt(2)) * jax.lax.erf_inv(uniform * kept)

    return jax.vmap(one)(seeds, indices)


def latents(
    seeds: int | Sequence[int] | np.ndarray,
    indices: Sequence[int] | np.ndarray,
    size: int,
    truncation: float | None = None,
) -> jax.Array:
    """Return the latent vectors of some images.

    Image i of a seed has ``jax.random.normal(fold_in(key(seed), i), (size,))`` (Threefry), so it
    depends on its seed and index alone, not on how many are drawn at once. That is
    ``sqrt(2) * erfinv(u)`` with u uniform in (-1, 1).

    Truncated to [-T, T] (Brock et al. 2019) it is ``sqrt(2) * erfinv(u * erf(T / sqrt(2)))``, the
    inverse of the truncated distribution's CDF: a continuous function of T. Where they draw again
    what falls outside, this uses up no random number.

    Args:
        seeds: One for all images or one an image, each 0 to 2**32 - 1.
        indices: Numbers of the images, each 0 to 2**32 - 1.
        size: Length of a latent vector.
        truncation: T, above 0 and at most 10; None for the ordinary distribution.

    Returns:
        float32 [len(indices), size].
    """
    indices = np.asarray(indices, np.uint32)
    seeds = np.broadcast_to(np.asarray(seeds, np.uint32), indices.shape)
    kept = None if truncation is None else np.float32(math.erf(truncation / math.sqrt(2)))
    return _draw(seeds, indices, kept, size)


def cycle(labels: Sequence[int], indices: np.ndarray) -> np.ndarray | None:
    """Return the label of each image, int32 [len(indices)]: image i takes ``labels[i % len]``.

    None where there are no labels: a plain GAN.
    """
    return np.asarray(labels, np.int32)[indices % len(labels)] if len(labels) else None
