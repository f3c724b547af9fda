"""Memorisation: how far each image is from the nearest training image."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

_ROWS = 250  # images whose distances are in memory at a time
# Pixels less 128 have products of at most 2**14: so many of them add up in float32's 24 bits
# without rounding, in any order.
_EXACT = 1024


def nearest(image: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return the Euclidean distance of each image to the nearest of others, float32 [N].

    Pixels are scaled to 0 to 1. Exactly 0 for an image that is among the others.

    Args:
        image: uint8 [N, H, W, C].
        other: uint8 [M, H, W, C], H·W·C at most 33,000.
    """
    squared = _nearest(image.reshape(len(image), -1), other.reshape(len(other), -1))
    return np.sqrt(np.asarray(squared, np.float32)) / np.float32(255)


@jax.jit
def _nearest(image: jax.Array, other: jax.Array) -> jax.Array:
    """Return the smallest squared distance of pixels 0 to 255, int32 [N]."""
    other = other.astype(jnp.float32) - 128
    parts = [other[:, at : at + _EXACT] for at in range(0, other.shape[1], _EXACT)]
    square = _square(other)

    def one(point: jax.Array) -> jax.Array:
        point = point.astype(jnp.float32) - 128
        product = sum(
            (part @ point[at * _EXACT :][: part.shape[1]]).astype(jnp.int32)
            for at, part in enumerate(parts)
        )
        return _square(point) + jnp.min(square - 2 * product)

    rows: jax.Array = jax.lax.map(one, image, batch_size=_ROWS)
    return rows


def _square(pixel: jax.Array) -> jax.Array:
    return jnp.sum(pixel.astype(jnp.int32) ** 2, -1)
