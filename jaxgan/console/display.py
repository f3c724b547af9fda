"""Training as it goes: a live bar on a terminal, plain lines anywhere else."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from jaxgan.console.output import is_terminal, show
from jaxgan.runs.log import Evaluation, Started, StepReport

_LINE_SECONDS = 10.0  # between plain lines within an epoch


class Display:
    """Shows the records of a training. Use as a context: leaving it takes the bar away."""

    def __init__(self) -> None:
        self._live = is_terminal(sys.stdout)
        self._bar = Progress(
            TextColumn("epoch {task.fields[epoch]}"),
            BarColumn(bar_width=20),
            TextColumn("{task.fields[left]}"),
            TextColumn("{task.fields[numbers]}"),
            console=Console(highlight=False, markup=False, emoji=False),
            disable=not self._live,
        )
        self._shown = time.monotonic()
        self._first: tuple[float, float] | None = None

    def __enter__(self) -> Display:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def __call__(self, record: Started | StepReport | Evaluation) -> None:
        """Show a record."""
        if isinstance(record, Started):
            self._start(record)
        elif isinstance(record, StepReport):
            self._report(record)
        else:
            self._evaluation(record)

    def _start(self, started: Started) -> None:
        self._started = started
        self._seconds = 60 * started.config.minutes if started.config.minutes else None
        self._task = self._bar.add_task(
            "",
            total=self._seconds or started.last_step,
            completed=0 if self._seconds else started.step,
            epoch=self._epoch(started.step + 1),
            left="",
            numbers="compiling",
        )
        self._bar.start()

    def _epoch(self, step: int) -> str:
        current = f"{-(-step // self._started.steps_per_epoch)}"
        total = self._started.last_step // self._started.steps_per_epoch
        return current if self._seconds else f"{current}/{total}"

    def _report(self, report: StepReport) -> None:
        done = report.seconds if self._seconds else float(report.step)
        now, step = time.monotonic(), report.step
        left = self._left(done, now)
        pace = report.images_per_second
        numbers = f"D {report.discriminator_loss:.3f}  G {report.generator_loss:.3f}" + (
            f"  {pace:.0f} images/s" if pace else ""
        )
        epoch = self._epoch(step)
        self._bar.update(self._task, completed=done, epoch=epoch, left=left, numbers=numbers)
        ended = step % self._started.steps_per_tick == 0
        if not self._live and (ended or now - self._shown >= _LINE_SECONDS):
            self._shown = now
            place = f"step {step}" if self._seconds else f"step {step}/{self._started.last_step}"
            show("  ".join(part for part in (f"epoch {epoch}", place, numbers, left) if part))

    def _left(self, done: float, now: float) -> str:
        """Return the time left by the pace since the first report; "" where none is known yet."""
        if self._first is None:
            self._first = done, now
        first_done, first_now = self._first
        if done <= first_done:
            return ""
        pace = (now - first_now) / (done - first_done)
        total = self._seconds or self._started.last_step
        return f"{duration(max(pace * (total - done), 0.0))} left"

    def _evaluation(self, evaluation: Evaluation) -> None:
        warning = f"  WARNING: {evaluation.warning}" if evaluation.warning else ""
        show(f"  {_numbers(evaluation.metrics)}{warning}")


def _numbers(metrics: Mapping[str, float]) -> str:
    return "  ".join(f"{name.replace('_', ' ')} {_number(v)}" for name, v in metrics.items())


def _number(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:.3g}"


def duration(seconds: float) -> str:
    """Return seconds as 4.2s, 1m05s or 2h03m."""
    if seconds < 60:
        return f"{seconds:.1f}s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}m{rest:02d}s" if minutes < 60 else f"{minutes // 60}h{minutes % 60:02d}m"
