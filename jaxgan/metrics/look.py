"""What the metrics of any pictures are computed from: features, and the images averaged down."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from jaxgan.io.images import over
from jaxgan.metrics import imagenet

_SIDE = 32  # pixels; distances are those of images that are averaged down to about this side
_BLOCK = 1 << 24  # bytes of images that are read at a time
_WHITE, _BLACK = 255, 0


class Set(NamedTuple):
    """What is computed of a set of images.

    Attributes:
        seen: What the network sees; None without one.
        small: The images averaged down, uint8 [N, h, w, C].
    """

    seen: imagenet.Seen | None
    small: np.ndarray

    def take(self, index: np.ndarray) -> Set:
        """Return what is computed of some of the images."""
        return Set(None if self.seen is None else self.seen.take(index), self.small[index])


def look(
    weights: imagenet.Weights | None, image: np.ndarray, index: np.ndarray | None = None
) -> Set:
    """Return what is computed of some of the images, of which few are in memory at a time."""
    index = np.arange(len(image)) if index is None else index
    rows = max(1, _BLOCK // image[0].nbytes)
    seen, small = [], []
    for start in range(0, len(index), rows):
        part = image[index[start : start + rows]]
        small.append(_averaged(part))
        if weights is not None:
            seen.append(_seen(weights, part))
    if not seen:
        return Set(None, np.concatenate(small))
    maps, feature = (np.concatenate(one) for one in zip(*seen, strict=True))
    return Set(imagenet.Seen(maps, feature), np.concatenate(small))


def variety(small: np.ndarray) -> float:
    """Return the standard deviation of a pixel over images, root of the mean square over pixels."""
    return float(np.sqrt(np.mean(np.var(small.astype(np.float32), 0)))) / 255


def _seen(weights: imagenet.Weights, image: np.ndarray) -> imagenet.Seen:
    """Return features of images of 1, 3 or 4 channels; of 4, those on white and on black."""
    if image.shape[-1] != 4:
        return imagenet.see(weights, np.broadcast_to(image, (*image.shape[:-1], 3)))
    both = [imagenet.see(weights, over(image, level)) for level in (_WHITE, _BLACK)]
    maps, feature = (np.concatenate(one, -1) for one in zip(*both, strict=True))
    return imagenet.Seen(maps, feature)


def _averaged(image: np.ndarray) -> np.ndarray:
    """Return images whose sides are halved, by means, while they have 64x64 pixels or more."""
    while True:
        count, height, width, channels = image.shape
        if height * width < (2 * _SIDE) ** 2 or height % 2 or width % 2:
            return image
        squares = image.reshape(count, height // 2, 2, width // 2, 2, channels)
        image = ((squares.sum((2, 4), dtype=np.uint16) + 2) // 4).astype(np.uint8)
