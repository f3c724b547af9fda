"""The yardstick: what a product of large float32 matrices reaches on all cores."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

SIZE = 2048
GFLOP = 2 * SIZE**3 / 1e9


def start() -> Callable[[int], None]:
    """Return what multiplies two matrices of 2048 x 2048, by NumPy's BLAS."""
    left, right = np.random.default_rng(0).standard_normal((2, SIZE, SIZE), np.float32)
    out = np.empty_like(left)

    def run(steps: int) -> None:
        for _ in range(steps):
            np.matmul(left, right, out=out)

    return run
