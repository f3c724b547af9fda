"""A generator in a .tflite file, as a library has it: seeds and labels in, NumPy arrays out.

    with Generator("generator.tflite") as generator:
        digits = generator.draw(seed=7, count=10, labels=3)  # uint8 [10, 28, 28, 1]

The C++ library draws, so the pixels are those of its program, bit for bit. No JAX is needed.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

import numpy as np

from jaxgan.drawing import arguments, library
from jaxgan.drawing.model import METADATA, Model, SignatureInfo
from jaxgan.drawing.sampling import Sample, Sampling, choose
from jaxgan.errors import UserError

_MAX_STEPS = 1000
_AT_A_TIME = 4096  # images whose values are held at a time, as in the C++ library


class Info(NamedTuple):
    """What a model file says of itself.

    Attributes:
        image_shape: Height, width and channels of an image.
        latent_size: Length of a latent vector.
        classes: Number of classes; 0 for a plain GAN.
        class_names: Of the classes; () where they have numbers alone.
        dataset: Name of the dataset that it was trained on; "" where the file does not say.
        bytes: Size of the file.
        sha256: Of the file, 64 hexadecimal digits.
        signatures: Functions of the file with their inputs and outputs.
        batch_sizes: N of each signature ``generate_N``, largest first.
        metadata: Entries that the conversion wrote: version, seed, step, report and others.
        runtime: Name and file of what runs it.
    """

    image_shape: tuple[int, int, int]
    latent_size: int
    classes: int
    class_names: tuple[str, ...]
    dataset: str
    bytes: int
    sha256: str
    signatures: tuple[SignatureInfo, ...]
    batch_sizes: tuple[int, ...]
    metadata: dict[str, str]
    runtime: str


class Generator:
    """A generator of a .tflite file. Threads may share it: one draws at a time.

    Attributes:
        image_shape: Height, width and channels of an image.
        latent_size: Length of a latent vector.
        classes: Number of classes; 0 for a plain GAN.
        class_names: Of the classes; () where they have numbers alone.
    """

    def __init__(self, path: str | os.PathLike[str], threads: int = 1) -> None:
        """Open a file that ``convert`` wrote.

        Args:
            path: The file.
            threads: Threads that run it, 1 to 1024.

        Raises:
            UserError: The number of threads is none.
            ModelError: The file cannot be read, or is no generator.
            LibraryError: The C++ library or the LiteRT runtime is missing.
        """
        self._take(Model(path, threads=threads))

    @classmethod
    def from_bytes(cls, content: bytes, *, name: str = "the model", threads: int = 1) -> Generator:
        """Open a copy of a file's bytes; ``name`` stands for its path in messages."""
        generator = cls.__new__(cls)
        generator._take(Model(name, content, threads))
        return generator

    def _take(self, model: Model) -> None:
        self._model = model
        self.image_shape, self.latent_size = model.image_shape, model.latent_size
        self.classes, self.class_names = model.classes, model.class_names
        self._classes = arguments.Classes(model.classes, model.class_names)

    def close(self) -> None:
        """Give the model's memory back. Drawing raises ``UserError`` from then on."""
        self._model.close()

    def __enter__(self) -> Generator:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @functools.cached_property
    def info(self) -> Info:
        """What the file says of itself."""
        model, signatures = self._model, self._model.signatures()
        found = {name: model.metadata(name) for name in METADATA}
        metadata = {name: text for name, text in found.items() if text is not None}
        numbers = [one.name.removeprefix("generate_") for one in signatures]
        sizes = sorted((int(number) for number in numbers if number.isdecimal()), reverse=True)
        return Info(
            self.image_shape, self.latent_size, self.classes, self.class_names,
            metadata.get("dataset", ""), model.bytes, model.sha256(), signatures, tuple(sizes),
            metadata, model.runtime(),
        )  # fmt: skip

    @functools.cached_property
    def dataset(self) -> str:
        """Name of the dataset that it was trained on; "" where the file does not say."""
        return self._model.metadata("dataset") or ""

    @functools.cached_property
    def name(self) -> str:
        """The file's SHA-256."""
        return self._model.sha256()

    def draw(
        self,
        *,
        seed: int = 0,
        count: int = 64,
        seeds: Sequence[int] | np.ndarray | None = None,
        labels: arguments.Labels = None,
        truncation: float | None = None,
        latents: np.ndarray | None = None,
    ) -> np.ndarray:
        """Draw images. Each depends on its seed, its number and its label alone.

        Args:
            seed: Of the latent vectors, 0 to 2**32 - 1.
            count: N, number of images, 1 to 1,000,000.
            seeds: Draw image 0 of each of these seeds instead.
            labels: A class, or classes that the images take in turn, by number or name, such as 3,
                ``"cat"`` or ``["cat", 3]``; None for every class in turn.
            truncation: Bound on the latent vectors' entries, above 0 and at most 10: images more
                usual, less varied. None for none.
            latents: Draw these latent vectors instead, float32 [N, latent size].

        Returns:
            uint8 [N, H, W, C]; of 4 channels, straight RGBA.

        Raises:
            UserError: An argument is out of range, or the generator is closed.
            ModelError: The model does not run.
            MemoryError: There is not enough memory.
        """
        options = arguments.options(seed, count, seeds, labels, truncation, self._classes)
        if latents is None:
            return self.draw_sample(choose(options, self.latent_size, self.classes))
        given = arguments.latents(latents, self.latent_size, seeds, truncation)
        classes = arguments.in_turn(labels, self._classes, len(given))
        drawn = np.empty((len(given), *self.image_shape), np.uint8)
        for start in range(0, len(given), _AT_A_TIME):
            part = slice(start, start + _AT_A_TIME)
            values = self.draw_values(given[part], None if classes is None else classes[part])
            drawn[part] = to_levels(values)
        return drawn

    def draw_between(
        self,
        *,
        steps: int,
        seed: int = 0,
        count: int = 64,
        seeds: Sequence[int] | np.ndarray | None = None,
        labels: arguments.Labels = None,
        truncation: float | None = None,
        latents: np.ndarray | None = None,
    ) -> np.ndarray:
        """Draw the images of ``draw``, N of them, and those between each and the next.

        Args:
            steps: S, images from each one to the next, both included, 2 to 1000.
            seed: See ``draw``; so the others.
            count: N, at least 2.
            seeds: Of N images.
            labels: Of the N images; between two classes, both are mixed.
            truncation: Of the N images.
            latents: Of N images.

        Returns:
            uint8 [(N - 1) * S, H, W, C].

        Raises:
            UserError: An argument is out of range, or the generator is closed.
            ModelError: The model does not run, or cannot mix classes.
            MemoryError: There is not enough memory.
        """
        arguments.require("steps", steps, 2, _MAX_STEPS)
        options = arguments.options(seed, count, seeds, labels, truncation, self._classes)
        options = dataclasses.replace(options, interpolate=str(int(steps)))
        if latents is None:
            if (count if seeds is None else len(seeds)) < 2:
                name = "count" if seeds is None else "seeds"
                raise UserError(f"{name}: expected at least 2 images to go between, got 1")
            return self.draw_sample(choose(options, self.latent_size, self.classes))
        given = arguments.latents(latents, self.latent_size, seeds, truncation)
        if len(given) < 2:
            raise UserError("latents: expected at least 2 rows to go between, got 1")
        with tempfile.TemporaryDirectory(prefix="jaxgan-") as folder:  # the library reads a file
            path = Path(folder) / "latents.npy"
            np.save(path, given)
            options = Sampling(
                latents=str(path), label=options.label, interpolate=options.interpolate
            )
            return self.draw_sample(choose(options, self.latent_size, self.classes))

    def draw_values(self, latents: np.ndarray, labels: np.ndarray | None) -> np.ndarray:
        """Draw images as float32 [N, H, W, C] in [-1, 1] (see ``Drawable``).

        Exactly as many as a signature ``generate_N`` has rows are drawn by that signature.
        """
        latents = np.ascontiguousarray(latents, np.float32)
        chosen = None if labels is None else np.ascontiguousarray(labels, np.int32)
        self._check_shapes(latents, chosen)
        values = np.empty((len(latents), *self.image_shape), np.float32)
        places = latents.ctypes.data, None if chosen is None else chosen.ctypes.data
        self._model.call("jaxgan_draw", *places, len(latents), values.ctypes.data)
        return values

    def draw_values_between(
        self,
        latents: np.ndarray,
        labels: np.ndarray,
        target_labels: np.ndarray,
        weights: np.ndarray,
    ) -> np.ndarray:
        """Draw images between two classes, float32 [N, H, W, C] in [-1, 1] (see ``Drawable``)."""
        latents = np.ascontiguousarray(latents, np.float32)
        ends = [np.ascontiguousarray(one, np.int32) for one in (labels, target_labels)]
        arrays = [*ends, np.ascontiguousarray(weights, np.float32)]
        self._check_shapes(latents, *arrays)
        values = np.empty((len(latents), *self.image_shape), np.float32)
        places = [one.ctypes.data for one in (latents, *arrays)]
        self._model.call("jaxgan_draw_between", *places, len(latents), values.ctypes.data)
        return values

    def _check_shapes(self, latents: np.ndarray, *others: np.ndarray | None) -> None:
        """Raise ``UserError`` where the library would read beyond an array's end."""
        if latents.ndim != 2 or latents.shape[1] != self.latent_size:
            raise UserError(
                f"latents: expected float32 [N, {self.latent_size}], got {list(latents.shape)}"
            )
        for one in others:
            if one is not None and one.shape != (len(latents),):
                raise UserError(
                    f"labels and weights: expected [{len(latents)}], got {list(one.shape)}"
                )

    def images(self, seed: int, indices: np.ndarray, labels: np.ndarray | None) -> np.ndarray:
        """Return a seed's images of some indices, uint8 [N, H, W, C] (see ``Drawable``)."""
        return to_levels(self.draw_values(draw_latents(seed, indices, self.latent_size), labels))

    def draw_sample(self, sample: Sample) -> np.ndarray:
        """Draw what options chose, uint8 [N, H, W, C] (see ``sampling``)."""
        drawn = np.frombuffer(self._model.draw_sample(sample), np.uint8)
        return drawn.reshape(sample.count, *self.image_shape)


def draw_latents(
    seeds: int | Sequence[int] | np.ndarray,
    indices: Sequence[int] | np.ndarray,
    size: int,
    truncation: float | None = None,
) -> np.ndarray:
    """Return what ``gan.latents.latents`` does, by the C++ library: float32 [N, size]."""
    numbers = np.ascontiguousarray(indices, np.uint32)
    each = np.ascontiguousarray(np.broadcast_to(np.asarray(seeds, np.uint32), numbers.shape))
    drawn = np.empty((len(numbers), size), np.float32)
    places = each.ctypes.data, numbers.ctypes.data
    library.load().jaxgan_latents(*places, len(numbers), size, truncation or 0.0, drawn.ctypes.data)
    return drawn


def to_levels(values: np.ndarray) -> np.ndarray:
    """Return what ``io.images.to_uint8`` does, by the C++ library."""
    *places, channels = values.shape
    levels = np.empty(values.shape, np.uint8)
    addresses = values.ctypes.data, math.prod(places), channels, levels.ctypes.data
    library.load().jaxgan_to_levels(*addresses)
    return levels
