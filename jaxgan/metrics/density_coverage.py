"""Density and coverage: like precision and recall, but robust to outliers."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from jaxgan.metrics import neighbours

K = 5  # neighbours in a ball, as in the paper


class DensityCoverage(NamedTuple):
    """Both are 1 for a set against itself, unless k others equal a feature.

    Attributes:
        density: Mean number of real balls that contain a fake, divided by k; 0 or more.
        coverage: Fraction of the real balls that contain a fake; 0 to 1.
    """

    density: float
    coverage: float


def density_coverage(
    real: np.ndarray, fake: np.ndarray, k: int = K, radius: np.ndarray | None = None
) -> DensityCoverage:
    """Return density and coverage, Naeem et al. 2020, eq. 3 and 4.

    The ball of a real feature is open; its radius is the distance to the k-th nearest other one.

    Args:
        real: Features float32 [N, D].
        fake: Features float32 [M, D].
        k: 1 to N - 1.
        radius: ``neighbours.radii(real, k)``, if it is known already.
    """
    radius = neighbours.radii(real, k) if radius is None else radius
    density = np.mean(neighbours.balls_over(fake, real, radius)) / k
    coverage = np.mean(neighbours.reach(real, fake) < radius)
    return DensityCoverage(float(density), float(coverage))
