"""The impure shell around the pure core: data in, steps, reports, samples, checkpoints, graph."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import signal
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

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
)  # fmt: skip
from jaxgan.config import MOST_STEPS, ImageSpec, TrainConfig, differences, option
from jaxgan.errors import TrainingError, UserError
from jaxgan.gan import Batch, Metrics, State, make_gan, steps_per_call
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
        TrainingError: A loss is not finite.
    """
    run_dir = Path(config.run_dir)
    _refuse_other_run(run_dir, config)
    progress.say(f"reading {config.dataset} from {config.data_dir}")
    dataset = data.load(config.dataset, config.data_dir, first=config.train_images)
    count = len(dataset.image)
    _refuse_other_data(run_dir, count)
    if config.batch_size > count:
        raise UserError(
            f"--batch-size: expected at most the {count:,} images, got {config.batch_size}"
        )
    spec = dataset.spec if config.conditional else dataclasses.replace(dataset.spec, classes=0)
    runtime.keep_memory(models.step_bytes(spec, config.width, config.batch_size))
    if config.compilation_cache:
        runtime.keep_compilations()
    form = convolution.choose_form(config.convolution)  # starts JAX, so memory comes first
    gan = make_gan(config, spec, form)
    steps_per_epoch = count // config.batch_size
    last = MOST_STEPS if config.minutes else config.epochs * steps_per_epoch
    judge = Judge(config, dataset, spec, gan)

    # Outermost, so that a signal during the last save does not end it.
    with (
        _interruptible() as interrupted,
        checkpoint.Store(run_dir, config.keep_checkpoints) as store,
        Samples(run_dir, config, spec, gan) as samples,
    ):
        state = store.restore_newest(gan.init())
        checkpoint.write_config(run_dir, config, spec, count)
        step = first = int(state.step)
        _introduce(config, spec, form, count, state, last)
        if step == 0:
            write_real(run_dir, spec, dataset)
        with (
            progress.Log(run_dir / "metrics.jsonl", step) as log,
            progress.Display(step, last, steps_per_epoch, config.minutes) as display,
        ):
            watch = _Watch(config, steps_per_epoch, step, log, display)
            while step < last and not watch.is_late() and not interrupted:
                batches = _batches(config, dataset, step, steps_per_epoch)
                state, metrics = gan.steps(state, batches)
                step += len(batches.label)
                # One call late, so that the device already works on the next.
                watch.see(metrics, step)
                if step % steps_per_epoch == 0:
                    watch.settle()
                    epoch = step // steps_per_epoch
                    samples.draw(state, epoch)
                    store.settle(wait=False)
                    saves = epoch % config.checkpoint_every == 0 and step < last
                    if saves or (judge.is_due(epoch) and step < last):
                        watch.tell(judge.look(state), step)
                    if saves:
                        samples.settle()  # a checkpoint has all that was before it
                        store.save(_sound(state), judge.score(state))
                    watch.restart()
            watch.finish()
            if not interrupted and log.judged != step:
                watch.tell(judge.look(state), step)
        if step > first:
            store.save(_sound(state), judge.score(state))
    code = int(interrupted[0]) if interrupted else 0
    return _finish(config, spec, state, judge, code)


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
        steps_per_epoch: int,
        step: int,
        log: progress.Log,
        display: progress.Display,
    ) -> None:
        self._config, self._steps_per_epoch = config, steps_per_epoch
        self._log, self._display = log, display
        self._pending: tuple[Metrics, int] | None = None
        self._lapped, self._started = step, time.perf_counter()
        self._compiled: set[int] = set()  # calls of so many steps
        self._latest: tuple[dict[str, float], int] | None = None

    def see(self, metrics: Metrics, step: int) -> None:
        """Take the metrics of a call that ends at a step, not yet there; look at the last one's."""
        self.settle()
        if self._latest is None and self._pending is None:
            self._log.forget(self._is_due)  # the run goes on past an end that was no such step
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
        due = [step for step in steps if self._is_due(step)]
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

    def _is_due(self, step: int) -> bool:
        return step % self._config.report_every == 0 or step % self._steps_per_epoch == 0

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
        if self._latest is not None and not self._is_due(self._latest[1]):
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

    def restart(self) -> None:
        """Leave what was done since the last report, samples and saving, out of the clock."""
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

    The second one acts as ever, so an impatient person can leave at once.
    """
    codes: list[int] = []
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def note(number: int, _frame: object) -> None:
        codes.append(128 + number)
        restore()
        progress.warn("saving, then leaving; once more leaves at once")

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    for number in before:
        signal.signal(number, note)
    try:
        yield codes
    finally:
        restore()


def _refuse_other_run(run_dir: Path, config: TrainConfig) -> None:
    if not checkpoint.saved(run_dir):
        return  # nothing was learnt there, so nothing can be mixed up
    known = checkpoint.read_config(run_dir)
    if known is None:
        raise UserError(
            f"{run_dir} has checkpoints but no config.json to tell their settings; "
            "give another --run-dir, or put the file back"
        )
    changed = differences(known[0], config)
    if changed:
        lines = [f"  {option(name)}: {old} there, {new} here" for name, old, new in changed]
        raise UserError(
            f"{run_dir} holds a run with other settings; give another --run-dir, or the same "
            "settings to continue it:\n" + "\n".join(lines)
        )


def _refuse_other_data(run_dir: Path, count: int) -> None:
    known = checkpoint.read_count(run_dir) if checkpoint.saved(run_dir) else count
    if known != count:
        raise UserError(
            f"{run_dir} was trained on {known:,} images, this dataset has {count:,}; "
            "give another --run-dir, or the --data-dir of before"
        )


def _introduce(
    config: TrainConfig, spec: ImageSpec, form: str, count: int, state: State, last: int
) -> None:
    sizes = ", ".join(
        f"{name} {models.count(params):,}" for name, params in state.params._asdict().items()
    )
    kind = f"{spec.classes} classes" if spec.classes else "no classes"
    shape = "x".join(map(str, spec.shape))
    progress.say(f"{config.dataset}: {count:,} images of {shape}, {kind}")
    progress.say(f"parameters: {sizes}")
    progress.say(f"device: {jax.devices()[0]}, convolutions: {form}")
    if state.step >= last:
        progress.say(f"{config.run_dir} is at step {int(state.step)} already: nothing to train")
    elif state.step:
        end = f"to {config.minutes:g} minutes" if config.minutes else f"of {last}"
        progress.say(f"continuing {config.run_dir} from step {int(state.step)} {end}")


def _sound(state: State) -> State:
    """Return the state if all of it is finite: what is saved can be continued."""
    if not all(bool(jnp.isfinite(leaf).all()) for leaf in jax.tree.leaves(state)):
        raise TrainingError(f"the weights are not finite at step {int(state.step)}; {_ADVICE}")
    return state


def _finish(config: TrainConfig, spec: ImageSpec, state: State, judge: Judge, code: int) -> int:
    """Plot the losses and, unless the run was interrupted, write the final graph."""
    run_dir = Path(config.run_dir)
    reports = progress.read_log(run_dir / "metrics.jsonl")
    if reports:
        progress.plot(run_dir / "loss.png", reports)
    if code:
        saved = (
            f"saved {run_dir} at step {int(state.step)}" if state.step else "nothing to save yet"
        )
        progress.say(f"{saved}; the same command continues it")
        return code
    folder = run_dir / "saved_model" if config.saved_model else None
    progress.say("converting the generator")
    source = export.Source(config, spec, state.average, int(state.step))
    path = run_dir / "generator.tflite"
    report = export.export(source, path, saved_model=folder, real=judge.reference)
    progress.say(report.text())
    return 0
