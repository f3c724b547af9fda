"""``jaxgan convert``: a run's generator to .tflite.

python convert_tflite.py --checkpoint checkpoints/mnist
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NoReturn

from jaxgan.commands import cli
from jaxgan.config import BATCH_SIZES, DEFAULT_RUN_DIR, MAX_BATCH, Quantization, TrainConfig
from jaxgan.console import output
from jaxgan.errors import UserError


@dataclass(frozen=True)
class ConvertConfig:
    """Convert a run's generator to one .tflite file, checked against JAX before it is written.

    A JSON file beside it, of the same name, holds what was measured.
    """

    checkpoint: Path = Path(DEFAULT_RUN_DIR)
    """Run directory of train.py."""

    out: Path = Path("generator.tflite")
    """File to write."""

    step: cli.OptionalInt = None
    """Step of the checkpoint to convert; the newest if not given."""

    batch_sizes: tuple[int, ...] = BATCH_SIZES
    """Batch sizes (1 to 4096), one signature generate_N each; they share the weights."""

    quantize: Quantization | Literal["all"] = "none"
    """Weights of 16 bits (float16) or 8 (dynamic), or all of 8 bits (int8). Inputs and outputs stay
    float. all: a file of each, such as generator-int8.tflite."""

    force: bool = False
    """Write a quantised file even if its label agreement falls by more than 1 point or its FID more
    than doubles, and compare with JAX alone where the dataset is damaged."""

    data_dir: str = TrainConfig.data_dir
    """Folder of prepared datasets, for FID and label agreement; without the run's dataset, files
    are compared with JAX alone."""

    saved_model: cli.OptionalPath = None
    """Folder to write a TensorFlow SavedModel into as well."""

    def __post_init__(self) -> None:
        sizes = self.batch_sizes
        if not sizes or not all(1 <= size <= MAX_BATCH for size in sizes):
            got = " ".join(map(str, sizes)) or "none"
            raise UserError(f"--batch-sizes: expected numbers from 1 to {MAX_BATCH}, got {got}")
        if self.out.suffix == ".json":
            raise UserError(
                f"--out: expected a name such as generator.tflite, got {self.out}; "
                "the .json beside it is written anyway"
            )


def command(program: str = "jaxgan convert") -> NoReturn:
    """Run the command line."""
    cli.run(main, ConvertConfig, program)


def main(config: ConvertConfig) -> None:
    """Convert as the options say."""
    from jaxgan.export.convert import convert, convert_all  # after parsing: --help answers at once

    run, out, step = config.checkpoint, config.out, config.step
    with output.captured_stderr():
        if config.quantize == "all":
            convert_all(
                run, out, step=step, batch_sizes=config.batch_sizes, force=config.force,
                saved_model=config.saved_model, data_dir=config.data_dir,
            )  # fmt: skip
            return
        report = convert(
            run, out, step=step, batch_sizes=config.batch_sizes, force=config.force,
            saved_model=config.saved_model, data_dir=config.data_dir, quantize=config.quantize,
        )  # fmt: skip
    output.show(report.text())
