"""The C++ program: as a person starts it, from exec to PNG, and the calls that it times itself."""

from __future__ import annotations

import json
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
    words = _checked(Path(folder), model, count, threads)

    def run(steps: int) -> list[float]:
        return [timed(subprocess.run, words) for _ in range(steps)]

    return run


def start_calls(folder: str, model: str, count: int, threads: int) -> Callable[[int], list[float]]:
    """Check the program's images, return what has it time calls of so many in one process.

    Arguments and errors are those of ``start``. What is returned gives the seconds of a call, p50,
    p95 and mean, of a second of them, however many steps are requested.
    """
    program = _checked(Path(folder), model, count, threads)[0]
    options = {
        "--model": Path(folder) / model, "--threads": threads, "--batch": count, "--seconds": 1,
        "--format": "json",
    }  # fmt: skip
    words = [program, "--benchmark", *_words(options)]

    def run(_steps: int) -> list[float]:
        row = json.loads(_output(words))["rows"][0]
        return [row[name] / 1e3 for name in ("p50_ms", "p95_ms", "mean_ms")]

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
    return [str(program), *_words(options)]


def _words(options: dict[str, object]) -> list[str]:
    return [str(word) for pair in options.items() for word in pair]


def memory(words: list[str]) -> int:
    """Return the most bytes that a run of a command held."""
    done = subprocess.run(
        [sys.executable, "-S", "-c", _PEAK, *words], capture_output=True, text=True, check=True
    )
    return int(done.stdout)


def _checked(folder: Path, model: str, count: int, threads: int) -> list[str]:
    """Bind this process to as many cores; return the command, once its images are JAX's."""
    bind(threads)
    words = command(folder, model, count, threads)
    _output(words)
    _check(folder, Path(words[-1]), count)
    return words


def _output(words: list[str]) -> str:
    done = subprocess.run(words, capture_output=True, text=True)
    if done.returncode:
        raise UserError(first_line(done.stderr))
    return done.stdout


def _check(folder: Path, picture: Path, count: int) -> None:
    """Compare a grid with as many images as JAX drew, to a grey level."""
    from PIL import Image

    from jaxgan.io.images import grid, to_uint8

    drawn = Task(folder, 1, 1).checked().image[:count]
    expected = grid(to_uint8(drawn), min(_COLUMNS, count)).astype(int)
    found = np.asarray(Image.open(picture)).reshape(expected.shape)
    if not (difference := np.abs(found - expected).max()) <= 1:
        raise UserError(f"its images differ from JAX's by up to {difference} of 256 levels")
