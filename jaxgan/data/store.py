"""A prepared dataset: plain .npy files in one folder, read by mapping them into memory.

Whatever the images come from, they end here, so that training reads one format and no decoder:

    store.json        shape, class names, and of each split: count, fingerprint, the files' sizes
    train.npy         uint8 [N, H, W, C]; premultiplied where C is 4
    train-labels.npy  int32 [N]; zeros where there are no classes
    test.npy, test-labels.npy
    …                 what else the source has to tell, such as import.json and preview.png

Such a folder replaces an older one as a whole, or not at all. It replaces nothing else.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxgan.config import ImageSpec
from jaxgan.data import npy
from jaxgan.data.names import check_name
from jaxgan.errors import OutputError, UserError, first_line
from jaxgan.io.files import read_regular

RECORD = "store.json"
SPLITS = ("train", "test")
MAX_CLASSES = 1_000
_FORMAT = 1
_MAX_RECORD_BYTES = 1 << 20
_BLOCK = 1 << 24  # bytes that are hashed at a time
# What reading a record of any content can raise.
_DAMAGE = (
    OSError, UserError, ValueError, TypeError, LookupError, AttributeError, OverflowError,
    RecursionError,
)  # fmt: skip


class Dataset(NamedTuple):
    """A split of a dataset.

    Attributes:
        spec: Shape and classes.
        image: uint8 [N, H, W, C], premultiplied where C is 4; it may be mapped from a file.
        label: int32 [N]; zeros where there are no classes.
        sha256: ``fingerprint``, if it is known already.
    """

    spec: ImageSpec
    image: np.ndarray
    label: np.ndarray
    sha256: str = ""

    def fingerprint(self) -> str:
        """Return the SHA-256 of shape, number of classes, images and labels: 64 hex digits."""
        return self.sha256 or _fingerprint(self.spec, _blocks(self.image), self.label)

    def take(self, index: np.ndarray) -> np.ndarray:
        """Return the images of some rows, uint8 [..., H, W, C].

        Those of a file are read, not mapped: to map a row maps up to megabytes around it, which
        count as memory, and a file that was cut short would kill the process.

        Args:
            index: Rows, integers of any shape.

        Raises:
            UserError: The file is shorter than it was.
        """
        return npy.rows(self.image, index)

    def first(self, count: int) -> Dataset:
        """Return a dataset of the first so many images."""
        if count == len(self.image):
            return self
        return Dataset(self.spec, self.image[:count], self.label[:count])


class Split(NamedTuple):
    """What ``write`` takes for a split.

    Attributes:
        image: Arrays uint8 [n, H, W, C] that together are the images, in order.
        label: int32 [N].
    """

    image: Iterable[np.ndarray]
    label: np.ndarray


def folder(data_dir: str | os.PathLike[str], name: str) -> Path:
    """Return where the store of a dataset lies, or would.

    Raises:
        UserError: No dataset may have that name.
    """
    check_name(name)
    return Path(data_dir) / name


def exists(data_dir: str | os.PathLike[str], name: str) -> bool:
    """Return whether a dataset has a store, sound or not."""
    return _is_store(folder(data_dir, name))


def _is_store(place: Path) -> bool:
    with contextlib.suppress(OSError, ValueError):  # a path that no file can have
        return (place / RECORD).is_file()
    return False


def names(data_dir: str | os.PathLike[str]) -> list[str]:
    """Return the names of the datasets that have a store, sorted."""
    root, found = Path(data_dir), []
    with contextlib.suppress(OSError, ValueError):
        paths = [*root.glob(f"*/{RECORD}"), *root.glob(f"*/*/{RECORD}")]
        for name in (str(path.parent.relative_to(root)) for path in paths):
            with contextlib.suppress(UserError):
                check_name(name)
                found.append(name)
    return sorted(found)


def require_free(data_dir: str | os.PathLike[str], name: str) -> None:
    """Raise ``OutputError`` where writing a dataset would replace anything but its older store."""
    place = folder(data_dir, name)
    try:
        held = list(place.iterdir()) if place.exists() else []
        is_other = (held and not _is_store(place)) or any(path.is_dir() for path in held)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise OutputError(f"cannot write the dataset {name} in {data_dir}: {reason}") from error
    if is_other:
        raise OutputError(
            f"{place} is there already, and holds more than a prepared dataset; remove it, or give "
            "another --data-dir"
        )
    if "/" in name and _is_store(place.parent):
        raise OutputError(f"{place.parent} is a dataset itself; give another --data-dir")


def read(data_dir: str | os.PathLike[str], name: str, split: str) -> Dataset:
    """Return a split, its images mapped from the file.

    Args:
        data_dir: Folder of prepared datasets.
        name: Name of the dataset.
        split: ``train`` or ``test``.

    Raises:
        UserError: It is damaged, or was changed since it was written.
        FileNotFoundError: There is none.
    """
    place = folder(data_dir, name)
    if not exists(data_dir, name):
        raise FileNotFoundError(place)
    try:
        return _read(place, split)
    except _DAMAGE as error:
        reason = getattr(error, "strerror", None) or first_line(error)
        raise UserError(
            f"the dataset in {place} is damaged: {reason}; remove that folder and prepare or "
            "import it again"
        ) from error


def _read(place: Path, split: str) -> Dataset:
    record = json.loads(read_regular(place / RECORD, _MAX_RECORD_BYTES))
    if record["format"] != _FORMAT:
        raise ValueError(f"format {record['format']!r}, this program reads {_FORMAT}")
    height, width, channels = map(int, record["shape"])
    names = tuple(map(str, record["names"]))
    classes = int(record["classes"])
    if not 0 <= classes <= MAX_CLASSES:
        raise ValueError(f"{classes} classes")
    if not all(name and name.isprintable() for name in names) or len(set(names)) < len(names):
        raise ValueError("class names that are empty, unprintable or not distinct")
    spec, kept = ImageSpec((height, width, channels), classes, names), record["splits"][split]
    count, sha256 = int(kept["count"]), str(kept["fingerprint"])
    if not re.fullmatch("[0-9a-f]{64}", sha256):
        raise ValueError("no fingerprint")
    image = npy.mapped(place / f"{split}.npy", np.uint8, (count, *spec.shape))
    label = np.array(npy.mapped(place / f"{split}-labels.npy", np.int32, (count,)))
    if count < 1 or label.min() < 0 or label.max() >= max(classes, 1):
        raise ValueError(f"{split}: labels of other classes")
    dataset = Dataset(spec, image, label, sha256)
    # Hashing a large store takes a minute, so only one whose files were touched is.
    untouched = kept["files"] == _touched(place, split)
    if not untouched and dataset._replace(sha256="").fingerprint() != dataset.sha256:
        raise ValueError(f"{split}.npy or its labels were changed since they were written")
    return dataset


def write(
    data_dir: str | os.PathLike[str],
    name: str,
    spec: ImageSpec,
    splits: Mapping[str, Split],
    files: Mapping[str, bytes] | None = None,
) -> None:
    """Write a store in place of an older one of that name.

    Args:
        data_dir: Folder of prepared datasets, made if it is missing.
        name: Name of the dataset.
        spec: Of its images.
        splits: ``train`` and ``test``.
        files: More files for its folder.

    Raises:
        UserError: No dataset may have that name.
        OutputError: It cannot be written; an older one is untouched then.
    """
    require_free(data_dir, name)
    with aside(data_dir, name) as scratch:
        kept = {split: _write_split(scratch, split, spec, splits[split]) for split in SPLITS}
        for file, content in (files or {}).items():
            (scratch / file).write_bytes(content)
        record = {
            "format": _FORMAT,
            "shape": spec.shape,
            "classes": spec.classes,
            "names": spec.names,
            "splits": kept,
        }
        (scratch / RECORD).write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
        _replace(scratch, folder(data_dir, name))


@contextlib.contextmanager
def aside(data_dir: str | os.PathLike[str], name: str) -> Iterator[Path]:
    """Give an empty folder beside the store of a dataset, on the same disk; remove it afterwards.

    Raises:
        OutputError: It cannot be made, or something in the context could not be written.
    """
    root = Path(data_dir)
    try:
        root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".jaxgan.", dir=root) as scratch:
            place = Path(scratch) / "new"
            place.mkdir()
            yield place
    except OSError as error:
        reason = error.strerror or first_line(error)
        raise OutputError(f"cannot write the dataset {name} in {root}: {reason}") from error


def _write_split(place: Path, split: str, spec: ImageSpec, content: Split) -> dict[str, Any]:
    label = np.ascontiguousarray(content.label, "<i4")
    shape = (len(label), *spec.shape)

    with (place / f"{split}.npy").open("wb") as file:
        file.write(npy.header(np.uint8, shape))

        def written() -> Iterator[memoryview]:
            for block in content.image:
                bytes_ = np.ascontiguousarray(block).data
                file.write(bytes_)
                yield bytes_

        sha256 = _fingerprint(spec, written(), label)
        file.flush()
        os.fsync(file.fileno())
    npy.mapped(place / f"{split}.npy", np.uint8, shape)  # as many as there are labels
    with (place / f"{split}-labels.npy").open("wb") as file:
        file.write(npy.header(np.int32, label.shape))
        file.write(label.data)
    return {"count": len(label), "fingerprint": sha256, "files": _touched(place, split)}


def _replace(new: Path, place: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    if place.exists():
        old = new.parent / "old"
        place.rename(old)
        try:
            new.rename(place)
        except OSError:
            old.rename(place)
            raise
        shutil.rmtree(old, ignore_errors=True)
    else:
        new.rename(place)


def _touched(place: Path, split: str) -> dict[str, list[int]]:
    """Return size and time of the last change of a split's files."""
    stats = {name: (place / name).stat() for name in (f"{split}.npy", f"{split}-labels.npy")}
    return {name: [stat.st_size, stat.st_mtime_ns] for name, stat in stats.items()}


def _fingerprint(spec: ImageSpec, images: Iterable[memoryview], label: np.ndarray) -> str:
    known = f"{(len(label), *spec.shape)} {spec.classes}\n"
    digest = hashlib.sha256(known.encode())
    for block in images:
        digest.update(block)
    digest.update(np.ascontiguousarray(label, "<i4").data)
    return digest.hexdigest()


def _blocks(image: np.ndarray) -> Iterator[memoryview]:
    rows = max(1, _BLOCK // max(1, math.prod(image.shape[1:])))
    for start in range(0, len(image), rows):
        yield np.ascontiguousarray(image[start : start + rows]).data
