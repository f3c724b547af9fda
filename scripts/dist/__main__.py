"""Build folders and wheels for other machines: python -m scripts.dist --model generator.tflite

A folder has the C++ program, LiteRT's library, a generator and licences; an archive of it lies
beside it, and a wheel of the Python package with the program inside. All is compiled with zig for
every system, LiteRT comes out of that system's wheel, and libpng, zlib and CLI11 are Debian's or
Ubuntu's sources. Every archive whose program runs on this machine, by an emulator or not, is
unpacked elsewhere and draws; this system's wheel is installed elsewhere and draws; the images are
compared.
"""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from jaxgan.commands import cli
from jaxgan.console import display, output
from jaxgan.errors import UserError
from scripts.dist import binaries, notices, runners, wheels
from scripts.dist.build import build
from scripts.dist.cache import ROOT, BuildError, Cache
from scripts.dist.targets import REFERENCE, TARGETS, faults_of, needs_of

_MAX_BYTES = 12_000_000  # of a folder


@dataclass(frozen=True)
class Options:
    """Build folders with program, runtime library and model that run on other machines, and wheels.

    The wheels are for pip: the package, the library that it draws with, the program.
    """

    model: Path = Path("generator.tflite")
    """The generator that each folder carries."""

    targets: tuple[str, ...] = tuple(TARGETS)
    """Systems to build for; linux-x86_64 always is, as the others are compared with it."""

    out: Path = Path("dist")
    """Folder to write to; what was downloaded and built on the way is kept in its .cache."""

    def __post_init__(self) -> None:
        for name in self.targets:
            if name not in TARGETS:
                raise UserError(f"--targets: expected some of {', '.join(TARGETS)}, got {name}")
        if not self.model.is_file():
            raise UserError(f"--model: there is no {self.model}; make it with: make demo")


@dataclass(frozen=True)
class Row:
    """What became of a target."""

    name: str
    folder_bytes: int
    archive_bytes: int
    wheel_bytes: int
    needs: str
    ran: str
    """How it ran; empty: it did not."""

    lacks: str = ""
    """Why it did not run."""

    levels: int | None = None
    """The largest difference of a pixel from what it was compared with."""

    def cells(self) -> tuple[str, ...]:
        """Return them as text, in the order of ``HEADS``."""
        counts = (self.folder_bytes, self.archive_bytes, self.wheel_bytes)
        sizes = [f"{count / 1e6:.1f} MB" for count in counts]
        ran = f"run {self.ran}" if self.ran else f"ONLY LINKED, NOT RUN: {self.lacks}"
        whose = "this checkout's" if self.name == REFERENCE else f"{REFERENCE}'s"
        levels = "unknown" if self.levels is None else f"{self.levels} of 255, from {whose}"
        return self.name, *sizes, ran, levels, self.needs


HEADS = ("target", "folder", "archive", "wheel", "run", "largest difference", "needs")


def pack(cache: Cache, name: str, options: Options, built: Path) -> tuple[Path, str]:
    """Fill and check a target's folder and pack it; return the archive, and what it needs.

    Raises:
        BuildError: It would not run on every such system, or is too large.
    """
    target, folder = TARGETS[name], options.out / f"jaxgan-{name}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    shutil.copy(built / target.program, folder)
    shutil.copyfile(built / target.runtime, folder / target.runtime)
    shutil.copyfile(options.model, folder / "generator.tflite")
    shutil.copyfile(ROOT / "LICENSE", folder / "LICENSE")
    files = (built / target.program, built / target.library, built / target.runtime)
    program, library, runtime = (binaries.read(file) for file in files)
    needs = needs_of(program, runtime)
    lines = "\r\n" if name.startswith("windows") else "\n"
    (folder / "NOTICE").write_text(notices.folder_notice(cache, target), newline=lines)
    (folder / "README.txt").write_text(notices.readme(name, needs), newline=lines)
    faults = faults_of(name, program, library, runtime)
    for file in files[:2]:
        if str(ROOT).encode() in file.read_bytes():
            faults.append(f"{file.name} holds a path of this machine, {ROOT}")
    if size(folder) > _MAX_BYTES:
        faults.append(f"{size(folder)} bytes, expected at most {_MAX_BYTES}")
    if faults:
        raise BuildError(f"{folder}: {'; '.join(faults)}")
    archive = shutil.make_archive(
        str(folder), target.archive, options.out, folder.name, owner="root", group="root"
    )
    return Path(archive), needs


def size(folder: Path) -> int:
    """Return the bytes of a folder's files."""
    return sum(path.stat().st_size for path in folder.iterdir())


def difference(what: str, picture: np.ndarray, expected: np.ndarray) -> int:
    """Return the largest difference of two pictures in levels.

    Raises:
        BuildError: It is more than one level, or the sizes differ.
    """
    if picture.shape != expected.shape:
        raise BuildError(f"{what} draws {picture.shape} pixels, expected {expected.shape}")
    levels = int(np.abs(picture - expected).max())
    if levels > 1:
        raise BuildError(f"{what} draws pixels {levels} levels off, expected at most 1")
    return levels


def _try(cache: Cache, name: str, archive: Path) -> tuple[np.ndarray | None, str]:
    """Return what a target's program draws, and how it ran; or None, and why it did not."""
    try:
        by = runners.runner(cache, name)
        if isinstance(by, str):
            return None, by
        return runners.draw(cache, name, archive, by), by.words
    except BuildError as error:
        if not name.startswith("windows"):
            raise
        return None, f"wine cannot ({error})"


def make(
    cache: Cache, name: str, options: Options, here: Path, expected: np.ndarray
) -> tuple[Row, np.ndarray | None]:
    """Build, pack and try a target; return what became of it, and what it drew if it ran.

    Args:
        cache: What was downloaded and built before.
        name: The target.
        options: The options.
        here: The wheel that pip builds for this machine.
        expected: The picture that it should draw.

    Raises:
        BuildError: A step fails, or it draws other images than expected.
    """
    built = build(cache, name)
    archive, needs = pack(cache, name, options, built)
    wheel = wheels.assemble(cache, name, here, built, options.out)
    files = (archive, wheel)
    sizes = size(options.out / f"jaxgan-{name}"), *(file.stat().st_size for file in files)
    picture, how = _try(cache, name, archive)
    if picture is None:
        return Row(name, *sizes, needs, ran="", lacks=how), None
    levels = difference(name, picture, expected)
    if name == REFERENCE:
        for installed in runners.draw_installed(cache, wheel, options.model):
            levels = max(levels, difference(wheel.name, installed, expected))
    return Row(name, *sizes, needs, how, levels=levels), picture


def main(options: Options) -> None:
    """Make every target and list them."""
    cache = Cache(options.out / ".cache")
    expected, rows = runners.draw_here(cache, options.model), []
    here = wheels.build_here(cache)
    for name in dict.fromkeys((REFERENCE, *options.targets)):
        start = time.monotonic()
        row, picture = make(cache, name, options, here, expected)
        if name == REFERENCE and picture is not None:
            expected = picture
        rows.append(row)
        seconds = display.duration(time.monotonic() - start)
        output.show(f"{options.out}/jaxgan-{name}: {seconds}")
    output.show("")
    output.table(HEADS, [row.cells() for row in rows])


if __name__ == "__main__":
    cli.run(main, Options, "scripts.dist")
