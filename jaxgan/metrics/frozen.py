"""What the networks of PyTorch files share: batch normalisation folded away, images in batches."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import jax
import numpy as np

_EPSILON = 1e-3  # of batch normalisation


def folded(
    saved: Mapping[str, np.ndarray], convolution: str, norm: str
) -> tuple[np.ndarray, np.ndarray]:
    """Return a convolution with the batch normalisation after it as one convolution.

    Args:
        saved: Arrays by name, as PyTorch has them.
        convolution: Name of the convolution.
        norm: Name of the batch normalisation.

    Returns:
        Kernel float32 [H, W, in, out] and bias float32 [out].
    """
    scale, bias, mean, variance = (
        saved[f"{norm}.{part}"].astype(np.float64)
        for part in ("weight", "bias", "running_mean", "running_var")
    )
    scale = scale / np.sqrt(variance + _EPSILON)
    kernel = saved[f"{convolution}.weight"].astype(np.float64).transpose(2, 3, 1, 0) * scale
    return kernel.astype(np.float32), (bias - mean * scale).astype(np.float32)


def in_batches(
    see: Callable[[np.ndarray], tuple[jax.Array, ...]], image: np.ndarray, rows: int
) -> list[np.ndarray]:
    """Return what a compiled function gives of images, so many at a time.

    The last batch is filled up with black images: of one shape, it is compiled once.

    Args:
        see: Images uint8 [rows, H, W, C] → arrays [rows, ...].
        image: uint8 [N, H, W, C].
        rows: Images at a time.
    """
    parts = []
    for start in range(0, len(image), rows):
        part = image[start : start + rows]
        some = np.zeros((rows, *part.shape[1:]), np.uint8)
        some[: len(part)] = part
        parts.append([np.asarray(one)[: len(part)] for one in see(some)])
    return [np.concatenate(one) for one in zip(*parts, strict=True)]
