"""One row of numbers about a set of images, and the rows of real images to compare it with."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from jaxgan.errors import UserError
from jaxgan.metrics import (
    agreement,
    density_coverage,
    features,
    fid,
    histogram,
    kid,
    labels,
    modes,
    nearest,
    neighbours,
)
from jaxgan.metrics import precision_recall as pr

if TYPE_CHECKING:
    from jaxgan import data

_TIMES = 10  # that each image of the last control row stands there
_FEWEST = 10  # real images that neighbours can be looked for among


class Row(NamedTuple):
    """What is said of a set of images; by the test images where not said otherwise.

    Attributes:
        fid: Fréchet distance to the test images.
        fid_train: Fréchet distance to the training images.
        kid: Kernel distance.
        precision: Share of images like real ones.
        recall: Share of real images that are met.
        density: Like precision, may exceed 1.
        coverage: Like recall.
        agreement: Share of images that show the label asked for; None where none was asked for.
        histogram_kl: KL(classes seen ‖ uniform) in nats.
        histogram: Shares of the classes seen.
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


class Score(NamedTuple):
    """The part of a row that needs no neighbours; attributes as those of ``Row``."""

    fid: float
    agreement: float | None


class Glance(NamedTuple):
    """The part of a row that takes about a second; attributes as those of ``Row``."""

    fid: float
    recall: float
    agreement: float | None
    histogram_kl: float

    @property
    def score(self) -> float:
        """The number to compare generators by, lower is better."""
        return self.fid


class Triples:
    """The real triples of Stacked MNIST; the same methods as those of ``Reference``."""

    COUNT = 26_000  # images to measure, by custom

    def __init__(self, weights: features.Weights, test: data.Dataset) -> None:
        """Take the weights of the network that tells digits, and real triples."""
        self._weights, self._test = weights, test

    def asked(self, count: int) -> np.ndarray:
        """Return as many labels, int [count]; no generator of triples looks at them."""
        return np.zeros(count, np.int32)

    def measure(self, image: np.ndarray, wanted: None = None) -> modes.Modes:
        """Return the modes among images uint8 [N, 28, 28, 3]; 26,000 by custom."""
        channels = np.moveaxis(image, -1, 0)[..., None]
        seen = [features.see(self._weights, channel).label for channel in channels]
        return modes.modes(np.stack(seen, -1))

    glance = measure

    def controls(self, count: int = COUNT) -> dict[str, modes.Modes]:
        """Return the row of so many real triples, from MNIST's test images; of 26,000 at most."""
        return {"real test": self.measure(self._test.image[:count])}


class Reference:
    """The real images that generated ones are compared with; what is known of them is kept.

    Nothing is computed before it is needed: ``glance`` needs no feature of a training image.
    """

    COUNT = 10_000  # images to measure, by the protocol

    def __init__(self, weights: features.Weights, train: data.Dataset, test: data.Dataset):
        """Take a feature network's weights, and the dataset's images."""
        self._weights, self._train, self._test = weights, train, test
        self._radii: dict[int, np.ndarray] = {}

    def asked(self, count: int) -> np.ndarray:
        """Return the labels to draw images for, int [count]: those of the row "real train"."""
        return labels.asked(self._train.label, count)

    def measure(self, image: np.ndarray, wanted: np.ndarray | None = None) -> Row:
        """Return all that is said of images.

        Args:
            image: uint8 [N, 28, 28, 1], N at least 4; 10,000 by custom.
            wanted: Labels given to the generator, int [N]; None for one without classes.
        """
        return self._row(features.see(self._weights, image), wanted, self._nearest(image))

    def glance(self, image: np.ndarray, wanted: np.ndarray | None = None) -> Glance:
        """Return what can be said of 2,000 to 5,000 images quickly, arguments as of ``measure``.

        Its FID and recall move with the number of images, so compare glances of one size only.
        """
        return self._glance(features.see(self._weights, image), wanted)

    def score(self, image: np.ndarray, wanted: np.ndarray | None = None) -> Score:
        """Return what can be said of 10,000 images as quickly, arguments as of ``measure``."""
        return self._score(features.see(self._weights, image), wanted)

    def controls(self, count: int = COUNT) -> dict[str, Row]:
        """Return rows of real images: what a perfect generator has, and one that repeats itself.

        They have ``count`` images, as far as there are so many, since FID depends on the number;
        at least 100 by the last row, a tenth of them ten times.
        The test images are compared with themselves: their FID is 0, their precision, recall,
        density and coverage are 1, and their KID is a little below 0, as it takes the sets for
        independent. What the row tells is their FID and distance to the training images.
        """
        order = labels.order(len(self._train.image))[:count]
        few = order[: len(order) // _TIMES]
        every = np.arange(len(self._test.image))
        return {
            "real train": self._control(self._train, self._train_seen, order),
            "real test": self._control(self._test, self._test_seen, every),
            f"{len(few):,} train images {_TIMES} times": self._control(
                self._train, self._train_seen, np.tile(few, _TIMES)
            ),
        }

    def _control(self, source: data.Dataset, seen: features.Seen, index: np.ndarray) -> Row:
        some = features.Seen(seen.feature[index], seen.label[index])
        # Training images are among the training images.
        near = 0.0 if source is self._train else self._nearest(source.image[index])
        return self._row(some, source.label[index], near)

    def _nearest(self, image: np.ndarray) -> float:
        return float(np.median(nearest.nearest(image, self._train.image)))

    def _score(self, seen: features.Seen, wanted: np.ndarray | None) -> Score:
        return Score(
            fid.distance(fid.moments(seen.feature), self._test_moments),
            None if wanted is None else agreement.agreement(wanted, seen.label),
        )

    def _glance(self, seen: features.Seen, wanted: np.ndarray | None) -> Glance:
        score = self._score(seen, wanted)
        return Glance(
            score.fid,
            pr.recall(self._test_seen.feature, seen.feature),
            score.agreement,
            histogram.kl(seen.label, features.CLASSES),
        )

    def _row(self, seen: features.Seen, wanted: np.ndarray | None, near: float) -> Row:
        real, fake = self._test_seen.feature, seen.feature
        return Row(
            **self._glance(seen, wanted)._asdict(),
            fid_train=fid.distance(fid.moments(fake), self._train_moments),
            kid=kid.kid(fake, real, self._test_within),
            precision=pr.precision(real, fake, radius=self._test_radius(pr.K)),
            **density_coverage.density_coverage(
                real, fake, radius=self._test_radius(density_coverage.K)
            )._asdict(),
            histogram=histogram.shares(seen.label, features.CLASSES).tolist(),
            nearest=near,
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


def reference(
    weights: features.Weights, train: data.Dataset, test: data.Dataset
) -> Reference | Triples:
    """Return what a dataset's generated images are measured by.

    Args:
        weights: Of the dataset's feature network.
        train: Its training images.
        test: Its test images.

    Raises:
        UserError: They are too few.
    """
    if len(test.image) < _FEWEST:
        raise UserError(
            f"the dataset has {len(test.image)} test images, expected at least {_FEWEST} to "
            "compare with; give another --data-dir, or to train.py --evaluate-every 0"
        )
    stacked = train.spec.shape[2] == 3
    return Triples(weights, test) if stacked else Reference(weights, train, test)
