"""State ↔ disk. The only user of Orbax.

A checkpoint is a folder ``state/STEP`` of the run directory:

- ``default/``: the state, as Orbax writes it;
- ``metrics.jsonl``: the run's reports up to that step;
- ``checkpoint.json``: the score, and the SHA-256 of every other file.

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
import sys
import warnings
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp

from jaxgan import progress
from jaxgan.errors import OutputError, UserError, first_line
from jaxgan.files import Lock, read_regular, sha256, sweep, sync_folder, write_whole
from jaxgan.gan import State

_FOLDER = "state"  # in the run directory, a folder a step
_ITEM = "default"  # what Orbax itself calls a checkpoint's only item
_METRICS = "metrics.jsonl"
_SEAL, _MOST = "checkpoint.json", 1 << 20  # its name, and the most bytes of it that are read
_NEW, _OLD = ".{}.new", ".{}.old"  # names of what is being written or removed, by its step


def _ignore_orphans(unraisable: Any) -> None:
    """Report what could not be raised, unless it is one of TensorStore's orphans."""
    if str(unraisable.exc_value) != "Event loop is closed":
        sys.__unraisablehook__(unraisable)


# When a read or write fails, Orbax closes its event loop and raises. What else was under way then
# reports to nobody: TensorStore through the hook, asyncio and Orbax through their logs, Python by a
# warning; hundreds of lines on a full disk. The fault itself is raised, and ends in one sentence.
sys.unraisablehook = _ignore_orphans
warnings.filterwarnings("ignore", "coroutine .* was never awaited", RuntimeWarning)
logging.getLogger("asyncio").setLevel(logging.CRITICAL)
logging.getLogger("absl").addFilter(lambda record: "orbax" not in record.pathname)


class Saved(NamedTuple):
    """A checkpoint as it lies on the disk, with its score, lower is better, if it has one."""

    step: int
    date: datetime.datetime
    size: int
    score: float | None


class Restored(NamedTuple):
    """What a run goes on from: a state, and the bytes of metrics.jsonl as they were then."""

    state: State
    metrics: bytes


class Store:
    """The checkpoints of one run directory, for one process at a time; a thread writes them.

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
            progress.say(f"{run_dir}: the lock that {self._lock.left_by} left is taken over")
        _sweep(run_dir)
        self._thread = ThreadPoolExecutor(1)
        self._writing: Future[None] | None = None

    def __enter__(self) -> Store:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        with self._lock, self._thread:
            if kind is None:  # else that fault is what should be told
                self.settle()

    def save(self, state: State, metrics: bytes, score: float | None = None) -> None:
        """Write a state under its step, in the background. A step already there is left alone.

        Args:
            state: The state.
            metrics: Content of metrics.jsonl up to its step.
            score: What says how good its images are, lower is better; None if nobody looked.

        Raises:
            OutputError: The checkpoint before this one could not be written.
        """
        self.settle()
        step = int(state.step)
        if not _step_dir(self._run_dir, step).exists():
            copy = jax.tree.map(np.array, state)  # the next step reuses the state's buffers
            self._writing = self._thread.submit(self._write, step, copy, metrics, score)

    def settle(self, wait: bool = True) -> None:
        """Wait for the last checkpoint; ``OutputError`` if it could not be written.

        Args:
            wait: Whether to wait; if not, only one that has ended is looked at.
        """
        if self._writing is not None and (wait or self._writing.done()):
            writing, self._writing = self._writing, None
            writing.result()

    def _write(self, step: int, state: State, metrics: bytes, score: float | None) -> None:
        new = self._run_dir / _FOLDER / _NEW.format(step)
        try:
            _write_orbax(new / _ITEM, state)
            write_whole(new / _METRICS, metrics)
            _seal(new, score)
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
        best = min((one for one in entries if one.score is not None), key=_score, default=None)
        for entry in entries[: -self._keep]:
            if entry != best:
                old = self._run_dir / _FOLDER / _OLD.format(entry.step)  # never a half of it
                _step_dir(self._run_dir, entry.step).rename(old)
                shutil.rmtree(old)

    def restore_newest(self, like: State) -> Restored | None:
        """Return the newest sound checkpoint; None where none was ever written.

        Damaged ones are named in a warning, and those newer than the one returned are moved to
        ``damaged/`` in the run directory, since the run will write their steps again.

        Args:
            like: Gives the names, shapes and dtypes of the state.

        Raises:
            UserError: There are checkpoints, but none is sound.
        """
        damaged: dict[int, Exception] = {}
        for step in [entry.step for entry in reversed(saved(self._run_dir))]:
            folder = _step_dir(self._run_dir, step)
            try:
                tree, metrics = _read(folder), (folder / _METRICS).read_bytes()
                state = as_state(tree, like)
            except Exception as error:  # noqa: BLE001 Orbax raises many kinds for damaged files
                damaged[step] = error
                continue
            _warn_damaged(self._run_dir, damaged)
            self._set_aside(damaged)
            return Restored(state, metrics)
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
    damaged: dict[int, Exception] = {}
    for candidate in reversed(steps) if step is None else [step]:
        try:
            tree = _read(_step_dir(run_dir, candidate))
        except Exception as error:  # noqa: BLE001 Orbax raises many kinds for damaged files
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
    except (OSError, ValueError) as error:
        return first_line(error)
    return None


def as_state(tree: dict[str, Any], like: State) -> State:
    """Return what ``load`` gave as a state; ``ValueError`` where it is none of such a network."""
    found, expected = named_leaves(tree), named_leaves(like)
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
        jax.tree.structure(like), [jnp.array(found[name]) for name in expected]
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


def _sweep(run_dir: Path) -> None:
    """Remove what a killed process left half written."""
    for name in (_NEW, _OLD):
        for folder in (run_dir / _FOLDER).glob(name.format("*")):
            shutil.rmtree(folder, ignore_errors=True)
    for folder in (run_dir, run_dir / "samples"):
        sweep(folder)


def _write_orbax(path: Path, state: State) -> None:
    with ocp.Checkpointer(ocp.StandardCheckpointHandler()) as writer:
        writer.save(path.absolute(), state)


def _read(folder: Path) -> dict[str, Any]:
    """Return a checkpoint's arrays; one of many exceptions where it is not as it was written."""
    _verify(folder)
    with ocp.Checkpointer(ocp.StandardCheckpointHandler()) as reader:
        tree = reader.restore((folder / _ITEM).absolute())
    return jax.tree.map(np.asarray, tree)


def _seal(folder: Path, score: float | None) -> None:
    """Write a checkpoint's last file, which tells all the others from damaged ones."""
    content = {"score": score, "sha256": _checksums(folder)}
    write_whole(folder / _SEAL, json.dumps({**content, "seal": _own(content)}, indent=2).encode())


def _own(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _verify(folder: Path) -> None:
    """Raise ``ValueError`` or ``OSError`` where a checkpoint's files are not those written."""
    try:
        text = read_regular(folder / _SEAL, _MOST)
    except FileNotFoundError as error:
        raise ValueError(f"{_SEAL} is missing") from error
    try:
        content = json.loads(text)
        seal, expected = content.pop("seal"), content["sha256"].items()
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ValueError(f"{_SEAL} is changed") from error
    if seal != _own(content):
        raise ValueError(f"{_SEAL} is changed")
    found = _checksums(folder)
    for name, expected_sum in expected:
        if found.get(name) != expected_sum:
            raise ValueError(f"{name} is {'changed' if name in found else 'missing'}")


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
        score = json.loads(read_regular(path / _SEAL, _MOST))["score"]
        score = None if score is None else float(score)
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        score = None  # restoring names the fault
    return Saved(int(path.name), date, size, score)


def _score(entry: Saved) -> float:
    return entry.score


def _warn_damaged(run_dir: Path, faults: Mapping[int, Exception]) -> None:
    """Name damaged checkpoints in one line."""
    if faults:
        progress.warn(
            "; ".join(
                f"checkpoint {_step_dir(run_dir, step)} is damaged: {first_line(error)}"
                for step, error in faults.items()
            )
        )
