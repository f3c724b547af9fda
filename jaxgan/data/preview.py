"""Rows of an import → images as the networks will see them: in a split, and on a sheet."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from jaxgan.data.intake import Taken
from jaxgan.data.store import Split
from jaxgan.io import images

COUNT, COLUMNS = 100, 10  # images on a sheet


def split(taken: Taken, rows: np.ndarray, channels: int, label: np.ndarray, mirror: bool) -> Split:
    """Return the images of some rows with their labels; with ``mirror`` the mirrored ones follow.

    Args:
        taken: The images.
        rows: int64 [N].
        channels: Of the dataset.
        label: int32, of every row of ``taken``.
        mirror: Whether to double them.
    """

    def blocks() -> Iterator[np.ndarray]:
        for block in taken.blocks(rows):
            yield of_channels(block, channels)
        for block in taken.blocks(rows if mirror else rows[:0]):
            yield of_channels(block, channels)[:, :, ::-1]

    return Split(blocks(), np.tile(label[rows], 2 if mirror else 1))


def of_channels(block: np.ndarray, channels: int) -> np.ndarray:
    """Return images uint8 [N, H, W, 3 or 4] with fewer channels; white replaces alpha."""
    if channels == block.shape[3]:
        return block
    if block.shape[3] == 4:  # opaque, but for borders
        block = images.over(block, 255)
    if channels == 3:
        return block
    mean: np.ndarray = (block.sum(axis=3, dtype=np.uint16, keepdims=True) + 1) // 3
    return mean.astype(np.uint8)


def sheet(taken: Taken, rows: np.ndarray, channels: int) -> bytes:
    """Return images in rows of ten as a PNG file, transparent ones on a checkerboard."""
    block = np.concatenate([of_channels(block, channels) for block in taken.blocks(rows)])
    if channels == 4:
        block = images.checkerboard(block)
    return images.encode_png(images.grid(block, COLUMNS))
