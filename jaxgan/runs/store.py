"""The checkpoints of a run that is being trained: saved in the background, restored, dropped."""

from __future__ import annotations

import errno
import logging
import os
import shutil
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np

from jaxgan.errors import OutputError, UserError, first_line
from jaxgan.gan.step import State
from jaxgan.io.files import sweep, sync_folder
from jaxgan.runs import checkpoint, seal
from jaxgan.runs.lock import Lock
from jaxgan.runs.log import Mark
from jaxgan.runs.seal import Damaged

_NEW, _OLD = ".{}.new", ".{}.old"  # names of what is being written or removed, by its step
_LOG_COPY = "metrics.jsonl"  # of the run's log, up to the newest checkpoint
_log = logging.getLogger(__name__)


class Restored(NamedTuple):
    """What a run continues from: a state, and how far its log had come then."""

    state: State
    mark: Mark


class Store:
    """The checkpoints of one run directory, which is locked; a thread writes them.

    Of all that are saved, the newest few are kept, and the one with the lowest score.
    Use as a context: leaving it waits for the disk.
    """

    def __init__(self, run_dir: Path, keep: int) -> None:
        """Open a run directory, made if it is missing; ``UserError`` if another trains in it.

        Args:
            run_dir: The run directory.
            keep: How many of the newest checkpoints are kept.
        """
        self._run_dir, self._keep = run_dir, keep
        self._lock = Lock(run_dir)
        if self._lock.left_by:
            _log.info("%s: the lock that %s left is taken over", run_dir, self._lock.left_by)
        self._thread = ThreadPoolExecutor(1)
        self._writing: Future[None] | None = None

    def __enter__(self) -> Store:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        with self._lock, self._thread:
            if kind is None:  # else that fault is what should be raised
                self.wait()

    def sweep(self) -> None:
        """Remove what a killed process left half written."""
        for name in (_NEW, _OLD):
            for folder in (self._run_dir / checkpoint.FOLDER).glob(name.format("*")):
                shutil.rmtree(folder, ignore_errors=True)
        for folder in (self._run_dir, self._run_dir / checkpoint.FOLDER, self._run_dir / "samples"):
            sweep(folder)

    @property
    def log_copy(self) -> Path:
        """Where the run's log keeps a copy of itself."""
        return self._run_dir / checkpoint.FOLDER / _LOG_COPY

    def save(self, state: State, mark: Mark, score: float | None = None) -> None:
        """Write a state under its step, in the background. A step already there is left alone.

        Args:
            state: The state.
            mark: How far the log has come.
            score: What says how good its images are, lower is better; None if not evaluated.

        Raises:
            OutputError: The checkpoint before this one could not be written.
        """
        self.wait()
        step = int(state.step)
        if not checkpoint.step_dir(self._run_dir, step).exists():
            copy = jax.tree.map(np.array, state)  # the next step reuses the state's buffers
            self._writing = self._thread.submit(self._write, step, copy, mark, score)

    def wait(self, block: bool = True) -> None:
        """Wait for the last checkpoint; ``OutputError`` if it could not be written.

        Args:
            block: Whether to wait; if not, only one that has ended is looked at.
        """
        if self._writing is not None and (block or self._writing.done()):
            writing, self._writing = self._writing, None
            writing.result()

    def _write(self, step: int, state: State, mark: Mark, score: float | None) -> None:
        new = self._run_dir / checkpoint.FOLDER / _NEW.format(step)
        try:
            checkpoint.write_arrays(new, state)
            seal.write(new, {"score": score, "log": mark._asdict()})
            new.rename(checkpoint.step_dir(self._run_dir, step))
            sync_folder(new.parent)
            self._drop()
        except Exception as error:
            shutil.rmtree(new, ignore_errors=True)
            full = os.strerror(errno.ENOSPC)  # Orbax and TensorStore wrap it in a paragraph
            reason = full if full in str(error) else first_line(error)
            raise OutputError(f"cannot write a checkpoint in {self._run_dir}: {reason}") from error

    def _drop(self) -> None:
        """Remove all but the newest and the best."""
        entries = checkpoint.saved(self._run_dir)
        scored = [(entry.score, entry) for entry in entries if entry.score is not None]
        best = min(scored, key=lambda pair: pair[0], default=(None, None))[1]
        for entry in entries[: -self._keep]:
            if entry != best:
                # Renamed first, so that no half of it is ever found under its step.
                old = self._run_dir / checkpoint.FOLDER / _OLD.format(entry.step)
                checkpoint.step_dir(self._run_dir, entry.step).rename(old)
                shutil.rmtree(old)

    def restore_newest(self, shape: State) -> Restored | None:
        """Return the newest sound checkpoint; None where none was ever written.

        Damaged ones are named in a warning, and those newer than the one returned are moved to
        ``damaged/`` in the run directory, since the run will write their steps again.

        Args:
            shape: Gives the names, shapes and dtypes of the state.

        Raises:
            UserError: There are checkpoints, but none is sound; or the newest sound one cannot be
                read, or is of another network. Nothing is moved then.
        """
        damaged: dict[int, Damaged] = {}
        for step in [entry.step for entry in reversed(checkpoint.saved(self._run_dir))]:
            folder = checkpoint.step_dir(self._run_dir, step)
            try:
                tree, mark = checkpoint.read(folder), checkpoint.mark(folder)
            except Damaged as error:
                damaged[step] = error
                continue
            try:
                state = checkpoint.as_state(tree, shape)
            except ValueError as error:
                raise UserError(
                    f"checkpoint {folder} is not of the network in config.json: {error}; put the "
                    "right file back, or give another --run-dir"
                ) from error
            checkpoint.warn_damaged(self._run_dir, damaged)
            self._set_aside(damaged)
            return Restored(state, mark)
        if damaged:
            checkpoint.warn_damaged(self._run_dir, damaged)
            raise UserError(
                f"none of the {len(damaged)} checkpoints in {self._run_dir} can be read; "
                "give another --run-dir, or remove this one to start again"
            )
        return None

    def _set_aside(self, steps: Iterable[int]) -> None:
        for step in steps:
            aside = self._run_dir / "damaged" / str(step)
            if aside.exists():
                shutil.rmtree(aside)
            aside.parent.mkdir(exist_ok=True)
            checkpoint.step_dir(self._run_dir, step).rename(aside)
