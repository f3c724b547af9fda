"""The labels that a generator is asked for, and what a classifier sees in its images."""

from __future__ import annotations

import numpy as np

_SEED = 0


def order(size: int) -> np.ndarray:
    """Return the fixed order, int [size], by whose first images training images are sampled."""
    return np.random.default_rng(_SEED).permutation(size)


def asked(label: np.ndarray, count: int) -> np.ndarray:
    """Return the labels to ask a generator for, int [count]: those of a sample of training images.

    Classes are then as frequent as among real images. Asked for in even shares they alone would
    give digits an FID of 0.1: MNIST has a quarter more of 1 than of 5.

    Args:
        label: Of the training images, int [N]; they are begun again where count is more than N.
        count: Number of labels.
    """
    return np.resize(label[order(len(label))], count)


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
