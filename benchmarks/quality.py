"""Measure how good the images are after some minutes of training, beside the tutorials' GANs.

python -m benchmarks.quality --minutes 2 5 15 60 --seeds 0 1 2 --data-dir data

Minutes are of training alone: reading the data, compiling (the first step or call), drawing and
evaluation are on no clock. Sides train one after the other, each in a process of its own.
"""

from __future__ import annotations

import io
import itertools
import json
import math
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import quality_report
from benchmarks.quality_report import IMAGES, OURS, PLAIN, SIDES, Line, library_of, machines
from jaxgan.commands import cli
from jaxgan.config import TrainConfig, require
from jaxgan.errors import OutputError, UserError
from jaxgan.io.files import write_whole

if TYPE_CHECKING:
    import numpy as np

    from benchmarks.train import Mark

_OPTION = re.compile(r"[a-z][a-z0-9-]*=.+|no-[a-z0-9-]+").fullmatch  # without its two dashes
# Options that the benchmark itself sets.
_TAKEN = {"data-dir", "dataset", "epochs", "fork", "minutes", "no-convert", "run-dir", "seed"}
_PLACE = ("revision", "pace", "device", "seconds", "seen")  # of a mark, that its row has


@dataclass(frozen=True)
class Options:
    """Measure the images of this project and of its peers after some minutes of training.

    Writes DATASET.jsonl, a row as soon as it is known, and from it DATASET.md and DATASET.png. Rows
    that are there are not measured again, so the same command goes on after an interruption.
    """

    minutes: tuple[float, ...] = (2, 5, 15, 60)
    """When to measure, by the clock of training."""

    sides: tuple[str, ...] = tuple(SIDES)
    """Which sides to train; none to train --variants alone."""

    variants: tuple[str, ...] = ()
    """Further sides: jaxgan with options of train.py, such as "loss=rpgan batch-size=32", or
    "no-conditional components=16"."""

    seeds: tuple[int, ...] = (0, 1, 2)
    """Seeds of training; each side trains once with each."""

    pace: float | None = None
    """Images a second that a side trained on when it had the machine to itself. Its minutes are
    then counted in images at this pace, so that other programs may run beside it. For one side."""

    dataset: str = TrainConfig.dataset
    """Dataset, one that has a feature network."""

    data_dir: str = TrainConfig.data_dir
    """Folder of prepared TFDS datasets."""

    out: Path = Path("benchmarks/results/quality")
    """Folder for the rows, the tables and the plot."""

    keep: Path = Path("checkpoints/quality")
    """Folder for drawn images and jaxgan's runs. Images that are there are not drawn again: once
    DATASET.jsonl is removed, they are measured anew without training."""

    report_only: bool = False
    """Write the tables and the plot from the rows that are there."""

    def __post_init__(self) -> None:
        for name in ("minutes", "seeds"):
            if not getattr(self, name):
                raise UserError(f"--{name}: expected at least one, got none")
        if not self.sides + self.variants:
            raise UserError("--sides: expected at least one, or one of --variants, got none")
        if wrong := [text for text in self.variants if not all(map(_OPTION, text.split()))]:
            raise UserError(f"--variants: expected option=value or no-option, got {wrong[0]!r}")
        words = itertools.chain(*map(str.split, self.variants))
        if taken := _TAKEN.intersection(word.partition("=")[0] for word in words):
            raise UserError(f"--variants: {min(taken)} is set by the benchmark; leave it out")
        above = all(0 < minutes < math.inf for minutes in self.minutes)
        require(self, "minutes", above, "numbers above 0")
        above = self.pace is None or 0 < self.pace < math.inf
        require(self, "pace", above, "a number above 0")
        if self.pace is not None and len(self.sides + self.variants) > 1:
            raise UserError("--pace: each side has its own; expected one of --sides or --variants")
        fits = all(0 <= seed < 2**32 for seed in self.seeds)
        require(self, "seeds", fits, "numbers from 0 to 4294967295")
        if self.dataset not in ("mnist", "fashion_mnist"):
            raise UserError(f"--dataset: expected mnist or fashion_mnist, got {self.dataset!r}")
        if unknown := set(self.sides) - set(SIDES):
            known = ", ".join(f'"{name}"' for name in SIDES)
            raise UserError(f"--sides: expected some of {known}, got {min(unknown)!r}")


def main(options: Options) -> None:
    """Train and measure what is not known yet, then write the report."""
    from benchmarks import report
    from jaxgan.console import output

    path = options.out / f"{options.dataset}.jsonl"
    lines = _read(path)
    if not options.report_only:
        _measure(options, lines, path)
    if not any("side" in line for line in lines):
        raise UserError(f"{path} has no rows to report")
    output.show(
        report.write(
            options.out,
            options.dataset,
            quality_report.text(lines, options.dataset),
            quality_report.plot(lines),
        )
    )


def _read(path: Path) -> list[Line]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def _measure(options: Options, lines: list[Line], path: Path) -> None:
    """Add to the lines, and write them after each."""
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # on a GPU the sides need some
    from benchmarks import report, train
    from jaxgan.console import output
    from jaxgan.data.dataset import load
    from jaxgan.metrics.reference import reference

    train.leave_on_sigterm()

    machine = report.machine()

    def add(**line: Any) -> None:
        if machines(lines)[-1:] != [machine]:
            lines.append({"machine": machine})
        lines.append(line)
        write_whole(path, "".join(json.dumps(one) + "\n" for one in lines).encode())

    splits = [load(options.dataset, options.data_dir, split) for split in ("train", "test")]
    real = reference(options.dataset, *splits)
    requested = real.requested_labels(IMAGES)
    if not any("control" in line for line in lines):
        for name, row in real.controls().items():
            add(control=name, **row._asdict())
    sides = (*options.sides, *(f"{OURS[0]} {variant}" for variant in options.variants))
    for seed, side in itertools.product(options.seeds, sides):
        known = {(one.get("side"), one.get("seed"), one.get("minutes")) for one in lines}
        wanted = [one for one in sorted(set(options.minutes)) if (side, seed, one) not in known]
        try:
            for mark in _marks(options, side, seed, wanted, requested):
                row = real.measure(mark.image, mark.label)
                place = {"side": side, "seed": seed, "minutes": mark.minutes}
                place |= {name: getattr(mark, name) for name in _PLACE}
                add(**place, **row._asdict())
                output.show(f"{side}, seed {seed}, {mark.minutes:g} min: FID {row.fid:.3g}")
        except OutputError:  # nothing could be kept of the other sides, either
            raise
        except UserError as error:
            output.warn(f"{side}, seed {seed} was left out: {error}")


def _marks(
    options: Options, side: str, seed: int, wanted: list[float], requested: np.ndarray
) -> Iterator[Mark]:
    """Yield a side's marks: those with kept images first, then by training; keep their images."""
    from benchmarks import train
    from jaxgan.export.report import revision

    folder = options.keep / options.dataset / f"{re.sub('[^a-zA-Z0-9=.]+', '-', side)}-{seed}"
    paths = {minutes: folder / f"{minutes:g}.npz" for minutes in wanted}
    kept = {minutes for minutes, path in paths.items() if path.exists()}
    yield from (_kept(paths[minutes]) for minutes in sorted(kept))
    if missing := tuple(minutes for minutes in wanted if minutes not in kept):
        library, labels = library_of(side)
        words = [] if side in SIDES else side.removeprefix(OURS[0]).split()
        task = train.Task(
            options.dataset,
            options.data_dir,
            missing,
            seed,
            labels,
            requested,
            folder,
            tuple(word for word in words if word != PLAIN),
            options.pace,
        )
        place = {"pace": options.pace, "revision": revision()}
        for mark in train.run(library, task):
            mark = mark._replace(**place)
            _keep(mark, paths[mark.minutes])
            yield mark


def _keep(mark: Mark, path: Path) -> None:
    import numpy as np

    content = io.BytesIO()
    arrays = {name: value for name, value in mark._asdict().items() if value is not None}
    np.savez_compressed(content, **arrays)
    write_whole(path, content.getvalue())


def _kept(path: Path) -> Mark:
    import numpy as np

    from benchmarks.train import Mark

    with np.load(path, allow_pickle=False) as file:
        fields = {name: file[name] for name in Mark._fields if name in file}
    single = {name: value.item() for name, value in fields.items() if not value.ndim}
    return Mark(**{"label": None, **fields, **single})


if __name__ == "__main__":
    cli.run(main, Options, "python -m benchmarks.quality")
