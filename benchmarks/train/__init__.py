"""Sides of ``benchmarks.quality``: a file a library, each ``train(task)`` → a ``Mark`` a time.

The clock runs in training alone. It leaves out reading the data, the first step, which compiles,
and the drawing of images.
"""

from __future__ import annotations

import importlib
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxgan.console import output
from jaxgan.errors import UserError
from jaxgan.io.images import to_uint8

LATENT = 100  # numbers in a peer's latent vector
EMBEDDING = 10  # numbers that a label adds to it
DRAWN_BY = 0  # seed of the latent vectors that all sides draw by, whatever seed they train by
# TensorFlow's own default, which reading a dataset with TFDS may have changed in our environment.
_ENVIRONMENT = {"TF_CPP_MIN_LOG_LEVEL": "3", "TF_ENABLE_ONEDNN_OPTS": "1"}
_AHEAD = 16  # steps that may wait in a GPU's queue
_DRAWN = 1_000  # images at a time


@dataclass(frozen=True)
class Task:
    """What a side is to do.

    Attributes:
        dataset: Its name.
        data_dir: Folder of prepared TFDS datasets.
        minutes: When to draw, by the clock of training, ascending.
        seed: Seed of the training.
        labels: Whether both networks get the class label.
        requested: Labels of the images to draw each time, int [N]; without labels, as many images.
        folder: For what a side itself wants to keep.
        changed: Options of train.py other than its defaults, ``name=value``; only ours has them.
        pace: Images a second by which minutes are counted; None to count them by the clock.
    """

    dataset: str
    data_dir: str
    minutes: tuple[float, ...]
    seed: int
    labels: bool
    requested: np.ndarray
    folder: Path
    changed: tuple[str, ...] = ()
    pace: float | None = None


class Mark(NamedTuple):
    """What a side has reached at a time.

    Attributes:
        minutes: The requested time.
        seconds: The clock of training then, a little later.
        seen: Real images that it has trained on.
        image: Drawn, uint8 [N, 28, 28, 1].
        label: Requested, int [N]; None without labels.
        device: What it trained on.
        pace: As of the task; filled in by the caller.
        revision: Of this project, when it trained; filled in by the caller.
    """

    minutes: float
    seconds: float
    seen: int
    image: np.ndarray
    label: np.ndarray | None
    device: str = "cpu"
    pace: float | None = None
    revision: str = "unknown"


class Peer(NamedTuple):
    """A library's training as ``timed`` runs it.

    Attributes:
        batch: Real images a step.
        classes: Number of labels; 0 without.
        step: Takes a step on the training images of some indices [B]; may return before its end.
        wait: Returns when all steps have ended.
        draw: (latents float32 [N, 100], labels int [N] or None) → images [N, 28, 28, 1] in [-1, 1].
        device: What it trains on.
    """

    batch: int
    classes: int
    step: Callable[[np.ndarray], object]
    wait: Callable[[], object]
    draw: Callable[[np.ndarray, np.ndarray | None], np.ndarray]
    device: str = "cpu"


def timed(peer: Peer, task: Task, count: int) -> Iterator[Mark]:
    """Train a peer on ``count`` images, yield what it draws at each time."""
    batches = _batches(count, peer.batch, task.seed)
    peer.step(next(batches))  # compiles
    peer.wait()
    steps, seconds = 1, 0.0
    for minutes in task.minutes:
        started = time.perf_counter() - seconds
        while _seconds(task, steps * peer.batch, started) < 60 * minutes:
            peer.step(next(batches))
            steps += 1
            if steps % _AHEAD == 0:
                peer.wait()
        peer.wait()
        seconds = _seconds(task, steps * peer.batch, started)
        drawn = _drawn(peer, task.requested)
        yield Mark(minutes, seconds, steps * peer.batch, *drawn, peer.device)


def _seconds(task: Task, seen: int, started: float) -> float:
    return seen / task.pace if task.pace else time.perf_counter() - started


def _batches(count: int, batch: int, seed: int) -> Iterator[np.ndarray]:
    """Yield indices of shuffled images, epoch after epoch; what fills no batch is left out."""
    random = np.random.default_rng(seed)
    while True:
        indices = random.permutation(count)
        for at in range(0, count - batch + 1, batch):
            yield indices[at : at + batch]


def _drawn(peer: Peer, label: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    latent = np.random.default_rng(DRAWN_BY).standard_normal((len(label), LATENT), np.float32)
    wanted = label if peer.classes else None
    parts = (slice(at, at + _DRAWN) for at in range(0, len(label), _DRAWN))
    drawn = [peer.draw(latent[part], wanted if wanted is None else wanted[part]) for part in parts]
    return to_uint8(np.concatenate(drawn)), wanted


def run(library: str, task: Task) -> Iterator[Mark]:
    """Yield a side's marks from a process of its own, which waits while the caller has a mark.

    Raises:
        UserError: It cannot run, or it ended.
    """
    context = multiprocessing.get_context("spawn")
    line, end = context.Pipe()
    process = context.Process(target=_serve, args=(end, library, task), daemon=True)
    process.start()
    end.close()
    try:
        while (answer := line.recv()) is not None:
            if isinstance(answer, str):
                raise UserError(answer)
            yield answer
            line.send("on")
    except EOFError as error:
        process.join()
        raise UserError(f"its process ended with code {process.exitcode}") from error
    finally:
        process.terminate()
        process.join()


def leave_on_sigterm() -> None:
    """Have SIGTERM raise ``SystemExit``, so that what was started is ended on the way out."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))


def _serve(line: Connection, library: str, task: Task) -> None:
    # Ctrl-C reaches all processes of a terminal; train.py then saves, and the caller ends the rest.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    leave_on_sigterm()
    os.environ.update(_ENVIRONMENT)
    answer = None
    try:
        with output.captured_stderr():  # libraries announce themselves
            for mark in importlib.import_module(f"{__name__}.{library}").train(task):
                line.send(mark)
                line.recv()
    except ImportError as error:
        answer = f"{error.name or error} is not installed"
    except UserError as error:
        answer = str(error)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # nothing is left that wants to be ended
    line.send(answer)
