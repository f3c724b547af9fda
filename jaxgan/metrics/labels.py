"""What a classifier sees in generated images: the classes that were asked for, in even shares."""

from __future__ import annotations

import numpy as np


def agreement(wanted: np.ndarray, seen: np.ndarray) -> float:
    """Return the share of images whose class is the one asked for, 0 to 1.

    Args:
        wanted: Labels given to the generator, int [N].
        seen: Labels that a classifier gives to its images, int [N].
    """
    return float(np.mean(np.equal(wanted, seen)))


def histogram(label: np.ndarray, classes: int) -> np.ndarray:
    """Return the share of each class among labels int [N], float64 [classes]; the sum is 1."""
    return np.bincount(label, minlength=classes) / len(label)


def histogram_kl(label: np.ndarray, classes: int) -> float:
    """Return KL(p ‖ uniform) in nats of the shares p of the classes among labels int [N].

    Σ p log(p · classes), with 0 log 0 = 0: 0 for even shares, log(classes) for one class alone. It
    is taken from the shares as they are, so N labels of a uniform source give about
    (classes - 1) / 2N.
    """
    share = histogram(label, classes)
    share = share[share > 0]
    return float(np.sum(share * np.log(share * classes)))
