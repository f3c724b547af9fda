"""loss.png: losses, mean logits and quality over a run."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from jaxgan.io.files import write_whole
from jaxgan.runs.log import Evaluation, Record, StepReport

_FRACTIONS = ("recall", "agreement")  # metrics from 0 to 1


def write(path: Path, records: Sequence[Record]) -> None:
    """Write the plot of a run's records: losses, mean logits and, where evaluated, quality."""
    from matplotlib.figure import Figure  # with a canvas of its own: no backend is chosen

    steps = [record for record in records if isinstance(record, StepReport)]
    evaluations = [record for record in records if isinstance(record, Evaluation)]
    names = list(evaluations[0].metrics) if evaluations else []
    quality: list[tuple[str, list[str], dict[str, Any]]] = [
        ("quality", [name for name in names if name not in _FRACTIONS], {"yscale": "log"}),
        ("fraction", [name for name in names if name in _FRACTIONS], {"ylim": (0, 1.02)}),
    ]
    quality = [panel for panel in quality if panel[1]]
    panels = 2 + len(quality)
    figure = Figure(figsize=(8, 3 * panels))
    axes = figure.subplots(panels, 1)
    at = [record.step for record in steps]
    for place, columns, label in (
        (axes[0], ("discriminator_loss", "generator_loss"), "loss (nats)"),
        (axes[1], ("real_logit", "fake_logit"), "mean logit (nats)"),
    ):
        _lines(place, at, columns, lambda name: [getattr(one, name) for one in steps])
        _label(place, "step", label)
    clock = [record.seconds for record in evaluations]
    for place, (label, shown, scale) in zip(axes[2:], quality, strict=True):
        _lines(place, clock, shown, lambda name: _metric(evaluations, name), marker=".")
        place.set(**scale)
        _label(place, "seconds of training", label)
    figure.tight_layout()
    content = io.BytesIO()
    figure.savefig(content, dpi=120)
    write_whole(path, content.getvalue())


def _metric(evaluations: Sequence[Evaluation], name: str) -> list[float]:
    return [one.metrics.get(name, math.nan) for one in evaluations]


def _lines(
    axes: Any,
    at: Sequence[float],
    names: Iterable[str],
    values: Callable[[str], list[float]],
    marker: str | None = None,
) -> None:
    for name in names:
        axes.plot(at, values(name), label=name.replace("_", " "), linewidth=0.8, marker=marker)


def _label(axes: Any, x: str, y: str) -> None:
    axes.set(xlabel=x, ylabel=y)
    axes.grid(alpha=0.3)
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
