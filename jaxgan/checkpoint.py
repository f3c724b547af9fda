"""State ↔ disk. The only user of Orbax."""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import json
import logging
import operator
import os
import shutil
import sys
import warnings
from collections.abc import Iterator
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
import orbax.checkpoint as ocp
from orbax.checkpoint import checkpoint_managers as policies

from jaxgan import __version__, progress
from jaxgan.config import ImageSpec, TrainConfig
from jaxgan.errors import OutputError, UserError, first_line
from jaxgan.files import lock, write_whole
from jaxgan.gan import State

_FOLDER = "state"  # in the run directory, a folder a step
_SEALS = "checksums"  # a file a step
_CONFIG = "config.json"
_SCORE = "score"  # Orbax's name of a checkpoint's score


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


class Store:
    """The checkpoints of one run directory, for one process at a time.

    Of all that are saved, the newest few are kept, and the one with the lowest score.
    Use as a context: leaving it waits for the disk.
    """

    def __init__(self, run_dir: Path, keep: int) -> None:
        """Open a run directory, made if it is missing; ``UserError`` if another trains in it.

        Args:
            run_dir: The run directory.
            keep: How many of the newest checkpoints are kept.
        """
        self._run_dir = run_dir
        self._lock = lock(run_dir)
        score = operator.itemgetter(_SCORE)
        best = policies.BestN(
            get_metric_fn=score,
            reverse=True,
            n=1,
            keep_checkpoints_without_metrics=False,
        )
        options = ocp.CheckpointManagerOptions(
            create=True,
            cleanup_tmp_directories=True,
            best_fn=score,  # else Orbax writes no score to the disk
            best_mode="min",
            preservation_policy=policies.AnyPreservationPolicy([policies.LatestN(keep), best]),
        )
        self._manager = ocp.CheckpointManager((run_dir / _FOLDER).absolute(), options=options)
        self._unsealed: int | None = None

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.settle()
        finally:
            with self._writing():
                self._manager.close()
            self._lock.close()

    def save(self, state: State, score: float | None = None) -> None:
        """Write a state under its step, in the background. A step already there is left alone.

        Args:
            state: The state.
            score: What says how good its images are, lower is better; None if nobody looked.

        Raises:
            OutputError: This checkpoint, or the one before it, cannot be written.
        """
        self.settle()
        step = int(state.step)
        if step not in self._manager.all_steps():
            _seal_file(self._run_dir, step).unlink(missing_ok=True)
            with self._writing():
                self._manager.save(
                    step,
                    args=ocp.args.StandardSave(state),
                    metrics=None if score is None else {_SCORE: score},
                )
            self._unsealed = step

    def settle(self, wait: bool = True) -> None:
        """Write down the last checkpoint's checksums once it is whole on the disk.

        Args:
            wait: Whether to wait for that; if not, an unfinished one is left for later.
        """
        if self._unsealed is None or (not wait and self._manager.is_saving_in_progress()):
            return
        with self._writing():
            self._manager.wait_until_finished()
        self._seal(self._unsealed)
        self._unsealed = None
        self._unseal_dropped()

    def _unseal_dropped(self) -> None:
        kept = {entry.step for entry in saved(self._run_dir)}
        for seal in (self._run_dir / _SEALS).glob("*.json"):
            if seal.stem.isdigit() and int(seal.stem) not in kept:
                seal.unlink()

    def _seal(self, step: int) -> None:
        content = json.dumps(_checksums(_step_dir(self._run_dir, step)), indent=2)
        write_whole(_seal_file(self._run_dir, step), content.encode())

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            self._unsealed = None
            raise OutputError(
                f"cannot write a checkpoint in {self._run_dir}: {first_line(error)}"
            ) from error

    def restore_newest(self, like: State) -> State:
        """Return the newest readable state; ``like``, which gives names and shapes, if none is.

        Damaged checkpoints are named in a warning. Those newer than the one returned are moved to
        ``damaged/`` in the run directory, since the run will write their steps again.

        Raises:
            UserError: There are checkpoints, but none can be read.
        """
        damaged: list[int] = []
        for step in sorted(self._manager.all_steps(), reverse=True):
            try:
                _verify(self._run_dir, step)
                state = self._manager.restore(step, args=ocp.args.StandardRestore(like))
            except Exception as error:  # noqa: BLE001 Orbax raises many kinds for damaged files
                _warn_damaged(self._run_dir, step, error)
                damaged.append(step)
                continue
            self._set_aside(damaged)
            if not _seal_file(self._run_dir, step).exists():
                self._seal(step)
            return state
        if damaged:
            raise UserError(
                f"none of the {len(damaged)} checkpoints in {self._run_dir} can be read; "
                "give another --run-dir, or remove this one to start again"
            )
        return like

    def _set_aside(self, steps: list[int]) -> None:
        for step in steps:
            aside = self._run_dir / "damaged" / str(step)
            if aside.exists():
                shutil.rmtree(aside)
            aside.parent.mkdir(exist_ok=True)
            _step_dir(self._run_dir, step).rename(aside)
            _seal_file(self._run_dir, step).unlink(missing_ok=True)
        self._manager.reload()


def saved(run_dir: Path) -> list[Saved]:
    """Return the checkpoints of a run directory, oldest first; [] where there are none."""
    folder = run_dir / _FOLDER
    steps = [path for path in folder.iterdir() if path.name.isdigit()] if folder.is_dir() else []
    return [_describe(path) for path in sorted(steps, key=lambda path: int(path.name))]


def load(run_dir: Path, step: int | None = None) -> tuple[int, dict[str, Any]]:
    """Read a checkpoint as nested dicts of NumPy arrays, named as the fields of ``State``.

    Args:
        run_dir: A run directory.
        step: Which checkpoint; the newest readable one if None.

    Raises:
        UserError: There is none, not that one, or none that can be read.
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
    for candidate in reversed(steps) if step is None else [step]:
        try:
            _verify(run_dir, candidate)
            with ocp.StandardCheckpointer() as reader:
                tree = reader.restore(_step_dir(run_dir, candidate).absolute() / "default")
            return candidate, jax.tree.map(np.asarray, tree)
        except Exception as error:  # noqa: BLE001 Orbax raises many kinds for damaged files
            _warn_damaged(run_dir, candidate, error)
    which = "no readable checkpoint" if step is None else f"checkpoint {step} cannot be read"
    raise UserError(f"{which} in {run_dir}, which has steps {', '.join(map(str, steps))}")


def write_config(run_dir: Path, config: TrainConfig, spec: ImageSpec, count: int) -> None:
    """Write a run's settings, image spec and number of images to its config.json."""
    images = {**asdict(spec), "count": count}
    content = {"version": __version__, "settings": asdict(config), "images": images}
    write_whole(run_dir / _CONFIG, json.dumps(content, indent=2).encode() + b"\n")


def read_config(run_dir: Path) -> tuple[TrainConfig, ImageSpec] | None:
    """Return a run's settings and image spec; None where there is no config.json.

    Raises:
        UserError: It cannot be understood.
    """
    content = _read_config(run_dir)
    return content and content[:2]


def read_count(run_dir: Path) -> int | None:
    """Return the number of images that a run trains on; None where there is no config.json."""
    content = _read_config(run_dir)
    return content and content[2]


def _read_config(run_dir: Path) -> tuple[TrainConfig, ImageSpec, int] | None:
    path = run_dir / _CONFIG
    if not path.exists():
        return None
    try:
        content = json.loads(path.read_text())
        images = content["images"]
        spec = ImageSpec(tuple(images["shape"]), images["classes"])
        if missing := {field.name for field in fields(TrainConfig)} - set(content["settings"]):
            raise ValueError(f"it lacks {', '.join(sorted(missing))}")
        return TrainConfig(**content["settings"]), spec, images["count"]
    except (ValueError, TypeError, KeyError, UserError) as error:
        raise UserError(f"{path} is damaged or of another version: {first_line(error)}") from error


def _describe(path: Path) -> Saved:
    files = list(_files(path))
    date = datetime.datetime.fromtimestamp(path.stat().st_mtime)
    return Saved(int(path.name), date, sum(map(os.path.getsize, files)), _read_score(path))


def _read_score(path: Path) -> float | None:
    try:
        return float(json.loads((path / "metrics" / "metrics").read_text())[_SCORE])
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _step_dir(run_dir: Path, step: int) -> Path:
    return run_dir / _FOLDER / str(step)


def _seal_file(run_dir: Path, step: int) -> Path:
    return run_dir / _SEALS / f"{step}.json"


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file())


def _checksums(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of each file in a folder, by its path there."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in _files(folder)
    }


def _verify(run_dir: Path, step: int) -> None:
    """Raise ``ValueError`` where a checkpoint's files are not those that were written.

    One that was killed between the checkpoint and its checksums has none; Orbax then judges.
    """
    seal = _seal_file(run_dir, step)
    if not seal.exists():
        return
    expected, found = json.loads(seal.read_text()), _checksums(_step_dir(run_dir, step))
    for name in sorted(expected):
        if found.get(name) != expected[name]:
            raise ValueError(f"{name} is {'changed' if name in found else 'missing'}")


def _warn_damaged(run_dir: Path, step: int, error: Exception) -> None:
    progress.warn(f"checkpoint {_step_dir(run_dir, step)} is damaged: {first_line(error)}")
