"""Draw images from a .tflite file or a run directory. The C++ program takes the same options.

python -m jaxgan.generate --model generator.tflite --seed 7 --count 80 --out digits.png
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from jaxgan import cli, progress
from jaxgan.config import MOST_COUNT, MOST_THREADS, ImageSpec, TrainConfig
from jaxgan.errors import UserError

if TYPE_CHECKING:
    from jaxgan.gan import GAN, Params

Draw = Callable[[np.ndarray, np.ndarray | None], np.ndarray]


@dataclass(frozen=True)
class GenerateConfig:
    """Draw images with a trained generator.

    Image i depends on the seed, i and its label alone; C++ draws the same pixels.
    """

    model: Path = Path("generator.tflite")
    """A .tflite file of convert_tflite.py, or a run directory of train.py."""

    seed: int = 0
    """Seed of the latent vectors (0 to 4294967295)."""

    count: int = 64
    """Number of images."""

    label: str | None = None
    """Class, or classes such as 3,1,4 that images take in turn; every class in turn if none."""

    out: str = "digits.png"
    """PNG file of a grid; with a pattern such as digit_%04d.png, one file an image."""

    columns: int = 10
    """Images in a row of the grid."""

    threads: int = 1
    """Threads that run a .tflite file."""

    def __post_init__(self) -> None:
        bounds = {"count": MOST_COUNT, "columns": MOST_COUNT, "threads": MOST_THREADS}
        for name, most in bounds.items():
            if not 1 <= getattr(self, name) <= most:
                raise UserError(f"--{name}: expected 1 to {most}, got {getattr(self, name)}")
        if not 0 <= self.seed < 2**32:
            raise UserError(f"--seed: expected 0 to 4294967295, got {self.seed}")
        if not self.out:
            raise UserError("--out: expected the name of a PNG file, got none")
        if self.out.count("%") and not re.fullmatch(r"[^%]*%(0[1-9])?d[^%]*", self.out):
            raise UserError(f"--out: expected one number pattern such as %04d, got {self.out!r}")


class Model(NamedTuple):
    """A generator to draw with, wherever it came from.

    Attributes:
        draw: (latents float32 [N, Z], labels int32 [N] or None) → images float32 [N, H, W, C] in
            [-1, 1], NumPy arrays.
        latent_size: Z.
        image_shape: H, W and C.
        classes: Number of classes; 0 for a plain GAN.
        dataset: Name of the dataset that it was trained on; "" where a file does not tell.
    """

    draw: Draw
    latent_size: int
    image_shape: tuple[int, ...]
    classes: int
    dataset: str

    def images(self, seed: int, indices: np.ndarray, label: np.ndarray | None) -> np.ndarray:
        """Return a seed's images of some indices, uint8 [N, H, W, C]."""
        from jaxgan import images, latents

        latent = np.asarray(latents.latents(seed, indices, self.latent_size))
        return images.to_uint8(self.draw(latent, label))


def main(config: GenerateConfig) -> None:
    """Draw as the options say."""
    from jaxgan import images, latents  # after parsing: --help and Ctrl-C answer at once

    model = open_model(config.model, config.threads)
    if "%" not in config.out:
        images.check_grid(model.image_shape, config.count, min(config.columns, config.count))
    indices = np.arange(config.count)
    label = latents.cycle(latents.parse_labels(config.label, model.classes), indices)
    drawn = model.images(config.seed, indices, label)
    for path, picture in _files(config, drawn):
        images.write_png(path, picture)
    progress.say(f"{config.out}: {config.count} images")


def open_model(path: Path, threads: int = 1, step: int | None = None) -> Model:
    """Return the generator in a .tflite file, or that of a run directory's checkpoint.

    Args:
        path: File or directory.
        threads: Threads that run a file.
        step: Which checkpoint of a directory; the newest if None.

    Raises:
        ModelError: The file is no generator.
        UserError: The directory holds no run, or no such checkpoint.
    """
    if not path.is_dir():
        if step is not None:
            raise UserError(f"--step: {path} is one model; give a run directory as --model")
        from jaxgan import tflite

        file = tflite.Generator.read(path, threads)
        dataset = file.metadata.get("dataset", "")
        return Model(file.draw, file.latent_size, file.image_shape, file.classes, dataset)
    from jaxgan import export
    from jaxgan.gan import make_gan

    config, spec, params, _ = export.from_run(path, step)
    return of_params(make_gan(config, spec), params, config, spec)


def of_params(gan: GAN, params: Params, config: TrainConfig, spec: ImageSpec) -> Model:
    """Return what draws with a generator's params by JAX."""

    def draw(latent: np.ndarray, label: np.ndarray | None) -> np.ndarray:
        return np.asarray(gan.sample(params, latent, label))

    return Model(draw, config.latent_size, spec.shape, spec.classes, config.dataset)


def _files(config: GenerateConfig, drawn: np.ndarray):
    """Yield (path, picture): one grid, or one file an image where the name has a pattern."""
    from jaxgan import images

    if "%" not in config.out:
        yield Path(config.out), images.grid(drawn, min(config.columns, len(drawn)))
        return
    for index, picture in enumerate(drawn):
        yield Path(config.out % index), picture


if __name__ == "__main__":
    cli.run(main, GenerateConfig, "python -m jaxgan.generate")
