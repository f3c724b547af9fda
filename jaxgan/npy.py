"""Arrays in .npy files, NumPy's format: read without trust, written as ``numpy.save`` does."""

from __future__ import annotations

import io
import os
import re
from pathlib import Path
from typing import BinaryIO

import numpy as np

from jaxgan.config import MOST_COUNT
from jaxgan.errors import UserError, first_line

_VERSIONS = (b"\x93NUMPY\x01\x00", b"\x93NUMPY\x02\x00")
_MOST_HEADER = 10_000  # bytes; NumPy's own bound
# The keys in alphabetical order, as every known writer has them.
_HEADER = re.compile(
    rb" *\{ *'descr': *'([^']*)', *'fortran_order': *(True|False), *"
    rb"'shape': *\(((?:[0-9]+, *)*[0-9]*)\) *,? *\} *\n?"
)


def encode(array: np.ndarray) -> bytes:
    """Return an array as a .npy file of version 1.0."""
    content = io.BytesIO()
    np.save(content, np.ascontiguousarray(array), allow_pickle=False)
    return content.getvalue()


def read_latents(path: Path, size: int) -> np.ndarray:
    """Read latent vectors.

    Args:
        path: A .npy file of version 1.0 or 2.0, little-endian, in C order, no byte longer or
            shorter than its header says.
        size: Z, numbers in a latent vector.

    Returns:
        float32 [N, Z] with N from 1 to ``MOST_COUNT``, all finite.

    Raises:
        UserError: The file cannot be read, or is another thing.
    """
    try:
        with path.open("rb") as file:
            return _read(file, size)
    except OSError as error:
        fault = f"not readable ({error.strerror})"
    except ValueError as error:
        fault = first_line(error)
    raise UserError(
        f"--latents: {path} is {fault}; expected float32 [N, {size}] in a .npy file, C order"
    )


def _read(file: BinaryIO, size: int) -> np.ndarray:
    """Return the latents in a file; raise ``ValueError`` with what it is instead."""
    kind, order, shape, start = _read_header(file)
    if kind != "<f4":
        raise ValueError(f"of type {kind!r}, not '<f4'")
    if order != "False":
        raise ValueError("in Fortran order")
    if len(shape) != 2 or shape[1] != size:
        raise ValueError(f"of shape [{', '.join(map(str, shape))}]")
    if not 1 <= shape[0] <= MOST_COUNT:
        raise ValueError(f"of {shape[0]} rows, not 1 to {MOST_COUNT}")
    # Compared before anything is read, so that a header cannot ask for memory.
    there, promised = os.fstat(file.fileno()).st_size, start + 4 * shape[0] * size
    if there != promised:
        raise ValueError(f"{there} bytes long where its header says {promised}")
    array = np.frombuffer(file.read(), "<f4").reshape(shape)
    finite = np.isfinite(array).all(axis=1)
    if not finite.all():
        raise ValueError(f"not finite in row {finite.argmin()}")
    return array


def _read_header(file: BinaryIO) -> tuple[str, str, list[int], int]:
    """Return type, whether in Fortran order, shape, and where the numbers start."""
    magic = file.read(len(_VERSIONS[0]))
    if magic not in _VERSIONS:
        raise ValueError("no .npy file of version 1.0 or 2.0")
    digits = 2 * magic[6]  # of the header's length: 2 bytes in version 1, 4 in version 2
    length = int.from_bytes(file.read(digits), "little")
    found = _HEADER.fullmatch(file.read(length) if length <= _MOST_HEADER else b"")
    if not found:
        raise ValueError("a .npy file of no plain array")
    kind, order, shape = (part.decode("latin-1") for part in found.groups())
    return kind, order, [int(side) for side in re.findall("[0-9]+", shape)], file.tell()
