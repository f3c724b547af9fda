"""``jaxgan evaluate``: measure a generator.

jaxgan evaluate --model generator.tflite --data-dir data
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple, NoReturn

from jaxgan.commands import cli
from jaxgan.config import MAX_COUNT, MAX_SEED, TrainConfig, require
from jaxgan.console import output
from jaxgan.io.files import write_whole

_MIN_IMAGES = 100
_STANDARD_IMAGES = 10_000  # for the standard FID
_MEMORY = 50 << 20  # bytes of what is computed at a time, roughly
_NOT_SHOWN = {"histogram", "by_class", "network"}  # in the table of rows
_RATIO = "_ratio"  # ends the names of numbers that are shown beside their own
_MAX_CLASSES = 40  # that are shown


@dataclass(frozen=True)
class EvaluateConfig:
    """Measure how good and how varied a generator's images are, beside rows of real images.

    The table's columns are explained in docs/quality.md.
    """

    model: Path = Path("generator.tflite")
    """A .tflite file of convert_tflite.py, or a run directory of train.py."""

    step: cli.OptionalInt = None
    """Step of a run directory's checkpoint; the newest if not given."""

    data_dir: str = TrainConfig.data_dir
    """Folder of prepared datasets."""

    dataset: cli.OptionalStr = None
    """Dataset to compare with; the one that the model was trained on if not given."""

    images: cli.OptionalInt = None
    """Images to draw: 10000 if not given, 26000 for stacked_mnist, and as many as are held out for
    datasets without a feature network of their own. Fewer give a higher FID."""

    inception: cli.OptionalPath = None
    """pytorch-fid's weights of InceptionV3, pt_inception-2015-12-05-6726825d.pth, to measure the
    standard FID, too. It takes half a second an image on two cores."""

    resize: Literal["clean", "legacy"] = "clean"
    """How images are resized for it: clean is antialiased bicubic, legacy is bilinear."""

    seed: int = 0
    """Seed of their latent vectors (0 to 4294967295)."""

    out: Path = Path("evaluation.json")
    """JSON file to write."""

    def __post_init__(self) -> None:
        fits = self.images is None or _MIN_IMAGES <= self.images <= MAX_COUNT
        require(self, "images", fits, f"{_MIN_IMAGES} to {MAX_COUNT}")
        require(self, "seed", 0 <= self.seed <= MAX_SEED, f"0 to {MAX_SEED}")


def command(program: str = "jaxgan evaluate") -> NoReturn:
    """Run the command line."""
    cli.run(main, EvaluateConfig, program)


def main(config: EvaluateConfig) -> None:
    """Measure, print the table, write it as JSON."""
    from jaxgan.drawing import evaluation  # after parsing: --help answers at once
    from jaxgan.drawing.open import open_generator
    from jaxgan.training import memory

    started = time.perf_counter()
    memory.tune_malloc()
    memory.reuse(_MEMORY)
    with output.captured_stderr():  # LiteRT announces itself
        generator = open_generator(config.model, step=config.step)
        dataset = config.dataset or generator.dataset
        output.show(f"measuring {config.model} and real images of {dataset or 'no known dataset'}")
        standard = None
        if config.inception is not None:
            standard = evaluation.standard_fid(
                generator,
                config.inception,
                config.resize,
                dataset=dataset,
                data_dir=config.data_dir,
                images=config.images or _STANDARD_IMAGES,
                seed=config.seed,
            )
        rows = evaluation.evaluate(
            generator,
            dataset=dataset,
            data_dir=config.data_dir,
            images=config.images,
            seed=config.seed,
        )
    rows = {config.model.absolute().name: rows.pop(generator.name), **rows}
    _show(rows)
    _show_classes(rows, generator.class_names)
    if standard is not None:
        output.show(
            f"standard FID, {standard.resize}: {standard.fid:.4g} ({standard.images:,} images, "
            f"{standard.train_images:,} training images)"
        )
    seconds = round(time.perf_counter() - started, 1)
    content = {
        "model": str(config.model),
        "dataset": dataset,
        "seed": config.seed,
        "seconds": seconds,
        "rows": {name: row._asdict() for name, row in rows.items()},
        "standard_fid": None if standard is None else standard._asdict(),
    }
    write_whole(config.out, json.dumps(content, indent=2).encode() + b"\n")
    output.show(f"{config.out}: the same as JSON, after {seconds} s")


def _show(rows: dict[str, Any]) -> None:
    first: NamedTuple = next(iter(rows.values()))
    shown = [name for name in first._fields if name not in _NOT_SHOWN and not name.endswith(_RATIO)]
    if network := getattr(first, "network", None):
        output.show(f"feature network: {network}; x: as a multiple of the held-out images'")
    heads = ("images", *("number" if name == "images" else _words(name) for name in shown))
    output.table(
        heads,
        [(name, *(_cell(row, one) for one in shown)) for name, row in rows.items()],
    )


def _show_classes(rows: dict[str, Any], names: tuple[str, ...]) -> None:
    """Print how often each class is drawn, and how often it is right, beside held-out images."""
    first, second = list(rows.values())[:2]
    if getattr(first, "by_class", None) is None or second.by_class is None:
        return
    count = len(first.histogram)
    lines = [
        (names[one] if names else str(one), *(
            "-" if value is None else f"{value:.1%}"
            for value in (
                second.histogram[one], first.histogram[one],
                second.by_class[one], first.by_class[one],
            )
        ))
        for one in range(min(count, _MAX_CLASSES))
    ]  # fmt: skip
    output.table(("class", "held out", "drawn", "held out right", "drawn right"), lines)
    if count > _MAX_CLASSES:
        output.show(f"and {count - _MAX_CLASSES} more classes in the JSON file")


def _words(name: str) -> str:
    return name.replace("_", " ")


def _cell(row: Any, name: str) -> str:
    ratio = getattr(row, name + _RATIO, None)
    text = _text(getattr(row, name))
    return text if ratio is None else f"{text} ({ratio:.2f}x)"


def _text(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"
