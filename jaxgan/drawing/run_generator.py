"""A run's generator, drawn with by JAX."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import jax
import numpy as np

from jaxgan.config import TrainConfig
from jaxgan.drawing.sampling import Sample
from jaxgan.errors import UserError
from jaxgan.gan import convolution, networks
from jaxgan.gan.latents import latents as draw_latents
from jaxgan.gan.step import GAN
from jaxgan.io.images import to_uint8
from jaxgan.runs.run import Snapshot

_BATCH = 1024  # images drawn at a time, so that memory goes to what is kept: a byte a level


class RunGenerator:
    """The generator of a snapshot; satisfies ``Drawable``.

    It runs on the backend that the run is set to, so that its images are those of the run's own
    samples; on the fastest one where that cannot be had here.

    Attributes:
        latent_size: Length of a latent vector.
        image_shape: Height, width and channels of an image.
        classes: Number of classes; 0 for a plain GAN.
        class_names: Of the classes; () where they have numbers alone.
        dataset: Name of the dataset that it was trained on.
        name: The run and its step: ``mnist seed 0 step 40``.
    """

    def __init__(self, snapshot: Snapshot, name: str | None = None, gan: GAN | None = None) -> None:
        """Take a snapshot, and the run's GAN where that is compiled already."""
        config, spec = snapshot.config, snapshot.spec
        self.latent_size, self.image_shape = config.latent_size, spec.shape
        self.classes, self.class_names = spec.classes, spec.own_names
        self.dataset = config.dataset
        self.name = name or f"{config.dataset} seed {config.seed} step {snapshot.step}"
        self._params = snapshot.params
        self._sample: Callable[..., jax.Array] = (
            gan.sample
            if gan
            else partial(_draw, networks.generator(config, spec, _backend(config)))
        )

    def draw_values(self, latents: np.ndarray, labels: np.ndarray | None) -> np.ndarray:
        """Draw images as float32 [N, H, W, C] in [-1, 1] (see ``Drawable``)."""
        return np.asarray(self._sample(self._params, latents, labels))

    def draw_values_between(
        self,
        latents: np.ndarray,
        labels: np.ndarray,
        target_labels: np.ndarray,
        weights: np.ndarray,
    ) -> np.ndarray:
        """Draw images between two classes, float32 [N, H, W, C] (see ``Drawable``)."""
        classes = labels, target_labels, weights
        return np.asarray(self._sample(self._params, latents, *classes))

    def images(self, seed: int, indices: np.ndarray, labels: np.ndarray | None) -> np.ndarray:
        """Return a seed's images of some indices, uint8 [N, H, W, C] (see ``Drawable``)."""
        latents = np.asarray(draw_latents(seed, indices, self.latent_size))
        return to_uint8(self.draw_values(latents, labels))

    def draw_sample(self, sample: Sample) -> np.ndarray:
        """Draw what options chose, uint8 [N, H, W, C] (see ``sampling``)."""
        drawn = np.empty((sample.count, *self.image_shape), np.uint8)
        labels, targets, weights = sample.labels, sample.target_labels, sample.weights
        if labels is None or targets is None or weights is None:
            for part in _parts(np.arange(sample.count)):
                drawn[part] = to_uint8(self.draw_values(sample.latents[part], None))
            return drawn
        mixed = labels != targets
        for part in _parts(np.flatnonzero(mixed)):
            ends = labels[part], targets[part], weights[part]
            drawn[part] = to_uint8(self.draw_values_between(sample.latents[part], *ends))
        for part in _parts(np.flatnonzero(~mixed)):
            drawn[part] = to_uint8(self.draw_values(sample.latents[part], labels[part]))
        return drawn


@partial(jax.jit, static_argnums=0)  # compiled once for all snapshots of a run
def _draw(network: Any, params: Any, latents: Any, *classes: Any) -> jax.Array:
    images: jax.Array = network.apply({"params": params}, latents, *classes)
    return images


def _backend(config: TrainConfig) -> str:
    """Return the run's own backend, or the fastest one where that cannot be had."""
    try:
        return convolution.choose_backend(config.convolution)
    except UserError:
        return convolution.choose_backend("auto")


def _parts(rows: np.ndarray) -> Iterator[np.ndarray]:
    return (rows[start : start + _BATCH] for start in range(0, len(rows), _BATCH))
