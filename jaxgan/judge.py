"""What a generator is worth while it trains: few images, the cheap metrics, the same each time."""

from __future__ import annotations

import math
from collections.abc import Mapping

from jaxgan import data, drawing, evaluate, progress
from jaxgan.config import ImageSpec, TrainConfig
from jaxgan.gan import GAN, State
from jaxgan.metrics import features, table

_IMAGES = 5_000
_UNEVEN = 0.09  # nats; one class of ten missing gives 0.1, a half of them 0.7
_FEW = 0.02  # recall
_GRACE = 250_000  # images; the default settings take less than 100,000 to leave these bounds
_TRIPLES = 500
_FIRST = 1_000  # index of the first, so that they are none of those on the sample sheets


class Judge:
    """Looks at the weight average now and then; says so once if nobody knows the dataset."""

    def __init__(self, config: TrainConfig, train: data.Dataset, spec: ImageSpec, gan: GAN) -> None:
        """Take what is known of a run, and read what the images are compared with.

        Raises:
            UserError: The test images cannot be read.
        """
        self._every, self._config, self._spec, self._gan = config.evaluate_every, config, spec, gan
        self._last: tuple[int, float] | None = None
        self._reference: table.Reference | table.Triples | None = None
        if not self._every:
            return
        if config.dataset not in features.known():
            progress.say(f"no feature network for {config.dataset}: the run is not evaluated")
            self._every = 0
            return
        whole, test = train, data.load(config.dataset, config.data_dir, "test")
        if config.train_images:  # labels are asked for as all training images have them
            whole = data.load(config.dataset, config.data_dir)
        self._reference = table.reference(features.load(config.dataset), whole, test)

    @property
    def reference(self) -> table.Reference | None:
        """What the final graph is scored against; None if nobody judges, or by triples."""
        return self._reference if isinstance(self._reference, table.Reference) else None

    def is_due(self, epoch: int) -> bool:
        """Return whether an epoch is one of those that are evaluated."""
        return self._every > 0 and epoch % self._every == 0

    def look(self, state: State) -> dict[str, float] | None:
        """Return the metrics of a state's generator by their names; None if nobody judges."""
        if not self._every:
            return None
        model = drawing.of_params(self._gan, state.average, self._config, self._spec)
        label = self._reference.asked(_IMAGES)
        drawn = evaluate.draw(model, self._config.seed, label, first=_FIRST)
        glance = self._reference.glance(*drawn)
        self._last = int(state.step), glance.score
        return {name: value for name, value in glance._asdict().items() if value is not None}

    def score(self, state: State) -> float | None:
        """Return the score of a state, lower is better; None if it was not looked at."""
        step, score = self._last or (-1, math.nan)
        return score if step == int(state.step) and math.isfinite(score) else None


def collapse(quality: Mapping[str, float], seen: int) -> str | None:
    """Return in words how a generator has collapsed, None if it has not.

    Classes that fail to come, or a recall of almost nothing: what was learnt is drawn again and
    again. Both are so at the start, too, so nothing is said of the first images.

    Args:
        quality: What ``Judge.look`` returned.
        seen: Images that the run has seen.
    """
    if seen < _GRACE:
        return None
    if quality.get("histogram_kl", 0.0) > _UNEVEN:
        return "some classes are hardly drawn"
    if quality.get("recall", 1.0) < _FEW:
        return "the images hardly vary"
    if quality.get("modes", 1_000) < _TRIPLES:
        return "few of the 1,000 triples are drawn"
    return None
