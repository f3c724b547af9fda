"""How good a generator's images are: drawn as the protocol has it, measured beside real ones."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from jaxgan.config import MAX_COUNT, MAX_SEED, ImageSpec
from jaxgan.data.dataset import load
from jaxgan.drawing.drawable import Drawable
from jaxgan.drawing.open import open_generator
from jaxgan.errors import UserError
from jaxgan.io.images import premultiply
from jaxgan.metrics import features
from jaxgan.metrics.general import GeneralRow
from jaxgan.metrics.modes import Modes
from jaxgan.metrics.reference import AnyReference, Row, reference

MIN_IMAGES = 100  # that a tenth of which gives a row of its own
_BATCH = 1_000  # images drawn at a time


def evaluate(
    model: str | os.PathLike[str] | Drawable,
    *,
    dataset: str | None = None,
    data_dir: str = "data",
    images: int | None = None,
    seed: int = 0,
    step: int | None = None,
) -> dict[str, Row | Modes | GeneralRow]:
    """Measure a generator beside rows of real images.

    Args:
        model: A .tflite file, a run directory, or a generator that is open.
        dataset: Name of the dataset to compare with; None for the one that it was trained on.
        data_dir: Folder of prepared datasets.
        images: Number of images to draw, 100 to 1,000,000; None for 10,000, 26,000 of
            stacked_mnist, and as many as are held out of pictures without a network of their own.
            Fewer give a higher FID.
        seed: Of their latent vectors, 0 to 2**32 - 1.
        step: Step of a run directory's checkpoint; None for the newest.

    Returns:
        Rows by name, the generator's first: the name of its file or folder, or its own.

    Raises:
        UserError: An argument is wrong, or the dataset is not prepared, or of other images.
        ModelError: The file is no generator, or does not run.
    """
    if images is not None and not MIN_IMAGES <= images <= MAX_COUNT:
        raise UserError(f"images: expected {MIN_IMAGES} to {MAX_COUNT}, got {images}")
    if not 0 <= seed <= MAX_SEED:
        raise UserError(f"seed: expected 0 to {MAX_SEED}, got {seed}")
    if isinstance(model, str | os.PathLike):
        generator, name = open_generator(model, step=step), Path(model).absolute().name
    else:
        generator, name = model, model.name
    real = _reference(generator, dataset or generator.dataset, data_dir)
    count = images or real.COUNT
    drawn = draw_requested(generator, seed, real.requested_labels(count))
    return {name: real.measure(*drawn), **real.controls(count)}


def _reference(generator: Drawable, dataset: str, data_dir: str) -> AnyReference:
    """Return the real images that a generator's are compared with."""
    needs_train = not features.is_channelwise(dataset)
    test = load(dataset, data_dir, "test")
    if unlike := mismatch(generator.image_shape, generator.classes, test.spec):
        raise UserError(f"--model has {unlike}; give another --dataset")
    return reference(dataset, load(dataset, data_dir) if needs_train else test, test)


def draw_requested(
    generator: Drawable, seed: int, labels: np.ndarray, first: int = 0
) -> tuple[np.ndarray, np.ndarray | None]:
    """Draw images of requested labels.

    Args:
        generator: The generator.
        seed: Of the latent vectors.
        labels: One per image, int [N]; a plain GAN draws as many without reading them.
        first: Index of the first image's latent vector.

    Returns:
        Images uint8 [N, H, W, C] as datasets hold them, premultiplied if C is 4, and labels int32
        [N], None for a plain GAN.

    Raises:
        ModelError: The model does not run.
    """
    drawn = np.empty((len(labels), *generator.image_shape), np.uint8)
    requested = labels.astype(np.int32) if generator.classes else None
    for start in range(0, len(labels), _BATCH):
        stop = min(start + _BATCH, len(labels))
        indices = np.arange(first + start, first + stop)
        some = None if requested is None else requested[start:stop]
        part = generator.images(seed, indices, some)
        drawn[start:stop] = premultiply(part) if part.shape[-1] == 4 else part
    return drawn, requested


def mismatch(shape: tuple[int, ...], classes: int, spec: ImageSpec) -> str | None:
    """Return in words how a generator's images cannot be compared with those of a dataset.

    Args:
        shape: Of its images.
        classes: How many it has; 0 for a plain GAN, which may be compared with any.
        spec: Of the dataset.

    Returns:
        Words to follow "has"; None if they can be.
    """
    if shape != spec.shape:
        got, expected = ("x".join(map(str, sizes)) for sizes in (shape, spec.shape))
        return f"images of {got}, expected {expected}"
    if classes not in (0, spec.classes):
        return f"{classes} classes, expected {spec.classes}"
    return None
