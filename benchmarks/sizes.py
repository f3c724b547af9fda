"""Every size of image, one way through: train, convert, verify, draw in C++; what each costs.

python -m benchmarks.sizes --sides 28 32 48 64 96 128 256 --rounds 5
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import options
from jaxgan.commands import cli
from jaxgan.config import MAX_SIDE

if TYPE_CHECKING:
    from benchmarks.rounds import Timing

_IMAGES = 64  # drawn at once
_BATCH = 64


@dataclass(frozen=True)
class Options(options.Options):
    """Train, convert and draw images of several sizes. Writes sizes.md and sizes.png."""

    sides: tuple[int, ...] = (28, 32, 48, 64, 96, 128, 256)
    """Sides of square images; 28 in grey, others in colour."""

    def __post_init__(self) -> None:
        super().__post_init__()
        options.check_numbers("sides", self.sides, MAX_SIDE)


def main(options: Options) -> None:
    """Measure, then write the table."""
    from benchmarks import report, rounds
    from jaxgan.console import output

    sides = [
        rounds.Side(
            str(side),
            "benchmarks.step.ours:default",
            {"size": side, "channels": _colours(side)},
        )
        for side in options.sides
    ]  # fmt: skip
    timings = rounds.measure(sides, options.rounds)
    rows = []
    for side, timing in zip(options.sides, timings, strict=True):
        rows.append(_row(side, timing))
        output.show("  ".join(map(str, rows[-1])))
    heads = (
        "image", "maps", "parameters G", "D", "images/s in training", "memory MB", "file MB",
        "largest difference from JAX", "64 images drawn, ms",
    )  # fmt: skip
    text = (
        "# Sizes of images\n\n`python -m benchmarks.sizes` wrote this file. "
        + report.described(report.machine())
        + f"\nBatches of {_BATCH}, ten classes, default options. The sides' processes take turns, "
        f"a second each, for {options.rounds} rounds; the pace is the median. Each generator is "
        "then converted to float, which verifies it and compares it with JAX, and drawn by the C++ "
        "library with one thread.\n\n"
    )
    figure = _plot(options.sides, timings)
    output.show(report.write(options.out, "sizes", text + report.markdown(heads, rows), figure))


def _colours(side: int) -> int:
    return 1 if side == 28 else 3


def _row(side: int, timing: Timing) -> tuple[str, ...]:
    """Return the row of a size."""
    import jax

    from jaxgan.config import ImageSpec, TrainConfig, resolved
    from jaxgan.export.convert import Conversion
    from jaxgan.gan import networks
    from jaxgan.gan.step import make_gan
    from jaxgan.runs.run import Snapshot

    spec = ImageSpec((side, side, _colours(side)), 10)
    config = resolved(TrainConfig(), spec)
    state = make_gan(config, spec).init()
    # Residual layers begin with zeros, which are no test.
    noisy = jax.tree.map(
        lambda leaf: leaf + 0.02 * jax.random.normal(jax.random.key(1), leaf.shape), state.ema
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "generator.tflite"
        with Conversion(Snapshot(config, spec, noisy, 0)) as conversion:
            facts = conversion.write(path).facts
    maps = networks.maps(side, side, config.width)
    chain, height = [], side
    for level in maps:
        height //= level.stride
        chain.append(f"{height}x{height}x{level.channels}")
    counts = [f"{networks.count(tree):,}" for tree in state.params]
    return (
        "x".join(map(str, spec.shape)), " → ".join(chain), *counts,
        f"{_BATCH / timing.median:,.0f}", f"{timing.memory / 1e6:.0f}",
        f"{facts['bytes'] / 1e6:.2f}", f"{facts['difference']['max']:.1e}",
        f"{facts['latency_ms'][f'generate_{_IMAGES}']:.1f}",
    )  # fmt: skip


def _plot(sides: tuple[int, ...], timings: list[Timing]) -> object:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 4.5))
    axes.plot(sides, [1e3 * timing.median / _BATCH for timing in timings], marker="o")
    axes.set(xscale="log", yscale="log", xlabel="side in pixels", ylabel="ms an image in training")
    axes.set_xticks(sides, list(map(str, sides)), minor=False)
    axes.minorticks_off()
    axes.grid(alpha=0.3)
    return figure


if __name__ == "__main__":
    cli.run(main, Options, "python -m benchmarks.sizes")
