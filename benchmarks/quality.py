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
import statistics
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jaxgan import cli
from jaxgan.config import TrainConfig, require
from jaxgan.errors import OutputError, UserError
from jaxgan.files import write_whole

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure

    from benchmarks.train import Mark

Line = dict[str, Any]

_OURS = ("jaxgan", "jaxgan, no labels")
# name: (file in benchmarks/train, with labels)
_SIDES = {
    _OURS[0]: ("ours", True),
    _OURS[1]: ("ours", False),
    "TensorFlow tutorial": ("tensorflow", False),
    "TensorFlow tutorial, labels": ("tensorflow", True),
    "PyTorch example": ("pytorch", False),
    "PyTorch example, labels": ("pytorch", True),
}
_COLOURS = {"ours": "C0", "tensorflow": "C1", "pytorch": "C2"}
_OPTION = re.compile(r"[a-z][a-z0-9-]*=.+|no-[a-z0-9-]+").fullmatch  # without its two dashes
# Options that the benchmark itself sets.
_TAKEN = {"data-dir", "dataset", "epochs", "fork", "minutes", "no-convert", "run-dir", "seed"}
_PLAIN = "no-conditional"  # the option of a variant without labels
_REAL = "real train"  # the control row that the plot shows
_IMAGES = 10_000  # that each side draws
_PLACE = ("revision", "pace", "device", "seconds", "seen")  # of a mark, that its row tells
_METRICS = {
    "fid": "FID", "fid_train": "FID train", "kid": "KID", "precision": "precision",
    "recall": "recall", "density": "density", "coverage": "coverage",
    "agreement": "label agreement", "histogram_kl": "histogram KL", "nearest": "nearest",
}  # fmt: skip


@dataclass(frozen=True)
class Options:
    """Measure the images of this project and of its peers after some minutes of training.

    Writes DATASET.jsonl, a row as soon as it is known, and from it DATASET.md and DATASET.png. Rows
    that are there are not measured again, so the same command goes on after an interruption.
    """

    minutes: tuple[float, ...] = (2, 5, 15, 60)
    """When to measure, by the clock of training."""

    sides: tuple[str, ...] = tuple(_SIDES)
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
        if unknown := set(self.sides) - set(_SIDES):
            known = ", ".join(f'"{name}"' for name in _SIDES)
            raise UserError(f"--sides: expected some of {known}, got {min(unknown)!r}")


def main(options: Options) -> None:
    """Train and measure what is not known yet, then write the report."""
    from benchmarks import report
    from jaxgan import progress

    path = options.out / f"{options.dataset}.jsonl"
    lines = _read(path)
    if not options.report_only:
        _measure(options, lines, path)
    if not any("side" in line for line in lines):
        raise UserError(f"{path} has no rows to report")
    progress.say(
        report.write(options.out, options.dataset, _text(lines, options.dataset), _plot(lines))
    )


def _read(path: Path) -> list[Line]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def _measure(options: Options, lines: list[Line], path: Path) -> None:
    """Add to the lines, and write them after each."""
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # on a GPU the sides need some
    from benchmarks import report, train
    from jaxgan import data, progress
    from jaxgan.metrics import features
    from jaxgan.metrics.table import Reference

    train.leave_on_sigterm()

    machine = report.machine()

    def add(**line: Any) -> None:
        if _machines(lines)[-1:] != [machine]:
            lines.append({"machine": machine})
        lines.append(line)
        write_whole(path, "".join(json.dumps(one) + "\n" for one in lines).encode())

    splits = [data.load(options.dataset, options.data_dir, split) for split in ("train", "test")]
    reference = Reference(features.load(options.dataset), *splits)
    asked = reference.asked(_IMAGES)
    if not any("control" in line for line in lines):
        for name, row in reference.controls().items():
            add(control=name, **row._asdict())
    sides = (*options.sides, *(f"{_OURS[0]} {variant}" for variant in options.variants))
    for seed, side in itertools.product(options.seeds, sides):
        known = {(one.get("side"), one.get("seed"), one.get("minutes")) for one in lines}
        wanted = [one for one in sorted(set(options.minutes)) if (side, seed, one) not in known]
        try:
            for mark in _marks(options, side, seed, wanted, asked):
                row = reference.measure(mark.image, mark.label)
                place = {"side": side, "seed": seed, "minutes": mark.minutes}
                place |= {name: getattr(mark, name) for name in _PLACE}
                add(**place, **row._asdict())
                progress.say(f"{side}, seed {seed}, {mark.minutes:g} min: FID {row.fid:.3g}")
        except OutputError:  # nothing could be kept of the other sides, either
            raise
        except UserError as error:
            progress.warn(f"{side}, seed {seed} was left out: {error}")


def _machines(lines: list[Line]) -> list[dict[str, str]]:
    """Return what was measured on; rows are of the last one told before them."""
    return [line["machine"] for line in lines if "machine" in line]


def _marks(
    options: Options, side: str, seed: int, wanted: list[float], asked: np.ndarray
) -> Iterator[Mark]:
    """Yield a side's marks: those with kept images first, then by training; keep their images."""
    from benchmarks import train
    from jaxgan.report import revision

    folder = options.keep / options.dataset / f"{re.sub('[^a-zA-Z0-9=.]+', '-', side)}-{seed}"
    paths = {minutes: folder / f"{minutes:g}.npz" for minutes in wanted}
    kept = {minutes for minutes, path in paths.items() if path.exists()}
    yield from (_kept(paths[minutes]) for minutes in sorted(kept))
    if missing := tuple(minutes for minutes in wanted if minutes not in kept):
        library, labels = _side(side)
        words = [] if side in _SIDES else side.removeprefix(_OURS[0]).split()
        task = train.Task(
            options.dataset,
            options.data_dir,
            missing,
            seed,
            labels,
            asked,
            folder,
            tuple(word for word in words if word != _PLAIN),
            options.pace,
        )
        place = {"pace": options.pace, "revision": revision()}
        for mark in train.run(library, task):
            mark = mark._replace(**place)
            _keep(mark, paths[mark.minutes])
            yield mark


def _side(name: str) -> tuple[str, bool]:
    """Return the file of a side, or of a variant of ours, and whether it has labels."""
    return _SIDES.get(name, ("ours", _PLAIN not in name.split()))


def _names(lines: list[Line]) -> list[str]:
    """Return the sides that have rows: known ones in their order, then variants as they came."""
    found = dict.fromkeys(line["side"] for line in lines if "side" in line)
    return [side for side in _SIDES if side in found] + [
        side for side in found if side not in _SIDES
    ]


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


def _text(lines: list[Line], name: str) -> str:
    from benchmarks import report

    groups, rows = _groups(lines), [line for line in lines if "side" in line]
    absent = [side for side in _SIDES if not any(side in sides for sides in groups.values())]
    parts = [
        "# Quality against training time\n",
        "`python -m benchmarks.quality` wrote this file. "
        + "".join(map(report.described, _machines(lines))),
        "Rows whose device is not cpu were trained on that device instead.\n",
        "Minutes are of training alone, each side with its own recipe (benchmarks/train): reading "
        "the data, compiling, drawing and evaluation are on no clock. Each side trained in a "
        f"process of its own. Each drew {_IMAGES:,} images, the same latents "
        "every time, at the end of the minutes: no checkpoint was chosen. jaxgan draws with its "
        "weight average; the peers have none, and draw with BatchNorm in inference mode. One "
        "feature network judged all of them; FIDs of other networks are not comparable.\n",
        "Minutes are counted by the clock or, where other programs ran beside a side or it trained "
        "on a faster device, by the images seen at the pace that it has alone on this machine.\n",
        "Figures of several seeds are mean ± standard deviation. The last two columns are the "
        "mean FID divided by jaxgan's after the same minutes, with labels and without.\n",
        "Every table ends with rows of real images, measured in the same way.\n",
        *(_table(minutes, sides, lines) for minutes, sides in groups.items()),
        f"Revisions: {', '.join(sorted({row.get('revision', 'unknown') for row in rows}))}.\n",
        *([f"Not measured: {'; '.join(absent)}.\n"] if absent else []),
        f"![FID against minutes of training]({name}.png)\n",
    ]
    return "\n".join(parts)


def _groups(lines: list[Line]) -> dict[float, dict[str, list[Line]]]:
    """Return the rows, one a seed, by minutes and then by side, each in order."""
    rows = [line for line in lines if "side" in line]

    def of(minutes: float, side: str) -> list[Line]:
        return [row for row in rows if row["minutes"] == minutes and row["side"] == side]

    return {
        minutes: {side: found for side in _names(lines) if (found := of(minutes, side))}
        for minutes in sorted({row["minutes"] for row in rows})
    }


def _table(minutes: float, sides: dict[str, list[Line]], lines: list[Line]) -> str:
    """Return the section of one time: a row a side, then the control rows."""
    from benchmarks import report

    fids = {side: statistics.mean(row["fid"] for row in rows) for side, rows in sides.items()}
    heads = (
        "", "seeds", "device", "counted by", "minutes", "images seen", "images/s",
        *_METRICS.values(), "FID to jaxgan's", "FID to jaxgan's without labels",
    )  # fmt: skip
    cells = [
        (
            side, len(rows), _all(row.get("device", "cpu") for row in rows),
            _all("images" if row.get("pace") else "clock" for row in rows),
            _spread(row["seconds"] / 60 for row in rows),
            _spread(row["seen"] for row in rows),
            _spread(row["seen"] / row["seconds"] for row in rows),
            *(_spread(row[name] for row in rows) for name in _METRICS),
            *(_number(fids[side] / fids[ours]) if ours in fids else "—" for ours in _OURS),
        )
        for side, rows in sides.items()
    ]  # fmt: skip
    cells += [
        (line["control"], *["—"] * 6, *(_spread([line[name]]) for name in _METRICS), "—", "—")
        for line in lines
        if "control" in line
    ]
    return f"## {minutes:g} minutes\n\n" + report.markdown(heads, cells)


def _all(values: Iterator[str]) -> str:
    return ", ".join(sorted(set(values)))


def _spread(values: Iterator[float | None]) -> str:
    """Return mean ± deviation, the mean alone of one value, a dash where there is none."""
    values = list(values)
    if None in values:
        return "—"
    mean = _number(statistics.mean(values))
    return f"{mean} ± {_number(statistics.stdev(values))}" if len(values) > 1 else mean


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _plot(lines: list[Line]) -> Figure:
    """Return FID against minutes, a line a side; bars from the lowest seed to the highest."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(8.5, 4.5))
    groups, others = _groups(lines), itertools.count(len(_COLOURS))
    for side in _names(lines):
        library, labels = _side(side)
        found = {
            minutes: [row["fid"] for row in sides[side]]
            for minutes, sides in groups.items()
            if side in sides
        }
        means = list(map(statistics.mean, found.values()))
        style = "o-" if labels else "o--"
        colour = _COLOURS[library] if side in _SIDES else f"C{next(others)}"
        axes.plot(list(found), means, style, color=colour, label=side)
        ends = (list(map(end, found.values())) for end in (min, max))
        axes.vlines(list(found), *ends, color=colour)
    for line in lines:
        if line.get("control") == _REAL:
            axes.axhline(line["fid"], color="grey", linestyle=":", label="real training images")
    axes.set(xscale="log", yscale="log", xlabel="minutes of training", ylabel="FID")
    axes.set_xticks(list(groups), [f"{minutes:g}" for minutes in groups])
    axes.tick_params(axis="x", which="minor", length=0, labelbottom=False)
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small", loc="upper left", bbox_to_anchor=(1, 1))  # beside all lines
    return figure


if __name__ == "__main__":
    cli.run(main, Options, "python -m benchmarks.quality")
