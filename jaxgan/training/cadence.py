"""When a run draws, evaluates and saves: intervals that suit 300 images and 3 million.

A tick is an epoch, or 60,000 images where an epoch has more than 240,000. All are functions of the
step alone, so that a resumed run does the same.
"""

from __future__ import annotations

from typing import NamedTuple

from jaxgan.config import TrainConfig

_TICK_IMAGES = 60_000  # those of an epoch of MNIST
_MAX_EPOCH = 240_000  # images of an epoch that is a tick
_EVALUATE_IMAGES, _CHECKPOINT_IMAGES, _RUN_IMAGES = 150_000, 300_000, 1_800_000
_EVALUATE, _CHECKPOINT, _EPOCHS = 5, 10, 30  # the same, in epochs of MNIST
_EVERY_SHEET = 6  # the first 2**6 ticks have a sheet each


class Cadence(NamedTuple):
    """Intervals of a run.

    Attributes:
        steps_per_epoch: Steps in an epoch: whole batches.
        steps_per_tick: Steps in a tick.
        evaluate_ticks: Ticks between evaluations; 0 for none.
        checkpoint_ticks: Ticks between checkpoints.
        epochs: At which a run ends, unless ``config.minutes`` ends it.
    """

    steps_per_epoch: int
    steps_per_tick: int
    evaluate_ticks: int
    checkpoint_ticks: int
    epochs: int

    @property
    def ticks_are_epochs(self) -> bool:
        """Whether a tick is an epoch."""
        return self.steps_per_tick == self.steps_per_epoch

    def has_sheet(self, tick: int) -> bool:
        """Return whether samples are drawn at the end of a tick: fewer as a run grows long.

        All of the first 64 ticks, then half as many each time that the run has doubled, so that a
        run of a night has hundreds.
        """
        return tick % (1 << max(0, (tick - 1).bit_length() - _EVERY_SHEET)) == 0

    def is_evaluated(self, tick: int) -> bool:
        """Return whether an evaluation is due at the end of a tick."""
        return self.evaluate_ticks > 0 and tick % self.evaluate_ticks == 0

    def is_saved(self, tick: int) -> bool:
        """Return whether a checkpoint is due at the end of a tick."""
        return tick % self.checkpoint_ticks == 0


def cadence(config: TrainConfig, count: int) -> Cadence:
    """Return the intervals of a run on so many images, at least a batch."""
    size = config.batch_size
    per_epoch = count // size
    per_tick = per_epoch if per_epoch * size <= _MAX_EPOCH else max(1, _TICK_IMAGES // size)

    def ticks(said: int | None, least: int, images: int) -> int:
        return max(least, -(-images // (per_tick * size))) if said is None else said

    return Cadence(
        per_epoch,
        per_tick,
        ticks(config.evaluate_every, _EVALUATE, _EVALUATE_IMAGES),
        ticks(config.checkpoint_every, _CHECKPOINT, _CHECKPOINT_IMAGES),
        config.epochs or _epochs(per_epoch * size),
    )


def _epochs(images: int) -> int:
    """Return the default number of epochs of so many images each."""
    return max(_EPOCHS if images <= _MAX_EPOCH else 1, round(_RUN_IMAGES / images))
