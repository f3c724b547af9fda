"""Arrays in .npy files, NumPy's format: read without trust, written as ``numpy.save`` does."""

from __future__ import annotations

import io
import math
import os
import re
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np

from jaxgan.config import MOST_COUNT
from jaxgan.errors import UserError, first_line
from jaxgan.files import open_regular

_VERSIONS = (b"\x93NUMPY\x01\x00", b"\x93NUMPY\x02\x00")
_MOST_HEADER = 10_000  # bytes; NumPy's own bound
_KINDS = re.compile(r"\|u1|<[fiu][248]|<U[1-9][0-9]{0,6}")  # numbers and text, never an object
_GAP = rb"[ \n]*"
# An entry of a header such as {'descr': '<f4', 'fortran_order': False, 'shape': (3, 64), }.
_ENTRY = re.compile(
    rb"""\s*(?P<a>['"])(?:descr(?P=a)\s*:\s*(?P<b>['"])(?P<descr>[^'"]*)(?P=b)"""
    rb"|fortran_order(?P=a)\s*:\s*(?P<fortran_order>True|False)"
    rb"|shape(?P=a)\s*:\s*(?P<shape>\((?:\s*[0-9]+\s*,)*\s*(?:[0-9]+\s*)?\)))\s*(?:,|(?=\}))"
)


class Header(NamedTuple):
    """What a .npy file says of its array.

    Attributes:
        kind: Type, as NumPy writes it: ``<f4``.
        fortran: Whether the first index changes fastest.
        shape: Lengths of its axes.
        start: Where its numbers begin.
    """

    kind: str
    fortran: bool
    shape: list[int]
    start: int


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
        with open_regular(path) as file:
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
    header = _read_header(file)
    shape = header.shape
    if header.kind != "<f4":
        raise ValueError(f"of type {header.kind!r}, not '<f4'")
    if header.fortran:
        raise ValueError("in Fortran order")
    if len(shape) != 2 or shape[1] != size:
        raise ValueError(f"of shape [{', '.join(map(str, shape))}]")
    if not 1 <= shape[0] <= MOST_COUNT:
        raise ValueError(f"of {shape[0]} rows, not 1 to {MOST_COUNT}")
    # Compared before anything is read, so that a header cannot ask for memory.
    _require_length(header, os.fstat(file.fileno()).st_size)
    array = np.frombuffer(file.read(4 * shape[0] * size), "<f4").reshape(shape)
    finite = np.isfinite(array).all(axis=1)
    if not finite.all():
        raise ValueError(f"not finite in row {finite.argmin()}")
    return array


def decode(content: bytes) -> np.ndarray:
    """Return the array of numbers or text in a .npy file of version 1.0 or 2.0, in C order.

    Raises:
        ValueError: It is another thing, or shorter or longer than its header says.
    """
    header = _read_header(io.BytesIO(content))
    if header.fortran or not _KINDS.fullmatch(header.kind):
        raise ValueError(f"of type {header.kind!r}, or in Fortran order")
    _require_length(header, len(content))
    return np.frombuffer(content, header.kind, offset=header.start).reshape(header.shape)


def _require_length(header: Header, there: int) -> None:
    """Raise ``ValueError`` unless a file has as many bytes as its header says."""
    promised = header.start + np.dtype(header.kind).itemsize * math.prod(header.shape)
    if there != promised:
        raise ValueError(f"{there} bytes long where its header says {promised}")


def _read_header(file: BinaryIO) -> Header:
    """Read the header at the start of a stream; ``ValueError`` where it is none of plain arrays."""
    magic = file.read(len(_VERSIONS[0]))
    if magic not in _VERSIONS:
        raise ValueError("no .npy file of version 1.0 or 2.0")
    digits = 2 * magic[6]  # of the header's length: 2 bytes in version 1, 4 in version 2
    length = int.from_bytes(file.read(digits), "little")
    entries = _read_entries(file.read(length) if length <= _MOST_HEADER else b"")
    if sorted(entries) != ["descr", "fortran_order", "shape"]:
        raise ValueError("a .npy file of no plain array")
    sides = [int(side) for side in re.findall("[0-9]+", entries["shape"])]
    return Header(entries["descr"], entries["fortran_order"] == "True", sides, file.tell())


def _read_entries(header: bytes) -> dict[str, str]:
    """Return the entries of a header, in whatever order; {} where it is not as NumPy writes it."""
    text, entries, place = header.strip(), {}, 1
    while found := _ENTRY.match(text, place):
        name, place = found.lastgroup, found.end()
        if name in entries:
            return {}
        entries[name] = found[name].decode("latin-1")
    whole = text[:1] == b"{" and text[place:].strip() == b"}"
    return entries if whole else {}
