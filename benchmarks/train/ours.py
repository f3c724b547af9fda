"""This project with its defaults: ``train.py --minutes``, which leaves compiling out by itself."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks.train import DRAWN_BY, Mark, Task
from jaxgan import progress
from jaxgan.errors import UserError

_PROGRAM = Path(__file__).parents[2] / "train.py"
_LATE = 1.1  # times the minutes asked for, at which a run directory is a later one


def train(task: Task) -> Iterator[Mark]:
    """Train to each time, from where the run directory stands; yield what is drawn there."""
    from jaxgan import evaluate, generate  # JAX starts after the first training

    run_dir = task.folder / "run"
    for minutes in task.minutes:
        _run(task, minutes, run_dir)
        last = progress.read_log(run_dir / "metrics.jsonl")[-1]
        if last["seconds"] > 60 * minutes * _LATE + 60:
            raise UserError(f"{run_dir} is past {minutes:g} minutes already; remove it")
        # The last report may stand some steps before the end, which is not before the minutes.
        seconds = max(last["seconds"], 60 * minutes)
        drawn = evaluate.draw(generate.open_model(run_dir), DRAWN_BY, task.images)
        yield Mark(minutes, seconds, last["step"] * _batch_size(run_dir), *drawn)


def _batch_size(run_dir: Path) -> int:
    from jaxgan import checkpoint

    known = checkpoint.read_config(run_dir)
    return known[0].batch_size if known else 0


def _run(task: Task, minutes: float, run_dir: Path) -> None:
    options = {
        "--minutes": minutes, "--run-dir": run_dir, "--dataset": task.dataset,
        "--data-dir": task.data_dir, "--seed": task.seed,
    }  # fmt: skip
    words = [str(word) for pair in options.items() for word in pair]
    plain = [] if task.labels else ["--no-conditional"]
    plain += [f"--{option}" for option in task.changed]
    done = subprocess.run(
        [sys.executable, str(_PROGRAM), *words, *plain], capture_output=True, text=True
    )
    if done.returncode:
        reason = done.stderr.strip().rpartition("\n")[2] or "it did not say why"
        raise UserError(f"train.py ended with code {done.returncode}: {reason}")
