"""Time the drawing of images by every library that can run the generator.

python -m benchmarks.generate --batches 1 64 --rounds 7 --json figures.json
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import json
import os
import statistics
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import options
from jaxgan import cli
from jaxgan.config import BATCH_SIZES, MOST_BATCH, MOST_THREADS, ImageSpec, TrainConfig

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from benchmarks.rounds import Side, Timing
    from jaxgan.export import Source

_SPEC = ImageSpec((28, 28, 1), 10)  # MNIST
_SHIPPED = "generator.tflite"  # the file that people get, with a signature for 1 and for 64
_DIGITS = (1, 64)  # in a PNG
_CPP, _BASE = "C++ program", "LiteRT (Python)"
_TENSORFLOW = {"TF_ENABLE_ONEDNN_OPTS": "0"}  # this network runs faster without
# name: file in benchmarks/draw, options of its start, environment
_LIBRARIES = {
    _BASE: ("litert", {}, {}),
    "ONNX Runtime": ("onnxruntime", {}, {}),
    "PyTorch": ("pytorch", {}, {}),
    # Without a cache on disk the first image costs the same in every run.
    "PyTorch, compiled": (
        "pytorch", {"compiled": True}, {"TORCHINDUCTOR_FORCE_DISABLE_CACHES": "1"},
    ),
    "TensorFlow": ("tensorflow", {}, _TENSORFLOW),
    "TensorFlow, XLA": ("tensorflow", {"jit_compile": True}, _TENSORFLOW),
    "JAX (this project)": ("ours", {}, {}),
}  # fmt: skip


@dataclass(frozen=True)
class Options(options.Options):
    """Time the drawing of images by C++, LiteRT, ONNX Runtime, PyTorch, TensorFlow and JAX.

    Writes generate.md and generate.png.
    """

    batches: tuple[int, ...] = (1, 64)
    """Images in a call."""

    threads: tuple[int, ...] = (1, 2)
    """Threads, and cores, that a library may use."""

    model: Path | None = None
    """Run directory of train.py to take the generator from; the default one, untrained, if none."""

    def __post_init__(self) -> None:
        super().__post_init__()
        options.check_numbers("batches", self.batches, MOST_BATCH)
        options.check_numbers("threads", self.threads, MOST_THREADS)


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


def main(options: Options) -> None:
    """Prepare the network for all sides, time them, write what was found."""
    # Drawing is compared on the CPU, by every library.
    os.environ.update(JAX_PLATFORMS="cpu", CUDA_VISIBLE_DEVICES="", TF_CPP_MIN_LOG_LEVEL="3")
    from benchmarks import report

    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        _prepare(_source(options.model), options.batches, folder)
        cells = [
            _calls(folder, batch, threads, options.rounds)
            for batch, threads in itertools.product(options.batches, options.threads)
        ]
        programs = _programs(folder, options.threads, options.rounds)
    machine = report.machine()
    _say(
        report.write(
            options.out, "generate", _text(cells, programs, machine, options), _plot(cells)
        )
    )
    if options.json:
        report.write_json(
            options.json,
            {
                "machine": machine,
                "rounds": options.rounds,
                "calls": [row.figures() for row in itertools.chain(*cells)],
                "program": [row.figures() for row in programs],
            },
        )


def _say(text: str) -> None:
    from jaxgan import progress

    progress.say(text)


def _source(model: Path | None) -> Source:
    """Return the generator to draw with."""
    from jaxgan.export import Source, from_run
    from jaxgan.gan import make_gan

    if model is not None:
        return from_run(model)
    config = TrainConfig()
    return Source(config, _SPEC, make_gan(config, _SPEC).init().average, 0)


def _prepare(source: Source, batches: tuple[int, ...], folder: Path) -> None:
    """Write what the sides read: settings, weights, checked images, model files."""
    import numpy as np
    from flax.traverse_util import flatten_dict

    from benchmarks.draw import Task, onnxruntime
    from jaxgan.export import export

    _say("converting the generator")
    settings = [dataclasses.asdict(part) for part in (source.config, source.spec)]
    (folder / "settings.json").write_text(json.dumps(settings))
    np.savez(folder / "weights.npz", **flatten_dict(source.params, sep="/"))
    np.savez(folder / "checked.npz", **_checked(source, max(*_DIGITS, *batches)))
    export(source, folder / _SHIPPED, BATCH_SIZES)
    for batch in batches:
        task = Task(folder, batch, 1)
        export(source, task.model(".tflite"), [batch])
        with contextlib.suppress(ImportError):  # ONNX Runtime's side says so
            onnxruntime.write(task)


def _checked(source: Source, count: int) -> dict[str, Any]:
    """Return the first images of seed 0, which are the C++ program's too, as JAX draws them."""
    import numpy as np

    from jaxgan import latents
    from jaxgan.gan import make_gan

    indices = np.arange(count)
    latent = latents.latents(0, indices, source.config.latent_size)
    label = latents.cycle(range(source.spec.classes), indices)
    image = make_gan(source.config, source.spec).sample(source.params, latent, label)
    found = {"latent": latent, "label": label, "image": image}
    return {name: value for name, value in found.items() if value is not None}


def _calls(folder: Path, batch: int, threads: int, rounds: int) -> list[Row]:
    """Time calls of one size in all libraries."""
    from benchmarks.rounds import Side, measure

    _say(f"batch {batch}, {_threads(threads)}")
    task = {"folder": str(folder), "batch": batch, "threads": threads}
    sides = [
        Side(name, "benchmarks.draw:start", {"library": library, **task, **options}, environment)
        for name, (library, options, environment) in _LIBRARIES.items()
    ]
    program = _program("start_calls", folder, f"generate_{batch}.tflite", batch, threads)
    timing, *timings = measure([program, *sides], rounds)
    rows = [_told(timing, batch, threads)]
    rows += map(_row, _LIBRARIES, itertools.repeat(batch), itertools.repeat(threads), timings)
    for row in rows:
        found = f"{row.images_per_second:,.0f} images/s" if row.mean else row.missing
        _say(f"  {row.name}: {found}")
    return _with_ratios(rows)


def _programs(folder: Path, threads: tuple[int, ...], rounds: int) -> list[Row]:
    """Time the C++ program as it ships, from exec to PNG."""
    from benchmarks.draw import program
    from benchmarks.rounds import measure

    _say("the C++ program, from exec to PNG")
    cases = list(itertools.product(_DIGITS, threads))
    sides = [_program("start", folder, _SHIPPED, count, number) for count, number in cases]
    rows = []
    for (count, number), timing in zip(cases, measure(sides, rounds), strict=True):
        row = _row("C++ program", count, number, timing)
        if not row.missing:
            order = program.command(folder, _SHIPPED, count, number)
            # The worker's own figures are those of a Python process.
            row = dataclasses.replace(row, memory=program.memory(order), first=None)
        rows.append(row)
    return rows


def _program(function: str, folder: Path, model: str, count: int, threads: int) -> Side:
    from benchmarks.rounds import Side

    task = {"folder": str(folder), "model": model, "count": count, "threads": threads}
    return Side(_CPP, f"benchmarks.draw.program:{function}", task)


def _row(name: str, batch: int, threads: int, timing: Timing) -> Row:
    import numpy as np

    if timing.missing:
        return Row(name, batch, threads, missing=timing.missing)
    p50, p95 = ([float(np.percentile(calls, q)) for calls in timing.calls] for q in (50, 95))
    return Row(
        name, batch, threads, p50, p95, timing.seconds, first=timing.first, memory=timing.memory
    )


def _told(timing: Timing, batch: int, threads: int) -> Row:
    """Return the C++ program's row: what it measured of its own calls."""
    if timing.missing:
        return Row(_CPP, batch, threads, missing=timing.missing)
    return Row(_CPP, batch, threads, *map(list, zip(*timing.calls, strict=True)))


def _threads(count: int) -> str:
    return f"{count} thread{'s' * (count > 1)}"


def _with_ratios(rows: list[Row]) -> list[Row]:
    base = next(row for row in rows if row.name == _BASE).p50
    return [
        dataclasses.replace(row, ratio=[own / its for own, its in zip(row.p50, base, strict=True)])
        if row.p50 and base
        else row
        for row in rows
    ]


def _number(value: float | None, unit: float) -> str:
    """Return a figure in some unit with three digits, or a dash."""
    if value is None:
        return "—"
    value /= unit
    return f"{value:,.0f}" if value >= 99.95 else f"{value:#.3g}"


def _median(values: list[float] | None) -> float | None:
    return statistics.median(values) if values else None


def _text(
    cells: list[list[Row]], programs: list[Row], machine: dict[str, str], options: Options
) -> str:
    from benchmarks import report

    weights = f"of `{options.model}`" if options.model else "random ones"
    parts = [
        "# Drawing images\n",
        "`python -m benchmarks.generate` wrote this file. " + report.described(machine),
        "Every side runs one network, the generator of `jaxgan.models`, with the same "
        f"weights ({weights}), in float32 on the CPU. It takes latents and labels as NumPy arrays "
        "and gives images as one. Before it was timed, its images were compared with JAX's: they "
        "differ by less than 1e-4 of values in [-1, 1] (the C++ program's PNG by at most one of "
        "256 grey levels).\n",
        "Each side has a process of its own. Its library's option holds it to the given threads, "
        "and it is bound to as many cores, since JAX has no such option. The processes take turns, "
        f"about a second each, for {_rounds(options.rounds)}; while one works, the others wait. "
        "Figures are medians of the rounds: p50 and p95 are of single calls, images/s is from "
        f"their mean. The column after it is the p50 divided by that of {_BASE} in the same "
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
    from benchmarks import report

    heads = ("", "p50 ms", "p95 ms", "images/s", "to LiteRT", "first image s", "memory MB")
    lines = [
        (
            row.name, _number(_median(row.p50), 1e-3), _number(_median(row.p95), 1e-3),
            f"{row.images_per_second:,.0f}", _number(_median(row.ratio), 1),
            _number(row.first, 1), _number(row.memory, 1e6),
        )
        for row in rows if not row.missing
    ]  # fmt: skip
    title = f"## Batch {rows[0].batch}, {_threads(rows[0].threads)}\n\n"
    return title + (report.markdown(heads, lines) if lines else "") + _left_out(rows)


def _program_table(rows: list[Row]) -> str:
    from benchmarks import report

    lines = [
        (
            f"{row.batch} digit{'s' * (row.batch > 1)}, {_threads(row.threads)}",
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


def _plot(cells: list[list[Row]]) -> Figure:
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
            bars = axes.barh(heights, values, height, label=_threads(rows[0].threads))
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


if __name__ == "__main__":
    cli.run(main, Options, "python -m benchmarks.generate")
