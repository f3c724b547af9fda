"""Speed, from the tables that the benchmarks wrote: benchmarks/results/*.md."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TypeAlias

from scripts.tables.markdown import RESULTS, markdown

Row: TypeAlias = dict[str, str]  # heading → cell


@cache
def parsed(name: str) -> dict[str, dict[str, Row]]:
    """Return the tables of a file in ``benchmarks/results``: title → first cell → row."""
    found: dict[str, dict[str, Row]] = {}
    title, heads = "", None
    for line in (RESULTS / name).read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            title, heads = line[3:], None
        elif line.startswith("|"):
            cells = [cell.strip() for cell in line.strip("|").split("|")]
            if heads is None:
                heads = cells
            elif not set(line) <= set("|-: "):
                found.setdefault(title, {})[cells[0]] = dict(zip(heads, cells, strict=True))
    return found


_STEPS = {
    "jaxgan": "jaxgan",
    "jaxgan without oneDNN": "jaxgan without oneDNN",
    "TensorFlow": "TensorFlow 2.21, `tf.function`",
    "PyTorch eager": "PyTorch 2.13, eager, channels last",
    "PyTorch compiled": "PyTorch 2.13, `torch.compile`",
    "plain Flax": "Flax as its examples write it",
}


def _speed_train() -> str:
    small, large = (parsed("train_step.md")[f"Batch {batch}"] for batch in (64, 128))
    rows = []
    for side, shown in _STEPS.items():
        cells = [
            cell
            for row in (small[side], large[side])
            for cell in (
                f"{row['ms/step']} ms", row["images/s"],
                "" if side == "jaxgan" else row["jaxgan is"],
            )
        ]  # fmt: skip
        rows.append((shown, *cells))
    heads = ("a step of", "64 images", "images/s", "jaxgan is", "128 images", "images/s")
    return markdown((*heads, "jaxgan is"), rows)


_DRAWING = {
    "C++ program": "C++ program",
    "LiteRT (Python)": "LiteRT in Python",
    "ONNX Runtime": "ONNX Runtime",
    "JAX (this project)": "JAX (this project)",
    "TensorFlow": "TensorFlow",
    "PyTorch": "PyTorch",
    "PyTorch, compiled": "PyTorch, compiled",
}


def _speed_draw() -> str:
    found = parsed("generate.md")
    start = found["The C++ program from exec to PNG"]["1 digit, 1 thread"]["p50 ms"]
    first = f"{float(start) / 1000:.2g}"
    tables = [found[f"Batch {place}"] for place in ("1, 1 thread", "64, 1 thread", "64, 2 threads")]
    rows = [
        (
            shown,
            *(table[side]["images/s"] for table in tables),
            first if side == "C++ program" else tables[0][side]["first image s"],
        )
        for side, shown in _DRAWING.items()
    ]
    heads = ("images/s", "1 image per call, 1 thread", "64, 1 thread", "64, 2 threads")
    return markdown((*heads, "first image, s"), rows)


def _speed() -> str:
    """The short table of README.md: training and drawing beside the peers."""
    step = parsed("train_step.md")["Batch 64"]
    draw = parsed("generate.md")["Batch 64, 1 thread"]
    sides = (
        ("jaxgan: JAX to train, C++ to draw", "jaxgan", "C++ program"),
        ("TensorFlow", "TensorFlow", "TensorFlow"),
        ("PyTorch, eager", "PyTorch eager", "PyTorch"),
        ("PyTorch, compiled", "PyTorch compiled", "PyTorch, compiled"),
        ("Flax as its examples write it", "plain Flax", None),
    )
    rows = []
    for shown, trains, draws in sides:
        drawn = draw[draws] if draws else None
        rows.append(
            (
                shown,
                step[trains]["images/s"],
                "" if trains == "jaxgan" else step[trains]["jaxgan is"],
                drawn["images/s"] if drawn else "",
            )
        )
    return markdown(("", "training, images/s", "jaxgan is", "drawing, images/s"), rows)


def _scaling() -> str:
    rows = []
    for title, table in parsed("scaling.md").items():
        for size, row in table.items():
            milliseconds, memory = row["ms/step"], row["memory MB"]
            rows.append((f"{title.lower()} {size}", milliseconds, row["images/s"], memory))
    return markdown(("", "ms/step", "images/s", "memory, MB"), rows)


TABLES: dict[str, Callable[[], str]] = {
    "speed": _speed,
    "speed-train": _speed_train,
    "speed-draw": _speed_draw,
    "scaling": _scaling,
}
