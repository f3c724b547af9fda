"""Measure a generator: python -m jaxgan.evaluate --model generator.tflite --data-dir data"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from jaxgan import cli, progress
from jaxgan.config import ImageSpec, TrainConfig, require
from jaxgan.errors import UserError

if TYPE_CHECKING:
    from jaxgan.drawing import Model

_BATCH = 1_000  # images drawn at a time
_MEMORY = 50 << 20  # bytes of what is computed at a time, roughly


@dataclass(frozen=True)
class EvaluateConfig:
    """Measure how good and how various a generator's images are, beside rows of real images.

    The table's columns are explained in docs/quality.md.
    """

    model: Path = Path("generator.tflite")
    """A .tflite file of convert_tflite.py, or a run directory of train.py."""

    step: int | None = None
    """Step of a run directory's checkpoint; the newest if not given."""

    data_dir: str = TrainConfig.data_dir
    """Folder of prepared TFDS datasets."""

    dataset: str | None = None
    """Dataset to compare with; the one that the model was trained on if not given."""

    images: int | None = None
    """Images to draw: 10000 if not given, 26000 for stacked_mnist. Fewer give a higher FID."""

    seed: int = 0
    """Seed of their latent vectors (0 to 4294967295)."""

    out: Path = Path("evaluation.json")
    """JSON file to write."""

    def __post_init__(self) -> None:
        fits = self.images is None or 100 <= self.images <= 1_000_000
        require(self, "images", fits, "100 to 1000000")
        require(self, "seed", 0 <= self.seed < 2**32, "0 to 4294967295")


def main(config: EvaluateConfig) -> None:
    """Measure, print the table, write it as JSON."""
    from jaxgan import data, drawing, files, runtime  # after parsing: --help answers at once
    from jaxgan.metrics import features, table

    started = time.perf_counter()
    runtime.keep_memory(_MEMORY)
    model = drawing.open_model(config.model, step=config.step)
    dataset = config.dataset or model.dataset
    weights = features.load(dataset)
    test = data.load(dataset, config.data_dir, "test")
    if unlike := mismatch(model.image_shape, model.classes, test.spec):
        raise UserError(f"--model has {unlike}; give another --dataset")
    # The triples are many, and need no training images.
    train = test if dataset == data.STACKED else data.load(dataset, config.data_dir)
    real = table.reference(weights, train, test)
    progress.say(f"measuring {config.model} and real images of {dataset}")
    count = config.images or real.COUNT
    drawn = draw(model, config.seed, real.asked(count))
    rows = {config.model.absolute().name: real.measure(*drawn), **real.controls(count)}
    _print(rows)
    content = {
        "model": str(config.model),
        "dataset": dataset,
        "seed": config.seed,
        "seconds": round(time.perf_counter() - started, 1),
        "rows": {name: row._asdict() for name, row in rows.items()},
    }
    files.write_whole(config.out, json.dumps(content, indent=2).encode() + b"\n")
    progress.say(f"{config.out}: the same as JSON, after {content['seconds']} s")


def draw(
    model: Model, seed: int, label: np.ndarray, first: int = 0
) -> tuple[np.ndarray, np.ndarray | None]:
    """Return images of a model, and the labels asked for.

    Args:
        model: The generator.
        seed: Of the latent vectors.
        label: One an image, int [N]; a plain GAN draws as many without looking at them.
        first: Index of the first image's latent vector.

    Returns:
        Images uint8 [N, H, W, C] and labels int32 [N], None for a plain GAN.

    Raises:
        ModelError: The model does not run.
    """
    indices, labels = np.arange(first, first + len(label)), label if model.classes else None
    parts = [slice(at, at + _BATCH) for at in range(0, len(label), _BATCH)]
    drawn = [
        model.images(seed, indices[part], labels if labels is None else labels[part])
        for part in parts
    ]
    return np.concatenate(drawn), labels


def mismatch(shape: tuple[int, ...], classes: int, spec: ImageSpec) -> str | None:
    """Return in words how a generator's images cannot be compared with those of a dataset.

    Args:
        shape: Of its images.
        classes: How many it has; 0 for a plain GAN, which may be compared with any.
        spec: Of the dataset.

    Returns:
        Words to follow "has"; None if they can be.
    """
    if shape != spec.shape:
        got, expected = ("x".join(map(str, sizes)) for sizes in (shape, spec.shape))
        return f"images of {got}, expected {expected}"
    if classes not in (0, spec.classes):
        return f"{classes} classes, expected {spec.classes}"
    return None


def _print(rows: dict[str, NamedTuple]) -> None:
    first = next(iter(rows.values()))
    shown = [name for name in first._fields if name != "histogram"]
    heads = ("images", *(name.replace("_", " ") for name in shown))
    progress.table(
        heads,
        [(name, *(_text(getattr(row, one)) for one in shown)) for name, row in rows.items()],
    )


def _text(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"


if __name__ == "__main__":
    cli.run(main, EvaluateConfig, "python -m jaxgan.evaluate")
