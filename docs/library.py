"""The whole way from Python: train a GAN, convert its generator, draw with it, measure it.

    python docs/library.py

It needs MNIST in ``data`` (``jaxgan data prepare mnist --data-dir data``) and some minutes.
"""

from __future__ import annotations

import logging
from pathlib import Path

import jaxgan
from jaxgan.runs.log import Evaluation, Started, StepReport


def watch(record: Started | StepReport | Evaluation) -> None:
    """Show what a run reports: called with each record, in the thread that trains."""
    match record:
        case Started():
            print(f"training to step {record.last_step}")
        case StepReport():
            losses = f"D {record.discriminator_loss:.3f}  G {record.generator_loss:.3f}"
            print(f"epoch {record.epoch:.2f}  {losses}")
        case Evaluation():
            print(", ".join(f"{name} {value:.3g}" for name, value in record.metrics.items()))


def main(config: jaxgan.TrainConfig, model: Path, images: int | None = None) -> None:
    """Train as a configuration says, write a model file, draw with it and measure it.

    Args:
        config: The configuration.
        model: The .tflite file to write.
        images: Number of images to measure; None for the usual number.
    """
    # 1. Train. The same call goes on where it ended; ``stop`` would end it earlier.
    run = jaxgan.train(config, watch=watch)

    # 2. Convert. Nothing is written unless the file draws what JAX draws.
    report = jaxgan.convert(run, model)
    print(report.text())

    # 3. Draw: the pixels of ``jaxgan generate`` and of the C++ program.
    with jaxgan.Generator(model) as generator:
        height, width, channels = generator.image_shape
        threes = generator.draw(seed=7, count=10, labels=3, truncation=1.5)
        assert threes.shape == (10, height, width, channels) and threes.dtype == "uint8"
        way = generator.draw_between(steps=8, seeds=[1, 2], labels=[3, 8])
        assert len(way) == 8
        print(generator.info.dataset, generator.info.sha256)

    # 4. Measure, beside rows of real images.
    for name, row in jaxgan.evaluate(model, data_dir=config.data_dir, images=images).items():
        numbers = {key: value for key, value in row._asdict().items() if isinstance(value, float)}
        print(f"{name}:", ", ".join(f"{key} {value:.3g}" for key, value in numbers.items()))


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")  # the library logs, and no more
    try:
        main(jaxgan.TrainConfig(epochs=5, run_dir="checkpoints/library"), Path("library.tflite"))
    except jaxgan.JaxganError as error:
        raise SystemExit(f"{type(error).__name__}: {error}") from error
