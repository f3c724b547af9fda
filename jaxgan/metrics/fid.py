"""Fréchet distance of two sets of features, each fitted by a Gaussian."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np


class Moments(NamedTuple):
    """A Gaussian fitted to features.

    Attributes:
        mean: float64 [D].
        covariance: Unbiased, float64 [D, D].
    """

    mean: np.ndarray
    covariance: np.ndarray


def fid(a: np.ndarray, b: np.ndarray) -> float:
    """Return the Fréchet distance of the Gaussians fitted to two sets of features.

    0 or more, lower is closer. It falls as the sets grow, so compare only sets of one size.

    Args:
        a: Features float32 [N, D], N at least 2.
        b: Features float32 [M, D], M at least 2.

    Raises:
        ValueError: There are fewer.
    """
    return distance(moments(a), moments(b))


def moments(feature: np.ndarray) -> Moments:
    """Return mean and covariance of features float32 [N, D], computed in float64.

    Raises:
        ValueError: There are fewer than 2 features.
    """
    if len(feature) < 2:
        raise ValueError(f"a covariance needs 2 features or more, got {len(feature)}")
    with jax.enable_x64(True):
        return Moments(*map(np.asarray, _moments(feature)))


def distance(a: Moments, b: Moments) -> float:
    """Return the Fréchet distance of two Gaussians.

    d² = |m_a - m_b|² + Tr(C_a + C_b - 2 (C_a C_b)^½), Heusel et al. 2017, eq. 6, in float64. The
    last trace is that of (C_a^½ C_b C_a^½)^½, which is symmetric and has the same eigenvalues. NaN
    stays NaN.
    """
    with jax.enable_x64(True):
        return max(float(_distance(a, b)), 0.0)  # rounding leaves equal ones at about -1e-9


@jax.jit
def _moments(feature: jax.Array) -> tuple[jax.Array, jax.Array]:
    feature = feature.astype(jnp.float64)
    mean = jnp.mean(feature, 0)
    off = feature - mean
    return mean, off.T @ off / (len(feature) - 1)


@jax.jit
def _distance(a: Moments, b: Moments) -> jax.Array:
    values, vectors = jnp.linalg.eigh(a.covariance)
    root = (vectors * _root(values)) @ vectors.T
    shared = jnp.sum(_root(jnp.linalg.eigvalsh(root @ b.covariance @ root)))
    total = jnp.trace(a.covariance) + jnp.trace(b.covariance)
    return jnp.sum((a.mean - b.mean) ** 2) + total - 2 * shared


def _root(values: jax.Array) -> jax.Array:
    return jnp.sqrt(jnp.maximum(values, 0))  # an eigenvalue of 0 may come out as -1e-17
