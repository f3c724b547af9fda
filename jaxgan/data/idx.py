"""IDX files, the format of MNIST: found in a folder, read within bounds, checked, imported.

Format: two zero bytes, the type (8 is uint8), the number of axes, each axis' length as a big-endian
uint32, then the values in C order. The files may be gzipped.
"""

from __future__ import annotations

import contextlib
import gzip
import math
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np

from jaxgan.config import CHANNELS
from jaxgan.data import gather, store
from jaxgan.data.gather import Example, Source
from jaxgan.data.names import check_name
from jaxgan.errors import UserError
from jaxgan.io.files import open_regular, read_at_most

MAX_BYTES = 1 << 28  # of an array that is read whole, and of one image
MAX_IMAGES = 100_000_000  # of a file

_DIGITS = tuple("0123456789")
# Of datasets that come as IDX files, which hold none.
CLASS_NAMES = {
    "mnist": _DIGITS,
    "emnist/digits": _DIGITS,
    "kmnist": ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"),
    "fashion_mnist": (
        "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag",
        "Ankle boot",
    ),
}  # fmt: skip


def import_idx(
    name: str,
    data_dir: str,
    folder: Path,
    names: tuple[str, ...] = (),
    size: tuple[int, int] | None = None,
) -> None:
    """Prepare a dataset from IDX files, gzipped or not, named as MNIST names them.

    Args:
        name: Name of the dataset. Those of ``CLASS_NAMES`` have class names; what is called emnist
            is transposed, as its authors store it lying.
        data_dir: Folder of prepared datasets, made if it is missing.
        folder: See ``read_splits``.
        names: Of the classes. (): those that are known, else none but the labels.
        size: Height and width to crop and resize to. None: the images are of a size that fits.

    Raises:
        UserError: A file is missing, truncated, of another kind, or does not fit its partner.
        OutputError: The dataset cannot be written. An older one is untouched then.
    """
    check_name(name)
    source, names = read_splits(folder), names or CLASS_NAMES.get(name, ())
    if source.classes and names:
        if source.classes > len(names):
            raise UserError(
                f"{folder}: expected labels from 0 to {len(names) - 1}, got {source.classes - 1}; "
                "are they another dataset's files?"
            )
        source = source._replace(classes=len(names), names=names)
    if name.split("/")[0] == "emnist":
        source = upright(source)
    gather.write(data_dir, name, source, size)


def upright(source: Source) -> Source:
    """Return a source with its images transposed: EMNIST's authors left it lying."""

    def turned(examples: Iterator[Example]) -> Iterator[Example]:
        for image, label in examples:
            yield image.transpose(1, 0, 2), label

    return source._replace(
        splits={split: turned(iter(examples)) for split, examples in source.splits.items()}
    )


def find_any(folder: Path) -> bool:
    """Return whether a folder holds files that are named as IDX files of images are."""
    with contextlib.suppress(OSError):
        return any(_matches(path, split, "images") for path in folder.iterdir() for split in _WORDS)
    return False


def sizes(folder: Path) -> set[tuple[int, int]]:
    """Return the heights and widths of the images in a folder of IDX files.

    Raises:
        UserError: A file is of another kind, or there are two of a name.
    """
    found = set()
    for split in store.SPLITS:
        path = _find(folder, split, "images")
        if path is not None:
            with _opened(path) as (_, shape):
                _check_shape(path, shape)
                found.add((shape[1], shape[2]))
    return found


def read_splits(folder: Path) -> Source:
    """Return the images of a folder of IDX files.

    Args:
        folder: Holds images of train, perhaps those of test (or t10k), and labels of all of them or
            of none. Images are uint8 [N, H, W] or [N, H, W, C]; labels uint8 [N].

    Raises:
        UserError: A file is missing, truncated, of another kind, or does not fit its partner; also
            when its images are taken, which are read one by one.
    """
    images = {split: _find(folder, split, "images") for split in store.SPLITS}
    labels = {split: _find(folder, split, "labels") for split in store.SPLITS}
    needed = {("train", "images")}
    needed |= {(split, "images") for split in store.SPLITS if labels[split]}
    labelled = any(labels.values())
    needed |= {(split, "labels") for split in store.SPLITS if images[split] and labelled}
    for split, kind in sorted(needed):
        if (images if kind == "images" else labels)[split] is None:
            raise _not_one(folder, split, kind, [])
    splits, classes = {}, 0
    for split, path in images.items():
        if path is not None:
            label = _labels(path, labels[split])
            classes = max(classes, 0 if label is None else 1 + int(label.max()))
            splits[split] = _examples(path, label)
    return Source(splits, classes)


def _examples(path: Path, label: np.ndarray | None) -> Iterator[Example]:
    numbers = iter(label.tolist()) if label is not None else None
    for image in _images(path):
        yield image, next(numbers) if numbers else 0


def _labels(image_file: Path, label_file: Path | None) -> np.ndarray | None:
    """Return the labels uint8 [N] of the images in another file; None if there are none."""
    with _opened(image_file) as (_, shape):
        _check_shape(image_file, shape)
    if label_file is None:
        return None
    label = read_idx(label_file)
    if label.ndim != 1 or len(label) != shape[0]:
        raise UserError(
            f"{label_file}: expected {shape[0]:,} labels, one per image of {image_file.name}, "
            f"got shape {label.shape}"
        )
    return label


def _check_shape(path: Path, shape: tuple[int, ...]) -> None:
    fits = len(shape) == 3 or (len(shape) == 4 and shape[3] in CHANNELS)
    fits = fits and 1 <= shape[0] <= MAX_IMAGES and 1 <= math.prod(shape[1:]) <= MAX_BYTES
    if not fits:
        raise UserError(
            f"{path}: expected N images of HxW, or of HxWxC with 1, 3 or 4 channels, "
            f"got shape {shape}"
        )


def _images(path: Path) -> Iterator[np.ndarray]:
    """Give the images of a file one by one, uint8 [H, W, C]."""
    with _opened(path) as (stream, shape):
        height, width, channels = (*shape[1:], 1)[:3]
        size = height * width * channels
        for index in range(shape[0]):
            content = read_at_most(stream, size)
            if len(content) != size:
                got = f"{index * size + len(content):,}"
                raise _truncated(path, shape, got)
            yield np.frombuffer(content, np.uint8).reshape(height, width, channels)
        if stream.read(1):
            raise _truncated(path, shape, f"more than {math.prod(shape):,}")


# Files


_WORDS = {"train": "train", "test": "(t10k|test)"}


def _matches(path: Path, split: str, kind: str) -> bool:
    return bool(re.search(rf"{_WORDS[split]}[-_.]{kind}[-_.]idx", path.name))


def _find(folder: Path, split: str, kind: str) -> Path | None:
    """Return the file of a split: ``t10k-images-idx3-ubyte.gz``, ``test-images…`` or similar.

    Args:
        folder: Where to search, subfolders not included.
        split: ``train`` or ``test``.
        kind: ``images`` or ``labels``.

    Returns:
        None if there is none.

    Raises:
        UserError: There is more than one.
    """
    try:
        paths = sorted(folder.iterdir()) if folder.is_dir() else []
    except OSError as error:
        raise UserError(f"cannot read {folder}: {error.strerror}; give another folder") from error
    paths = [path for path in paths if path.name.isprintable()]  # they may stand in a message
    found = [path for path in paths if _matches(path, split, kind)]
    if len(found) > 1:
        raise _not_one(folder, split, kind, found)
    return found[0] if found else None


def _not_one(folder: Path, split: str, kind: str, found: list[Path]) -> UserError:
    example = "train" if split == "train" else "t10k"
    example += f"-{kind}-idx{3 if kind == 'images' else 1}-ubyte"
    return UserError(
        f"{folder}: expected one file named like {example} or {example}.gz, "
        f"got {', '.join(path.name for path in found) or 'none'}"
    )


def read_idx(path: Path) -> np.ndarray:
    """Return the array in an IDX file of unsigned bytes: uint8, of 1 to 4 axes.

    Raises:
        UserError: It is another kind of file, or shorter or longer than its header says.
    """
    with _opened(path) as (stream, shape):
        size = math.prod(shape)
        if size > MAX_BYTES:
            raise _truncated(path, shape, f"a limit of {MAX_BYTES:,}")
        # At most one byte more than expected, so that a small gzip file cannot unpack to much.
        content = read_at_most(stream, size + 1)
        if len(content) != size:
            got = f"{len(content):,}" if len(content) < size else f"more than {size:,}"
            raise _truncated(path, shape, got)
        return np.frombuffer(content, np.uint8).reshape(shape)


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[tuple[BinaryIO, tuple[int, ...]]]:
    """Open an IDX file: the stream of its values, and its shape.

    Raises:
        UserError: It is another kind of file, or cannot be read, then or later.
    """
    try:
        with open_regular(path) as file:
            packed = file.read(2) == b"\x1f\x8b"
            file.seek(0)
            unpacked = gzip.GzipFile(fileobj=file) if packed else contextlib.nullcontext(file)
            with unpacked as stream:
                yield cast(BinaryIO, stream), _shape(cast(BinaryIO, stream), path)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise UserError(f"{path} is a damaged gzip file ({error}); get it again") from error
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}; give another folder") from error


def _shape(stream: BinaryIO, path: Path) -> tuple[int, ...]:
    start = read_at_most(stream, 4)
    if len(start) < 4 or start[:3] != b"\0\0\x08" or not 1 <= start[3] <= 4:
        raise UserError(f"{path} is not an IDX file of unsigned bytes; give the right folder")
    header = 4 * start[3]
    lengths = np.frombuffer(read_at_most(stream, header).ljust(header, b"\0"), ">u4")
    return tuple(map(int, lengths))


def _truncated(path: Path, shape: tuple[int, ...], got: str) -> UserError:
    return UserError(
        f"{path}: expected {math.prod(shape):,} bytes for {'x'.join(map(str, shape))}, got {got}; "
        "the file is truncated or damaged, get it again"
    )
