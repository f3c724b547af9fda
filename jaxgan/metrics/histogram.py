"""How frequent each class is among labels, and how uneven that is."""

from __future__ import annotations

import numpy as np


def frequencies(label: np.ndarray, classes: int) -> np.ndarray:
    """Return the relative frequency of each class among labels int [N].

    Returns:
        float64 [classes], the sum is 1.
    """
    return np.bincount(label, minlength=classes) / len(label)


def kl(label: np.ndarray, classes: int) -> float:
    """Return KL(p ‖ uniform) in nats of the frequencies p of the classes among labels int [N].

    Σ p log(p · classes), with 0 log 0 = 0: 0 for equal frequencies, log(classes) for a single
    class. It is the plug-in estimate: N labels of a uniform source give about (classes - 1) / 2N.
    """
    p = frequencies(label, classes)
    p = p[p > 0]
    return float(np.sum(p * np.log(p * classes)))
