"""Label agreement: whether images are of the class that was asked for."""

from __future__ import annotations

import numpy as np


def agreement(wanted: np.ndarray, seen: np.ndarray) -> float:
    """Return the share of images whose class is the one asked for, 0 to 1.

    Args:
        wanted: Labels given to the generator, int [N].
        seen: Labels that a classifier gives to its images, int [N].
    """
    return float(np.mean(np.equal(wanted, seen)))
