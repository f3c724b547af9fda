"""The C++ program as a person starts it: a process, from exec to PNG."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.draw import Task, bind, timed
from jaxgan.errors import UserError, first_line

_PROGRAM = Path("tflite_cpp/build/release/jaxgan-generate")  # below the project's folder
_COLUMNS = 10
# A process's peak counts what it was before exec, so a small process has to start the program.
_PEAK = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024)
"""


def start(folder: str, model: str, count: int, threads: int) -> Callable[[int], list[float]]:
    """Check the program's images, return what times it process by process.

    Args:
        folder: The task's.
        model: The .tflite file there.
        count: Images to draw.
        threads: Threads of the program.

    Raises:
        UserError: It is not built, it fails, or it draws other images than JAX.
    """
    bind(threads)
    order = command(Path(folder), model, count, threads)
    done = subprocess.run(order, capture_output=True, text=True)
    if done.returncode:
        raise UserError(first_line(done.stderr))
    _check(Path(folder), Path(order[-1]), count)

    def run(steps: int) -> list[float]:
        return [timed(subprocess.run, order) for _ in range(steps)]

    return run


def command(folder: Path, model: str, count: int, threads: int) -> list[str]:
    """Return the command line; the picture's file is its last word."""
    program = Path(__file__).parents[2] / _PROGRAM
    if not program.exists():
        raise UserError(f"{_PROGRAM} is not built; build it with: make cpp")
    options = {
        "--model": folder / model, "--count": count, "--columns": _COLUMNS, "--threads": threads,
        "--out": folder / f"{model}-{count}-{threads}.png",
    }  # fmt: skip
    return [str(program), *(str(word) for pair in options.items() for word in pair)]


def memory(order: list[str]) -> int:
    """Return the most bytes that a run of a command held."""
    done = subprocess.run(
        [sys.executable, "-S", "-c", _PEAK, *order], capture_output=True, text=True, check=True
    )
    return int(done.stdout)


def _check(folder: Path, picture: Path, count: int) -> None:
    """Compare as many images as JAX drew, to a grey level; of a longer grid, whole rows."""
    from PIL import Image

    from jaxgan.images import grid, to_uint8

    expected = Task(folder, 1, 1).checked().image
    known = min(count, len(expected) // _COLUMNS * _COLUMNS if count > len(expected) else count)
    expected = grid(to_uint8(expected[:known]), min(_COLUMNS, count)).astype(int)
    found = np.asarray(Image.open(picture)).reshape(-1, *expected.shape[1:])[: len(expected)]
    if not (difference := np.abs(found - expected).max()) <= 1:
        raise UserError(f"its images differ from JAX's by up to {difference} of 256 levels")
