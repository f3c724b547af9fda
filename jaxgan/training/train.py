"""Train a GAN: data in; steps, reports, samples, evaluations and checkpoints out."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import jax

from jaxgan.config import ImageSpec, TrainConfig
from jaxgan.data.dataset import load
from jaxgan.data.store import Dataset
from jaxgan.errors import TrainingError, UserError
from jaxgan.gan.step import make_gan, state_shape
from jaxgan.runs import fork
from jaxgan.runs.log import Mark, Watch, read_log
from jaxgan.runs.run import Run, begin
from jaxgan.runs.store import Restored, Store
from jaxgan.training import memory, plot, samples
from jaxgan.training.evaluator import Evaluator
from jaxgan.training.feed import Feed
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
    config, origin = fork.forked(config)
    dataset, spec = _read(config, origin)
    memory.reuse(memory.step_bytes(config, spec))  # before JAX starts
    memory.require_enough(config, spec)
    with (
        _enough_memory(config),
        Store(Path(config.run_dir), config.keep_checkpoints) as store,
    ):
        name = origin.name if origin else None
        run, known = begin(config, spec, len(dataset.image), dataset.fingerprint(), name)
        shape = state_shape(run.config, spec)
        gan = make_gan(run.config, spec, run.config.convolution)
        evaluator = Evaluator(run.config, spec, dataset, gan)
        start = origin.state(run, gan.init) if origin else None
        store.sweep()
        restored = store.restore_newest(shape)
        run.write()
        if restored is None:
            restored = Restored(start or gan.init(), Mark())
        if start is not None:
            store.save(start, Mark())  # so that the state that it starts from is its own
        if not (run.path / "samples" / "real.png").exists():
            samples.write_real(run.path, spec, dataset)
        with (
            samples.Samples(run.path, run.config, spec, gan) as sheets,
            Feed(dataset, config.seed, config.batch_size) as feed,
        ):
            session = Session(run, gan, feed, store, sheets, evaluator, watch, stop)
            session.introduce(known, restored.state)
            session.train(restored, known.config if known else run.config)
    if records := read_log(run.path / "metrics.jsonl"):
        plot.write(run.path / "loss.png", records)
    return run


def _read(config: TrainConfig, origin: fork.Origin | None) -> tuple[Dataset, ImageSpec]:
    """Return the training images, and what the networks have to know of them.

    Raises:
        UserError: There are none, too few, or a fork cannot be trained on them.
    """
    _log.info("reading %s from %s", config.dataset, config.data_dir)
    dataset = load(config.dataset, config.data_dir, first=config.train_images)
    count = len(dataset.image)
    if config.batch_size > count:
        raise UserError(
            f"--batch-size: expected at most the {count:,} images, got {config.batch_size}"
        )
    spec = dataset.spec if config.conditional else dataset.spec.unlabelled()
    if origin:
        origin.check(config, spec)
    return dataset, spec


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
