"""Time the training step of every library on one network, side by side.

python -m benchmarks.train_step --batches 64 128 --rounds 7 --json figures.json
"""

from __future__ import annotations

import statistics
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from benchmarks import options
from jaxgan.commands import cli
from jaxgan.config import MAX_BATCH
from jaxgan.errors import UserError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from benchmarks.rounds import Side, Timing

_OURS = "jaxgan"
_XLA_ALONE = "jaxgan without oneDNN"
# name: (function, arguments, environment)
_SIDES = {
    _OURS: ("ours:start", {}, {}),
    _XLA_ALONE: ("ours:start", {"backend": "gemm"}, {}),
    "plain Flax": ("plain_flax:start", {}, {}),
    "PyTorch eager": ("pytorch:start", {}, {}),
    "PyTorch compiled": ("pytorch:start", {"mode": "default"}, {}),
    "TensorFlow": ("tensorflow:start", {}, {"TF_CPP_MIN_LOG_LEVEL": "3"}),
}
_GPU_SIDES = {"PyTorch compiled": ("pytorch:start", {"mode": "max-autotune"}, {})}
_PEAK = "sgemm"
# name: (arguments of benchmarks.step.maps:start, on how many batches at once); once a step each
_MAPS = {
    "inner layer of G, forward": ({"layer": "inner", "doubles": True}, 1),
    "inner layer of G, both gradients": (
        {"layer": "inner", "doubles": True, "gradients": "both"}, 1),
    "inner layer of D, forward": ({"layer": "inner"}, 2),
    "inner layer of D, both gradients": ({"layer": "inner", "gradients": "both"}, 2),
    "inner layer of D for G, forward": ({"layer": "inner"}, 1),
    "inner layer of D for G, input gradient": ({"layer": "inner", "gradients": "input"}, 1),
    "outer layer of G, forward": ({"layer": "outer", "doubles": True}, 1),
    "outer layer of G, both gradients": (
        {"layer": "outer", "doubles": True, "gradients": "both"}, 1),
    "outer layer of D, forward": ({"layer": "outer"}, 2),
    "outer layer of D, kernel gradient": ({"layer": "outer", "gradients": "kernel"}, 2),
    "outer layer of D for G, forward": ({"layer": "outer"}, 1),
    "outer layer of D for G, input gradient": ({"layer": "outer", "gradients": "input"}, 1),
}  # fmt: skip


@dataclass(frozen=True)
class Options(options.Options):
    """Time the training step of this project, plain Flax, PyTorch and TensorFlow on one network.

    Writes train_step.md and train_step.png.
    """

    batches: tuple[int, ...] = (32, 64, 128, 256)
    """Real images a step."""

    def __post_init__(self) -> None:
        super().__post_init__()
        options.check_numbers("batches", self.batches, MAX_BATCH)


def main(options: Options) -> None:
    """Measure, then write the table, the plot and the figures."""
    import jax

    from benchmarks import report
    from jaxgan.console import output

    on_gpu = jax.default_backend() != "cpu"
    timings: dict[int, dict[str, Timing]] = {}
    maps: dict[int, dict[str, Timing]] = {}
    for batch in options.batches:
        output.show(f"batch {batch}")
        sides = _sides(batch, on_gpu)
        found = _measured(sides, options.rounds)
        timings[batch] = found
        for name in (_OURS, _PEAK):
            if found[name].missing:
                raise UserError(f"{name}: {found[name].missing}")
        for name, timing in found.items():
            if timing.missing:
                output.show(f"  {name}: left out: {timing.missing}")
            elif name != _PEAK:
                output.show(f"  {name}: {timing.median * 1e3:.1f} ms a step")
        if batch in (64, 128) and not on_gpu:
            maps[batch] = _measured(_map_sides(batch), options.rounds)
    machine = report.machine()
    output.show(
        report.write(
            options.out, "train_step", _text(options, machine, timings, maps), _plot(timings)
        )
    )
    if options.json:
        figures = {
            "machine": machine,
            "steps": _plain(timings),
            "operations": _plain(maps),
        }
        report.write_json(options.json, figures)


def _measured(sides: list[Side], rounds: int) -> dict[str, Timing]:
    from benchmarks.rounds import measure

    names = [side.name for side in sides]
    return dict(zip(names, measure(sides, rounds), strict=True))


def _plain(found: dict[int, dict[str, Timing]]) -> dict[int, dict[str, Any]]:
    return {
        batch: {name: asdict(timing) for name, timing in sides.items()}
        for batch, sides in found.items()
    }


def _sides(batch: int, on_gpu: bool) -> list[Side]:
    from benchmarks.rounds import Side

    chosen = _SIDES
    if on_gpu:
        chosen = {name: side for name, side in (_SIDES | _GPU_SIDES).items() if name != _XLA_ALONE}
    sides = [
        Side(name, f"benchmarks.step.{function}", {"batch": batch, **arguments}, environment)
        for name, (function, arguments, environment) in chosen.items()
    ]
    # Its threads are to sleep when it is done, not to spin into the next side's time.
    asleep = {"OPENBLAS_THREAD_TIMEOUT": "4"}
    return [*sides, Side(_PEAK, "benchmarks.step.sgemm:start", {}, asleep)]


def _map_sides(batch: int) -> list[Side]:
    from benchmarks.rounds import Side

    return [
        Side(name, "benchmarks.step.maps:start", {"batch": batch * times, **arguments})
        for name, (arguments, times) in _MAPS.items()
    ]


def _peak(sides: dict[str, Timing]) -> float:
    """Return the GFLOP/s of the product of large matrices."""
    from benchmarks.step import sgemm

    return sgemm.GFLOP / sides[_PEAK].median


def _ratio(mine: Timing, theirs: Timing) -> float:
    """Return how many times as fast ours is: the median of the rounds' ratios."""
    pairs = zip(mine.seconds, theirs.seconds, strict=True)
    return statistics.median(other / own for own, other in pairs)


def _text(
    options: Options,
    machine: dict[str, str],
    timings: dict[int, dict[str, Timing]],
    maps: dict[int, dict[str, Timing]],
) -> str:
    from benchmarks import report

    parts = [
        "# A training step\n\n`python -m benchmarks.train_step` wrote this file. "
        + report.described(machine),
        "Every side trains one network (benchmarks/dcgan.py) with the same layers, batch, float32 "
        "and Adam. A step draws images, updates the discriminator on real and drawn ones, then "
        "updates the generator against the new discriminator. The peers are written with care: one "
        "pass over real and drawn images, no gradient that nobody needs, channels last.\n",
        f"Each side has a process of its own. The processes take turns, about a second each, for "
        f"{options.rounds} rounds; while one works, the others wait. Times are medians of the "
        "rounds, ratios medians of each round's ratio. GFLOP/s count the products that the step "
        "cannot avoid; the peak is NumPy's product of two 2048x2048 matrices in the same rounds. "
        "The first step is counted from the start of the process, imports and compiling included "
        "and with nothing in a cache; memory is the most that the process held.\n",
        *(_table(batch, sides) for batch, sides in timings.items()),
        *(_map_table(batch, timings[batch], found) for batch, found in maps.items()),
        "![images a second against batch](train_step.png)\n",
    ]
    return "\n".join(parts)


def _table(batch: int, sides: dict[str, Timing]) -> str:
    from benchmarks import dcgan, report

    gflop, peak = dcgan.gflop(batch), _peak(sides)
    heads = (
        f"batch {batch}", "ms/step", "images/s", "jaxgan is", "GFLOP/s", "of peak",
        "memory MB", "first step s",
    )  # fmt: skip
    rows, missing = [], []
    for name, timing in sides.items():
        if name == _PEAK:
            continue
        if timing.missing:
            missing.append(f"{name} was left out: {timing.missing}.\n")
            continue
        speed = gflop / timing.median
        rows.append((
            name, f"{timing.median * 1e3:.1f}", f"{batch / timing.median:,.0f}",
            f"{_ratio(sides[_OURS], timing):.2f}x", f"{speed:.0f}", f"{speed / peak:.0%}",
            f"{timing.memory / 1e6:.0f}", f"{timing.first:.1f}",
        ))  # fmt: skip
    head = f"## Batch {batch}\n\nA step is {gflop:.2f} GFLOP; the peak was {peak:.0f} GFLOP/s.\n\n"
    return head + report.markdown(heads, rows) + "\n" + "".join(missing)


def _map_table(batch: int, sides: dict[str, Timing], found: dict[str, Timing]) -> str:
    """Return where a step's time goes: its convolutions alone, each with bias and activation."""
    from benchmarks import report
    from benchmarks.step import maps

    peak, whole, sum_ = _peak(sides), sides[_OURS].median, 0.0
    rows = []
    for name, timing in found.items():
        arguments, times = _MAPS[name]
        seconds = timing.median
        sum_ += seconds
        speed = maps.gflop(batch=batch * times, **arguments) / timing.median
        of_step = f"{seconds / whole:.0%}"
        rows.append((name, f"{seconds * 1e3:.2f}", of_step, f"{speed:.0f}", f"{speed / peak:.0%}"))
    rest = whole - sum_
    rows.append(("the rest of the step", f"{rest * 1e3:.2f}", f"{rest / whole:.0%}", "-", "-"))
    heads = ("operation", "ms", "of jaxgan's step", "GFLOP/s", "of peak")
    return (
        f"## Where the step of {batch} spends its time\n\nEach convolution of jaxgan's step timed "
        "alone, bias, activation and their gradients included (inner: 14x14x64 to 7x7x128, outer: "
        "28x28x1 to 14x14x64; D sees twice the batch). The rest is dense layers, Adam, the weight "
        "EMA, random numbers, and threads that wait for each other.\n\n"
        + report.markdown(heads, rows)
    )


def _plot(timings: dict[int, dict[str, Timing]]) -> Figure:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 4.5))
    for name in _SIDES:
        points = [
            (batch, batch / sides[name].median)
            for batch, sides in timings.items()
            if name in sides and not sides[name].missing
        ]
        if points:
            axes.plot(*zip(*points, strict=True), marker="o", label=name)
    axes.set(xscale="log", xlabel="batch", ylabel="images a second in training")
    axes.set_xticks(list(timings), list(map(str, timings)), minor=False)
    axes.minorticks_off()
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small")
    return figure


if __name__ == "__main__":
    cli.run(main, Options, "python -m benchmarks.train_step")
