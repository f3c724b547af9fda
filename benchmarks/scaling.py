"""Time how the cost of a training step grows with batch, width, image size and channels.

python -m benchmarks.scaling --rounds 5 --json figures.json
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from benchmarks import options
from jaxgan.commands import cli
from jaxgan.config import TrainConfig
from jaxgan.errors import UserError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from benchmarks.rounds import Timing

# option of benchmarks.step.ours:default: (what is written on the axis, its values)
_GROWTH = {
    "batch": ("real images a step", (16, 32, 64, 128, 256, 512)),
    "width": ("channels of the largest feature map", (16, 32, 64, 128)),
    "size": ("side of the image, pixels", (28, 32, 64)),
    "channels": ("channels of the image", (1, 3)),
}
_BENDS = {
    "batch": (
        "The constant is what a step costs whatever its batch: Adam and the weight EMA over "
        "all weights, the kernels' change of order for oneDNN, the start of some hundred "
        "operations; it bends the left end. The right end is straight: a part of the "
        "batch stays in a core's cache however many parts there are."
    ),
    "width": (
        "Products grow with the square of the width, activations with the width, and what a step "
        "costs anyway not at all; a convolution of few channels leaves vector units idle besides. "
        "So the exponent climbs towards 2 from below."
    ),
    "size": (
        "The square of the side, within networks of as many maps. From 28 to 32 they gain a map "
        "of twice the channels (28 is halved twice, down to 7; 32 three times, down to 4) and "
        "residual layers: the jump. From 32 to 64 they gain another map, and all have half the "
        "channels: less than the square."
    ),
    "channels": (
        "Only the outermost layers see the image's channels, and they are a small part of the "
        "step: almost nothing."
    ),
}


@dataclass(frozen=True)
class Options(options.Options):
    """Time a training step of the project's own networks against batch, width, size and channels.

    Writes scaling.md and scaling.png.
    """

    rounds: int = 5
    """Rounds; in each, every size works for about a second. Figures are medians of them."""


def main(options: Options) -> None:
    """Measure, then write the tables, the plot and the figures."""
    from benchmarks import report
    from benchmarks.rounds import Side, measure
    from jaxgan.console import output

    found: dict[str, dict[int, Timing]] = {}
    for name, (axis, values) in _GROWTH.items():
        output.show(f"{axis}: {', '.join(map(str, values))}")
        sides = [
            Side(f"{value}", "benchmarks.step.ours:default", {name: value}) for value in values
        ]
        timings = measure(sides, options.rounds)
        for side, timing in zip(sides, timings, strict=True):
            if timing.missing:
                raise UserError(f"{name} {side.name}: {timing.missing}")
        found[name] = dict(zip(values, timings, strict=True))
    machine = report.machine()
    output.show(report.write(options.out, "scaling", _text(options, machine, found), _plot(found)))
    if options.json:
        figures = {
            name: {value: asdict(timing) for value, timing in timings.items()}
            for name, timings in found.items()
        }
        report.write_json(options.json, {"machine": machine, "scaling": figures})


def exponent(points: dict[int, float]) -> float:
    """Return e of the power law y = c * x ** e through points, by least squares of logarithms."""
    import numpy as np

    return float(np.polyfit(np.log(list(points)), np.log(list(points.values())), 1)[0])


def line(points: dict[int, float]) -> tuple[float, float]:
    """Return the constant and the slope of the line through points, by relative least squares."""
    import numpy as np

    x, y = np.array(list(points), float), np.array(list(points.values()))
    slope, constant = np.polyfit(x, y, 1, w=1 / y)
    return float(constant), float(slope)


def _text(options: Options, machine: dict[str, str], found: dict[str, dict[int, Timing]]) -> str:
    from benchmarks import report

    parts = [
        "# How the cost of a training step grows\n\n`python -m benchmarks.scaling` wrote this "
        "file. " + report.described(machine),
        f"The networks are the default ones (batch {TrainConfig.batch_size}, width "
        f"{TrainConfig.width}, 28x28 in grey, 10 classes) but for the one size that the table "
        f"varies. Medians of {options.rounds} rounds, in which the sizes take turns; memory is "
        "the most that the process held, Python and JAX included (about 300 MB). An exponent of 1 "
        "means: twice the size, twice the time. The local one is from the row above to this "
        "one.\n",
        *(_section(name, timings) for name, timings in found.items()),
        "![step time and memory against each size](scaling.png)\n",
    ]
    return "\n".join(parts)


def _section(name: str, timings: dict[int, Timing]) -> str:
    from benchmarks import report

    axis, _ = _GROWTH[name]
    seconds = {value: timing.median for value, timing in timings.items()}
    memory = {value: float(timing.memory) for value, timing in timings.items()}
    rows, above = [], None
    for value, timing in timings.items():
        local = exponent({above: seconds[above], value: seconds[value]}) if above else None
        batch = value if name == "batch" else TrainConfig.batch_size
        rows.append((
            value, f"{timing.median * 1e3:.1f}", f"{batch / timing.median:,.0f}",
            "" if local is None else f"{local:.2f}", f"{timing.memory / 1e6:.0f}",
        ))  # fmt: skip
        above = value
    heads = (axis, "ms/step", "images/s", "local exponent", "memory MB")
    fitted = (
        f"Fitted exponent: {exponent(seconds):.2f} for time, {exponent(memory):.2f} for memory. "
    )
    if name == "batch":
        constant, slope = line(seconds)
        fitted += f"As a line: {constant * 1e3:.1f} ms and {slope * 1e6:.0f} us an image. "
    return f"## {name.capitalize()}\n\n{report.markdown(heads, rows)}\n{fitted}{_BENDS[name]}\n"


def _plot(found: dict[str, dict[int, Timing]]) -> Figure:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, all_axes = pyplot.subplots(1, len(found), figsize=(13, 3.6))
    for axes, (name, timings) in zip(all_axes, found.items(), strict=True):
        values = list(timings)
        milliseconds = [timing.median * 1e3 for timing in timings.values()]
        axes.plot(values, milliseconds, "o-", color="C0")
        axes.set(xscale="log", yscale="log", xlabel=_GROWTH[name][0])
        axes.set_ylabel("ms a step", color="C0")
        axes.set_xticks(values, list(map(str, values)))
        axes.minorticks_off()
        axes.grid(alpha=0.3)
        memory = axes.twinx()
        megabytes = [timing.memory / 1e6 for timing in timings.values()]
        memory.plot(values, megabytes, "s--", color="C1", markersize=4)
        memory.set_ylim(bottom=0)
        memory.set_ylabel("memory, MB", color="C1")
    return figure


if __name__ == "__main__":
    cli.run(main, Options, "python -m benchmarks.scaling")
