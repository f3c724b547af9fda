"""Kernel distance: squared maximum mean discrepancy of two sets of features."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

_ROWS = 500  # features whose kernels are in memory at a time


def kid(a: np.ndarray, b: np.ndarray, within_b: float | None = None) -> float:
    """Return the unbiased estimate of MMD² with the cubic kernel k(x, y) = (x·y / D + 1)³.

    mean_{i≠j} k(a_i, a_j) + mean_{i≠j} k(b_i, b_j) - 2 mean_{ij} k(a_i, b_j), Bińkowski et al.
    2018, section 4, over the whole sets, in float64. Its expectation does not depend on the sizes,
    and is 0 for sets of one distribution; so a value may be a little below 0.

    Args:
        a: Features float32 [N, D], N at least 2.
        b: Features float32 [M, D], M at least 2.
        within_b: ``within(b)``, if it is known already.
    """
    within_b = within(b) if within_b is None else within_b
    return within(a) + within_b - 2 * _sum(a, b) / (len(a) * len(b))


def within(a: np.ndarray) -> float:
    """Return the mean kernel of two different features of a set float32 [N, D], N at least 2."""
    with jax.enable_x64(True):
        diagonal = float(_own(a))
    return (_sum(a, a) - diagonal) / (len(a) * (len(a) - 1))


def _sum(a: np.ndarray, b: np.ndarray) -> float:
    with jax.enable_x64(True):
        return float(_kernels(a, b))


@jax.jit
def _kernels(a: jax.Array, b: jax.Array) -> jax.Array:
    b = b.astype(jnp.float64)
    rows = jax.lax.map(
        lambda one: jnp.sum((b @ one.astype(jnp.float64) / b.shape[1] + 1) ** 3),
        a,
        batch_size=_ROWS,
    )
    return jnp.sum(rows)


@jax.jit
def _own(a: jax.Array) -> jax.Array:
    return jnp.sum((jnp.sum(a.astype(jnp.float64) ** 2, 1) / a.shape[1] + 1) ** 3)
