"""Images, and maybe labels, from a .npy or .npz file, read one by one and never unpickled."""

from __future__ import annotations

import contextlib
import hashlib
import math
import os
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np

from jaxgan.data.sources import Given, Item, Skipped, Source, opened_zip
from jaxgan.errors import UserError, first_line
from jaxgan.io.files import open_regular

NPY = b"\x93NUMPY"
_MAX_HEADER = 10_000  # characters: ours have a hundred
_MAX_LABELS = 1 << 28  # bytes
_MAX_ROW = 1 << 29  # bytes of an image
_DAMAGES = (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError)


class _Array(NamedTuple):
    """An array in a file, its content not read.

    Attributes:
        name: Key in an .npz, or the file's name.
        shape: Of all of it.
        dtype: Of its values.
        open: Opens the file at its start.
        size: Bytes of the file, its header included.
    """

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[np.generic]
    open: Callable[[], IO[bytes]]
    size: int


@contextlib.contextmanager
def open_npy(path: Path) -> Iterator[Source]:
    """Give the images of a .npy file, and labels of such a file beside it.

    That one is called ``labels`` where the first is called ``images``, else ``NAME-labels.npy``.

    Raises:
        UserError: It cannot be read, or holds no images.
    """
    arrays = {"": _of_file(path)}
    partners = {path.stem.replace("images", "labels"), f"{path.stem}-labels"} - {path.stem}
    for partner in sorted(partners):
        beside = path.with_name(f"{partner}.npy")
        if beside.is_file():
            arrays["labels"] = _of_file(beside)
            break
    yield _source(arrays, str(path))


@contextlib.contextmanager
def open_npz(path: Path) -> Iterator[Source]:
    """Give the images and labels of an .npz file.

    Arrays of three or four axes are images, such of one axis labels. A key with ``train`` in it
    belongs to what is trained on, one with ``test`` or ``val`` to what is measured with.

    Raises:
        UserError: It cannot be read, holds no images, or labels that do not fit them.
    """
    with opened_zip(path) as archive:
        arrays = {
            member.filename.removesuffix(".npy"): _of_member(archive, member)
            for member in archive.infolist()
        }
        yield _source(arrays, str(path))


def _of_file(path: Path) -> _Array:
    with _readable(str(path)), open_regular(path) as file:
        shape, dtype = _header(file)
        size = os.fstat(file.fileno()).st_size
        return _Array(path.stem, shape, dtype, lambda: open_regular(path), size)
    raise AssertionError("_readable lets nothing but UserError through")


def _of_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> _Array:
    name = member.filename.removesuffix(".npy")
    with _readable(member.filename), archive.open(member) as file:
        shape, dtype = _header(file)
        return _Array(name, shape, dtype, lambda: archive.open(member), member.file_size)
    raise AssertionError("_readable lets nothing but UserError through")


@contextlib.contextmanager
def _readable(name: str) -> Iterator[None]:
    try:
        yield
    except _DAMAGES as error:
        reason = getattr(error, "strerror", None) or first_line(error)
        raise UserError(f"cannot read the array {name}: {reason}") from error


def _header(file: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[np.generic]]:
    """Read a .npy header; ``ValueError`` where it is damaged, or the array is no plain one."""
    version = np.lib.format.read_magic(file)
    readers = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    if version not in readers:
        raise ValueError(f"expected version 1 or 2 of .npy, got {version}")
    shape, fortran, dtype = readers[version](file, max_header_size=_MAX_HEADER)
    if dtype.hasobject or dtype.names is not None:
        raise ValueError("it holds Python objects, which are never unpickled")
    if fortran and len(shape) > 1:
        raise ValueError("expected C order; save numpy.ascontiguousarray of it")
    return shape, dtype


def _source(arrays: dict[str, _Array], file: str) -> Source:
    """Return the images among arrays, with labels and splits."""
    images = {key: one for key, one in arrays.items() if len(one.shape) in (3, 4)}
    if not images:
        got = ", ".join(f"{one.name} {one.shape}" for one in arrays.values()) or "none"
        raise UserError(f"{file}: expected an array of images [N, H, W] or [N, H, W, C], got {got}")
    digest = hashlib.sha256(os.stat(file).st_mtime_ns.to_bytes(16, "big"))
    digest.update(repr(sorted((key, one.size) for key, one in arrays.items())).encode())
    tests: list[bool] = []
    labels: list[str] | None = []
    names: list[str] = []
    keys = sorted(images)
    kinds = [_is_test(key) for key in keys]
    for key, kind in zip(keys, kinds, strict=True):
        count = images[key].shape[0]
        _check(images[key])
        found = _labels_of(key, arrays, count) if labels is not None else None
        labels = None if labels is None or found is None else labels + found
        tests += [bool(kind)] * count
        names += [f"{images[key].name}/{index:08d}" for index in range(count)]
    split = None not in kinds and len(set(kinds)) == 2

    def items() -> Iterator[Item]:
        for key in keys:
            yield from _rows(images[key])

    given = Given(labels, tests if split else None)
    return Source(names, frozenset(), Skipped(), digest.hexdigest(), items, _no_text, given)


def _no_text(name: str, most: int) -> bytes:
    raise FileNotFoundError(name)


def _is_test(key: str) -> bool | None:
    """Return whether a key says that its array is for measuring; None where it says nothing."""
    if re.search("test|val|t10k", key.lower()):
        return True
    return False if "train" in key.lower() else None


def _check(array: _Array) -> None:
    """Raise ``UserError`` unless an array holds levels, and all of them."""
    shape, dtype = array.shape, array.dtype
    advice = f"{array.name}: expected images of uint8, got {dtype}"
    if dtype.kind == "f":
        raise UserError(
            f"{advice}; save numpy.rint(255 * images).astype(numpy.uint8) if they are from 0 to 1"
        )
    if dtype.kind != "b" and dtype not in (np.dtype(np.uint8), np.dtype("<u2"), np.dtype(">u2")):
        raise UserError(f"{advice}; save images.astype(numpy.uint8) if they are from 0 to 255")
    if len(shape) == 4 and shape[3] not in (1, 2, 3, 4) and shape[1] not in (1, 2, 3, 4):
        raise UserError(f"{array.name}: expected 1 to 4 channels, last or second, got {shape}")
    row = math.prod(shape[1:]) * dtype.itemsize
    held = array.size - shape[0] * row
    if not 0 < row <= _MAX_ROW or not 0 < held <= _MAX_HEADER + 12:
        raise UserError(
            f"{array.name}: expected the {shape[0] * row:,} bytes of {shape}, the file has "
            f"{array.size:,}; it is truncated or damaged"
        )


def _labels_of(key: str, arrays: dict[str, _Array], count: int) -> list[str] | None:
    """Return the labels of images: those of the same split; None where there are none."""
    fitting = [
        one
        for other, one in arrays.items()
        if (len(one.shape) == 1 or (len(one.shape) == 2 and one.shape[1] == 1))
        and _is_test(other or key) in (None, _is_test(key))
    ]
    if key and _is_test(key) is not None and "val" in key.lower():
        fitting = [one for one in fitting if "val" in one.name.lower()]
    elif _is_test(key):
        fitting = [one for one in fitting if "val" not in one.name.lower()]
    if not fitting:
        return None
    if len(fitting) > 1 or fitting[0].shape[0] != count:
        got = ", ".join(f"{one.name} {one.shape}" for one in fitting)
        raise UserError(f"{key or 'images'}: expected one array of {count:,} labels, got {got}")
    array = fitting[0]
    if array.dtype.kind not in "iubUS" or array.size > _MAX_LABELS:
        raise UserError(
            f"{array.name}: expected labels of whole numbers or text, got {array.dtype}"
        )
    with _readable(array.name), array.open() as file:
        _header(file)
        values = np.frombuffer(_exactly(file, count * array.dtype.itemsize), array.dtype)
        return [
            value.decode() if isinstance(value, bytes) else str(value) for value in values.tolist()
        ]
    raise AssertionError("_readable lets nothing but UserError through")


def _rows(array: _Array) -> Iterator[Item]:
    """Yield the images of an array, read in order."""
    size = math.prod(array.shape[1:]) * array.dtype.itemsize
    with _readable(array.name), array.open() as file:
        _header(file)
        for _ in range(array.shape[0]):
            content = _exactly(file, size)
            row = np.frombuffer(content, array.dtype).reshape(array.shape[1:])
            yield Item(size, partial(_levels, row))


def _exactly(file: IO[bytes], size: int) -> bytes:
    content = file.read(size)
    if len(content) != size:
        raise EOFError(f"expected {size:,} bytes more, got {len(content):,}")
    return content


def _levels(row: np.ndarray) -> np.ndarray:
    """Return an image as uint8 [H, W] or [H, W, C]."""
    if row.ndim == 3 and row.shape[2] not in (1, 2, 3, 4):
        row = row.transpose(1, 2, 0)
    if row.dtype.kind == "b":
        return row.astype(np.uint8) * np.uint8(255)
    return (row >> 8).astype(np.uint8) if row.dtype.itemsize == 2 else row
