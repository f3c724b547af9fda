"""What evaluation, samples and commands need of a generator, wherever it came from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np

    from jaxgan.drawing.sampling import Sample


class Drawable(Protocol):
    """A generator to draw with: ``Generator`` of a file, ``RunGenerator`` of a run."""

    @property
    def latent_size(self) -> int:
        """Z, length of a latent vector."""

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """H, W and C of an image."""

    @property
    def classes(self) -> int:
        """Number of classes; 0 for a plain GAN."""

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes; () where they have numbers alone."""

    @property
    def dataset(self) -> str:
        """Name of the dataset that it was trained on; "" where a file does not say."""

    @property
    def name(self) -> str:
        """What tells it from other generators: a file's SHA-256, or a run and its step."""

    def draw_values(self, latents: np.ndarray, labels: np.ndarray | None) -> np.ndarray:
        """Draw images.

        Args:
            latents: float32 [N, Z].
            labels: Classes int32 [N]; None for a plain GAN.

        Returns:
            float32 [N, H, W, C] in [-1, 1].
        """

    def draw_values_between(
        self,
        latents: np.ndarray,
        labels: np.ndarray,
        target_labels: np.ndarray,
        weights: np.ndarray,
    ) -> np.ndarray:
        """Draw images between two classes.

        Args:
            latents: float32 [N, Z].
            labels: Classes int32 [N].
            target_labels: Other classes int32 [N].
            weights: Weights of the other classes, float32 [N] from 0 to 1.

        Returns:
            float32 [N, H, W, C] in [-1, 1].
        """

    def images(self, seed: int, indices: np.ndarray, labels: np.ndarray | None) -> np.ndarray:
        """Return a seed's images of some indices, uint8 [N, H, W, C]; C = 4: straight RGBA."""

    def draw_sample(self, sample: Sample) -> np.ndarray:
        """Draw what options chose, uint8 [N, H, W, C]; C = 4: straight RGBA."""
