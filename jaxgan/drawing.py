"""A generator to draw with, wherever it came from, and images of it at keys and between them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from jaxgan import images, latents
from jaxgan.config import ImageSpec, TrainConfig
from jaxgan.errors import UserError
from jaxgan.files import sha256

if TYPE_CHECKING:
    from jaxgan.gan import GAN, Params

_BATCH = 1024  # images drawn at a time, so that memory goes to what is kept: a byte a level


class Model(NamedTuple):
    """A generator to draw with, wherever it came from.

    Attributes:
        draw: (latents float32 [N, Z], labels int32 [N] or None), optionally followed by (toward
            int32 [N], share float32 [N]), see ``models.Generator`` → images float32 [N, H, W, C] in
            [-1, 1], NumPy arrays. ``ModelError`` where a file cannot mix classes.
        latent_size: Z.
        image_shape: H, W and C.
        classes: Number of classes; 0 for a plain GAN.
        dataset: Name of the dataset that it was trained on; "" where a file does not tell.
        name: What tells it from other models: a file's SHA-256, or a run and its step.
    """

    draw: Callable[..., np.ndarray]
    latent_size: int
    image_shape: tuple[int, ...]
    classes: int
    dataset: str
    name: str = ""

    def images(self, seed: int, indices: np.ndarray, label: np.ndarray | None) -> np.ndarray:
        """Return a seed's images of some indices, uint8 [N, H, W, C]."""
        latent = np.asarray(latents.latents(seed, indices, self.latent_size))
        return images.to_uint8(self.draw(latent, label))


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
        return _of_file(path, threads)
    from jaxgan import export
    from jaxgan.gan import make_gan

    config, spec, params, step = export.from_run(path, step)
    model = of_params(make_gan(config, spec), params, config, spec)
    return model._replace(name=f"{config.dataset} seed {config.seed} step {step}")


def _of_file(path: Path, threads: int) -> Model:
    from jaxgan import tflite

    file = tflite.Generator.read(path, threads)

    def draw(latent: np.ndarray, label: np.ndarray | None, *mix: np.ndarray) -> np.ndarray:
        return file.between(latent, label, *mix) if mix else file.draw(latent, label)

    dataset = file.metadata.get("dataset", "")
    return Model(draw, file.latent_size, file.image_shape, file.classes, dataset, sha256(path))


def of_params(gan: GAN, params: Params, config: TrainConfig, spec: ImageSpec) -> Model:
    """Return what draws with a generator's params by JAX."""

    def draw(latent: np.ndarray, label: np.ndarray | None, *mix: np.ndarray) -> np.ndarray:
        return np.asarray(gan.sample(params, latent, label, *mix))

    return Model(draw, config.latent_size, spec.shape, spec.classes, config.dataset)


def draw(
    model: Model, keys: np.ndarray, labels: Sequence[int], frames: latents.Frames
) -> tuple[np.ndarray, np.ndarray]:
    """Draw images at keys and between them.

    Args:
        model: The generator.
        keys: Latents of the keys, float32 [K, Z].
        labels: What the keys take in turn; none for a plain GAN.
        frames: Where the images stand, N of them.

    Returns:
        Their latents, float32 [N, Z], and they themselves, uint8 [N, H, W, C].

    Raises:
        ModelError: The model does not run, or cannot mix classes.
    """

    def parts(rows: np.ndarray) -> list[np.ndarray]:
        return [rows[at : at + _BATCH] for at in range(0, len(rows), _BATCH)]

    start, end, share = frames
    latent = np.empty((len(share), model.latent_size), np.float32)
    for part in parts(np.arange(len(share))):
        latent[part] = latents.slerp(keys[start[part]], keys[end[part]], share[part])
    label, toward = latents.cycle(labels, start), latents.cycle(labels, end)
    mixed = np.zeros(len(share), bool) if label is None else label != toward
    drawn = np.empty((len(share), *model.image_shape), np.uint8)
    # Mixed classes first: a file that cannot draw them says so at once.
    for part in parts(np.flatnonzero(mixed)):
        mix = toward[part], share[part].astype(np.float32)
        drawn[part] = images.to_uint8(model.draw(latent[part], label[part], *mix))
    for part in parts(np.flatnonzero(~mixed)):
        classes = None if label is None else label[part]
        drawn[part] = images.to_uint8(model.draw(latent[part], classes))
    return latent, drawn
