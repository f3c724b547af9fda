"""The session of a training: a loop that fits one screen, and what is done between its steps."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial

import jax
import jax.numpy as jnp

from jaxgan.config import MAX_STEPS, TrainConfig, changes, option
from jaxgan.errors import TrainingError
from jaxgan.gan import convolution, networks
from jaxgan.gan.step import GAN, State, steps_per_call
from jaxgan.runs.log import Log, Started, Watch
from jaxgan.runs.run import Run
from jaxgan.runs.store import Restored, Store
from jaxgan.training import memory
from jaxgan.training.cadence import Cadence, cadence
from jaxgan.training.evaluator import Evaluator
from jaxgan.training.feed import Feed
from jaxgan.training.meter import ADVICE, TrainingMeter, is_of_an_end
from jaxgan.training.samples import Samples

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Session:
    """A training: what its loop works with, and what is done between the steps.

    Attributes:
        run: The run.
        gan: Its pure functions.
        feed: Its batches.
        store: Its checkpoints.
        sheets: Its sheets of samples.
        evaluator: What measures the generator.
        watch: What gets the records besides the log.
        stop: Whether to save and end.
    """

    run: Run
    gan: GAN
    feed: Feed
    store: Store
    sheets: Samples
    evaluator: Evaluator
    watch: Watch
    stop: Callable[[], bool]

    @cached_property
    def cadence(self) -> Cadence:
        """Its intervals."""
        return cadence(self.run.config, self.run.count)

    def train(self, restored: Restored, before: TrainConfig) -> State:
        """Train from a restored state until the run's end, or until stopped; return the last state.

        Args:
            restored: The state, and how far the log had come.
            before: Configuration of the run when it was saved.
        """
        config, due = self.run.config, self.cadence
        last = MAX_STEPS if config.minutes else due.epochs * due.steps_per_epoch
        state, step = restored.state, int(restored.state.step)
        first = step
        self.watch(Started(config, step, last, due.steps_per_epoch, due.steps_per_tick))
        with Log(self.run.path / "metrics.jsonl", self.store.log_copy, restored.mark) as log:
            meter = TrainingMeter(config, due, step, log, self.watch)
            saving, ended = _Saving(self, log), cadence(before, self.run.count)
            while step < last and not meter.out_of_time() and not self.stop():
                if step == first:  # the run goes on past what was its end
                    log.drop_last_step(partial(is_of_an_end, config=before, cadence=ended))
                steps = self._call(step)
                batches = self.feed.take(steps, self._call(steps.stop))
                state, metrics = self.gan.steps(state, batches)
                step = steps.stop
                meter.add(metrics, step)  # one call late, so that the device works on the next
                if step % due.steps_per_tick == 0 or saving.is_late():
                    meter.pause()
                    self._between_steps(state, step, meter, saving, step < last)
                    meter.restart()
            meter.finish()
            if log.evaluated != step and not self.stop():
                meter.evaluated(self.evaluator.evaluate(state), step)
            if step > first:
                saving.save(state)
        return state

    def _between_steps(
        self, state: State, step: int, meter: TrainingMeter, saving: _Saving, goes_on: bool
    ) -> None:
        """Do what is due after a step: samples, an evaluation, a checkpoint."""
        self.store.wait(block=False)
        due = self.cadence
        tick, rest = divmod(step, due.steps_per_tick)
        ended = rest == 0
        if ended and due.has_sheet(tick):
            thousands = step * self.run.config.batch_size // 1000
            name = f"epoch_{tick:03d}" if due.ticks_are_epochs else f"kimg_{thousands:06d}"
            self.sheets.draw(state, f"{name}.png")
        if not goes_on or meter.out_of_time():
            return  # a run's end is evaluated and saved after the loop
        saves = ended and due.is_saved(tick)
        if saves or (ended and due.is_evaluated(tick)):
            with memory.between_steps():
                meter.evaluated(self.evaluator.evaluate(state), step)
        if saves or saving.is_late():
            saving.save(state)

    def _call(self, step: int) -> range:
        """Return the steps of the call that begins with a step.

        Calls end where K or the tick divides the steps, wherever a run was interrupted, so that it
        goes on by the same programs.
        """
        most, per_tick = steps_per_call(), self.cadence.steps_per_tick
        place = step % per_tick
        return range(step, min(place // most * most + most, per_tick) - place + step)

    def introduce(self, known: Run | None, state: State) -> None:
        """Log what is trained, and from where.

        Args:
            known: The run as it was before; None for a new one.
            state: Where it starts.
        """
        run, config, spec, step = self.run, self.run.config, self.run.spec, int(state.step)
        for name, before, after in changes(known.config, config) if known else ():
            if name != "run_dir":  # the folder may have been moved, or be named otherwise
                _log.info("%s is %s now, it was %s", option(name), after, before)
        kind = f"{spec.classes} classes" if spec.classes else "no classes"
        shape = "x".join(map(str, spec.shape))
        _log.info("%s: %s images of %s, %s", config.dataset, f"{run.count:,}", shape, kind)
        counts = {name: networks.count(tree) for name, tree in state.params._asdict().items()}
        sizes = ", ".join(f"{name} {count:,}" for name, count in counts.items())
        _log.info("parameters: %s", sizes)
        backend = convolution.choose_backend(config.convolution)
        _log.info("device: %s, convolutions: %s", jax.devices()[0], backend)
        due = self.cadence
        last = due.epochs * due.steps_per_epoch
        if not config.minutes and step >= last:
            _log.info("%s is at step %s already: nothing to train", run.path, step)
        elif step:
            end = f"to {config.minutes:g} minutes" if config.minutes else f"of {last}"
            source = f", forked from {run.origin}" if run.origin else ""
            _log.info("continuing %s from step %s %s%s", run.path, step, end, source)


class _Saving:
    """Saves states when they are due; all that was before them is on the disk first."""

    def __init__(self, session: Session, log: Log) -> None:
        self._session, self._log, self._saved = session, log, time.monotonic()

    def is_late(self) -> bool:
        """Return whether the last checkpoint is longer ago than ``config.checkpoint_minutes``."""
        passed = time.monotonic() - self._saved
        return passed >= 60 * self._session.run.config.checkpoint_minutes

    def save(self, state: State) -> None:
        """Save a state; its reports and samples are on the disk before it is."""
        _require_finite(state)
        self._session.sheets.wait()
        score = self._session.evaluator.score(state)
        self._session.store.save(state, self._log.mark(), score)
        self._saved = time.monotonic()


def _require_finite(state: State) -> None:
    """Raise ``TrainingError`` unless all of a state is finite: what is saved can be continued."""
    if not all(bool(jnp.isfinite(leaf).all()) for leaf in jax.tree.leaves(state)):
        raise TrainingError(f"the weights are not finite at step {int(state.step)}; {ADVICE}")
