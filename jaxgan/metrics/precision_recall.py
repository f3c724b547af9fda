"""Precision and recall: whether generated images are like real ones, and the reverse."""

from __future__ import annotations

import numpy as np

from jaxgan.metrics import neighbours

K = 3  # neighbours in a ball, as in the paper


def precision(
    real: np.ndarray, fake: np.ndarray, k: int = K, radius: np.ndarray | None = None
) -> float:
    """Return the fraction of fakes in the balls of the real, Kynkäänniemi et al. 2019, eq. 1.

    A set covers a ball around each of its features. Its radius is the distance to the k-th nearest
    other feature, and it is open, as in the package prdc: where k others equal a feature, its ball
    is empty.

    Args:
        real: Features float32 [N, D].
        fake: Features float32 [M, D].
        k: 1 to N - 1.
        radius: ``neighbours.radii(real, k)``, if it is known already.
    """
    radius = neighbours.radii(real, k) if radius is None else radius
    return float(np.mean(neighbours.balls_over(fake, real, radius) > 0))


def recall(real: np.ndarray, fake: np.ndarray, k: int = K) -> float:
    """Return the fraction of the real in the balls of the fakes, eq. 2; k is 1 to M - 1."""
    return precision(fake, real, k)
