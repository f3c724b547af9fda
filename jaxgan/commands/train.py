"""Train a GAN: jaxgan train --epochs 30 --dataset mnist --run-dir checkpoints/mnist"""

from __future__ import annotations

import contextlib
import dataclasses
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from jaxgan.commands import cli
from jaxgan.commands.data import import_as
from jaxgan.config import DATA, TrainConfig, setting
from jaxgan.console import output
from jaxgan.data.rules import Rules, name_of

if TYPE_CHECKING:
    from jaxgan.runs.run import Run


@dataclass(frozen=True)
class Options(TrainConfig):
    """Train a GAN on a dataset. Run the same command again to continue from the newest checkpoint.

    Ctrl-C saves a checkpoint and leaves.
    """

    images: Path | None = setting(
        None,
        """Folder, zip or .npz file of images of your own: imported if that is not done yet (see:
        jaxgan data import --help for more options), then trained on.""",
        group=DATA,
    )  # fmt: skip
    size: str = setting(
        Rules.size, "Of --images, in pixels: 64, or WIDTHxHEIGHT such as 96x64.", group=DATA
    )
    alpha: str = setting(
        Rules.alpha,
        """What to do with the transparency of --images: white, black or a colour such as #3366cc is
        laid below it; keep trains four channels.""",
        group=DATA,
    )  # fmt: skip

    def __post_init__(self) -> None:
        if self.images is not None and self.dataset == TrainConfig.dataset:
            object.__setattr__(self, "dataset", name_of(self.images))
        super().__post_init__()
        Rules(size=self.size, alpha=self.alpha)  # refuses what they cannot be

    def config(self) -> TrainConfig:
        """Return what is to be trained."""
        fields = dataclasses.fields(TrainConfig)
        return TrainConfig(**{field.name: getattr(self, field.name) for field in fields})


def main(options: Options) -> int:
    """Train as the options say; return 130 or 143 where Ctrl-C or SIGTERM ended it, all saved."""
    config = options.config()
    if options.images is not None:
        rules = Rules(size=options.size, alpha=options.alpha)
        import_as(config.dataset, options.images, config.data_dir, rules)
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
    cli.run(main, Options, program)
