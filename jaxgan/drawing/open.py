"""A path → a generator to draw with: a .tflite file or a run directory."""

from __future__ import annotations

import os
from pathlib import Path

from jaxgan.drawing.drawable import Drawable
from jaxgan.drawing.generator import Generator
from jaxgan.errors import UserError


def open_generator(
    path: str | os.PathLike[str], threads: int = 1, step: int | None = None
) -> Drawable:
    """Return the generator in a .tflite file, or that of a run directory's checkpoint.

    Args:
        path: File or directory.
        threads: Threads that run a file, 1 to 1024.
        step: Which checkpoint of a directory; the newest if None.

    Raises:
        ModelError: The file is no generator.
        LibraryError: The C++ library or the LiteRT runtime is missing.
        UserError: The directory holds no run, or no such checkpoint.
    """
    if not os.path.isdir(path):
        if step is not None:
            raise UserError(f"--step: {path} is one model; give a run directory as --model")
        return Generator(path, threads)
    from jaxgan.drawing.run_generator import RunGenerator  # JAX, which a file does not need
    from jaxgan.runs.run import Run

    return RunGenerator(Run.open(Path(path)).snapshot(step))
