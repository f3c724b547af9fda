"""Sides of ``benchmarks.generate``: one file a library, each ``start(task)`` → ``draw``.

``draw`` takes latents float32 [B, Z] and labels int32 [B] (None without classes), both NumPy, and
returns images [B, H, W, C] that NumPy can read. A side imports its library only after its process
was bound to its cores, and is timed only if it draws what JAX draws.
"""

from __future__ import annotations

import importlib
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxgan.errors import UserError

SLOPE, STRIDE, PAD = 0.2, 2, 1  # of leaky ReLU and of the transposed convolutions
TOLERANCE = 1e-4  # of an image value in [-1, 1]
Draw = Callable[[np.ndarray, np.ndarray | None], Any]


class Layer(NamedTuple):
    """Weights of a layer: kernel [inputs, outputs] or [4, 4, outputs, inputs], bias [outputs]."""

    kernel: np.ndarray
    bias: np.ndarray


class Network(NamedTuple):
    """The generator that every side runs.

    Dense, plus the label's row of a table, leaky ReLU, reshape to a small map; then transposed
    convolutions (stride 2, 1 pixel of padding), with leaky ReLU between them and tanh at the end.

    Attributes:
        project: The Dense layer; its outputs are the small map, [height, width, channels].
        table: A row of outputs a class; None for a plain GAN.
        small: Height, width and channels of the small map.
        ups: The transposed convolutions, in order.
    """

    project: Layer
    table: np.ndarray | None
    small: tuple[int, int, int]
    ups: list[Layer]

    def channels_first(self) -> Network:
        """Return it with a small map [channels, height, width]."""

        def moved(weights: np.ndarray) -> np.ndarray:
            maps = np.moveaxis(weights.reshape(-1, *self.small), -1, 1)
            return np.ascontiguousarray(maps.reshape(weights.shape))

        table = None if self.table is None else moved(self.table)
        return self._replace(project=Layer(*map(moved, self.project)), table=table)


class Checked(NamedTuple):
    """Latents and labels (None without classes), and what JAX draws of them."""

    latent: np.ndarray
    label: np.ndarray | None
    image: np.ndarray


@dataclass(frozen=True)
class Task:
    """What a side is to do, and the folder with what it needs: all of it comes from one run.

    Attributes:
        folder: Where the benchmark put weights, model files and checked images.
        batch: Images a call.
        threads: Threads that the library may use.
    """

    folder: Path
    batch: int
    threads: int

    def model(self, suffix: str) -> Path:
        """Return the model file of this batch size."""
        return self.folder / f"generate_{self.batch}{suffix}"

    def weights(self) -> dict[str, np.ndarray]:
        """Return the generator's params by their names in the tree, such as ``up_1/kernel``."""
        return _load(self.folder / "weights.npz")

    def network(self) -> Network:
        """Return the same as layers."""
        weights = self.weights()

        def layer(name: str) -> Layer:
            return Layer(weights[f"{name}/kernel"], weights[f"{name}/bias"])

        count = sum(name.endswith("/kernel") for name in weights) - 1  # all but project
        ups = [layer(f"up_{level}") for level in range(count - 1, 0, -1)] + [layer("image")]
        height, width = self.checked().image.shape[1:3]
        small = (height >> count, width >> count, ups[0].kernel.shape[3])
        return Network(layer("project"), weights.get("classes/table"), small, ups)

    def checked(self) -> Checked:
        """Return what to draw and what should come out."""
        found = _load(self.folder / "checked.npz")
        return Checked(found["latent"], found.get("label"), found["image"])


def _load(path: Path) -> dict[str, np.ndarray]:
    with np.load(path, allow_pickle=False) as file:
        return dict(file)


def bind(threads: int) -> None:
    """Bind this process to as many cores: some libraries know no other bound on their threads."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])


def timed(function: Callable[..., object], *arguments: object) -> float:
    """Return the seconds of a call."""
    started = time.perf_counter()
    function(*arguments)
    return time.perf_counter() - started


def start(
    library: str, folder: str, batch: int, threads: int, **options: object
) -> Callable[[int], list[float]]:
    """Start one library's side, check its images, return what times it call by call.

    Raises:
        UserError: It draws other images than JAX.
    """
    bind(threads)
    task = Task(Path(folder), batch, threads)
    draw = importlib.import_module(f"benchmarks.draw.{library}").start(task, **options)
    checked = task.checked()
    _check(draw, checked, batch)
    latent, label = _rows(checked, slice(batch))

    def run(steps: int) -> list[float]:
        return [timed(draw, latent, label) for _ in range(steps)]

    return run


def _rows(checked: Checked, rows: slice) -> tuple[np.ndarray, np.ndarray | None]:
    label = checked.label
    return checked.latent[rows], label if label is None else label[rows]


def _check(draw: Draw, checked: Checked, batch: int) -> None:
    for first in range(0, len(checked.latent) - batch + 1, batch):
        rows = slice(first, first + batch)
        images, expected = np.asarray(draw(*_rows(checked, rows))), checked.image[rows]
        if images.shape != expected.shape:
            raise UserError(f"its images are {images.shape}, JAX's {expected.shape}")
        difference = np.abs(images - expected).max()
        if not difference < TOLERANCE:  # not a number fails too
            raise UserError(f"its images differ from JAX's by up to {difference:.1e}")
