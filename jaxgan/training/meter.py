"""The training clock, and which steps are reported: each call's metrics, read one call late."""

from __future__ import annotations

import math
import time

import numpy as np

from jaxgan.config import TrainConfig
from jaxgan.errors import TrainingError
from jaxgan.gan.step import Metrics
from jaxgan.runs.log import Evaluation, Log, Record, StepReport, Watch
from jaxgan.training.cadence import Cadence
from jaxgan.training.evaluator import Quality

ADVICE = (
    "earlier checkpoints are kept. Try a smaller --learning-rate or another --seed, "
    "with a new --run-dir"
)


class TrainingMeter:
    """Reads the metrics of a call while the device works on the next; sends records to a watch."""

    def __init__(
        self, config: TrainConfig, cadence: Cadence, step: int, log: Log, watch: Watch
    ) -> None:
        """Start the clock of a training that continues after a step.

        Args:
            config: Configuration of the run.
            cadence: Its intervals.
            step: Steps taken before.
            log: Keeps the clock from start to start.
            watch: Gets every record.
        """
        self._config, self._cadence = config, cadence
        self._log, self._watch = log, watch
        self._pending: tuple[Metrics, int] | None = None
        self._lapped = step
        self._started = time.perf_counter()
        self._compiled: set[int] = set()  # calls of so many steps
        self._latest: tuple[dict[str, float], int] | None = None

    def add(self, metrics: Metrics, step: int) -> None:
        """Take the metrics of a call that ends at a step; read those of the call before it."""
        self.read()
        self._pending = metrics, step

    def read(self) -> None:
        """Read what is pending: stop where it is not finite, report where it is due."""
        if self._pending is None:
            return
        metrics, end = self._pending
        self._pending = None
        columns = {name: np.asarray(values) for name, values in metrics._asdict().items()}
        steps = range(end - len(columns["generator_loss"]) + 1, end + 1)
        due = [step for step in steps if is_due(step, self._config, self._cadence)]
        # A call is timed whole; one of a new length, which is compiled, counts as no training.
        compiled = len(steps) in self._compiled
        rate = self._lap(end, counts=compiled) if due or not compiled else None
        self._compiled.add(len(steps))
        for row, step in enumerate(steps):
            values = {name: float(column[row]) for name, column in columns.items()}
            _require_finite(values, step)
            if step in due:
                self._report(values, step, rate)
            self._latest = values, step

    def finish(self) -> None:
        """Read the last call and report its last step, whether due or not."""
        self.read()
        if self._latest is None:
            return
        values, step = self._latest
        if not is_due(step, self._config, self._cadence):
            self._report(values, step, self._lap(step, counts=True))

    def out_of_time(self) -> bool:
        """Return whether the training clock has passed ``config.minutes``."""
        return bool(self._config.minutes) and self._clock() >= 60 * (self._config.minutes or 0)

    def _clock(self) -> float:
        """Return the seconds of training so far."""
        running = time.perf_counter() - self._started if self._compiled else 0.0
        return self._log.seconds + running

    def evaluated(self, quality: Quality | None, step: int) -> None:
        """Send what a step's state is worth; None if it was not evaluated."""
        if quality is not None:
            self._send(Evaluation(step, self._epoch(step), self._log.seconds, *quality))

    def pause(self) -> None:
        """Read the last call and stop the clock, before what is no training."""
        self.read()
        if self._latest is not None and self._latest[1] != self._lapped:
            self._lap(self._latest[1], counts=True)

    def restart(self) -> None:
        """Start the clock again after ``pause``."""
        self._started = time.perf_counter()

    def _lap(self, step: int, counts: bool) -> float | None:
        """Return the images a second since the last lap; add its time to the training clock.

        A lap that does not count held a compilation, which says nothing of the pace.
        """
        now = time.perf_counter()
        passed, steps = now - self._started, step - self._lapped
        self._lapped, self._started = step, now
        if not counts:
            return None
        self._log.seconds += passed
        return steps * self._config.batch_size / passed

    def _report(self, values: dict[str, float], step: int, rate: float | None) -> None:
        seconds = self._log.seconds
        self._send(StepReport(step, self._epoch(step), seconds, **values, images_per_second=rate))

    def _send(self, record: Record) -> None:
        self._log(record)
        self._watch(record)

    def _epoch(self, step: int) -> float:
        return step / self._cadence.steps_per_epoch


def is_due(step: int, config: TrainConfig, cadence: Cadence) -> bool:
    """Return whether a step is reported wherever a run ends."""
    return step % config.report_every == 0 or step % cadence.steps_per_tick == 0


def is_of_an_end(record: Record, config: TrainConfig, cadence: Cadence) -> bool:
    """Return whether a record was only made because a run of these options ended at its step."""
    if isinstance(record, StepReport):
        return not is_due(record.step, config, cadence)
    tick, rest = divmod(record.step, cadence.steps_per_tick)
    return rest != 0 or not (cadence.is_evaluated(tick) or cadence.is_saved(tick))


def _require_finite(values: dict[str, float], step: int) -> None:
    if not all(map(math.isfinite, values.values())):
        found = ", ".join(f"{name} {value:g}" for name, value in values.items())
        raise TrainingError(
            f"a loss is not finite between step {step - 1} and {step}: {found}; {ADVICE}"
        )
