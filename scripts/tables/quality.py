"""Quality of images, from the rows that ``benchmarks.quality`` wrote: results/quality/*.jsonl."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any

from scripts.tables.markdown import RESULTS, markdown

_MINUTES = (2, 5, 15, 60)
_SEARCH = "search/mnist"  # among benchmarks/results/quality
_NONE = "—"  # what was not measured
_CONTROLS = (
    ("real test", "test images themselves"),
    ("real train", "real training images"),
    ("1,000 train images 10 times", "1,000 real images, 10 times each"),
)


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
    return markdown((*heads, "recall", "coverage", "label agreement"), rows)


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
    return markdown((*heads, "label agreement, 2 minutes", "images seen, 2 minutes"), rows)


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
    return markdown(("FID after", *(f"{minutes} minutes" for minutes in _MINUTES)), rows)


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
    return markdown(("", "FID", "recall"), rows)


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
    return markdown(("", "modes", "KL", "parameters of G", "images seen", "time"), rows)


TABLES: dict[str, Callable[[], str]] = {
    "quality-mnist": _quality_mnist,
    "quality-fashion": _quality_fashion,
    "quality-search": _quality_search,
    "quality-residuals": _quality_residuals,
    "quality-components": _quality_components,
    "quality-stacked": _quality_stacked,
}
