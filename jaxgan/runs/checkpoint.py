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
import hashlib
import logging
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp

from jaxgan.errors import UserError, first_line
from jaxgan.gan.step import State
from jaxgan.runs import seal
from jaxgan.runs.log import Mark
from jaxgan.runs.seal import Damaged

FOLDER = "state"  # in the run directory, a folder a step
_ITEM = "default"  # what Orbax itself calls a checkpoint's only item
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


def saved(run_dir: Path) -> list[Saved]:
    """Return the checkpoints of a run directory, oldest first; [] where there are none."""
    folder = run_dir / FOLDER
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
            tree = read(step_dir(run_dir, candidate))
        except Damaged as error:
            damaged[candidate] = error
            continue
        warn_damaged(run_dir, damaged)
        return candidate, tree
    warn_damaged(run_dir, damaged)
    which = "no readable checkpoint" if step is None else f"checkpoint {step} cannot be read"
    raise UserError(f"{which} in {run_dir}, which has steps {', '.join(map(str, steps))}")


def fault(run_dir: Path, step: int) -> str | None:
    """Return in words what is wrong with a checkpoint's files; None if nothing is."""
    try:
        seal.verify(step_dir(run_dir, step))
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


def step_dir(run_dir: Path, step: int) -> Path:
    """Return the folder of a checkpoint."""
    return run_dir / FOLDER / str(step)


def write_arrays(folder: Path, state: State) -> None:
    """Write a state's arrays into a checkpoint's folder."""
    with ocp.Checkpointer(ocp.StandardCheckpointHandler()) as writer:
        writer.save((folder / _ITEM).absolute(), state)


def read(folder: Path) -> dict[str, Any]:
    """Return a checkpoint's arrays.

    Raises:
        Damaged: Its files are not those that were written.
        UserError: They are, but cannot be read: a failing disk, another Orbax.
    """
    seal.verify(folder)
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


def mark(folder: Path) -> Mark:
    """Return how far the log had come; the seal is sound, but its author may be hostile."""
    try:
        mark = Mark(**seal.read(folder)["log"])
        kinds = tuple(map(type, mark))
    except (TypeError, KeyError) as error:
        raise Damaged(f"{seal.NAME} is changed") from error
    if kinds != (int, str, int, str, float, int) or not 0 <= mark.certain_bytes <= mark.bytes:
        raise Damaged(f"{seal.NAME} is changed")
    return mark


def _describe(path: Path) -> Saved:
    date = datetime.datetime.fromtimestamp(path.stat().st_mtime)
    size = sum(file.stat().st_size for file in seal.files(path))
    try:
        score = seal.read(path)["score"]
        score = None if score is None else float(score)
    except (OSError, ValueError, TypeError, KeyError, Damaged):
        score = None  # restoring names the fault
    return Saved(int(path.name), date, size, score)


def warn_damaged(run_dir: Path, damaged: Mapping[int, Damaged]) -> None:
    """Name damaged checkpoints in one line."""
    if damaged:
        _log.warning(
            "; ".join(
                f"checkpoint {step_dir(run_dir, step)} is damaged: {first_line(error)}"
                for step, error in damaged.items()
            )
        )
