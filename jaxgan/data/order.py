"""The order of the training images: a function of seed and step alone."""

from __future__ import annotations

import functools

import numpy as np


def batch_indices(seed: int, step: int, batch_size: int, count: int) -> np.ndarray:
    """Return the images that a step trains on.

    Each epoch is a new permutation of all images, cut into whole batches. The remainder is left out
    of that epoch.

    Args:
        seed: Seed of the run.
        step: Step, counted from 0.
        batch_size: Images per step, at most ``count``.
        count: Number of training images.

    Returns:
        Integers [batch_size], each from 0 to ``count`` - 1.
    """
    epoch, batch = divmod(step, count // batch_size)
    return _permutation(seed, epoch, count)[batch * batch_size : (batch + 1) * batch_size]


@functools.lru_cache(maxsize=2)
def _permutation(seed: int, epoch: int, count: int) -> np.ndarray:
    return np.random.default_rng([seed, epoch]).permutation(count)
