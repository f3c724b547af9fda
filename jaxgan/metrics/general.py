"""The metrics of any pictures: by ImageNet's features where they are installed, else by pixels.

Everything is measured against the training images, and the held-out images are measured in the same
way: what a generator scores that draws new images as well as reality does.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from jaxgan.data.store import Dataset
from jaxgan.metrics import (
    agreement,
    density_coverage,
    fid,
    histogram,
    imagenet,
    kid,
    nearest,
    neighbours,
    precision_recall,
    probe,
    requested,
)
from jaxgan.metrics.look import Set, look, variety

_MAX_IMAGES = 10_000  # of each kind that are looked at
_MIN_IMAGES = 100  # of a row that is drawn: a tenth of them makes a row of its own
_MIN_FRECHET = 300  # images whose 320 means have a covariance worth comparing
_REPETITIONS = 10  # of each image of the last control row
_MAX_NEAREST = 1_000  # images of a row whose nearest training image is looked for
_QUICK_IMAGES, _QUICK_SIDE = 1_000, 64  # so many of that side take a few seconds
_MIN_QUICK_IMAGES = 250


class GeneralRow(NamedTuple):
    """The metrics of a set of images against training images; None where one cannot be had.

    Attributes:
        network: Name of the network that saw them; None without one.
        images: Number N of images; all but KID, agreement and nearest depend on it.
        frechet: Fréchet distance of the network's 320 maps; from 300 images.
        frechet_ratio: It, as a multiple of the held-out images'.
        kid: Kernel distance of its 1,280 features.
        kid_ratio: It, as a multiple of the held-out images'; None where theirs is not above 0.
        precision: Fraction of images that are like training images.
        recall: Fraction of as many training images that are like some of them.
        density: Like precision, may exceed 1.
        coverage: Like recall.
        agreement: Fraction of images that show the requested label, by a linear probe.
        histogram_kl: KL(classes ‖ classes of the training images) in nats.
        histogram: Relative frequency of each class.
        by_class: ``agreement`` of each class; None for one that was not requested.
        nearest: Distance to the nearest training image, median; pixels of 0 to 1.
        nearest_ratio: It, as a multiple of the held-out images'.
        spread: Median distance between neighbouring features, as a multiple of that of as many
            training images; 0 for copies.
        variety: Standard deviation of a pixel over the images, as a multiple of the training
            images'.
    """

    network: str | None
    images: int
    frechet: float | None
    frechet_ratio: float | None
    kid: float | None
    kid_ratio: float | None
    precision: float | None
    recall: float | None
    density: float | None
    coverage: float | None
    agreement: float | None
    histogram_kl: float | None
    histogram: list[float] | None
    by_class: list[float | None] | None
    nearest: float
    nearest_ratio: float | None
    spread: float | None
    variety: float


class GeneralMetrics(NamedTuple):
    """The part of a row that takes seconds, on fewer images; attributes as of ``GeneralRow``."""

    kid: float | None
    frechet: float | None
    recall: float | None
    agreement: float | None
    spread: float | None
    variety: float

    @property
    def score(self) -> float:
        """The number that generators are compared by, lower is better; NaN without a network."""
        return float("nan") if self.kid is None else self.kid


class GeneralScores(NamedTuple):
    """What a converted file is held against the float file by; attributes as of ``GeneralRow``."""

    kid: float
    agreement: float | None


class _Real:
    """Training images to compare with; what is computed of them is kept."""

    def __init__(self, weights: imagenet.Weights | None, train: Dataset, count: int) -> None:
        index = requested.sampling_order(len(train.image))[:count]
        self.set, self.label = look(weights, train.image, index), train.label[index]
        self._classes = train.spec.classes
        self._radii: dict[tuple[int, int], np.ndarray] = {}

    @cached_property
    def moments(self) -> fid.Moments:
        return fid.moments(self._seen.maps)

    @cached_property
    def within(self) -> float:
        return kid.within(self._seen.feature)

    @cached_property
    def probe(self) -> probe.Probe:
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


class GeneralReference:
    """Real pictures of any size that generated ones are compared with.

    At most 10,000 of the training and of the held-out images are looked at, in a fixed random
    order. An image with alpha is seen on white and on black, and both features are one vector, so
    that nothing that shows on either goes unseen.

    Attributes:
        classes: Number of classes; 0 without labels.
        network: Name of the network that sees the images; None without one.
        COUNT: Number of images to measure: as many as are held out.
        QUICK: Number of images for ``quick``.
        SCORED: Number of images for ``score``.
    """

    def __init__(self, weights: imagenet.Weights | None, train: Dataset, test: Dataset) -> None:
        """Take ImageNet's network, if it is there, and the dataset's images."""
        self._weights, self._train, self._test = weights, train, test
        self.classes = train.spec.classes
        self.network = None if weights is None else imagenet.NAME
        self.COUNT = int(np.clip(len(test.image), _MIN_IMAGES, _MAX_IMAGES))
        pixels = train.spec.shape[0] * train.spec.shape[1]
        self.QUICK = int(
            np.clip(_QUICK_IMAGES * _QUICK_SIDE**2 // pixels, _MIN_QUICK_IMAGES, _QUICK_IMAGES)
        )
        self.SCORED = self.QUICK

    def requested_labels(self, count: int) -> np.ndarray:
        """Return the labels to generate images for, int [count]: as frequent as in training."""
        return requested.requested_labels(self._train.label, count)

    def measure(self, image: np.ndarray, label: np.ndarray | None = None) -> GeneralRow:
        """Return all metrics of a set of images.

        Args:
            image: uint8 [N, H, W, C], N at least 10; premultiplied if C is 4.
            label: Labels given to the generator, int [N]; None for one without classes.
        """
        return self._relative(self._row(look(self._weights, image), label))

    def quick(self, image: np.ndarray, label: np.ndarray | None = None) -> GeneralMetrics:
        """Return the metrics that are quick, against ``QUICK`` training images."""
        return self._quick(look(self._weights, image), label, self._few)

    def score(self, image: np.ndarray, label: np.ndarray | None = None) -> GeneralScores | None:
        """Return what a converted file is judged by; None without a network."""
        quick = self.quick(image, label)
        return None if quick.kid is None else GeneralScores(quick.kid, quick.agreement)

    def controls(self, count: int | None = None) -> dict[str, GeneralRow]:
        """Return the rows of the held-out images, and of few training images again and again.

        Args:
            count: Images of a row; fewer if there are not as many. None: as many as held out.
        """
        known = self._real
        few = min(count or self.COUNT, len(known.label)) // _REPETITIONS
        index = np.tile(np.arange(few), _REPETITIONS)
        repeated = self._row(known.set.take(index), known.label[index], copies=True)
        return {
            "held out": self._relative(self._held_out),
            f"{few:,} train images {_REPETITIONS} times": self._relative(repeated),
        }

    @cached_property
    def _real(self) -> _Real:
        return _Real(self._weights, self._train, _MAX_IMAGES)

    @cached_property
    def _few(self) -> _Real:
        return _Real(self._weights, self._train, self.QUICK)

    @cached_property
    def _held_out(self) -> GeneralRow:
        index = requested.sampling_order(len(self._test.image))[:_MAX_IMAGES]
        some = look(self._weights, self._test.image, index)
        return self._row(some, self._test.label[index])

    def _relative(self, row: GeneralRow) -> GeneralRow:
        """Return a row with its multiples of the held-out images'."""
        held_out = self._held_out
        return row._replace(
            frechet_ratio=_ratio(row.frechet, held_out.frechet),
            kid_ratio=_ratio(row.kid, held_out.kid),
            nearest_ratio=_ratio(row.nearest, held_out.nearest),
        )

    def _quick(self, some: Set, label: np.ndarray | None, real: _Real) -> GeneralMetrics:
        varied = variety(some.small) / max(variety(real.set.small), 1e-9)
        if some.seen is None:
            return GeneralMetrics(None, None, None, None, None, varied)
        maps, feature = some.seen
        count = min(len(feature), len(real.label))
        radii = neighbours.radii(feature, precision_recall.K)
        ordinary = np.median(real.radii(count, precision_recall.K))
        frechet = agreed = None
        if count >= _MIN_FRECHET:
            frechet = fid.distance(fid.moments(maps), real.moments)
        if label is not None and self.classes:
            agreed = agreement.agreement(label, real.probe.label(feature))
        return GeneralMetrics(
            kid=kid.kid(feature, real.feature(len(real.label)), real.within),
            frechet=frechet,
            recall=precision_recall.precision(feature, real.feature(count), radius=radii),
            agreement=agreed,
            spread=float(np.median(radii) / max(ordinary, 1e-9)),
            variety=varied,
        )

    def _row(self, some: Set, label: np.ndarray | None, copies: bool = False) -> GeneralRow:
        """Return a row without its multiples; ``copies`` are training images themselves."""
        real = self._real
        quick = self._quick(some, label, real)
        row: dict[str, Any] = dict.fromkeys(GeneralRow._fields) | quick._asdict()
        row |= {"network": self.network, "images": len(some.small), "nearest": 0.0}
        if not copies:
            distances = nearest.nearest(some.small[:_MAX_NEAREST], real.set.small)
            row["nearest"] = float(np.median(distances))
        if some.seen is not None:
            row |= self._of_features(some.seen.feature, label)
        return GeneralRow(**row)

    def _of_features(self, feature: np.ndarray, label: np.ndarray | None) -> dict[str, Any]:
        """Return the part of a row that takes a while."""
        real = self._real
        count = min(len(feature), len(real.label))
        others, k = real.feature(count), precision_recall.K
        wider = real.radii(count, density_coverage.K)
        found: dict[str, Any] = {
            "precision": precision_recall.precision(others, feature, k, real.radii(count, k)),
            **density_coverage.density_coverage(others, feature, radius=wider)._asdict(),
        }
        if not self.classes:
            return found
        seen = real.probe.label(feature)
        usual = histogram.frequencies(real.label, self.classes)
        found["histogram"] = histogram.frequencies(seen, self.classes).tolist()
        found["histogram_kl"] = histogram.kl_to(seen, usual)
        if label is not None:
            right = [seen[label == one] == one for one in range(self.classes)]
            found["by_class"] = [float(one.mean()) if len(one) else None for one in right]
        return found


def _ratio(value: float | None, held_out: float | None) -> float | None:
    return None if value is None or held_out is None or held_out <= 0 else value / held_out
