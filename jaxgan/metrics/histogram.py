"""How often each class comes among labels, and how uneven that is."""

from __future__ import annotations

import numpy as np


def shares(label: np.ndarray, classes: int) -> np.ndarray:
    """Return the share of each class among labels int [N], float64 [classes]; the sum is 1."""
    return np.bincount(label, minlength=classes) / len(label)


def kl(label: np.ndarray, classes: int) -> float:
    """Return KL(p ‖ uniform) in nats of the shares p of the classes among labels int [N].

    Σ p log(p · classes), with 0 log 0 = 0: 0 for even shares, log(classes) for one class alone. It
    is taken from the shares as they are, so N labels of a uniform source give about
    (classes - 1) / 2N.
    """
    share = shares(label, classes)
    share = share[share > 0]
    return float(np.sum(share * np.log(share * classes)))
