"""Distances to nearest neighbours, computed in blocks, for precision, recall and their like."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

_ROWS = 500  # features whose distances are in memory at a time
# Squared distances below this times |x|² + |y|² are float64 rounding, for up to 4,000 dimensions.
_ROUNDING = 1e-12


def radii(feature: np.ndarray, k: int) -> np.ndarray:
    """Return the distance of each feature to its k-th nearest other one, float32 [N].

    Exactly 0 where k others are equal to it.

    Args:
        feature: float32 [N, D].
        k: 1 to N - 1.

    Raises:
        ValueError: There are fewer than k others.
    """
    if not 1 <= k < len(feature):
        raise ValueError(f"expected more than {k} features and k of 1 or more, got {len(feature)}")
    return reach(feature, feature, k)  # the nearest is the feature itself


def reach(feature: np.ndarray, other: np.ndarray, skip: int = 0) -> np.ndarray:
    """Return the distance of each feature [N, D] to the nearest of others [M, D], float32 [N].

    Args:
        feature: float32 [N, D].
        other: float32 [M, D].
        skip: Number of nearest ones to leave out, fewer than M.
    """
    with jax.enable_x64(True):
        return np.asarray(_reach(feature, other, skip))


def balls_over(feature: np.ndarray, centre: np.ndarray, radius: np.ndarray) -> np.ndarray:
    """Return how many balls contain each feature, int32 [N]. The balls are open.

    Args:
        feature: float32 [N, D].
        centre: float32 [M, D].
        radius: float32 [M].
    """
    with jax.enable_x64(True):
        return np.asarray(_balls_over(feature, centre, radius))


@jax.jit
def _reach(feature: jax.Array, other: jax.Array, skip: jax.Array) -> jax.Array:
    away = _distances_to(other)

    def one(point: jax.Array) -> jax.Array:
        distance = away(point)

        # Round by round the next larger distance, until enough are within: equal ones count each.
        # XLA's top_k takes ten times as long on a CPU.
        def further(_: int, found: jax.Array) -> jax.Array:
            next_one = jnp.min(distance, where=distance > found, initial=jnp.inf)
            return jnp.where(jnp.sum(distance <= found) <= skip, next_one, found)

        found: jax.Array = jax.lax.fori_loop(0, skip + 1, further, jnp.float32(-1))
        return found

    return _by_row(one, feature)


@jax.jit
def _balls_over(feature: jax.Array, centre: jax.Array, radius: jax.Array) -> jax.Array:
    away = _distances_to(centre)
    return _by_row(lambda point: jnp.sum(away(point) < radius, dtype=jnp.int32), feature)


def _by_row(function: Callable[[jax.Array], jax.Array], feature: jax.Array) -> jax.Array:
    rows: jax.Array = jax.lax.map(function, feature, batch_size=_ROWS)
    return rows


def _distances_to(other: jax.Array) -> Callable[[jax.Array], jax.Array]:
    """Return a function from a point [D] to its distances to others [M, D], float32 [M].

    |x|² + |y|² - 2 x·y, in float64 since it cancels where points are near; equal points are at
    exactly 0.
    """
    other = other.astype(jnp.float64)
    square = jnp.sum(other**2, 1)

    def away(point: jax.Array) -> jax.Array:
        point = point.astype(jnp.float64)
        both = jnp.sum(point**2) + square
        squared = both - 2 * (other @ point)
        return jnp.sqrt(jnp.where(squared <= _ROUNDING * both, 0, squared).astype(jnp.float32))

    return away
