"""The impure shell around the pure core: data in, steps, reports, samples, checkpoints, graph."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import signal
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxgan import (
    checkpoint,
    convolution,
    data,
    export,
    models,
    progress,
    runtime,
    settings,
)  # fmt: skip
from jaxgan.config import MOST_STEPS, ImageSpec, TrainConfig, changes, option
from jaxgan.errors import TrainingError, UserError
from jaxgan.gan import GAN, Batch, Metrics, State, make_gan, steps_per_call
from jaxgan.judge import Judge, collapse
from jaxgan.samples import Samples, write_real

_ADVICE = (
    "earlier checkpoints are kept. Try a smaller --learning-rate or another --seed, "
    "with a new --run-dir"
)


def train(config: TrainConfig) -> int:
    """Train to ``config.epochs``, from the newest checkpoint of the run directory if it has one.

    Returns:
        The exit code: 0 done, 130 or 143 interrupted by Ctrl-C or SIGTERM, with all saved.

    Raises:
        UserError: The settings do not fit the dataset or the run directory; nothing was written.
        TrainingError: A loss is not finite, or memory ran out.
    """
    config, origin = _forked(config)
    run_dir = Path(config.run_dir)
    known = settings.refuse_other_run(run_dir, config)
    progress.say(f"reading {config.dataset} from {config.data_dir}")
    dataset = data.load(config.dataset, config.data_dir, first=config.train_images)
    count = len(dataset.image)
    settings.refuse_other_data(run_dir, known, count)
    if config.batch_size > count:
        raise UserError(
            f"--batch-size: expected at most the {count:,} images, got {config.batch_size}"
        )
    spec = dataset.spec if config.conditional else dataclasses.replace(dataset.spec, classes=0)
    runtime.keep_memory(_step_bytes(config, spec))
    if config.compilation_cache:
        runtime.keep_compilations()
    form = convolution.choose_form(config.convolution)  # starts JAX, so memory comes first
    gan = make_gan(config, spec, form)
    _refuse_too_large(config, spec, gan)
    judge = Judge(config, dataset, spec, gan)
    with _interruptible() as interrupted, _enough_memory(config):
        start = _start(gan, config, origin)
        run = settings.Run(config, spec, count, origin.name if origin else known and known.origin)
        with (
            checkpoint.Store(run_dir, config.keep_checkpoints) as store,
            Samples(run_dir, config, spec, gan) as samples,
        ):
            restored = store.restore_newest(start) or checkpoint.Restored(start, b"")
            settings.write(run_dir, run)
            if origin is not None:
                store.save(start, b"")
            if not (run_dir / "samples" / "real.png").exists():
                write_real(run_dir, spec, dataset)
            if known:
                _tell_changes(known.config, config)
            _introduce(run, form, restored.state)
            before = known.config if known else config
            state = _loop(run, before, gan, dataset, restored, store, samples, judge, interrupted)
    code = int(interrupted[0]) if interrupted else 0
    return _finish(config, spec, state, judge, code)


def _loop(
    run: settings.Run,
    before: TrainConfig,
    gan: GAN,
    dataset: data.Dataset,
    restored: checkpoint.Restored,
    store: checkpoint.Store,
    samples: Samples,
    judge: Judge,
    interrupted: list[int],
) -> State:
    """Train from a restored state until a run's end, or until interrupted; return the last one.

    ``before`` are the settings that the run had when it was saved.
    """
    config, run_dir = run.config, Path(run.config.run_dir)
    steps_per_epoch = run.count // config.batch_size
    last = MOST_STEPS if config.minutes else config.epochs * steps_per_epoch
    state, metrics_before = restored
    step = first = int(state.step)
    _tell_place(run, step, last)
    with (
        progress.Log(run_dir / "metrics.jsonl", metrics_before) as log,
        progress.Display(step, last, steps_per_epoch, config.minutes) as display,
    ):
        watch = _Watch(config, before, steps_per_epoch, step, log, display)
        saving = _Saving(store, samples, log, judge, config.checkpoint_minutes)
        while step < last and not watch.is_late() and not interrupted:
            batches = _batches(config, dataset, step, steps_per_epoch)
            state, metrics = gan.steps(state, batches)
            step += len(batches.label)
            watch.see(metrics, step)  # one call late, so that the device already works on the next
            ended = step % steps_per_epoch == 0
            if not ended and not saving.is_late():
                continue
            watch.pause()
            store.settle(wait=False)
            epoch = step // steps_per_epoch
            if ended:
                samples.draw(state, epoch)
            if step < last and not watch.is_late():  # a run's end is looked at and saved below
                saves = ended and epoch % config.checkpoint_every == 0
                if saves or (ended and judge.is_due(epoch)):
                    with runtime.passing_memory():
                        watch.tell(judge.look(state), step)
                if saves or saving.is_late():
                    saving.save(state)
            watch.restart()
        watch.finish()
        if not interrupted and log.judged != step:
            watch.tell(judge.look(state), step)
        if step > first:
            saving.save(state)
    return state


class _Origin(NamedTuple):
    """Where a forked run starts: a state as ``checkpoint.load`` gives it, and its run's batch."""

    name: str
    tree: dict[str, Any]
    batch_size: int


def _forked(config: TrainConfig) -> tuple[TrainConfig, _Origin | None]:
    """Return the settings of the run itself, and where it starts if --fork starts it now."""
    if config.fork is None:
        return config, None
    source, config = (
        Path(config.run_dir), dataclasses.replace(config, run_dir=config.fork, fork=None)
    )  # fmt: skip
    if checkpoint.saved(Path(config.run_dir)):
        return config, None
    known = settings.read(source)
    if known is None:
        raise UserError(f"--run-dir {source} holds no run (no config.json) to --fork")
    step, tree = checkpoint.load(source)
    return config, _Origin(f"{source} step {step}", tree, known.config.batch_size)


def _start(gan: GAN, config: TrainConfig, origin: _Origin | None) -> State:
    """Return a new run's first state: an initial one, or another run's."""
    state = gan.init()
    if origin is None:
        return state
    try:
        state = checkpoint.as_state(origin.tree, state)
    except ValueError as error:
        raise UserError(
            f"--fork: {origin.name} is of another network ({error}); --width, --latent-size, "
            "--components, --residuals, --conditional and the shape of the dataset's images "
            "have to stay"
        ) from error
    # The images seen stay, as all schedules go by them.
    step = int(state.step) * origin.batch_size // config.batch_size
    return state._replace(step=jnp.int32(step))


class _Saving:
    """Saves states when they are due, with all that was before them."""

    def __init__(
        self,
        store: checkpoint.Store,
        samples: Samples,
        log: progress.Log,
        judge: Judge,
        minutes: float,
    ) -> None:
        self._store, self._samples, self._log, self._judge = store, samples, log, judge
        self._seconds, self._saved = 60 * minutes, time.monotonic()

    def is_late(self) -> bool:
        """Return whether the last checkpoint is longer ago than ``config.checkpoint_minutes``."""
        return time.monotonic() - self._saved >= self._seconds

    def save(self, state: State) -> None:
        """Save a state; its reports and samples are on the disk before it is."""
        self._samples.settle()
        self._store.save(_sound(state), self._log.content(), self._judge.score(state))
        self._saved = time.monotonic()


def _batches(config: TrainConfig, dataset: data.Dataset, step: int, steps_per_epoch: int) -> Batch:
    """Return the batches of the next call: arrays [K, B, ...].

    Calls end where K or the epoch divides the steps, wherever a run was interrupted, so that it
    goes on by the same programs.
    """
    most = steps_per_call()
    place = step % steps_per_epoch
    end = min(place // most * most + most, steps_per_epoch) - place + step
    index = np.stack(
        [
            data.batch_indices(config.seed, number, config.batch_size, len(dataset.image))
            for number in range(step, end)
        ]
    )
    return Batch(dataset.image[index], dataset.label[index])


class _Watch:
    """Looks at each call's metrics one call after it was started; reports some of them."""

    def __init__(
        self,
        config: TrainConfig,
        before: TrainConfig,
        steps_per_epoch: int,
        step: int,
        log: progress.Log,
        display: progress.Display,
    ) -> None:
        self._config, self._before, self._steps_per_epoch = config, before, steps_per_epoch
        self._log, self._display = log, display
        self._pending: tuple[Metrics, int] | None = None
        self._first = self._lapped = step
        self._started = time.perf_counter()
        self._compiled: set[int] = set()  # calls of so many steps
        self._latest: tuple[dict[str, float], int] | None = None

    def see(self, metrics: Metrics, step: int) -> None:
        """Take the metrics of a call that ends at a step, not yet there; look at the last one's."""
        self.settle()
        if self._latest is None and self._pending is None:
            self._log.forget(self._is_of_an_end)  # the run goes on past what was its end
        self._pending = metrics, step

    def settle(self) -> None:
        """Look at what is pending: stop where it is not finite, report where it is due."""
        if self._pending is None:
            return
        metrics, end = self._pending
        self._pending = None
        columns = {name: np.asarray(values) for name, values in metrics._asdict().items()}
        steps = range(end - len(columns["generator_loss"]) + 1, end + 1)
        self._display.advance(end, self._clock())
        due = [step for step in steps if self._is_due(step, self._config)]
        # A call is timed whole; one of a new length, which is compiled, counts as no training.
        compiled = len(steps) in self._compiled
        rate = self._lap(end, counts=compiled) if due or not compiled else 0.0
        self._compiled.add(len(steps))
        for row, step in enumerate(steps):
            values = {name: float(column[row]) for name, column in columns.items()}
            self._refuse_infinite(values, step)
            if step in due:
                self._report(values, step, rate)
            self._latest = values, step

    def _is_due(self, step: int, config: TrainConfig) -> bool:
        return step % config.report_every == 0 or step % self._steps_per_epoch == 0

    def _is_of_an_end(self, line: Mapping[str, float]) -> bool:
        """Return whether a line was only written because the run ended at its step."""
        step, config = int(line["step"]), self._before
        if step != self._first:
            return False
        if not progress.is_look(line):
            return not self._is_due(step, config)
        epoch, rest = divmod(step, self._steps_per_epoch)
        every = (config.checkpoint_every, config.evaluate_every)
        return rest != 0 or not any(one and epoch % one == 0 for one in every)

    def _refuse_infinite(self, values: dict[str, float], step: int) -> None:
        if not all(map(math.isfinite, values.values())):
            raise TrainingError(
                f"a loss is not finite between step {step - 1} and {step}: "
                + ", ".join(f"{name} {value:g}" for name, value in values.items())
                + f"; {_ADVICE}"
            )

    def finish(self) -> None:
        """Look at the last call and report its last step, whether due or not."""
        self.settle()
        if self._latest is not None and not self._is_due(self._latest[1], self._config):
            values, step = self._latest
            self._report(values, step, self._lap(step, counts=True))

    def is_late(self) -> bool:
        """Return whether the training clock has passed ``config.minutes``."""
        return bool(self._config.minutes) and self._clock() >= 60 * self._config.minutes

    def _clock(self) -> float:
        """Return the seconds of training so far."""
        running = time.perf_counter() - self._started if self._compiled else 0.0
        return self._log.seconds + running

    def tell(self, quality: Mapping[str, float] | None, step: int) -> None:
        """Report what a judge says of a step's state; None if there is no judge."""
        if quality is not None:
            self._log.write({**self._place(step), **quality})
            self._display.tell(quality, collapse(quality, step * self._config.batch_size))

    def pause(self) -> None:
        """Look at the last call and stop the clock, before what is no training."""
        self.settle()
        if self._latest is not None and self._latest[1] != self._lapped:
            self._lap(self._latest[1], counts=True)

    def restart(self) -> None:
        """Start the clock again after ``pause``."""
        self._started = time.perf_counter()

    def _lap(self, step: int, counts: bool) -> float:
        """Return the images a second since the last lap; add its time to the training clock."""
        now = time.perf_counter()
        passed, steps = now - self._started, step - self._lapped
        if counts:
            self._log.seconds += passed
        self._lapped, self._started = step, now
        return steps * self._config.batch_size / passed

    def _report(self, values: dict[str, float], step: int, rate: float) -> None:
        line = {**self._place(step), **values, "images_per_second": rate}
        self._log.write(line)
        self._display.report(line)

    def _place(self, step: int) -> dict[str, float]:
        epoch = step / self._steps_per_epoch
        return {"step": step, "epoch": epoch, "seconds": self._log.seconds}


@contextlib.contextmanager
def _interruptible() -> Iterator[list[int]]:
    """Turn the first Ctrl-C or SIGTERM into an entry of the list (the exit code to leave with).

    The second one leaves at once, for an impatient person. Nothing is lost by that but what was
    about to be saved, since files are written whole or not at all.
    """
    codes: list[int] = []

    def note(number: int, _frame: object) -> None:
        if codes:
            progress.leave(128 + number)
        codes.append(128 + number)
        progress.warn("saving, then leaving; once more leaves at once")

    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, note) for number in numbers]
    try:
        yield codes
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


@contextlib.contextmanager
def _enough_memory(config: TrainConfig) -> Iterator[None]:
    """Say in a sentence that memory ran out."""
    try:
        yield
    except (MemoryError, jax.errors.JaxRuntimeError) as error:
        signs = ("RESOURCE_EXHAUSTED", "bad_alloc")  # of XLA itself, and of what it calls
        if isinstance(error, MemoryError) or any(sign in str(error) for sign in signs):
            raise TrainingError(
                f"out of memory with {_sizes(config)}; give smaller ones, with a new --run-dir; "
                "checkpoints are kept"
            ) from error
        raise


def _refuse_too_large(config: TrainConfig, spec: ImageSpec, gan: GAN) -> None:
    """Raise ``UserError`` where the system would end the program for want of memory."""
    have = runtime.free_memory()
    if have is None:
        return
    leaves = jax.tree.leaves(jax.eval_shape(gan.init))
    weights = sum(leaf.size * leaf.dtype.itemsize for leaf in leaves)
    # The state, the next one, and what is on its way to the disk.
    need = 3 * weights + _step_bytes(config, spec)
    if need > have:
        raise UserError(
            f"{_sizes(config)} take about {need / 1e9:.1f} GB of memory, {have / 1e9:.1f} GB are "
            "free; give smaller ones"
        )


def _sizes(config: TrainConfig) -> str:
    """Return the options that memory depends on."""
    names = ["batch_size", "width"] + ["residuals"] * (config.residuals > 0)
    return " and ".join(f"{option(name)} {getattr(config, name)}" for name in names)


def _step_bytes(config: TrainConfig, spec: ImageSpec) -> int:
    return models.step_bytes(spec, config.width, config.batch_size, config.residuals)


def _introduce(run: settings.Run, form: str, state: State) -> None:
    spec = run.spec
    sizes = ", ".join(
        f"{name} {models.count(params):,}" for name, params in state.params._asdict().items()
    )
    kind = f"{spec.classes} classes" if spec.classes else "no classes"
    shape = "x".join(map(str, spec.shape))
    progress.say(f"{run.config.dataset}: {run.count:,} images of {shape}, {kind}")
    progress.say(f"parameters: {sizes}")
    progress.say(f"device: {jax.devices()[0]}, convolutions: {form}")


def _tell_changes(old: TrainConfig, new: TrainConfig) -> None:
    for name, before, after in changes(old, new):
        if name != "run_dir":  # the folder may have been moved, or be named otherwise
            progress.say(f"{option(name)} is {after} now, it was {before}")


def _tell_place(run: settings.Run, step: int, last: int) -> None:
    config = run.config
    if step >= last:
        progress.say(f"{config.run_dir} is at step {step} already: nothing to train")
    elif step:
        end = f"to {config.minutes:g} minutes" if config.minutes else f"of {last}"
        source = f", forked from {run.origin}" if run.origin else ""
        progress.say(f"continuing {config.run_dir} from step {step} {end}{source}")


def _sound(state: State) -> State:
    """Return the state if all of it is finite: what is saved can be continued."""
    if not all(bool(jnp.isfinite(leaf).all()) for leaf in jax.tree.leaves(state)):
        raise TrainingError(f"the weights are not finite at step {int(state.step)}; {_ADVICE}")
    return state


def _finish(config: TrainConfig, spec: ImageSpec, state: State, judge: Judge, code: int) -> int:
    """Plot the losses; write the final graph unless interrupted, or told not to."""
    run_dir = Path(config.run_dir)
    reports = progress.read_log(run_dir / "metrics.jsonl")
    if reports:
        progress.plot(run_dir / "loss.png", reports)
    if code:
        saved = (
            f"saved {run_dir} at step {int(state.step)}" if state.step else "nothing to save yet"
        )
        progress.say(f"{saved}; the same command continues it")
    if code or not config.convert:
        return code
    folder = run_dir / "saved_model" if config.saved_model else None
    progress.say("converting the generator")
    source = export.Source(config, spec, state.average, int(state.step))
    path = run_dir / "generator.tflite"
    report = export.export(source, path, saved_model=folder, real=judge.reference)
    progress.say(report.text())
    return 0
