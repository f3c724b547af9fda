"""Density and coverage: precision and recall that a few outliers do not move."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from jaxgan.metrics import neighbours

K = 5  # neighbours within a ball, as in the paper


class DensityCoverage(NamedTuple):
    """Two measures; both are 1 for a set against itself, unless k others equal a feature.

    Attributes:
        density: Balls of the real that hold a fake, divided by k, mean over the fakes; 0 or more.
        coverage: Of the balls of the real, the share that hold a fake; 0 to 1.
    """

    density: float
    coverage: float


def density_coverage(
    real: np.ndarray, fake: np.ndarray, k: int = K, radius: np.ndarray | None = None
) -> DensityCoverage:
    """Return density and coverage, Naeem et al. 2020, eq. 3 and 4.

    The ball of a real feature reaches to its k-th nearest other real one, its surface excluded.

    Args:
        real: Features float32 [N, D].
        fake: Features float32 [M, D].
        k: 1 to N - 1.
        radius: ``neighbours.radii(real, k)``, where it is known already.
    """
    radius = neighbours.radii(real, k) if radius is None else radius
    density = np.mean(neighbours.balls_over(fake, real, radius)) / k
    coverage = np.mean(neighbours.reach(real, fake) < radius)
    return DensityCoverage(float(density), float(coverage))
