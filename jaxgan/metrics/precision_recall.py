"""Precision and recall: are generated images like real ones, and is every real one met."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from jaxgan.metrics import neighbours

K = 3  # neighbours within a ball, as in the paper


class PrecisionRecall(NamedTuple):
    """Two shares, each 0 to 1.

    Attributes:
        precision: Of the fakes, those within the balls of the real.
        recall: Of the real, those within the balls of the fakes.
    """

    precision: float
    recall: float


def precision_recall(real: np.ndarray, fake: np.ndarray, k: int = K) -> PrecisionRecall:
    """Return improved precision and recall, Kynkäänniemi et al. 2019, eq. 1 and 2.

    A set is taken to cover a ball around each of its features, which reaches to the k-th nearest
    other one, its surface excluded as in the package prdc.

    Args:
        real: Features float32 [N, D].
        fake: Features float32 [M, D].
        k: 1 to N - 1 and M - 1.
    """
    return PrecisionRecall(precision(real, fake, k), recall(real, fake, k))


def precision(
    real: np.ndarray, fake: np.ndarray, k: int = K, radius: np.ndarray | None = None
) -> float:
    """Return the precision alone; ``radius`` is ``neighbours.radii(real, k)`` where known."""
    radius = neighbours.radii(real, k) if radius is None else radius
    return float(np.mean(neighbours.balls_over(fake, real, radius) > 0))


def recall(real: np.ndarray, fake: np.ndarray, k: int = K) -> float:
    """Return the recall alone: the precision with the two sets exchanged."""
    return precision(fake, real, k)
