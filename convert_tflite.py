"""Convert a run's generator: python convert_tflite.py --checkpoint checkpoints/mnist"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from jaxgan import cli, progress
from jaxgan.config import BATCH_SIZES, MOST_BATCH, Quantization, TrainConfig
from jaxgan.errors import UserError


@dataclass(frozen=True)
class ConvertConfig:
    """Convert a run's generator to one .tflite file, checked against JAX before it is written.

    A JSON file beside it, of the same name, tells what was measured.
    """

    checkpoint: Path = Path(TrainConfig.run_dir)
    """Run directory of train.py."""

    out: Path = Path("generator.tflite")
    """File to write."""

    step: int | None = None
    """Step of the checkpoint to convert; the newest if not given."""

    batch_sizes: tuple[int, ...] = BATCH_SIZES
    """Batch sizes, one signature generate_N each; they share the weights."""

    quantize: Quantization | Literal["all"] = "none"
    """Weights of 16 bits (float16) or 8 (dynamic), or all of 8 bits (int8). Inputs and outputs stay
    float. all: a file of each, as generator-int8.tflite."""

    force: bool = False
    """Write a quantised file even if its label agreement falls by more than 1 point or its FID more
    than doubles."""

    data_dir: str = TrainConfig.data_dir
    """Folder of prepared TFDS datasets, for FID and label agreement; without the run's dataset,
    files are compared with JAX alone."""

    saved_model: Path | None = None
    """Folder to write a TensorFlow SavedModel into as well."""

    def __post_init__(self) -> None:
        sizes = self.batch_sizes
        if not sizes or not all(1 <= size <= MOST_BATCH for size in sizes):
            got = " ".join(map(str, sizes)) or "none"
            raise UserError(f"--batch-sizes: expected numbers from 1 to {MOST_BATCH}, got {got}")
        if self.out.suffix == ".json":
            raise UserError(
                f"--out: expected a name such as generator.tflite, got {self.out}; "
                "the .json beside it is written anyway"
            )


def main(config: ConvertConfig) -> None:
    """Convert as the settings say."""
    from jaxgan import export, scores  # after parsing: --help answers at once

    source = export.from_run(config.checkpoint, config.step)
    real = scores.reference(source, config.data_dir)
    order = (source, config.out, config.batch_sizes, config.saved_model)
    if config.quantize == "all":
        export.export_all(*order, real=real, force=config.force)
    else:
        report = export.export(*order, kind=config.quantize, real=real, force=config.force)
        progress.say(report.text())


if __name__ == "__main__":
    cli.run(main, ConvertConfig, "convert_tflite.py")
