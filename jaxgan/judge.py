"""What a generator is worth while it trains: few images, the cheap metrics, the same each time."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from jaxgan import data, images, latents, progress
from jaxgan.config import ImageSpec, TrainConfig
from jaxgan.gan import GAN, State
from jaxgan.metrics import features, table

_IMAGES = 5_000
_UNEVEN = 0.25  # nats; one class of ten missing gives 0.1, a half of them 0.7
_FEW = 0.02  # recall
_GRACE = 300_000  # images; the default settings take less than 100,000 to leave these bounds
_TRIPLES = 500
_FIRST = 1_000  # index of the first, so that they are none of those on the sample sheets


class Judge:
    """Looks at the weight average now and then; says so once if nobody knows the dataset.

    Attributes:
        score: What the last look gave, lower is better; None where there was none.
    """

    def __init__(self, config: TrainConfig, train: data.Dataset, spec: ImageSpec, gan: GAN) -> None:
        """Take what is known of a run; nothing is computed before the first look."""
        self.score: float | None = None
        self._config, self._train, self._gan = config, train, gan
        self._known = config.dataset in features.known()
        self._reference: table.Reference | table.Triples | None = None
        indices = np.arange(_FIRST, _FIRST + _IMAGES)
        self._latent = latents.latents(config.seed, indices, config.latent_size)
        self._label = latents.cycle(range(spec.classes), indices)
        if config.evaluate_every and not self._known:
            progress.say(f"no feature network for {config.dataset}: the run is not evaluated")

    def is_due(self, epoch: int) -> bool:
        """Return whether an epoch is one of those that are evaluated."""
        every = self._config.evaluate_every
        return self._known and every > 0 and epoch % every == 0

    def look(self, state: State) -> dict[str, float] | None:
        """Return the metrics of a state's generator by their names; None if nobody judges."""
        if not self._known or not self._config.evaluate_every:
            return None
        if self._reference is None:
            test = data.load(self._config.dataset, self._config.data_dir, "test")
            weights = features.load(self._config.dataset)
            self._reference = table.reference(weights, self._train, test)
        drawn = self._gan.sample(state.average, self._latent, self._label)
        glance = self._reference.glance(images.to_uint8(np.asarray(drawn)), self._label)
        score = glance[0]
        self.score = float(score) if math.isfinite(score) else None
        return {name: value for name, value in glance._asdict().items() if value is not None}


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
