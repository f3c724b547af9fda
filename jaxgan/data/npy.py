"""A .npy file of a known shape: mapped into memory, or read row by row."""

from __future__ import annotations

import io
import math
import os
import weakref
from pathlib import Path
from typing import Any

import numpy as np

from jaxgan.errors import UserError
from jaxgan.io.files import open_regular

# The file of each map, open as long as it, so that another one of its name changes nothing.
_FILES: weakref.WeakKeyDictionary[Any, int] = weakref.WeakKeyDictionary()


def header(dtype: type[np.generic], shape: tuple[int, ...]) -> bytes:
    """Return what a .npy file of an array in C order begins with."""
    content = io.BytesIO()
    known = {"descr": np.dtype(dtype).str, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(content, known)
    return content.getvalue()


def mapped(path: Path, dtype: type[np.generic], shape: tuple[int, ...]) -> np.ndarray:
    """Map an array from a .npy file; ``ValueError`` where it is another one.

    Its header is known, so it is compared and nothing in it is evaluated. So is its size: to touch
    a page beyond a file's end would kill the process.
    """
    begin, count = header(dtype, shape), math.prod(shape)
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        expected = len(begin) + count * np.dtype(dtype).itemsize
        if size != expected or file.read(len(begin)) != begin:
            raise ValueError(f"{path.name}: expected an array {shape} in {expected:,} bytes")
        array = np.memmap(file, dtype, "r", len(begin), shape)
        memory = getattr(array, "_mmap")  # noqa: B009  which NumPy's stubs do not have
        _FILES[memory] = os.dup(file.fileno())
    weakref.finalize(memory, os.close, _FILES[memory])
    return array


def rows(image: np.ndarray, index: np.ndarray) -> np.ndarray:
    """Return some rows of an array, read from its file if it is one that ``mapped`` gave.

    Args:
        image: uint8 [N, ...].
        index: Rows, integers of any shape.

    Raises:
        UserError: The file is shorter than it was.
    """
    memory = getattr(image, "_mmap", None)
    if not isinstance(image, np.memmap) or memory not in _FILES or not hasattr(os, "preadv"):
        return image[index]
    file, size = _FILES[memory], math.prod(image.shape[1:])
    taken = np.empty((*index.shape, *image.shape[1:]), np.uint8)
    for row, number in zip(taken.reshape(-1, size), index.reshape(-1).tolist(), strict=True):
        if os.preadv(file, [row.data], image.offset + number * size) != size:
            raise UserError(
                f"{image.filename} was cut short while it was read; prepare or import the dataset "
                "again"
            )
    return taken
