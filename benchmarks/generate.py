"""Time the drawing of images by every library that can run the generator.

python -m benchmarks.generate --batches 1 64 --rounds 7 --json figures.json
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import json
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import generate_report, options
from benchmarks.generate_report import BASE, Row
from jaxgan.commands import cli
from jaxgan.config import BATCH_SIZES, MAX_BATCH, MAX_THREADS, ImageSpec, TrainConfig

if TYPE_CHECKING:
    from benchmarks.rounds import Side, Timing
    from jaxgan.runs.run import Snapshot

_SPEC = ImageSpec((28, 28, 1), 10)  # MNIST
_SHIPPED = "generator.tflite"  # the file that people get, with a signature for 1 and for 64
_DIGITS = (1, 64)  # in a PNG
_CPP = "C++ program"
_TENSORFLOW = {"TF_ENABLE_ONEDNN_OPTS": "0"}  # this network runs faster without
# name: file in benchmarks/draw, options of its start, environment
_LIBRARIES = {
    BASE: ("litert", {}, {}),
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
        options.check_numbers("batches", self.batches, MAX_BATCH)
        options.check_numbers("threads", self.threads, MAX_THREADS)


def main(options: Options) -> None:
    """Prepare the network for all sides, time them, write what was found."""
    # Drawing is compared on the CPU, by every library.
    os.environ.update(JAX_PLATFORMS="cpu", CUDA_VISIBLE_DEVICES="", TF_CPP_MIN_LOG_LEVEL="3")
    from benchmarks import report
    from jaxgan.console import output

    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        _prepare(_snapshot(options.model), options.batches, folder)
        cells = [
            _calls(folder, batch, threads, options.rounds)
            for batch, threads in itertools.product(options.batches, options.threads)
        ]
        programs = _programs(folder, options.threads, options.rounds)
    machine = report.machine()
    output.show(
        report.write(
            options.out,
            "generate",
            generate_report.text(cells, programs, machine, options.model, options.rounds),
            generate_report.plot(cells),
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


def _snapshot(model: Path | None) -> Snapshot:
    """Return the generator to draw with."""
    from jaxgan.config import resolved
    from jaxgan.gan.step import make_gan
    from jaxgan.runs.run import Run, Snapshot

    if model is not None:
        return Run.open(model).snapshot()
    config = resolved(TrainConfig(evaluate_every=0), _SPEC)
    return Snapshot(config, _SPEC, make_gan(config, _SPEC).init().ema, 0)


def _prepare(snapshot: Snapshot, batches: tuple[int, ...], folder: Path) -> None:
    """Write what the sides read: configuration, weights, checked images, model files."""
    import numpy as np
    from flax.traverse_util import flatten_dict

    from benchmarks.draw import Task, onnxruntime
    from jaxgan.console import output
    from jaxgan.export.convert import convert

    output.show("converting the generator")
    shapes = [dataclasses.asdict(part) for part in (snapshot.config, snapshot.spec)]
    (folder / "run.json").write_text(json.dumps(shapes))
    np.savez(folder / "weights.npz", **flatten_dict(snapshot.params, sep="/"))
    np.savez(folder / "checked.npz", **_checked(snapshot, max(*_DIGITS, *batches)))
    convert(snapshot, folder / _SHIPPED, batch_sizes=BATCH_SIZES)
    for batch in batches:
        task = Task(folder, batch, 1)
        convert(snapshot, task.model(".tflite"), batch_sizes=[batch])
        with contextlib.suppress(ImportError):  # ONNX Runtime's side says so
            onnxruntime.write(task)


def _checked(snapshot: Snapshot, count: int) -> dict[str, Any]:
    """Return the first images of seed 0, which are the C++ program's too, as JAX draws them."""
    import numpy as np

    from jaxgan.gan.latents import cycle, latents
    from jaxgan.gan.step import make_gan

    indices = np.arange(count)
    latent = latents(0, indices, snapshot.config.latent_size)
    label = cycle(range(snapshot.spec.classes), indices)
    image = make_gan(snapshot.config, snapshot.spec).sample(snapshot.params, latent, label)
    found = {"latent": latent, "label": label, "image": image}
    return {name: value for name, value in found.items() if value is not None}


def _calls(folder: Path, batch: int, threads: int, rounds: int) -> list[Row]:
    """Time calls of one size in all libraries."""
    from benchmarks.rounds import Side, measure
    from jaxgan.console import output

    output.show(f"batch {batch}, {generate_report.threads(threads)}")
    task = {"folder": str(folder), "batch": batch, "threads": threads}
    sides = [
        Side(name, "benchmarks.draw:start", {"library": library, **task, **options}, environment)
        for name, (library, options, environment) in _LIBRARIES.items()
    ]
    program = _program("start_calls", folder, f"generate_{batch}.tflite", batch, threads)
    timing, *timings = measure([program, *sides], rounds)
    rows = [_own_figures(timing, batch, threads)]
    rows += map(_row, _LIBRARIES, itertools.repeat(batch), itertools.repeat(threads), timings)
    for row in rows:
        found = f"{row.images_per_second:,.0f} images/s" if row.mean else row.missing
        output.show(f"  {row.name}: {found}")
    return _with_ratios(rows)


def _programs(folder: Path, threads: tuple[int, ...], rounds: int) -> list[Row]:
    """Time the C++ program as it ships, from exec to PNG."""
    from benchmarks.draw import program
    from benchmarks.rounds import measure
    from jaxgan.console import output

    output.show("the C++ program, from exec to PNG")
    cases = list(itertools.product(_DIGITS, threads))
    sides = [_program("start", folder, _SHIPPED, count, number) for count, number in cases]
    rows = []
    for (count, number), timing in zip(cases, measure(sides, rounds), strict=True):
        row = _row("C++ program", count, number, timing)
        if not row.missing:
            command = program.command(folder, _SHIPPED, count, number)
            # The worker's own figures are those of a Python process.
            row = dataclasses.replace(row, memory=program.memory(command), first=None)
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


def _own_figures(timing: Timing, batch: int, threads: int) -> Row:
    """Return the C++ program's row: what it measured of its own calls."""
    if timing.missing:
        return Row(_CPP, batch, threads, missing=timing.missing)
    return Row(_CPP, batch, threads, *map(list, zip(*timing.calls, strict=True)))


def _with_ratios(rows: list[Row]) -> list[Row]:
    base = next(row for row in rows if row.name == BASE).p50
    return [
        dataclasses.replace(row, ratio=[own / its for own, its in zip(row.p50, base, strict=True)])
        if row.p50 and base
        else row
        for row in rows
    ]


if __name__ == "__main__":
    cli.run(main, Options, "python -m benchmarks.generate")
