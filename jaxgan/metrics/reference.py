"""A row of numbers about a set of images, and the rows of real images to compare it with."""

from __future__ import annotations

import logging
from functools import cached_property
from typing import NamedTuple, TypeAlias

import numpy as np

from jaxgan.data.store import Dataset
from jaxgan.errors import UserError
from jaxgan.metrics import (
    agreement,
    density_coverage,
    features,
    fid,
    histogram,
    imagenet,
    kid,
    modes,
    nearest,
    neighbours,
    precision_recall,
    requested,
)
from jaxgan.metrics.general import GeneralReference

_log = logging.getLogger(__name__)
_REPETITIONS = 10  # of each image of the last control row
_MIN_TEST_IMAGES = 10  # among which there are neighbours


class Row(NamedTuple):
    """The metrics of a set of images, against the test images unless stated otherwise.

    Attributes:
        fid: Fréchet distance to the test images.
        fid_train: Fréchet distance to the training images.
        kid: Kernel distance.
        precision: Fraction of images that are like real ones.
        recall: Fraction of real images that are like some of them.
        density: Like precision, may exceed 1.
        coverage: Like recall.
        agreement: Fraction of images that show the requested label; None if none was requested.
        histogram_kl: KL(classes ‖ uniform) in nats.
        histogram: Relative frequency of each class.
        nearest: Distance to the nearest training image, median over the images; pixels of 0 to 1.
    """

    fid: float
    fid_train: float
    kid: float
    precision: float
    recall: float
    density: float
    coverage: float
    agreement: float | None
    histogram_kl: float
    histogram: list[float]
    nearest: float


class Scores(NamedTuple):
    """The part of a row that needs no neighbours; attributes as those of ``Row``."""

    fid: float
    agreement: float | None


class QuickMetrics(NamedTuple):
    """The part of a row that takes about a second; attributes as those of ``Row``."""

    fid: float
    recall: float
    agreement: float | None
    histogram_kl: float

    @property
    def score(self) -> float:
        """The number that generators are compared by, lower is better."""
        return self.fid


class Triples:
    """The real triples of Stacked MNIST. It has the methods of ``Reference``, but for ``score``.

    Attributes:
        classes: Number of classes of a channel.
    """

    COUNT = 26_000  # images to measure, by custom
    QUICK = 5_000  # images for ``quick``

    def __init__(self, weights: features.Weights, test: Dataset) -> None:
        """Take the weights of the network that classifies each channel, and real triples."""
        self._weights, self._test = weights, test
        self.classes = features.class_count(weights)

    def requested_labels(self, count: int) -> np.ndarray:
        """Return labels, int [count]; a generator of triples ignores them."""
        return np.zeros(count, np.int32)

    def measure(self, image: np.ndarray, label: np.ndarray | None = None) -> modes.Modes:
        """Return the modes among images.

        Args:
            image: uint8 [N, 28, 28, 3]; N is 26,000 by custom.
            label: Ignored.
        """
        channels = np.moveaxis(image, -1, 0)[..., None]
        seen = [features.see(self._weights, channel).label for channel in channels]
        return modes.modes(np.stack(seen, -1), self.classes)

    def quick(self, image: np.ndarray, label: np.ndarray | None = None) -> modes.Modes:
        """Return the same as ``measure``."""
        return self.measure(image, label)

    def controls(self, count: int = COUNT) -> dict[str, modes.Modes]:
        """Return the row of so many real triples, of MNIST's test images; at most 26,000."""
        return {"real test": self.measure(self._test.image[:count])}


class Reference:
    """The real images that generated ones are compared with.

    What is computed of them is kept, and computed only when it is needed: ``quick`` needs no
    feature of a training image.

    Attributes:
        classes: Number of classes of the feature network.
        network: Name of the feature network.
    """

    COUNT = 10_000  # images to measure, by the protocol
    QUICK = 5_000  # images for ``quick``
    SCORED = COUNT  # images for ``score``

    def __init__(
        self, weights: features.Weights, train: Dataset, test: Dataset, network: str = ""
    ) -> None:
        """Take a feature network's weights, the dataset's images, and the network's name."""
        self._weights, self._train, self._test = weights, train, test
        self.network = network
        self._radii: dict[int, np.ndarray] = {}
        self.classes = features.class_count(weights)

    def requested_labels(self, count: int) -> np.ndarray:
        """Return the labels to generate images for, int [count]: those of the row "real train"."""
        return requested.requested_labels(self._train.label, count)

    def measure(self, image: np.ndarray, label: np.ndarray | None = None) -> Row:
        """Return all metrics of a set of images.

        Args:
            image: uint8 [N, 28, 28, 1], N at least 4; 10,000 by custom.
            label: Labels given to the generator, int [N]; None for one without classes.
        """
        return self._row(features.see(self._weights, image), label, self._median_nearest(image))

    def quick(self, image: np.ndarray, label: np.ndarray | None = None) -> QuickMetrics:
        """Return the metrics that are quick for 2,000 to 5,000 images; arguments as of ``measure``.

        FID and recall depend on the number of images, so compare only sets of one size.
        """
        return self._quick(features.see(self._weights, image), label)

    def score(self, image: np.ndarray, label: np.ndarray | None = None) -> Scores:
        """Return the metrics that are quick for 10,000 images; arguments as of ``measure``."""
        return self._score(features.see(self._weights, image), label)

    def controls(self, count: int = COUNT) -> dict[str, Row]:
        """Return rows of real images: what a perfect generator has, and one that repeats itself.

        The test images are compared with themselves: their FID is 0, their precision, recall,
        density and coverage are 1, and their KID is a little below 0, as it takes the sets for
        independent. That row is there for their FID and distance to the training images.

        Args:
            count: Images of a row, since FID depends on it; fewer if there are not as many. At
                least 100 by the last row, a tenth of them ten times.
        """
        order = requested.sampling_order(len(self._train.image))[:count]
        few = order[: len(order) // _REPETITIONS]
        every = np.arange(len(self._test.image))
        return {
            "real train": self._control(self._train, self._train_seen, order),
            "real test": self._control(self._test, self._test_seen, every),
            f"{len(few):,} train images {_REPETITIONS} times": self._control(
                self._train, self._train_seen, np.tile(few, _REPETITIONS)
            ),
        }

    def _control(self, source: Dataset, seen: features.Seen, index: np.ndarray) -> Row:
        some = features.Seen(seen.feature[index], seen.label[index])
        # Training images are among the training images.
        distance = 0.0 if source is self._train else self._median_nearest(source.image[index])
        return self._row(some, source.label[index], distance)

    def _median_nearest(self, image: np.ndarray) -> float:
        return float(np.median(nearest.nearest(image, self._train.image)))

    def _score(self, seen: features.Seen, label: np.ndarray | None) -> Scores:
        return Scores(
            fid.distance(fid.moments(seen.feature), self._test_moments),
            None if label is None else agreement.agreement(label, seen.label),
        )

    def _quick(self, seen: features.Seen, label: np.ndarray | None) -> QuickMetrics:
        scores = self._score(seen, label)
        return QuickMetrics(
            scores.fid,
            precision_recall.recall(self._test_seen.feature, seen.feature),
            scores.agreement,
            histogram.kl(seen.label, self.classes),
        )

    def _row(self, seen: features.Seen, label: np.ndarray | None, distance: float) -> Row:
        real, fake = self._test_seen.feature, seen.feature
        quick = self._quick(seen, label)
        dense = density_coverage.density_coverage(
            real, fake, radius=self._test_radius(density_coverage.K)
        )
        return Row(
            fid=quick.fid,
            fid_train=fid.distance(fid.moments(fake), self._train_moments),
            kid=kid.kid(fake, real, self._test_within),
            precision=precision_recall.precision(
                real, fake, radius=self._test_radius(precision_recall.K)
            ),
            recall=quick.recall,
            density=dense.density,
            coverage=dense.coverage,
            agreement=quick.agreement,
            histogram_kl=quick.histogram_kl,
            histogram=histogram.frequencies(seen.label, self.classes).tolist(),
            nearest=distance,
        )

    @cached_property
    def _train_seen(self) -> features.Seen:
        return features.see(self._weights, self._train.image)

    @cached_property
    def _test_seen(self) -> features.Seen:
        return features.see(self._weights, self._test.image)

    @cached_property
    def _train_moments(self) -> fid.Moments:
        return fid.moments(self._train_seen.feature)

    @cached_property
    def _test_moments(self) -> fid.Moments:
        return fid.moments(self._test_seen.feature)

    @cached_property
    def _test_within(self) -> float:
        return kid.within(self._test_seen.feature)

    def _test_radius(self, k: int) -> np.ndarray:
        if k not in self._radii:
            self._radii[k] = neighbours.radii(self._test_seen.feature, k)
        return self._radii[k]


AnyReference: TypeAlias = Reference | Triples | GeneralReference


def reference(dataset: str, train: Dataset, test: Dataset) -> AnyReference:
    """Return what a dataset's generated images are measured against.

    A dataset that has a network of its own is measured by it, any other by ImageNet's. Where that
    is not installed, a line in the log says how to get it, and pixels alone are measured.

    Args:
        dataset: Name of the dataset.
        train: Its training images.
        test: Its test images.

    Raises:
        UserError: Its test images are too few.
    """
    if len(test.image) < _MIN_TEST_IMAGES:
        raise UserError(
            f"the dataset has {len(test.image)} test images, expected at least {_MIN_TEST_IMAGES} "
            "to compare with; give another --data-dir, or to train.py --evaluate-every 0"
        )
    if dataset not in features.known():
        if imagenet.is_installed():
            return GeneralReference(imagenet.load(), train, test)
        _log.info(
            "no feature network for %s: only variety and distances of pixels are measured; "
            "for the rest run: %s", dataset or "an unnamed dataset", imagenet.INSTALL,
        )  # fmt: skip
        return GeneralReference(None, train, test)
    weights = features.load(dataset)
    if features.is_channelwise(dataset):
        return Triples(weights, test)
    return Reference(weights, train, test, features.network(dataset))
