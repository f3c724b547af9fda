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


def kl_to(label: np.ndarray, usual: np.ndarray) -> float:
    """Return KL(p ‖ q) in nats of the frequencies p of the classes among labels int [N].

    Args:
        label: Each one of the classes.
        usual: Frequencies q, float64 [classes], the sum is 1. A class that never occurs there is
            taken to occur in half of one of N images, as the divergence would be infinite.
    """
    q = np.maximum(usual, 0.5 / len(label))
    p = frequencies(label, len(usual))
    some = p > 0
    return float(np.sum(p[some] * np.log(p[some] / (q / q.sum())[some])))
