"""Datasets as uint8 arrays in memory.

A split that TFDS has read is kept beside the dataset's own files as two plain .npy files and a
record of what they were made from, so that the next start does without TensorFlow, which takes
seconds. They are never trusted: whatever is wrong with them, TFDS has the original.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import math
import os
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxgan.config import ImageSpec
from jaxgan.data import tfds
from jaxgan.errors import OutputError, UserError
from jaxgan.io.files import open_regular, read_regular, write_whole

STACKED = "stacked_mnist"  # made of the prepared MNIST when it is read
NAMES = (*tfds.NAMES, STACKED)  # that ``load`` takes

_STACKED_COUNTS = {"train": 128_000, "test": 26_000}
_MAX_CLASSES = 1_000
_MAX_RECORD_BYTES = 1 << 20
_RECORD_FORMAT = 2


class Dataset(NamedTuple):
    """Labelled images in memory.

    Attributes:
        spec: Shape and number of classes.
        image: uint8 [N, H, W, C].
        label: int32 [N].
    """

    spec: ImageSpec
    image: np.ndarray
    label: np.ndarray

    def fingerprint(self) -> str:
        """Return the SHA-256 of shape, number of classes, images and labels: 64 hex digits."""
        known = f"{self.image.shape} {self.spec.classes}\n"
        digest = hashlib.sha256(known.encode())
        digest.update(np.ascontiguousarray(self.image).data)
        digest.update(np.ascontiguousarray(self.label, "<i4").data)
        return digest.hexdigest()


def load(name: str, data_dir: str, split: str = "train", first: int | None = None) -> Dataset:
    """Read a split of a prepared dataset whole.

    Args:
        name: One of ``NAMES``.
        data_dir: Folder of prepared datasets.
        split: ``train`` or ``test``.
        first: Keep only the first so many images. None: all of them.

    Raises:
        UserError: The name is unknown, the dataset is not prepared or damaged, or it has too few
            images.
    """
    if name == STACKED:
        dataset = _stack(load("mnist", data_dir, split), split)
    else:
        tfds.check_name(name)
        dataset = _load_kept(name, data_dir, split) or _load_original(name, data_dir, split)
    count = len(dataset.image)
    if first is not None and first > count:
        raise UserError(f"--train-images: {name} has {count:,} images, got {first:,}")
    return Dataset(dataset.spec, dataset.image[:first], dataset.label[:first])


def _stack(digits: Dataset, split: str) -> Dataset:
    """Return random triples of digits as the colour channels of images without classes.

    Metz et al. 2017, section 3.3.1. The label, which only tests read, is the number that the three
    digits write: 0 to 999.
    """
    count = _STACKED_COUNTS[split]
    random = np.random.default_rng(count)  # the same triples always
    chosen = random.integers(0, len(digits.label), (count, 3))
    height, width, _ = digits.spec.shape
    image = np.empty((count, height, width, 3), np.uint8)
    for channel in range(3):  # by channel, as all at once take twice the memory
        image[..., channel] = digits.image[chosen[:, channel], :, :, 0]
    label = digits.label[chosen] @ np.array([100, 10, 1], np.int32)
    return Dataset(ImageSpec((height, width, 3), 0), image, label)


def _load_original(name: str, data_dir: str, split: str) -> Dataset:
    """Read a split through TFDS and keep its arrays."""
    spec, image, label, folder = tfds.read(name, data_dir, split)
    try:
        dataset = _checked(Dataset(spec, image, label))
    except ValueError as error:
        raise tfds.damaged(name, data_dir, folder, error) from error
    with contextlib.suppress(OutputError, OSError):  # a folder not ours to write in: no harm
        _keep(dataset, folder, split)
    return dataset


def _checked(dataset: Dataset) -> Dataset:
    """Return a dataset if its arrays are what they should be; else raise ``ValueError``."""
    spec, image, label = dataset
    fits = image.shape[1:] == spec.shape and label.shape == image.shape[:1] and label.size > 0
    typed = image.dtype == np.uint8 and label.dtype == np.int32
    if not fits or not typed or not 0 <= spec.classes <= _MAX_CLASSES:
        raise ValueError(f"images {image.dtype} {image.shape}, labels {label.dtype} {label.shape}")
    if label.min() < 0 or label.max() >= spec.classes:
        raise ValueError(f"labels from {label.min()} to {label.max()} of {spec.classes} classes")
    return dataset


# Kept arrays


def _load_kept(name: str, data_dir: str, split: str) -> Dataset | None:
    """Return a split's kept arrays; None where there are none that can be relied on.

    Of several prepared versions TFDS reads the one that its builder names, which depends on the
    version of TFDS alone. So arrays count only if the TFDS that read them is the installed one; to
    ask its builder would take TensorFlow. Without TFDS, the newest version counts.
    """
    version, folders = tfds.installed_version(), tfds.version_folders(name, data_dir)
    for folder in folders if version else folders[:1]:
        try:
            return _read_kept(folder, split, version)
        except Exception:  # noqa: BLE001 whatever is wrong, TFDS has the original
            continue
    return None


def _read_kept(folder: Path, split: str, version: str | None) -> Dataset:
    """Return the arrays kept in a folder; an exception of any kind where they do not fit it."""
    paths = _paths(folder, split)
    record = json.loads(read_regular(paths["record"], _MAX_RECORD_BYTES))
    expected = _provenance(folder, version or record["tensorflow_datasets"])
    if {key: record[key] for key in expected} != expected:
        raise ValueError("they were made from other files")
    count, height, width, channels = map(int, record["shape"])
    spec = ImageSpec((height, width, channels), int(record["classes"]))
    image = _read_array(paths["image"], np.uint8, (count, *spec.shape))
    label = _read_array(paths["label"], np.int32, (count,))
    dataset = _checked(Dataset(spec, image, label))
    if dataset.fingerprint() != record["fingerprint"]:
        raise ValueError("they are damaged")
    return dataset


def _keep(dataset: Dataset, folder: Path, split: str) -> None:
    """Write a split's arrays. The record is last: a crash before it leaves one that does not fit.

    Raises:
        OutputError: They cannot be written.
    """
    paths = _paths(folder, split)
    for name in ("image", "label"):
        content = io.BytesIO()
        np.save(content, getattr(dataset, name), allow_pickle=False)
        write_whole(paths[name], content.getvalue())
    record = {
        **_provenance(folder, tfds.installed_version()),
        "shape": dataset.image.shape,
        "classes": dataset.spec.classes,
        "fingerprint": dataset.fingerprint(),
    }
    write_whole(paths["record"], (json.dumps(record, indent=1) + "\n").encode())


def _paths(folder: Path, split: str) -> dict[str, Path]:
    return {
        "image": folder / f"{tfds.OWN_FILES}-{split}-image.npy",
        "label": folder / f"{tfds.OWN_FILES}-{split}-label.npy",
        "record": folder / f"{tfds.OWN_FILES}-{split}.json",
    }


def _provenance(folder: Path, version: str | None) -> dict[str, Any]:
    """Return what arrays are made from: the TFDS, its version of the dataset, the files there."""
    paths = (path for path in folder.iterdir() if tfds.OWN_FILES not in path.name)
    stats = {path.name: path.stat() for path in paths}
    return {
        "format": _RECORD_FORMAT,
        "tensorflow_datasets": version,
        "version": folder.name,
        "files": {name: [stat.st_size, stat.st_mtime_ns] for name, stat in sorted(stats.items())},
    }


def _read_array(path: Path, dtype: type[np.generic], shape: tuple[int, ...]) -> np.ndarray:
    """Return the array in a .npy file; ``ValueError`` where it is not all that ``np.save`` writes.

    Not by ``np.load``, which evaluates the header and allocates what that asks for: the header of
    such an array is known, so it is compared, as is the size.
    """
    header, kind = io.BytesIO(), np.dtype(dtype)
    np.lib.format.write_array_header_1_0(
        header, {"descr": kind.str, "fortran_order": False, "shape": shape}
    )
    known, count = header.getvalue(), math.prod(shape)
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        if file.read(len(known)) != known or size != len(known) + count * kind.itemsize:
            raise ValueError(f"{path} is no array of {kind} {shape}")
        return np.fromfile(file, kind, count).reshape(shape)
