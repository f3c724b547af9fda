"""Sheets of a run's images: the same latents after every epoch, real ones beside them."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import jax
import numpy as np

from jaxgan.config import ImageSpec, TrainConfig
from jaxgan.data.store import Dataset
from jaxgan.gan.latents import latents
from jaxgan.gan.step import GAN, State
from jaxgan.io import images

_COLUMNS = 10
_MAX_ROWS = 20  # of classes; of more, some that are spread evenly over all


def rows(spec: ImageSpec) -> np.ndarray:
    """Return the class of each row of a sheet, int [rows]; ten rows of zeros without classes."""
    if not spec.classes:
        return np.zeros(_COLUMNS, int)
    count = min(spec.classes, _MAX_ROWS)
    return np.arange(count) * spec.classes // count


def write_real(run_dir: Path, spec: ImageSpec, dataset: Dataset) -> None:
    """Write the first real images beside the samples: a row a class, or as they come.

    A class with fewer images leaves its places black, so that rows match those of the samples.
    """
    shape = dataset.spec.shape
    sheet = np.zeros((len(rows(spec)), _COLUMNS, *shape), np.uint8)
    if spec.classes:
        for row, label in enumerate(rows(spec)):
            found = dataset.image[np.flatnonzero(dataset.label == label)[:_COLUMNS]]
            sheet[row, : len(found)] = found
    else:
        found = dataset.image[: _COLUMNS**2]
        sheet.reshape(-1, *shape)[: len(found)] = found
    images.write_png(run_dir / "samples" / "real.png", _picture(sheet.reshape(-1, *shape), spec))


def _picture(premultiplied: np.ndarray, spec: ImageSpec) -> np.ndarray:
    """Return images uint8 [N, H, W, C] as a sheet, on a checkerboard where they have alpha.

    Classes that have names are named beside their rows.
    """
    if premultiplied.shape[-1] == 4:
        premultiplied = images.checkerboard(premultiplied)
    sheet = images.grid(premultiplied, _COLUMNS)
    if not spec.own_names:
        return sheet
    return images.captioned(sheet, [spec.name(label) for label in rows(spec)])


class Samples:
    """Draws the same latents after each epoch, a row a class; another thread writes the sheets.

    Use as a context: leaving it waits for the last sheet.
    """

    def __init__(self, run_dir: Path, config: TrainConfig, spec: ImageSpec, gan: GAN) -> None:
        label = np.repeat(rows(spec), _COLUMNS).astype(np.int32)
        self._folder, self._gan, self._spec = run_dir / "samples", gan, spec
        self._label = label if spec.classes else None
        self._latent = latents(config.seed, np.arange(len(label)), config.latent_size)
        self._thread = ThreadPoolExecutor(1)
        self._writing: Future[None] | None = None

    def __enter__(self) -> Samples:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        with self._thread:
            if kind is None:  # else that fault is what should be raised
                self.wait()

    def draw(self, state: State, name: str) -> None:
        """Start samples/NAME; ``OutputError`` if the last sheet could not be written."""
        self.wait()
        drawn = self._gan.sample(state.ema, self._latent, self._label)
        self._writing = self._thread.submit(self._write, drawn, name)

    def _write(self, drawn: jax.Array, name: str) -> None:
        levels = images.to_uint8(np.asarray(drawn))
        if self._spec.shape[2] == 4:
            levels = images.premultiply(levels)
        images.write_png(self._folder / name, _picture(levels, self._spec))

    def wait(self) -> None:
        """Wait for the last sheet; ``OutputError`` if it could not be written."""
        if self._writing is not None:
            writing, self._writing = self._writing, None
            writing.result()
