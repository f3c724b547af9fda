"""Train a GAN: jaxgan train --epochs 30 --dataset mnist --run-dir checkpoints/mnist"""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from typing import TYPE_CHECKING, NoReturn

from jaxgan.commands import cli
from jaxgan.config import TrainConfig
from jaxgan.console import output

if TYPE_CHECKING:
    from jaxgan.runs.run import Run


def main(config: TrainConfig) -> int:
    """Train as the options say; return 130 or 143 where Ctrl-C or SIGTERM ended it, all saved."""
    from jaxgan.commands import compilations  # after parsing: --help and Ctrl-C answer at once
    from jaxgan.console.display import Display
    from jaxgan.training import memory
    from jaxgan.training.train import train

    memory.tune_malloc()
    if config.compilation_cache:
        compilations.keep()
    with _interruptible() as codes:
        with Display() as display:
            run = train(config, watch=display, stop=lambda: bool(codes))
        if codes:
            _show_saved(run)
            return codes[0]
    if config.convert:
        _convert(run, config)
    return 0


def _show_saved(run: Run) -> None:
    from jaxgan.runs import checkpoint

    steps = [entry.step for entry in checkpoint.saved(run.path)]
    saved = f"saved {run.path} at step {steps[-1]}" if steps else "nothing to save yet"
    output.show(f"{saved}; the same command continues it")


def _convert(run: Run, config: TrainConfig) -> None:
    """Write the finished generator."""
    from jaxgan.export.convert import convert

    output.show("converting the generator")
    folder = run.path / "saved_model" if config.saved_model else None
    with output.captured_stderr():
        report = convert(run, run.path / "generator.tflite", saved_model=folder)
    output.show(report.text())


@contextlib.contextmanager
def _interruptible() -> Iterator[list[int]]:
    """Turn the first Ctrl-C or SIGTERM into an entry of the list (the exit code to leave with).

    The second one quits at once, for an impatient person. Nothing is lost by that but what was
    about to be saved, since files are written whole or not at all.
    """
    codes: list[int] = []

    def note(number: int, _frame: object) -> None:
        if codes:
            output.quit_now(128 + number)
        codes.append(128 + number)
        output.warn("saving a checkpoint; press again to quit immediately")

    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, note) for number in numbers]
    try:
        yield codes
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


def command(program: str = "jaxgan train") -> NoReturn:
    """Run the command line."""
    cli.run(main, TrainConfig, program)
