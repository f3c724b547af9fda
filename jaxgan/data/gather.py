"""Images that a source gives one by one → a prepared store.

They wait in a file beside the store, as only at their end it is known how many there are, whether
all have one size, and which are held out. Memory goes to one block of them.
"""

from __future__ import annotations

import hashlib
import logging
import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple, TypeAlias

import numpy as np

from jaxgan.config import CHANNELS, ImageSpec
from jaxgan.data import store
from jaxgan.data.resize import resized
from jaxgan.errors import UserError
from jaxgan.io.images import premultiply

MAX_TEST = 10_000  # images that are held out
_BLOCK = 1 << 24  # bytes that are written at a time
_log = logging.getLogger(__name__)

# uint8 [H, W, C], its alpha straight and last where C is 4; and its label, 0 where there are none.
Example: TypeAlias = tuple[np.ndarray, int]


class Source(NamedTuple):
    """What images there are.

    Attributes:
        splits: Images of ``train``, and of ``test`` if the source says which these are.
        classes: Number of classes; 0 for none.
        names: Of the classes; () for none but their numbers.
    """

    splits: Mapping[str, Iterable[Example]]
    classes: int
    names: tuple[str, ...] = ()


class _Gathered(NamedTuple):
    image: np.ndarray  # mapped from a file
    label: np.ndarray

    def split(self, chosen: np.ndarray) -> store.Split:
        """Return those images of which ``chosen``, bool [N], is true."""
        rows = np.flatnonzero(chosen)
        return store.Split(self._blocks(rows), self.label[rows])

    def _blocks(self, rows: np.ndarray) -> Iterator[np.ndarray]:
        step = max(1, _BLOCK // math.prod(self.image.shape[1:]))
        for start in range(0, len(rows), step):
            yield self.image[rows[start : start + step]]


def write(data_dir: str, name: str, source: Source, size: tuple[int, int] | None = None) -> None:
    """Write the images of a source as a dataset, in place of an older one of that name.

    Args:
        data_dir: Folder of prepared datasets, made if it is missing.
        name: Name of the dataset.
        source: Its images. Where it has no ``test``, a tenth is held out, at most 10,000 images.
        size: Height and width that all are cropped and resized to. None: they have one size.

    Raises:
        UserError: The images have several sizes or one that does not fit, or their labels do not.
        OutputError: It cannot be written; an older one is untouched then.
    """
    store.require_free(data_dir, name)
    with store.aside(data_dir, name) as scratch:
        spec, gathered = None, {}
        for split, examples in source.splits.items():
            gather = _Gather(name, source, size, spec)
            gathered[split] = gather.all(examples, scratch / split)
            spec = gather.spec
        assert spec is not None
        splits = {
            split: one.split(np.ones(len(one.label), bool)) for split, one in gathered.items()
        }
        if "test" not in splits:
            train, held_out = gathered["train"], _held_out(name, gathered["train"].image)
            splits = {"train": train.split(~held_out), "test": train.split(held_out)}
        store.write(data_dir, name, spec, splits)
    counts = " and ".join(f"{len(splits[split].label):,} {split}" for split in store.SPLITS)
    _log.info("%s is prepared in %s: %s images", name, store.folder(data_dir, name), counts)


class _Gather:
    """Takes images one by one, all of one shape."""

    def __init__(
        self, name: str, source: Source, size: tuple[int, int] | None, spec: ImageSpec | None
    ) -> None:
        """Take what ``write`` takes, and what the first image has to be, if that is known."""
        self.name, self.source, self.size, self.spec = name, source, size, spec

    def all(self, examples: Iterable[Example], path: Path) -> _Gathered:
        """Write images into a file one after the other; return them mapped from it."""
        labels, classes = [], self.source.classes
        with path.open("wb") as file:
            for image, label in examples:
                if not 0 <= label < max(classes, 1):
                    raise UserError(
                        f"{self.name}: expected labels from 0 to {classes - 1}, got {label}"
                    )
                file.write(np.ascontiguousarray(self._made(image)).data)
                labels.append(label)
        if self.spec is None or not labels:
            raise UserError(f"{self.name} has no images in its split {path.name}")
        image = np.memmap(path, np.uint8, "r", shape=(len(labels), *self.spec.shape))
        return _Gathered(image, np.array(labels, np.int32))

    def _made(self, image: np.ndarray) -> np.ndarray:
        """Return an image as the store has it."""
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] not in CHANNELS:
            raise UserError(
                f"{self.name}: expected images of 8 bits with 1, 3 or 4 channels, "
                f"got {image.dtype} of shape {image.shape}"
            )
        if image.shape[2] == 4:
            image = premultiply(image)
        if self.size is not None:
            image = resized(image, self.size)
        self.spec = self.spec or self._spec(image)
        if image.shape != self.spec.shape:
            sizes = " and ".join(map(_in_words, (self.spec.shape, image.shape)))
            raise UserError(
                f"{self.name} has images of several sizes, such as {sizes}; give a --size, such as "
                "--size 64"
            )
        return image

    def _spec(self, image: np.ndarray) -> ImageSpec:
        height, width, channels = image.shape
        try:
            ImageSpec((height, width, channels), 0)
        except UserError as error:
            raise UserError(
                f"{self.name} has images of {_in_words(image.shape)}, which the networks do not "
                "fit; give a --size, such as --size 64"
            ) from error
        return ImageSpec((height, width, channels), self.source.classes, self.source.names)


def _in_words(shape: tuple[int, ...]) -> str:
    height, width, channels = shape
    return f"{width}x{height} with {channels} channel{'s'[: channels > 1]}"


def held_out_count(wanted: float) -> int:
    """Return how many images are held out where so many, perhaps a fraction, are wanted."""
    return min(MAX_TEST, max(1, round(wanted)))


def _held_out(name: str, image: np.ndarray) -> np.ndarray:
    """Return which images are held out, bool [N]: by a hash of the pixels, so twins together."""
    hashes = (hashlib.blake2b(one.data, digest_size=8).digest() for one in image)
    keys = np.frombuffer(b"".join(hashes), "<u8")
    count = held_out_count(len(keys) / 10)
    chosen: np.ndarray = keys <= np.partition(keys, count - 1)[count - 1]
    if chosen.all():
        raise UserError(f"{name}: expected two different images or more, to hold one out")
    return chosen
