"""Pictures as they are measured: what the network sees of them, and small versions of them."""

from __future__ import annotations

from functools import cached_property
from typing import NamedTuple

import numpy as np

from jaxgan.data.store import Dataset
from jaxgan.io.images import over
from jaxgan.metrics import fid, imagenet, kid, neighbours, probe, requested

_SIDE = 32  # pixels; distances are those of images that are averaged down to about this side
_BLOCK = 1 << 24  # bytes of images that are read at a time
_WHITE, _BLACK = 255, 0


class Pictures(NamedTuple):
    """What is computed of a set of images.

    Attributes:
        seen: What the network sees; None without one.
        small: The images averaged down, uint8 [N, h, w, C].
    """

    seen: imagenet.Seen | None
    small: np.ndarray

    def take(self, index: np.ndarray) -> Pictures:
        """Return what was computed of some of the images."""
        return Pictures(None if self.seen is None else self.seen.take(index), self.small[index])


class RealPictures:
    """Training images to compare with; what is computed of them is kept.

    Attributes:
        set: What is computed of each.
        label: Their labels, int32 [N].
    """

    def __init__(self, weights: imagenet.Weights | None, train: Dataset, count: int) -> None:
        """Look at so many of a dataset's images, in a fixed random order."""
        index = requested.sampling_order(len(train.image))[:count]
        self.set, self.label = look_at(weights, train.image, index), train.label[index]
        self._classes = train.spec.classes
        self._radii: dict[tuple[int, int], np.ndarray] = {}

    @cached_property
    def moments(self) -> fid.Moments:
        """Their 320 means, fitted by a Gaussian."""
        return fid.moments(self._seen.maps)

    @cached_property
    def within(self) -> float:
        """Mean kernel of two of them."""
        return kid.within(self._seen.feature)

    @cached_property
    def probe(self) -> probe.Probe:
        """What tells their classes."""
        return probe.fit(self._seen.feature, self.label, self._classes)

    @property
    def _seen(self) -> imagenet.Seen:
        assert self.set.seen is not None
        return self.set.seen

    def feature(self, count: int) -> np.ndarray:
        """Return the features of so many images, fewer if there are not as many."""
        return self._seen.feature[:count]

    def radii(self, count: int, k: int) -> np.ndarray:
        """Return the radii of so many features, see ``neighbours.radii``."""
        key = count, k
        if key not in self._radii:
            self._radii[key] = neighbours.radii(self.feature(count), k)
        return self._radii[key]


def look_at(
    weights: imagenet.Weights | None, image: np.ndarray, index: np.ndarray | None = None
) -> Pictures:
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
        return Pictures(None, np.concatenate(small))
    maps, feature = (np.concatenate(one) for one in zip(*seen, strict=True))
    return Pictures(imagenet.Seen(maps, feature), np.concatenate(small))


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


def variety(small: np.ndarray) -> float:
    """Return the standard deviation of a pixel over images, root of the mean square over pixels."""
    return float(np.sqrt(np.mean(np.var(small.astype(np.float32), 0)))) / 255
