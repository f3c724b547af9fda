"""This project with its defaults: ``train.py --minutes``, which leaves compiling out by itself.

With a pace it is ``train.py --epochs``, as many as fit.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks.train import DRAWN_BY, Mark, Task
from jaxgan.errors import UserError

_PROGRAM = Path(__file__).parents[2] / "train.py"
_LATE = 10.0  # seconds past the requested time, at which a run directory is a later one's


def train(task: Task) -> Iterator[Mark]:
    """Train to each time, from where the run directory stands; yield what is drawn there."""
    import jax  # it starts after the first training

    from jaxgan.data.dataset import load
    from jaxgan.drawing.evaluation import draw_requested
    from jaxgan.drawing.open import open_generator
    from jaxgan.runs.log import read_log
    from jaxgan.runs.run import Run

    run_dir = task.folder / "run"
    count = len(load(task.dataset, task.data_dir).image)
    for minutes in task.minutes:
        _run(task, _end(task.pace, minutes, count), run_dir)
        last = read_log(run_dir / "metrics.jsonl")[-1]
        seen = last.step * Run.open(run_dir).config.batch_size
        seconds = seen / task.pace if task.pace else last.seconds
        if seconds > 60 * minutes + _LATE:
            raise UserError(f"{run_dir} is past {minutes:g} minutes already; remove it")
        drawn = draw_requested(open_generator(run_dir), DRAWN_BY, task.requested)
        yield Mark(minutes, seconds, seen, *drawn, jax.devices()[0].device_kind)


def _end(pace: float | None, minutes: float, count: int) -> dict[str, float]:
    """Return the option that ends a training on so many images."""
    if pace is None:
        return {"--minutes": minutes}
    epochs = int(60 * minutes * pace / count)
    if epochs < 1:
        raise UserError(f"--minutes {minutes:g}: at --pace {pace:g} an epoch takes longer")
    return {"--epochs": epochs}


def _run(task: Task, end: dict[str, float], run_dir: Path) -> None:
    options = {
        **end, "--run-dir": run_dir, "--dataset": task.dataset, "--data-dir": task.data_dir,
        "--seed": task.seed,
    }  # fmt: skip
    words = [str(word) for pair in options.items() for word in pair]
    plain = ["--no-convert"] + ([] if task.labels else ["--no-conditional"])
    plain += [f"--{option}" for option in task.changed]
    command = [sys.executable, str(_PROGRAM), *words, *plain]
    running = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip
    try:
        _, err = running.communicate()
    finally:
        running.terminate()  # it saves, then leaves
    if running.returncode:
        reason = err.strip().rpartition("error: ")[2] or "no reason given"
        raise UserError(f"train.py ended with code {running.returncode}: {reason}")
