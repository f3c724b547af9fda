"""Images as people and files hold them: uint8, grids, PNG."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image

from jaxgan.errors import UserError
from jaxgan.files import write_whole

_MOST_PIXELS = 1_000_000  # a side; libpng's own bound


def to_uint8(images: np.ndarray) -> np.ndarray:
    """Return float images in [-1, 1] as uint8, rounded to the nearest of 256 levels.

    Values outside are clipped, not-a-number is black. C++ repeats this (``to_level``).
    """
    finite = np.nan_to_num(images, nan=-1.0)
    return np.rint((np.clip(finite, -1.0, 1.0) + 1.0) * 127.5).astype(np.uint8)


def grid(images: np.ndarray, columns: int) -> np.ndarray:
    """Return images [N, H, W, C] as one, row by row, [rows*H, columns*W, C].

    Places that are left over in the last row stay 0 (black).
    """
    count, height, width, channels = images.shape
    rows = -(-count // columns)
    sheet = np.zeros((rows * columns, height, width, channels), images.dtype)
    sheet[:count] = images
    sheet = sheet.reshape(rows, columns, height, width, channels).transpose(0, 2, 1, 3, 4)
    return sheet.reshape(rows * height, columns * width, channels)


def check_grid(shape: tuple[int, ...], count: int, columns: int) -> None:
    """Raise ``UserError`` where a grid would be larger than a PNG can be, as C++ does."""
    rows = -(-count // columns)
    height, width = rows * shape[0], columns * shape[1]
    if max(height, width) > _MOST_PIXELS:
        raise UserError(
            f"--columns: {count} images in {columns} columns make a picture of {width}x{height} "
            f"pixels, expected at most {_MOST_PIXELS} a side"
        )


def write_png(path: Path, image: np.ndarray) -> None:
    """Write a uint8 image [H, W, 1 or 3] as PNG, whole or not at all.

    Raises:
        OutputError: The file cannot be written.
    """
    content = io.BytesIO()
    Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).save(content, "PNG")
    write_whole(path, content.getvalue())
