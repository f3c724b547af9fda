"""What ``benchmarks.generate`` writes: a row a side, tables, a plot."""

from __future__ import annotations

import dataclasses
import statistics
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import report

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BASE = "LiteRT (Python)"  # that the others are compared with


@dataclass(frozen=True)
class Row:
    """Figures of one side; those that it has not are None.

    Attributes:
        name: The side.
        batch: Images a call, or in the PNG.
        threads: Its threads.
        p50: Median seconds of a call, one value a round.
        p95: Seconds that 95 % of the calls did not exceed, one value a round.
        mean: Mean seconds of a call, one value a round.
        ratio: p50 divided by that of LiteRT in Python, one value a round.
        first: Seconds from the start of its process to its first images.
        memory: Most bytes that its process held.
        missing: Why it was left out.
    """

    name: str
    batch: int
    threads: int
    p50: list[float] | None = None
    p95: list[float] | None = None
    mean: list[float] | None = None
    ratio: list[float] | None = None
    first: float | None = None
    memory: int | None = None
    missing: str | None = None

    @property
    def images_per_second(self) -> float | None:
        """Return the median."""
        return self.batch / statistics.median(self.mean) if self.mean else None

    def figures(self) -> dict[str, Any]:
        """Return all of it, for JSON."""
        return {**dataclasses.asdict(self), "images_per_second": self.images_per_second}


def threads(count: int) -> str:
    """Return a number of threads in words."""
    return f"{count} thread{'s' * (count > 1)}"


def _number(value: float | None, unit: float) -> str:
    """Return a figure in some unit with three digits, or a dash."""
    if value is None:
        return "—"
    value /= unit
    return f"{value:,.0f}" if value >= 99.95 else f"{value:#.3g}"


def _median(values: list[float] | None) -> float | None:
    return statistics.median(values) if values else None


def text(
    cells: list[list[Row]],
    programs: list[Row],
    machine: dict[str, str],
    model: Path | None,
    rounds: int,
) -> str:
    """Return the whole file.

    Args:
        cells: Rows of each batch size and number of threads.
        programs: Rows of the C++ program, from exec to PNG.
        machine: What was measured on.
        model: Run directory that the weights are of; None for random ones.
        rounds: Rounds that figures are medians of.
    """
    weights = f"of `{model}`" if model else "random ones"
    parts = [
        "# Drawing images\n",
        "`python -m benchmarks.generate` wrote this file. " + report.described(machine),
        "Every side runs one network, the generator of `jaxgan.gan.networks`, with the same "
        f"weights ({weights}), in float32 on the CPU. It takes latents and labels as NumPy arrays "
        "and gives images as one. Before it was timed, its images were compared with JAX's: they "
        "differ by less than 1e-4 of values in [-1, 1] (the C++ program's PNG by at most one of "
        "256 grey levels).\n",
        "Each side has a process of its own. Its library's option holds it to the given threads, "
        "and it is bound to as many cores, since JAX has no such option. The processes take turns, "
        f"about a second each, for {_rounds(rounds)}; while one works, the others wait. "
        "Figures are medians of the rounds: p50 and p95 are of single calls, images/s is from "
        f"their mean. The column after it is the p50 divided by that of {BASE} in the same "
        "round: above 1 is slower. The first image is counted from the start of the process, "
        "imports and compiling included; memory is the most that the process held, Python "
        "included. PyTorch runs in inference mode with channels_last, TensorFlow under tf.function "
        "and without oneDNN, which is faster here; ONNX Runtime has its defaults.\n",
        "The C++ program times its calls itself (`--benchmark`), a process a round, after ten that "
        "do not count: latents and labels in, values in [-1, 1] out. Its time to the first image "
        "is in the last table.\n",
        *map(_table, cells),
        "## The C++ program from exec to PNG\n",
        "From the start of the process until it has ended and the PNG is there, with a model file "
        "as `convert_tflite.py` writes it. This is its time to the first image, too.\n",
        _program_table(programs),
        "![images a second](generate.png)\n",
    ]
    return "\n".join(part for part in parts if part)


def _rounds(count: int) -> str:
    return f"{count} round{'s' * (count > 1)}"


def _table(rows: list[Row]) -> str:
    """Return the section of one batch size and number of threads."""
    heads = ("", "p50 ms", "p95 ms", "images/s", "to LiteRT", "first image s", "memory MB")
    lines = [
        (
            row.name, _number(_median(row.p50), 1e-3), _number(_median(row.p95), 1e-3),
            f"{row.images_per_second:,.0f}", _number(_median(row.ratio), 1),
            _number(row.first, 1), _number(row.memory, 1e6),
        )
        for row in rows if not row.missing
    ]  # fmt: skip
    title = f"## Batch {rows[0].batch}, {threads(rows[0].threads)}\n\n"
    return title + (report.markdown(heads, lines) if lines else "") + _left_out(rows)


def _program_table(rows: list[Row]) -> str:
    lines = [
        (
            f"{row.batch} digit{'s' * (row.batch > 1)}, {threads(row.threads)}",
            _number(_median(row.p50), 1e-3), _number(_median(row.p95), 1e-3),
            _number(row.memory, 1e6),
        )
        for row in rows if not row.missing
    ]  # fmt: skip
    return (
        report.markdown(("", "p50 ms", "p95 ms", "memory MB"), lines) if lines else ""
    ) + _left_out(rows)


def _left_out(rows: list[Row]) -> str:
    """Return a line for each side that was not timed."""
    reasons = dict.fromkeys(f"{row.name}: {row.missing}" for row in rows if row.missing)
    return "".join(f"\nLeft out: {reason}.\n" for reason in reasons)


def plot(cells: list[list[Row]]) -> Figure:
    """Return bars of images a second: a panel a batch size, a colour a number of threads."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    batches = list(dict.fromkeys(rows[0].batch for rows in cells))
    figure, panels = pyplot.subplots(
        1, len(batches), figsize=(1 + 5 * len(batches), 5), sharey=True, squeeze=False
    )
    names = [row.name for row in cells[0]]
    for batch, axes in zip(batches, panels[0], strict=True):
        group = [rows for rows in cells if rows[0].batch == batch]
        height = 0.8 / len(group)
        for place, rows in enumerate(group):
            values = [0 if row.missing else row.images_per_second for row in rows]
            heights = [index + place * height for index in range(len(rows))]
            bars = axes.barh(heights, values, height, label=threads(rows[0].threads))
            texts = ["left out" if row.missing else f"{row.images_per_second:,.0f}" for row in rows]
            axes.bar_label(bars, texts, padding=3, fontsize=8)
        middle = 0.4 - height / 2
        axes.set_yticks([index + middle for index in range(len(names))], names)
        axes.set_title(f"batch {batch}")
        axes.set_xlabel("images/s")
        axes.margins(x=0.15)
        axes.grid(axis="x", alpha=0.3)
    panels[0][0].invert_yaxis()
    panels[0][-1].legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure
