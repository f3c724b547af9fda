"""Train a GAN: data in; steps, reports, samples, evaluations and checkpoints out."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxgan.config import ImageSpec, TrainConfig, options, resolved, resumed, settings
from jaxgan.data.dataset import Dataset, load
from jaxgan.errors import TrainingError, UserError
from jaxgan.gan.step import State, make_gan, state_shape
from jaxgan.runs import checkpoint
from jaxgan.runs.log import Mark, Watch, read_log
from jaxgan.runs.run import Run, find_resumable, require_same
from jaxgan.runs.store import Restored, Store
from jaxgan.training import memory, plot, samples
from jaxgan.training.evaluator import Evaluator
from jaxgan.training.session import Session

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
        Store(Path(config.run_dir), config.keep_checkpoints) as store,
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


def _restore(store: Store, run: Run, start: State) -> Restored:
    """Return where training starts; the run's own files are written from here on."""
    store.sweep()
    restored = store.restore_newest(start)
    run.write()
    return restored or Restored(start, Mark())


def _require_batch(config: TrainConfig, count: int) -> None:
    if config.batch_size > count:
        raise UserError(
            f"--batch-size: expected at most the {count:,} images, got {config.batch_size}"
        )


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
