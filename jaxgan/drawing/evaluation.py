"""How good a generator's images are: drawn as the protocol has it, measured beside real ones."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxgan.config import MAX_COUNT, MAX_SEED, ImageSpec
from jaxgan.data.dataset import load
from jaxgan.drawing.drawable import Drawable
from jaxgan.drawing.open import open_generator
from jaxgan.errors import UserError
from jaxgan.io.images import over, premultiply
from jaxgan.metrics import features, fid, inception
from jaxgan.metrics.general import GeneralRow
from jaxgan.metrics.modes import Modes
from jaxgan.metrics.reference import AnyReference, Row, reference
from jaxgan.metrics.requested import requested_labels, sampling_order

MIN_IMAGES = 100  # that a tenth of which gives a row of its own
_BATCH = 1_000  # images drawn at a time
_MAX_STANDARD = 50_000  # training images of the standard FID, by custom


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


class StandardFid(NamedTuple):
    """The FID by InceptionV3, which can be compared with published ones of equal settings.

    Attributes:
        fid: Fréchet distance of 2,048 features.
        images: Number of generated images.
        train_images: Number of training images; at most 50,000.
        resize: How they were resized to 299x299: ``clean`` or ``legacy``.
    """

    fid: float
    images: int
    train_images: int
    resize: inception.Resize


def standard_fid(
    generator: Drawable,
    weights: str | os.PathLike[str],
    resize: inception.Resize = "clean",
    *,
    dataset: str | None = None,
    data_dir: str = "data",
    images: int = 10_000,
    seed: int = 0,
) -> StandardFid:
    """Measure the standard FID against training images; those with alpha are seen on white.

    It takes about half a second an image on two cores.

    Args:
        generator: The generator.
        weights: pytorch-fid's file of InceptionV3.
        resize: ``clean`` or ``legacy``, see ``metrics.inception.see``.
        dataset: As for ``evaluate``.
        data_dir: As for ``evaluate``.
        images: Number of images to draw; 50,000 by custom.
        seed: Of their latent vectors.

    Raises:
        UserError: The file is another, or the dataset is not prepared, or of other images.
        ModelError: The generator does not run.
    """
    network = inception.load(Path(weights))
    train = load(dataset or generator.dataset, data_dir)
    if unlike := mismatch(generator.image_shape, generator.classes, train.spec):
        raise UserError(f"--model has {unlike}; give another --dataset")
    chosen = np.sort(sampling_order(len(train.image))[:_MAX_STANDARD])

    def moments(parts: Iterable[np.ndarray]) -> fid.Moments:
        seen = [inception.see(network, _coloured(part), resize) for part in parts]
        return fid.moments(np.concatenate(seen))

    labels = requested_labels(train.label, images)
    drawn = moments(
        draw_requested(generator, seed, labels[at : at + _BATCH], first=at)[0]
        for at in range(0, images, _BATCH)
    )
    real = moments(train.image[chosen[at : at + _BATCH]] for at in range(0, len(chosen), _BATCH))
    return StandardFid(fid.distance(drawn, real), images, len(chosen), resize)


def _coloured(image: np.ndarray) -> np.ndarray:
    """Return images of 1, 3 or 4 channels as red, green and blue; alpha is put on white."""
    if image.shape[-1] == 4:
        return over(image, 255)
    return np.broadcast_to(image, (*image.shape[:-1], 3))


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
