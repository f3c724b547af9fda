"""State ↔ disk. The only user of Orbax.

A checkpoint is a folder ``state/STEP`` of the run directory:

- ``default/``: the state, as Orbax writes it;
- ``checkpoint.json``: the score, how far metrics.jsonl had come, and the SHA-256 of every other
  file.

It is made as ``.STEP.new`` and renamed when it is whole and on the disk, so a folder that is
named by a step was complete once: whatever is wrong with it came later.
"""

from __future__ import annotations

import datetime
import errno
import hashlib
import json
import logging
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp

from jaxgan.errors import OutputError, UserError, first_line
from jaxgan.gan.step import State
from jaxgan.io.files import read_regular, sha256, sweep, sync_folder, write_whole
from jaxgan.runs.lock import Lock
from jaxgan.runs.log import Mark

_FOLDER = "state"  # in the run directory, a folder a step
_ITEM = "default"  # what Orbax itself calls a checkpoint's only item
_SEAL, _MAX_BYTES = "checkpoint.json", 1 << 20  # its name, and the most bytes of it that are read
_NEW, _OLD = ".{}.new", ".{}.old"  # names of what is being written or removed, by its step
_LOG_COPY = "metrics.jsonl"  # of the run's log, up to the newest checkpoint
# Errors of the system that say what lies there, and not that it cannot be read just now.
_LASTING = {
    errno.ENOENT, errno.EISDIR, errno.ENOTDIR, errno.EINVAL, errno.EACCES, errno.EPERM,
    errno.EFBIG, errno.ELOOP,
}  # fmt: skip
_log = logging.getLogger(__name__)


class Saved(NamedTuple):
    """A checkpoint as it lies on the disk.

    Attributes:
        step: Its step.
        date: When it was written.
        size: Bytes of its files.
        score: Lower is better; None if it was not evaluated.
    """

    step: int
    date: datetime.datetime
    size: int
    score: float | None


class Restored(NamedTuple):
    """What a run continues from: a state, and how far its log had come then."""

    state: State
    mark: Mark


class Damaged(Exception):
    """A checkpoint's files are not those that were written."""


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
            for folder in (self._run_dir / _FOLDER).glob(name.format("*")):
                shutil.rmtree(folder, ignore_errors=True)
        for folder in (self._run_dir, self._run_dir / _FOLDER, self._run_dir / "samples"):
            sweep(folder)

    @property
    def log_copy(self) -> Path:
        """Where the run's log keeps a copy of itself."""
        return self._run_dir / _FOLDER / _LOG_COPY

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
        if not _step_dir(self._run_dir, step).exists():
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
        new = self._run_dir / _FOLDER / _NEW.format(step)
        try:
            _write_orbax(new / _ITEM, state)
            _seal(new, score, mark)
            new.rename(_step_dir(self._run_dir, step))
            sync_folder(new.parent)
            self._drop()
        except Exception as error:
            shutil.rmtree(new, ignore_errors=True)
            full = os.strerror(errno.ENOSPC)  # Orbax and TensorStore wrap it in a paragraph
            reason = full if full in str(error) else first_line(error)
            raise OutputError(f"cannot write a checkpoint in {self._run_dir}: {reason}") from error

    def _drop(self) -> None:
        """Remove all but the newest and the best."""
        entries = saved(self._run_dir)
        scored = [(entry.score, entry) for entry in entries if entry.score is not None]
        best = min(scored, key=lambda pair: pair[0], default=(None, None))[1]
        for entry in entries[: -self._keep]:
            if entry != best:
                old = self._run_dir / _FOLDER / _OLD.format(entry.step)  # never a half of it
                _step_dir(self._run_dir, entry.step).rename(old)
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
        for step in [entry.step for entry in reversed(saved(self._run_dir))]:
            folder = _step_dir(self._run_dir, step)
            try:
                tree, mark = _read(folder), _mark(folder)
            except Damaged as error:
                damaged[step] = error
                continue
            try:
                state = as_state(tree, shape)
            except ValueError as error:
                raise UserError(
                    f"checkpoint {folder} is not of the network in config.json: {error}; put the "
                    "right file back, or give another --run-dir"
                ) from error
            _warn_damaged(self._run_dir, damaged)
            self._set_aside(damaged)
            return Restored(state, mark)
        if damaged:
            _warn_damaged(self._run_dir, damaged)
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
            _step_dir(self._run_dir, step).rename(aside)


def saved(run_dir: Path) -> list[Saved]:
    """Return the checkpoints of a run directory, oldest first; [] where there are none."""
    folder = run_dir / _FOLDER
    steps = (
        [path for path in folder.iterdir() if re.fullmatch("[0-9]+", path.name)]
        if folder.is_dir()
        else []
    )
    return [_describe(path) for path in sorted(steps, key=lambda path: int(path.name))]


def load(run_dir: Path, step: int | None = None) -> tuple[int, dict[str, Any]]:
    """Read a checkpoint as nested dicts of NumPy arrays, named as the fields of ``State``.

    Args:
        run_dir: A run directory.
        step: Which checkpoint; the newest sound one if None.

    Raises:
        UserError: There is none, not that one, or none that is sound.
    """
    steps = [entry.step for entry in saved(run_dir)]
    if not steps:
        raise UserError(
            f"no checkpoint in {run_dir}; train one with: python train.py --run-dir {run_dir}"
        )
    if step is not None and step not in steps:
        raise UserError(
            f"--step: {run_dir} has checkpoints {', '.join(map(str, steps))}, got {step}"
        )
    damaged: dict[int, Damaged] = {}
    for candidate in reversed(steps) if step is None else [step]:
        try:
            tree = _read(_step_dir(run_dir, candidate))
        except Damaged as error:
            damaged[candidate] = error
            continue
        _warn_damaged(run_dir, damaged)
        return candidate, tree
    _warn_damaged(run_dir, damaged)
    which = "no readable checkpoint" if step is None else f"checkpoint {step} cannot be read"
    raise UserError(f"{which} in {run_dir}, which has steps {', '.join(map(str, steps))}")


def fault(run_dir: Path, step: int) -> str | None:
    """Return in words what is wrong with a checkpoint's files; None if nothing is."""
    try:
        _verify(_step_dir(run_dir, step))
    except Damaged as error:
        return first_line(error)
    return None


def as_state(tree: dict[str, Any], shape: State) -> State:
    """Return what ``load`` gave as a state; ``ValueError`` where it is none of such a network."""
    found, expected = named_leaves(tree), named_leaves(shape)
    if found.keys() != expected.keys():
        odd = min(found.keys() ^ expected.keys())
        raise ValueError(f"{odd} is {'unknown' if odd in found else 'missing'}")
    for name, leaf in expected.items():
        if (found[name].shape, found[name].dtype) != (leaf.shape, leaf.dtype):
            raise ValueError(
                f"{name}: expected {leaf.dtype}{list(leaf.shape)}, "
                f"got {found[name].dtype}{list(found[name].shape)}"
            )
    return jax.tree.unflatten(
        jax.tree.structure(shape), [jnp.array(found[name]) for name in expected]
    )


def named_leaves(tree: Any) -> dict[str, Any]:
    """Return the leaves of a state, or of what ``load`` returns, by names such as ``step``."""
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {jax.tree_util.keystr(path, simple=True, separator="/"): leaf for path, leaf in leaves}


def fingerprint(tree: Any) -> str:
    """Return the SHA-256 of all leaves with their names, dtypes and shapes, 64 hex digits.

    Two states have the same one if, and only if, all their bits are the same.
    """
    total = hashlib.sha256()
    for name, leaf in sorted(named_leaves(tree).items()):
        array = np.ascontiguousarray(leaf)
        total.update(f"{name} {array.dtype.str} {np.shape(leaf)}\n".encode())
        total.update(array.tobytes())
    return total.hexdigest()


def _step_dir(run_dir: Path, step: int) -> Path:
    return run_dir / _FOLDER / str(step)


def _write_orbax(path: Path, state: State) -> None:
    with ocp.Checkpointer(ocp.StandardCheckpointHandler()) as writer:
        writer.save(path.absolute(), state)


def _read(folder: Path) -> dict[str, Any]:
    """Return a checkpoint's arrays.

    Raises:
        Damaged: Its files are not those that were written.
        UserError: They are, but cannot be read: a failing disk, another Orbax.
    """
    _verify(folder)
    try:
        with ocp.Checkpointer(ocp.StandardCheckpointHandler()) as reader:
            tree = reader.restore((folder / _ITEM).absolute())
    except MemoryError:
        raise
    except Exception as error:  # Orbax raises many kinds
        raise UserError(
            f"checkpoint {folder} is sound but cannot be read by Orbax {ocp.__version__}: "
            f"{first_line(error)}; nothing was changed"
        ) from error
    return jax.tree.map(np.asarray, tree)


def _seal(folder: Path, score: float | None, mark: Mark) -> None:
    """Write a checkpoint's last file, which tells all the others from damaged ones."""
    content = {"score": score, "log": mark._asdict(), "sha256": _checksums(folder)}
    sealed = {**content, "seal": _digest(content)}
    write_whole(folder / _SEAL, json.dumps(sealed, indent=2).encode())


def _digest(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _verify(folder: Path) -> None:
    """Raise ``Damaged`` where a checkpoint's files are not those that were written.

    Raises:
        UserError: Nobody can tell, as the system does not read them just now.
    """
    try:
        content = _read_seal(folder)
        found = _checksums(folder)
    except OSError as error:
        if error.errno in _LASTING:
            raise Damaged(first_line(error)) from error
        raise UserError(
            f"checkpoint {folder} cannot be read: {error.strerror}; nothing was changed"
        ) from error
    for name, expected in content["sha256"].items():
        if found.get(name) != expected:
            raise Damaged(f"{name} is {'changed' if name in found else 'missing'}")


def _read_seal(folder: Path) -> dict[str, Any]:
    """Return what a seal holds; ``Damaged`` or ``OSError`` where it is none."""
    try:
        content = json.loads(read_regular(folder / _SEAL, _MAX_BYTES))
        seal = content.pop("seal")
        content["sha256"].items()
        if seal == _digest(content):
            return content
    except FileNotFoundError as error:
        raise Damaged(f"{_SEAL} is missing") from error
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise Damaged(f"{_SEAL} is changed") from error
    raise Damaged(f"{_SEAL} is changed")


def _mark(folder: Path) -> Mark:
    """Return how far the log had come; the seal is sound, but its author may be hostile."""
    try:
        mark = Mark(**_read_seal(folder)["log"])
        kinds = tuple(map(type, mark))
    except (TypeError, KeyError) as error:
        raise Damaged(f"{_SEAL} is changed") from error
    if kinds != (int, str, int, str, float, int) or not 0 <= mark.certain_bytes <= mark.bytes:
        raise Damaged(f"{_SEAL} is changed")
    return mark


def _checksums(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of each file of a checkpoint but the last, by its path there."""
    return {
        path.relative_to(folder).as_posix(): sha256(path)
        for path in _files(folder)
        if path.name != _SEAL
    }


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file())


def _describe(path: Path) -> Saved:
    date = datetime.datetime.fromtimestamp(path.stat().st_mtime)
    size = sum(file.stat().st_size for file in _files(path))
    try:
        score = _read_seal(path)["score"]
        score = None if score is None else float(score)
    except (OSError, ValueError, TypeError, KeyError, Damaged):
        score = None  # restoring names the fault
    return Saved(int(path.name), date, size, score)


def _warn_damaged(run_dir: Path, damaged: Mapping[int, Damaged]) -> None:
    """Name damaged checkpoints in one line."""
    if damaged:
        _log.warning(
            "; ".join(
                f"checkpoint {_step_dir(run_dir, step)} is damaged: {first_line(error)}"
                for step, error in damaged.items()
            )
        )
