"""A prepared dataset by its name, as training and the metrics read it."""

from __future__ import annotations

import numpy as np

from jaxgan.config import ImageSpec
from jaxgan.data import store
from jaxgan.data.names import STACKED
from jaxgan.data.store import Dataset
from jaxgan.errors import UserError

_STACKED_COUNTS = {"train": 128_000, "test": 26_000}
_MAX_NAMED = 10  # datasets in a message


def load(name: str, data_dir: str, split: str = "train", first: int | None = None) -> Dataset:
    """Return a split of a prepared dataset.

    Args:
        name: Of a dataset that has a store, or ``stacked_mnist``.
        data_dir: Folder of prepared datasets.
        split: ``train`` or ``test``.
        first: Keep only the first so many images. None: all of them.

    Raises:
        UserError: There is no such dataset, it is damaged, or it has too few images.
    """
    is_stacked = name == STACKED
    dataset = _read("mnist" if is_stacked else name, data_dir, split)
    dataset = _stack(dataset, split) if is_stacked else dataset
    count = len(dataset.image)
    if first is not None and first > count:
        raise UserError(f"--train-images: {name} has {count:,} images, got {first:,}")
    return dataset if first is None else dataset.first(first)


def _read(name: str, data_dir: str, split: str) -> Dataset:
    try:
        return store.read(data_dir, name, split)
    except FileNotFoundError as error:
        there = store.names(data_dir)
        listed = ", ".join(there[:_MAX_NAMED]) + (", …" if len(there) > _MAX_NAMED else "")
        raise UserError(
            f"--dataset {name} is not prepared in {data_dir} (there: {listed or 'none'}); run: "
            f"jaxgan data prepare {name} --data-dir {data_dir}, or for images of your own: "
            f"jaxgan data import FOLDER --name {name} --data-dir {data_dir}"
        ) from error


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
