"""Sheets of a run's images: the same latents after every epoch, real ones beside them."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import jax
import numpy as np

from jaxgan import data, images, latents
from jaxgan.config import ImageSpec, TrainConfig
from jaxgan.gan import GAN, State

_COLUMNS = 10


def _rows(spec: ImageSpec) -> int:
    return spec.classes or _COLUMNS


def write_real(run_dir: Path, spec: ImageSpec, dataset: data.Dataset) -> None:
    """Write the first real images beside the samples: a row a class, or as they come."""
    if spec.classes:
        groups = (np.flatnonzero(dataset.label == row) for row in range(spec.classes))
        rows = [images.grid(dataset.image[group[:_COLUMNS]], _COLUMNS) for group in groups]
        sheet = np.concatenate([row for row in rows if len(row)])
    else:
        sheet = images.grid(dataset.image[: _COLUMNS**2], _COLUMNS)
    images.write_png(run_dir / "samples" / "real.png", sheet)


class Samples:
    """Draws the run's images 0 to 99 after each epoch, a row a class; another thread writes them.

    Use as a context: leaving it waits for the last sheet.
    """

    def __init__(self, run_dir: Path, config: TrainConfig, spec: ImageSpec, gan: GAN) -> None:
        indices = np.arange(_rows(spec) * _COLUMNS)
        self._folder, self._gan = run_dir / "samples", gan
        self._label = indices // _COLUMNS if spec.classes else None
        self._latent = latents.latents(config.seed, indices, config.latent_size)
        self._thread = ThreadPoolExecutor(1)
        self._writing: Future[None] | None = None

    def __enter__(self) -> Samples:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        with self._thread:
            if kind is None:  # else that fault is what should be told
                self.settle()

    def draw(self, state: State, epoch: int) -> None:
        """Start samples/epoch_NNN.png; ``OutputError`` if the last sheet could not be written."""
        self.settle()
        drawn = self._gan.sample(state.average, self._latent, self._label)
        self._writing = self._thread.submit(self._write, drawn, f"epoch_{epoch:03d}.png")

    def _write(self, drawn: jax.Array, name: str) -> None:
        sheet = images.grid(images.to_uint8(np.asarray(drawn)), _COLUMNS)
        images.write_png(self._folder / name, sheet)

    def settle(self) -> None:
        """Wait for the last sheet; ``OutputError`` if it could not be written."""
        if self._writing is not None:
            writing, self._writing = self._writing, None
            writing.result()
