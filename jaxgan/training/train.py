"""Train a GAN: data in; steps, reports, samples, evaluations and checkpoints out."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxgan.config import (
    MAX_STEPS,
    ImageSpec,
    TrainConfig,
    changes,
    option,
    options,
    resolved,
    resumed,
    settings,
)  # fmt: skip
from jaxgan.data.dataset import Dataset, load
from jaxgan.data.order import batch_indices
from jaxgan.errors import TrainingError, UserError
from jaxgan.gan import convolution, networks
from jaxgan.gan.step import GAN, Batch, State, make_gan, state_shape, steps_per_call
from jaxgan.runs import checkpoint
from jaxgan.runs.log import Log, Mark, Started, Watch, read_log
from jaxgan.runs.run import Run, find_resumable, require_same
from jaxgan.training import memory, plot, samples
from jaxgan.training.evaluator import Evaluator
from jaxgan.training.meter import ADVICE, TrainingMeter, is_of_an_end

_log = logging.getLogger(__name__)


def train(
    config: TrainConfig,
    watch: Watch = lambda record: None,
    stop: Callable[[], bool] = lambda: False,
) -> Run:
    """Train a GAN, from the newest checkpoint of the run directory if it has one.

    It ends at ``config.epochs`` or after ``config.minutes``, with a checkpoint and an evaluation of
    the last step. The same call goes on where it ended. It runs in any thread, takes no signals
    and prints nothing: it logs to the logger ``jaxgan``.

    Args:
        config: The configuration. ``convert`` and ``saved_model`` are the command's: call
            ``jaxgan.convert`` afterwards.
        watch: Called with a ``Started``, then with each ``StepReport`` and ``Evaluation`` (see
            ``jaxgan.runs.log``), in this thread.
        stop: Asked before each step; where it returns True, training saves a checkpoint and ends.

    Returns:
        The run.

    Raises:
        UserError: The options do not fit the dataset or the run directory; nothing was written.
        TrainingError: A loss is not finite, or memory ran out. Earlier checkpoints are kept.
        OutputError: A file cannot be written.
    """
    config, origin = _forked(config)
    _log.info("reading %s from %s", config.dataset, config.data_dir)
    dataset = load(config.dataset, config.data_dir, first=config.train_images)
    _require_batch(config, len(dataset.image))
    spec = dataset.spec if config.conditional else dataclasses.replace(dataset.spec, classes=0)
    memory.reuse(memory.step_bytes(config, spec))  # before JAX starts
    memory.require_enough(config, spec, state_shape(config, spec))
    forked = _fork_state(config, spec, origin) if origin else None
    with (
        _enough_memory(config),
        checkpoint.Store(Path(config.run_dir), config.keep_checkpoints) as store,
    ):
        known = find_resumable(Path(config.run_dir))
        run = _make_run(config, spec, dataset, origin, known)
        gan = make_gan(run.config, spec, run.config.convolution)
        evaluator = Evaluator(run.config, spec, dataset, gan)
        restored = _restore(store, run, gan.init() if forked is None else forked)
        if forked is not None:
            store.save(forked, Mark())  # so that the state that it starts from is its own
        if not (run.path / "samples" / "real.png").exists():
            samples.write_real(run.path, spec, dataset)
        with samples.Samples(run.path, run.config, spec, gan) as sheets:
            session = Session(run, gan, dataset, store, sheets, evaluator, watch, stop)
            session.introduce(known, restored.state)
            session.train(restored, known.config if known else run.config)
    if records := read_log(run.path / "metrics.jsonl"):
        plot.write(run.path / "loss.png", records)
    return run


@dataclass(frozen=True)
class Session:
    """A training: what its loop works with, and what is done between the steps.

    Attributes:
        run: The run.
        gan: Its pure functions.
        dataset: Its images.
        store: Its checkpoints.
        sheets: Its sheets of samples.
        evaluator: What measures the generator.
        watch: What gets the records besides the log.
        stop: Whether to save and end.
    """

    run: Run
    gan: GAN
    dataset: Dataset
    store: checkpoint.Store
    sheets: samples.Samples
    evaluator: Evaluator
    watch: Watch
    stop: Callable[[], bool]

    @property
    def steps_per_epoch(self) -> int:
        """Steps in an epoch: whole batches."""
        return self.run.count // self.run.config.batch_size

    def train(self, restored: checkpoint.Restored, before: TrainConfig) -> State:
        """Train from a restored state until the run's end, or until stopped; return the last state.

        Args:
            restored: The state, and how far the log had come.
            before: Configuration of the run when it was saved.
        """
        config, per_epoch = self.run.config, self.steps_per_epoch
        last = MAX_STEPS if config.minutes else config.epochs * per_epoch
        state, step = restored.state, int(restored.state.step)
        first = step
        self.watch(Started(config, step, last, per_epoch))
        with Log(self.run.path / "metrics.jsonl", self.store.log_copy, restored.mark) as log:
            meter = TrainingMeter(config, per_epoch, step, log, self.watch)
            saving = _Saving(self, log)
            while step < last and not meter.out_of_time() and not self.stop():
                if step == first:  # the run goes on past what was its end
                    log.drop_last_step(lambda one: is_of_an_end(one, before, per_epoch))
                batches = self._batches(step)
                state, metrics = self.gan.steps(state, batches)
                step += len(batches.label)
                meter.add(metrics, step)  # one call late, so that the device works on the next
                if step % per_epoch == 0 or saving.is_late():
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
        epoch, rest = divmod(step, self.steps_per_epoch)
        ended = rest == 0
        if ended:
            self.sheets.draw(state, epoch)
        if not goes_on or meter.out_of_time():
            return  # a run's end is evaluated and saved after the loop
        saves = ended and epoch % self.run.config.checkpoint_every == 0
        if saves or (ended and self.evaluator.is_due(epoch)):
            with memory.between_steps():
                meter.evaluated(self.evaluator.evaluate(state), step)
        if saves or saving.is_late():
            saving.save(state)

    def _batches(self, step: int) -> Batch:
        """Return the batches of the next call: arrays [K, B, ...].

        Calls end where K or the epoch divides the steps, wherever a run was interrupted, so that it
        goes on by the same programs.
        """
        config, most = self.run.config, steps_per_call()
        place = step % self.steps_per_epoch
        end = min(place // most * most + most, self.steps_per_epoch) - place + step
        index = np.stack(
            [
                batch_indices(config.seed, number, config.batch_size, self.run.count)
                for number in range(step, end)
            ]
        )
        return Batch(self.dataset.image[index], self.dataset.label[index])

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
        last = config.epochs * self.steps_per_epoch
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


class _Origin(NamedTuple):
    """Where a forked run starts: a state as ``checkpoint.load`` gives it, and its run's batch."""

    name: str
    tree: dict[str, Any]
    batch_size: int


def _forked(config: TrainConfig) -> tuple[TrainConfig, _Origin | None]:
    """Return the configuration of the run itself, and where it starts if --fork starts it now."""
    if config.fork is None:
        return config, None
    source = Path(config.run_dir)
    config = dataclasses.replace(config, run_dir=config.fork, fork=None)
    if checkpoint.saved(Path(config.run_dir)):
        return config, None
    known = Run.find(source)
    if known is None:
        raise UserError(f"--run-dir {source} holds no run (no config.json) to --fork")
    step, tree = checkpoint.load(source)
    return config, _Origin(f"{source} step {step}", tree, known.config.batch_size)


def _fork_state(config: TrainConfig, spec: ImageSpec, origin: _Origin) -> State:
    """Return another run's state as the first one of a run with other options."""
    try:
        state = checkpoint.as_state(origin.tree, state_shape(config, spec))
    except ValueError as error:
        names = options(name for name, known in settings().items() if known.shapes_network)
        raise UserError(
            f"--fork: {origin.name} is of another network ({error}); {names} and the shape of the "
            "dataset's images have to stay"
        ) from error
    # The images seen stay, as all schedules go by them.
    step = int(state.step) * origin.batch_size // config.batch_size
    return state._replace(step=jnp.int32(step))


def _make_run(
    config: TrainConfig, spec: ImageSpec, dataset: Dataset, origin: _Origin | None,
    known: Run | None,
) -> Run:  # fmt: skip
    """Return the run that is trained now: a new one, or a known one with what may change."""
    count, fingerprint = len(dataset.image), dataset.fingerprint()
    if known is not None:
        config = resumed(config, known.config)
        require_same(known, config, fingerprint, count)
    name = origin.name if origin else known.origin if known else None
    return Run(Path(config.run_dir), resolved(config, spec), spec, count, fingerprint, name)


def _restore(store: checkpoint.Store, run: Run, start: State) -> checkpoint.Restored:
    """Return where training starts; the run's own files are written from here on."""
    store.sweep()
    restored = store.restore_newest(start)
    run.write()
    return restored or checkpoint.Restored(start, Mark())


def _require_batch(config: TrainConfig, count: int) -> None:
    if config.batch_size > count:
        raise UserError(
            f"--batch-size: expected at most the {count:,} images, got {config.batch_size}"
        )


def _require_finite(state: State) -> None:
    """Raise ``TrainingError`` unless all of a state is finite: what is saved can be continued."""
    if not all(bool(jnp.isfinite(leaf).all()) for leaf in jax.tree.leaves(state)):
        raise TrainingError(f"the weights are not finite at step {int(state.step)}; {ADVICE}")


@contextlib.contextmanager
def _enough_memory(config: TrainConfig) -> Iterator[None]:
    """Raise ``TrainingError`` where memory ran out."""
    try:
        yield
    except (MemoryError, jax.errors.JaxRuntimeError) as error:
        signs = ("RESOURCE_EXHAUSTED", "bad_alloc")  # of XLA itself, and of what it calls
        if isinstance(error, MemoryError) or any(sign in str(error) for sign in signs):
            raise TrainingError(
                f"out of memory with {memory.sizes(config)}; give smaller ones, with a new "
                "--run-dir; checkpoints are kept"
            ) from error
        raise
