"""Precision and recall: are generated images like real ones, and is every real one met."""

from __future__ import annotations

import numpy as np

from jaxgan.metrics import neighbours

K = 3  # neighbours within a ball, as in the paper


def precision(
    real: np.ndarray, fake: np.ndarray, k: int = K, radius: np.ndarray | None = None
) -> float:
    """Return the share of the fakes within the balls of the real, Kynkäänniemi et al. 2019, eq. 1.

    A set is taken to cover a ball around each of its features, which reaches to the k-th nearest
    other one, its surface excluded as in the package prdc. Where k others equal a feature, its ball
    holds nothing.

    Args:
        real: Features float32 [N, D].
        fake: Features float32 [M, D].
        k: 1 to N - 1.
        radius: ``neighbours.radii(real, k)``, where it is known already.
    """
    radius = neighbours.radii(real, k) if radius is None else radius
    return float(np.mean(neighbours.balls_over(fake, real, radius) > 0))


def recall(real: np.ndarray, fake: np.ndarray, k: int = K) -> float:
    """Return the share of the real within the balls of the fakes, eq. 2; k is 1 to M - 1."""
    return precision(fake, real, k)
