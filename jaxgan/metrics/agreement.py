"""Label agreement: whether images are of the class that was requested."""

from __future__ import annotations

import numpy as np


def agreement(requested: np.ndarray, seen: np.ndarray) -> float:
    """Return the fraction of images whose class is the requested one, 0 to 1.

    Args:
        requested: Labels given to the generator, int [N].
        seen: Labels that a classifier gives to its images, int [N].
    """
    return float(np.mean(np.equal(requested, seen)))
