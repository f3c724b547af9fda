"""How good the generator is while it trains: few images, quick metrics, the same each time."""

from __future__ import annotations

import math
from typing import NamedTuple

from jaxgan.config import ImageSpec, TrainConfig
from jaxgan.data.dataset import load
from jaxgan.data.store import Dataset
from jaxgan.drawing.evaluation import draw_requested
from jaxgan.drawing.run_generator import RunGenerator
from jaxgan.gan.step import GAN, State
from jaxgan.metrics.collapse import collapse
from jaxgan.metrics.reference import AnyReference, reference
from jaxgan.runs.run import Snapshot

_FIRST = 1_000  # index of the first, so that they are none of those on the sample sheets


class Quality(NamedTuple):
    """What a generator is worth.

    Attributes:
        metrics: Values by name, such as fid, recall, agreement.
        warning: How it has collapsed, in words; None if it has not.
    """

    metrics: dict[str, float]
    warning: str | None


class Evaluator:
    """Evaluates G's weight EMA now and then."""

    def __init__(self, config: TrainConfig, spec: ImageSpec, train: Dataset, gan: GAN) -> None:
        """Read what the images are compared with.

        Raises:
            UserError: The test images cannot be read.
        """
        self._config, self._spec, self._gan = config, spec, gan
        self._last: tuple[int, float] | None = None
        self._reference: AnyReference | None = None
        if config.evaluate_every == 0:
            return
        test = load(config.dataset, config.data_dir, "test")
        if config.train_images:  # labels are requested as all training images have them
            train = load(config.dataset, config.data_dir)
        self._reference = reference(config.dataset, train, test)

    def evaluate(self, state: State) -> Quality | None:
        """Return what a state's generator is worth; None if it is not evaluated."""
        if self._reference is None:
            return None
        step = int(state.step)
        snapshot = Snapshot(self._config, self._spec, state.ema, step)
        generator = RunGenerator(snapshot, gan=self._gan)
        count = self._reference.QUICK
        labels = self._reference.requested_labels(count)
        drawn = draw_requested(generator, self._config.seed, labels, first=_FIRST)
        quick = self._reference.quick(*drawn)
        self._last = step, quick.score
        metrics = {name: value for name, value in quick._asdict().items() if value is not None}
        images_seen = step * self._config.batch_size
        return Quality(metrics, collapse(metrics, images_seen, self._reference.classes, count))

    def score(self, state: State) -> float | None:
        """Return the score of a state, lower is better; None if it was not evaluated."""
        step, score = self._last or (-1, math.nan)
        return score if step == int(state.step) and math.isfinite(score) else None
