"""What ``benchmarks.quality`` writes from its rows: tables and a plot."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from benchmarks import report

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Line = dict[str, Any]

OURS = ("jaxgan", "jaxgan, no labels")
# name: (file in benchmarks/train, with labels)
SIDES = {
    OURS[0]: ("ours", True),
    OURS[1]: ("ours", False),
    "TensorFlow tutorial": ("tensorflow", False),
    "TensorFlow tutorial, labels": ("tensorflow", True),
    "PyTorch example": ("pytorch", False),
    "PyTorch example, labels": ("pytorch", True),
}
PLAIN = "no-conditional"  # the option of a variant without labels
IMAGES = 10_000  # that each side draws
_COLOURS = {"ours": "C0", "tensorflow": "C1", "pytorch": "C2"}
_REAL = "real train"  # the control row that the plot shows
_METRICS = {
    "fid": "FID", "fid_train": "FID train", "kid": "KID", "precision": "precision",
    "recall": "recall", "density": "density", "coverage": "coverage",
    "agreement": "label agreement", "histogram_kl": "histogram KL", "nearest": "nearest",
}  # fmt: skip


def machines(lines: list[Line]) -> list[dict[str, str]]:
    """Return what was measured on; rows are of the last one before them."""
    return [line["machine"] for line in lines if "machine" in line]


def library_of(name: str) -> tuple[str, bool]:
    """Return the file of a side, or of a variant of ours, and whether it has labels."""
    return SIDES.get(name, ("ours", PLAIN not in name.split()))


def _names(lines: list[Line]) -> list[str]:
    """Return the sides that have rows: known ones in their order, then variants as they came."""
    found = dict.fromkeys(line["side"] for line in lines if "side" in line)
    return [side for side in SIDES if side in found] + [side for side in found if side not in SIDES]


def text(lines: list[Line], name: str) -> str:
    """Return the whole file of a dataset, given the rows."""
    groups, rows = _groups(lines), [line for line in lines if "side" in line]
    absent = [side for side in SIDES if not any(side in sides for sides in groups.values())]
    parts = [
        "# Quality against training time\n",
        "`python -m benchmarks.quality` wrote this file. "
        + "".join(map(report.described, machines(lines))),
        "Rows whose device is not cpu were trained on that device instead.\n",
        "Minutes are of training alone, each side with its own recipe (benchmarks/train): reading "
        "the data, compiling, drawing and evaluation are on no clock. Each side trained in a "
        f"process of its own. Each drew {IMAGES:,} images, the same latents "
        "every time, at the end of the minutes: no checkpoint was chosen. jaxgan draws with its "
        "weight EMA; the peers have none, and draw with BatchNorm in inference mode. One "
        "feature network measured all of them; FIDs of other networks are not comparable.\n",
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
            *(_number(fids[side] / fids[ours]) if ours in fids else "—" for ours in OURS),
        )
        for side, rows in sides.items()
    ]  # fmt: skip
    cells += [
        (line["control"], *["—"] * 6, *(_spread([line[name]]) for name in _METRICS), "—", "—")
        for line in lines
        if "control" in line
    ]
    return f"## {minutes:g} minutes\n\n" + report.markdown(heads, cells)


def _all(values: Iterable[str]) -> str:
    return ", ".join(sorted(set(values)))


def _spread(values: Iterable[float | None]) -> str:
    """Return mean ± deviation, the mean alone of one value, a dash where there is none."""
    values = list(values)
    if None in values:
        return "—"
    mean = _number(statistics.mean(values))
    return f"{mean} ± {_number(statistics.stdev(values))}" if len(values) > 1 else mean


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def plot(lines: list[Line]) -> Figure:
    """Return FID against minutes, a line a side; bars from the lowest seed to the highest."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(8.5, 4.5))
    groups, others = _groups(lines), itertools.count(len(_COLOURS))
    for side in _names(lines):
        library, labels = library_of(side)
        found = {
            minutes: [row["fid"] for row in sides[side]]
            for minutes, sides in groups.items()
            if side in sides
        }
        means = list(map(statistics.mean, found.values()))
        style = "o-" if labels else "o--"
        colour = _COLOURS[library] if side in SIDES else f"C{next(others)}"
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
