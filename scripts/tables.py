"""Write the tables of README.md and docs/ that follow from code or from measurements.

    python -m scripts.tables

A table stands between ``<!-- table: NAME -->`` and ``<!-- end -->`` and is replaced as a whole.
``tests/test_docs.py`` compares what stands there with what this file makes, so figures are quoted
from ``benchmarks/results/`` and never retyped.
"""

from __future__ import annotations

import json
import re
import statistics
import sys
import types
import typing
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

from jaxgan.config import GROUPS, Setting, TrainConfig, option, settings

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
MARKED = re.compile(r"(<!-- table: ([a-z-]+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)

Row: TypeAlias = dict[str, str]  # heading → cell
_UNIONS = (types.UnionType, typing.Union)
_MINUTES = (2, 5, 15, 60)
_SEARCH = "search/mnist"  # among benchmarks/results/quality
_NONE = "—"  # what was not measured
_CONTROLS = (
    ("real test", "test images themselves"),
    ("real train", "real training images"),
    ("1,000 train images 10 times", "1,000 real images, 10 times each"),
)


def main() -> None:
    """Replace the tables of all pages; name the pages that changed."""
    for page in PAGES:
        before = page.read_text(encoding="utf-8")
        after = MARKED.sub(lambda found: f"{found[1]}{TABLES[found[2]]()}{found[4]}", before)
        if after != before:
            page.write_text(after, encoding="utf-8")
            sys.stdout.write(f"{page.relative_to(ROOT)}\n")


def _markdown(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    heads = tuple(heads)
    lines = [heads, ["---"] * len(heads), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines).replace("  |", " |")


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


# Options


def _options() -> str:
    return "\n".join(_group(name, what) for name, what in GROUPS.items())


def _group(group: str, what: str) -> str:
    defaults = TrainConfig()
    rows = [
        (
            f"`{option(name)}`",
            _default(getattr(defaults, name)),
            _choices(name) or _bounds(known),
            "yes" if known.may_change else "no: network" if known.shapes_network else "no",
            re.sub(r"(--[a-z0-9-]+)", r"`\1`", known.help),
        )
        for name, known in settings().items()
        if known.group == group
    ]
    return f"**{group.capitalize()}.** {what}\n\n" + _markdown(
        ("option", "default", "values", "may change", "what it is"), rows
    )


def _choices(name: str) -> str:
    """Return the words that an option takes; "" where it takes others."""
    hint = typing.get_type_hints(TrainConfig)[name]
    hints = typing.get_args(hint) if typing.get_origin(hint) in _UNIONS else (hint,)
    words = next((one for one in hints if typing.get_origin(one) is typing.Literal), None)
    return ", ".join(typing.get_args(words)) if words else ""


def _default(value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, int | float):
        return f"{value:,.0f}" if value == int(value) else f"{value:g}"
    return f"{value}"


def _bounds(known: Setting) -> str:
    parts = [
        f"{sign} {bound:,}"
        for sign, bound in (
            ("≥", known.minimum), (">", known.above), ("≤", known.maximum), ("<", known.below),
        )
        if bound is not None
    ]  # fmt: skip
    return ", ".join(parts)


# Quality


@cache
def _lines(file: str) -> list[dict[str, Any]]:
    text = (RESULTS / "quality" / f"{file}.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def figures(file: str, minutes: int, side: str, name: str) -> list[float]:
    """Return what ``benchmarks.quality`` measured, a number per seed; of real images, one."""
    return [
        float(line[name])
        for line in _lines(file)
        if (line.get("side"), line.get("minutes")) == (side, minutes) or line.get("control") == side
        if line[name] is not None
    ]


def _shown(values: list[float], digits: int, absent: str = _NONE) -> str:
    """Return the mean; with its standard deviation where there are several."""
    if not values:
        return absent
    deviation = f" ± {statistics.stdev(values):.2f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.{digits}f}{deviation}"


def _fid(file: str, minutes: int, side: str, absent: str = _NONE) -> str:
    values = figures(file, minutes, side, "fid")
    mean = statistics.mean(values) if values else 0.0
    return _shown(values, 2 if mean < 10 else 1 if mean < 100 else 0, absent)


def _mean(file: str, minutes: int, side: str, name: str) -> str:
    values = figures(file, minutes, side, name)
    return f"{statistics.mean(values):.2f}" if values else _NONE


def agreement(file: str, minutes: int, side: str) -> str:
    """Return label agreement in per cent; "" for a generator without labels."""
    values = figures(file, minutes, side, "agreement")
    return f"{100 * statistics.mean(values):.2f} %" if values else ""


def _fids(file: str, side: str) -> list[str]:
    return [_fid(file, minutes, side) for minutes in _MINUTES]


def _last(file: str, side: str) -> list[str]:
    """Return recall, coverage and label agreement after 60 minutes."""
    means = [_mean(file, 60, side, name) for name in ("recall", "coverage")]
    return [*means, agreement(file, 60, side)]


def _quality(file: str, sides: Iterable[tuple[str, str]]) -> str:
    heads = ["FID after", *(f"{minutes} minutes" for minutes in _MINUTES)]
    rows = [[shown, *_fids(file, side), *_last(file, side)] for side, shown in sides]
    for side, shown in _CONTROLS:
        rows.append([shown, "", "", "", _fid(file, 60, side), *_last(file, side)])
    return _markdown((*heads, "recall", "coverage", "label agreement"), rows)


def _quality_mnist() -> str:
    return _quality(
        "mnist",
        (
            ("jaxgan", "jaxgan"),
            ("jaxgan, no labels", "jaxgan, no labels"),
            ("PyTorch example, labels", "PyTorch's example, labels"),
            ("PyTorch example", "PyTorch's example"),
            ("TensorFlow tutorial, labels", "TensorFlow's tutorial, labels"),
            ("TensorFlow tutorial", "TensorFlow's tutorial"),
        ),
    )


_RESIDUALS = "residuals=2 warmup-images=20000"
_WITH_RESIDUALS = "`--residuals 2 --warmup-images 20000`"


def _quality_fashion() -> str:
    return _quality(
        "fashion_mnist",
        (
            ("jaxgan", "jaxgan"),
            (f"jaxgan {_RESIDUALS}", f"jaxgan, {_WITH_RESIDUALS}"),
            ("PyTorch example, labels", "PyTorch's example, labels"),
            ("TensorFlow tutorial, labels", "TensorFlow's tutorial, labels"),
        ),
    )


def _quality_search() -> str:
    sides = {
        "jaxgan": "default: `--width 32 --batch-size 64 --loss bce`",
        **{
            f"jaxgan {name}={value}": f"`--{name} {value}`"
            for name, value in (
                ("width", 16), ("width", 64), ("batch-size", 32), ("batch-size", 128),
                ("loss", "rpgan"),
            )
        },
        "real train": "real training images",
        "1,000 train images 10 times": "1,000 of them, 10 times each",
    }  # fmt: skip
    rows = []
    for side, shown in sides.items():
        of_run = side.startswith("jaxgan")
        seen = f"{figures(_SEARCH, 2, side, 'seen')[0]:,.0f}" if of_run else ""
        later = _fid(_SEARCH, 5, side, "") if of_run else ""
        recall = _mean(_SEARCH, 2, side, "recall")
        fids = _fid(_SEARCH, 2, side), later
        rows.append((shown, *fids, recall, agreement(_SEARCH, 2, side), seen))
    heads = ("", "FID, 2 minutes", "FID, 5 minutes", "recall, 2 minutes")
    return _markdown((*heads, "label agreement, 2 minutes", "images seen, 2 minutes"), rows)


def _quality_residuals() -> str:
    plain = f"jaxgan no-conditional {_RESIDUALS}"
    rows = [
        (shown, *_fids(file, side))
        for shown, file, side in (
            ("MNIST, default", "mnist", "jaxgan"),
            (f"with {_WITH_RESIDUALS}", "mnist", f"jaxgan {_RESIDUALS}"),
            ("Fashion-MNIST, default", "fashion_mnist", "jaxgan"),
            (f"with {_WITH_RESIDUALS}", "fashion_mnist", f"jaxgan {_RESIDUALS}"),
            ("MNIST without labels, default", "mnist", "jaxgan, no labels"),
            (f"with {_WITH_RESIDUALS}", _SEARCH, plain),
        )
    ]
    return _markdown(("FID after", *(f"{minutes} minutes" for minutes in _MINUTES)), rows)


def _quality_components() -> str:
    sides = {
        "jaxgan no-conditional components=16": "16 components",
        "jaxgan, no labels": "32 components, the default",
        "jaxgan no-conditional components=64": "64 components, all of the latent vector",
        "real train": "real training images",
        "1,000 train images 10 times": "1,000 of them, 10 times each",
    }
    rows = [
        (shown, _fid(_SEARCH, 2, side), _mean(_SEARCH, 2, side, "recall"))
        for side, shown in sides.items()
    ]
    return _markdown(("", "FID", "recall"), rows)


# The others are as published, each with a classifier of its own.
_STACKED = (
    ("R3GAN (Huang et al. 2024)", "1,000", "0.029", "41 M in all", "10 M", "56 GPU-hours"),
    ("MEG (Kumar et al. 2019)", "1,000", "0.031", "4.6 M", "6.4 M", ""),
    ("PacGAN (Lin et al. 2018)", "1,000", "0.06 ± 0.003", "8.8 M", "", ""),
    ("DDGAN (Xiao et al. 2022)", "1,000", "0.071", "", "", ""),
    (
        "pairing, R1 and R2 in a small ResNet (Huang et al. 2024)",
        "1,000", "0.078", "", "", "",
    ),
    ("StyleGAN2", "940", "0.42", "", "", ""),
    ("WGAN-GP", "959", "0.73", "", "", ""),
    ("DCGAN", "99", "3.40", "8.8 M", "", ""),
)  # fmt: skip


def _quality_stacked() -> str:
    content = json.loads((RESULTS / "quality" / "stacked_mnist.json").read_text(encoding="utf-8"))
    states = [
        state
        for training in content["trainings"]
        for state in training["states"]
        if "H200" in training["device"]
    ]
    early, late = states[0], states[-1]
    size = f"{content['generator_parameters'] / 1e6:.2f} M"
    rows = []
    for name, state in (("jaxgan, defaults", late), ("the same run, earlier", early)):
        kls = [one["kl"] for one in state["evaluations"]]
        modes = {one["modes"] for one in state["evaluations"]}
        kl = f"{statistics.mean(kls):.3f} ({min(kls):.3f} to {max(kls):.3f})"
        seen = f"{state['images_seen'] / 1e6:.0f} M"
        minutes = f"{state['training_seconds'] / 60:.0f} minutes, H200"
        rows.append((name, f"{min(modes):,}", kl, size, seen, minutes))
    real = content["real test"]
    triples = ("triples of real test digits", f"{real['modes']:,}", f"{real['kl']:.3f}")
    rows += [(*triples, "", "", ""), *_STACKED]
    return _markdown(("", "modes", "KL", "parameters of G", "images seen", "time"), rows)


# Speed

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
    return _markdown((*heads, "jaxgan is"), rows)


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
    return _markdown((*heads, "first image, s"), rows)


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
    return _markdown(("", "training, images/s", "jaxgan is", "drawing, images/s"), rows)


def _scaling() -> str:
    rows = []
    for title, table in parsed("scaling.md").items():
        for size, row in table.items():
            milliseconds, memory = row["ms/step"], row["memory MB"]
            rows.append((f"{title.lower()} {size}", milliseconds, row["images/s"], memory))
    return _markdown(("", "ms/step", "images/s", "memory, MB"), rows)


TABLES: dict[str, Callable[[], str]] = {
    "options": _options,
    "quality-mnist": _quality_mnist,
    "quality-fashion": _quality_fashion,
    "quality-search": _quality_search,
    "quality-residuals": _quality_residuals,
    "quality-components": _quality_components,
    "quality-stacked": _quality_stacked,
    "speed": _speed,
    "speed-train": _speed_train,
    "speed-draw": _speed_draw,
    "scaling": _scaling,
}


def marked(page: Path) -> Iterator[tuple[str, str]]:
    """Yield the name and the text of each marked table of a page."""
    for found in MARKED.finditer(page.read_text(encoding="utf-8")):
        yield found[2], found[3]


if __name__ == "__main__":
    main()
