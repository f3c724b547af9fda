"""IDX files, the format of MNIST: found in a folder, read within bounds, checked.

Format: two zero bytes, the type (8 is uint8), the number of axes, each axis' length as a big-endian
uint32, then the values in C order. The files may be gzipped.
"""

from __future__ import annotations

import gzip
import math
import re
import zlib
from pathlib import Path
from typing import BinaryIO, TypeAlias, cast

import numpy as np

from jaxgan.config import ImageSpec
from jaxgan.errors import UserError
from jaxgan.io.files import open_regular, read_at_most

MAX_BYTES = 1 << 28  # of a file, unpacked; the largest, of emnist/digits, has 188 million

Splits: TypeAlias = dict[str, tuple[np.ndarray, np.ndarray]]  # "train" and "test": image, label


def read_splits(folder: Path, spec: ImageSpec) -> Splits:
    """Read the four files of a dataset.

    Args:
        folder: Holds train and test (or t10k) images and labels.
        spec: What they have to be; one channel.

    Returns:
        For ``train`` and ``test``: images uint8 [N, H, W] and labels uint8 [N], N at least 1.

    Raises:
        UserError: A file is missing, truncated, of another kind, or does not fit its partner.
    """
    splits = {}
    for split in ("train", "test"):
        files = find(folder, split, "images"), find(folder, split, "labels")
        image, label = map(read_idx, files)
        _check(spec, files, image, label)
        splits[split] = image, label
    return splits


def find(folder: Path, split: str, kind: str) -> Path:
    """Return the one file of a split: ``t10k-images-idx3-ubyte.gz``, ``test-images…`` or similar.

    Args:
        folder: Where to search, subfolders not included.
        split: ``train`` or ``test``.
        kind: ``images`` or ``labels``.

    Raises:
        UserError: There is none, or more than one.
    """
    word, example = ("train", "train") if split == "train" else ("(t10k|test)", "t10k")
    paths = sorted(folder.iterdir()) if folder.is_dir() else []
    paths = [path for path in paths if path.name.isprintable()]  # they may stand in a message
    found = [path for path in paths if re.search(rf"{word}[-_.]{kind}[-_.]idx", path.name)]
    if len(found) != 1:
        example += f"-{kind}-idx{3 if kind == 'images' else 1}-ubyte"
        raise UserError(
            f"--idx {folder}: expected one file named like {example} or {example}.gz, "
            f"got {', '.join(path.name for path in found) or 'none'}"
        )
    return found[0]


def read_idx(path: Path) -> np.ndarray:
    """Return the array in an IDX file of unsigned bytes: uint8, of 1 to 3 axes.

    Raises:
        UserError: It is another kind of file, or shorter or longer than its header says.
    """
    try:
        with open_regular(path) as file:
            packed = file.read(2) == b"\x1f\x8b"
            file.seek(0)
            if packed:
                with gzip.GzipFile(fileobj=file) as unpacked:
                    return _read(cast(BinaryIO, unpacked), path)
            return _read(file, path)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise UserError(f"{path} is a damaged gzip file ({error}); get it again") from error
    except OSError as error:
        raise UserError(
            f"cannot read {path}: {error.strerror}; give --idx another folder"
        ) from error


def _read(stream: BinaryIO, path: Path) -> np.ndarray:
    start = read_at_most(stream, 4)
    if len(start) < 4 or start[:3] != b"\0\0\x08" or not 1 <= start[3] <= 3:
        raise UserError(f"{path} is not an IDX file of unsigned bytes; give --idx the right folder")
    header = 4 * start[3]
    shape = np.frombuffer(read_at_most(stream, header).ljust(header, b"\0"), ">u4")
    size = math.prod(map(int, shape))
    # At most one byte more than expected, so that a small gzip file cannot unpack to much.
    content = read_at_most(stream, size + 1) if size <= MAX_BYTES else b""
    if len(content) != size:
        got = f"{len(content):,}" if len(content) < size else f"more than {size:,}"
        got = got if size <= MAX_BYTES else f"a limit of {MAX_BYTES:,}"
        raise UserError(
            f"{path}: expected {size:,} bytes for {'x'.join(map(str, shape))}, "
            f"got {got}; the file is truncated or damaged, get it again"
        )
    return np.frombuffer(content, np.uint8).reshape(shape)


def _check(spec: ImageSpec, files: tuple[Path, Path], image: np.ndarray, label: np.ndarray) -> None:
    """Raise ``UserError`` unless images and labels are of a dataset and fit each other."""
    image_file, label_file = files
    if image.ndim != 3 or image.shape[1:] != spec.shape[:2]:
        expected = "x".join(map(str, spec.shape[:2]))
        raise UserError(f"{image_file}: expected N images of {expected}, got shape {image.shape}")
    if label.ndim != 1 or len(label) != len(image):
        raise UserError(
            f"{label_file}: expected {len(image):,} labels, one per image of {image_file.name}, "
            f"got shape {label.shape}"
        )
    if len(label) == 0 or label.max() >= spec.classes:
        raise UserError(
            f"{label_file}: expected labels from 0 to {spec.classes - 1}, "
            f"got {label.max() if len(label) else 'none'}; is it another dataset's file?"
        )
