"""Convert a run's generator: python convert_tflite.py --checkpoint checkpoints/mnist"""

from dataclasses import dataclass
from pathlib import Path

from jaxgan import cli, progress
from jaxgan.config import BATCH_SIZES, MOST_BATCH, TrainConfig
from jaxgan.errors import UserError


@dataclass(frozen=True)
class ConvertConfig:
    """Convert a run's generator to one .tflite file, checked against JAX before it is written."""

    checkpoint: Path = Path(TrainConfig.run_dir)
    """Run directory of train.py."""

    out: Path = Path("generator.tflite")
    """File to write."""

    step: int | None = None
    """Step of the checkpoint to convert; the newest if not given."""

    batch_sizes: tuple[int, ...] = BATCH_SIZES
    """Batch sizes, one signature generate_N each; they share the weights."""

    saved_model: Path | None = None
    """Folder to write a TensorFlow SavedModel into as well."""

    def __post_init__(self) -> None:
        sizes = self.batch_sizes
        if not sizes or not all(1 <= size <= MOST_BATCH for size in sizes):
            got = " ".join(map(str, sizes)) or "none"
            raise UserError(f"--batch-sizes: expected numbers from 1 to {MOST_BATCH}, got {got}")


def main(config: ConvertConfig) -> None:
    """Convert as the settings say."""
    from jaxgan import export  # after parsing: --help answers at once

    source = export.from_run(config.checkpoint, config.step)
    report = export.export(source, config.out, config.batch_sizes, config.saved_model)
    progress.say(report.text())


if __name__ == "__main__":
    cli.run(main, ConvertConfig, "convert_tflite.py")
