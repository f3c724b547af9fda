"""What was built is run on this machine, by an emulator or not, and its picture is read."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from scripts.dist.cache import ROOT, Cache, once, run
from scripts.dist.targets import REFERENCE, TARGETS

_DRAW = ("--model", "generator.tflite", "--seed", "7", "--count", "100", "--out", "drawn.png")
_MAX_SECONDS = 300  # that an emulator may take
_ARM_LIBRARIES = Path("/usr/aarch64-linux-gnu/lib")


@dataclass(frozen=True)
class Runner:
    """How programs of another system run on this machine."""

    words: str
    command: tuple[str, ...] = ()
    variables: dict[str, str] = field(default_factory=dict)


def runner(cache: Cache, name: str) -> Runner | str:
    """Return how a target's program runs on this machine, or why it does not.

    Raises:
        BuildError: The emulator itself does not work.
    """
    if name == REFERENCE:
        return Runner("here")
    if name == "linux-aarch64":
        qemu = shutil.which("qemu-aarch64-static") or shutil.which("qemu-aarch64")
        if not qemu or not (_ARM_LIBRARIES / "libstdc++.so.6").exists():
            return "it takes qemu-user-static and libstdc++6-arm64-cross"
        root = once(cache.folder / "aarch64", "", _make_arm_root)
        return Runner("by qemu-aarch64", (qemu, "-L", str(root)))
    if name == "windows-x86_64":
        wine = shutil.which("wine64", path=f"{os.environ['PATH']}:/usr/lib/wine")
        return _wine(cache, wine, TARGETS[name].wheel) if wine else "it takes wine64"
    return "no emulator of it"


def _make_arm_root(folder: Path) -> None:
    """Make a root of ARM's libraries, with what LiteRT asks Linux about the processor."""
    (folder / "lib").symlink_to(_ARM_LIBRARIES)
    (folder / "proc").mkdir()
    (folder / "proc" / "cpuinfo").write_text(
        "processor\t: 0\nBogoMIPS\t: 50.00\nFeatures\t: fp asimd\nCPU implementer\t: 0x41\n"
        "CPU architecture: 8\nCPU variant\t: 0x0\nCPU part\t: 0xd03\nCPU revision\t: 4\n"
    )


def _wine(cache: Cache, wine: str, tag: str) -> Runner:
    microsoft = cache.wheel("msvc-runtime", tag)
    variables = {
        "WINEPREFIX": str(cache.folder / "wine"),
        "WINEDEBUG": "-all",
        "WINEDLLOVERRIDES": "mscoree,mshtml=",
    }

    def make_prefix(folder: Path) -> None:
        _run_for_a_while(cache.log("wine"), wine, "wineboot", "--init", **variables)
        system = folder / "drive_c" / "windows" / "system32"
        for library in microsoft.glob("*.data/data/Scripts/*140*.dll"):
            shutil.copyfile(library, system / library.name)

    once(cache.folder / "wine", microsoft.name, make_prefix)
    return Runner("by wine", (wine,), variables)


def _run_for_a_while(
    log: Path, *command: str | Path, cwd: Path | None = None, **variables: str
) -> None:
    keep = {key: os.environ[key] for key in ("HOME", "PATH", "TMPDIR") if key in os.environ}
    run(log, *command, cwd=cwd, env={**keep, **variables}, timeout=_MAX_SECONDS)


def draw(cache: Cache, name: str, archive: Path, by: Runner) -> np.ndarray:
    """Unpack an archive elsewhere, let its program draw, return the picture.

    Raises:
        BuildError: The program fails.
    """
    with tempfile.TemporaryDirectory(prefix="jaxgan in another place ") as place:
        shutil.unpack_archive(archive, place)
        (folder,) = Path(place).iterdir()
        program = folder / TARGETS[name].program
        _run_for_a_while(
            cache.log(f"{name}-draw"), *by.command, program, *_DRAW, cwd=folder, **by.variables
        )
        return _picture(folder / "drawn.png")


def draw_here(cache: Cache, model: Path) -> np.ndarray:
    """Return the picture that this checkout draws."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return _draw_by(cache.log("here"), model, environment, sys.executable, "-m", "jaxgan", "generate")


def draw_installed(cache: Cache, wheel: Path, model: Path) -> list[np.ndarray]:
    """Install a wheel in an empty environment; return what its package and its program draw.

    Raises:
        BuildError: It cannot be installed, or does not draw.
    """
    with tempfile.TemporaryDirectory(prefix="jaxgan installed ") as place:
        run(cache.log("wheel-venv"), sys.executable, "-m", "venv", place)
        scripts = Path(place) / "bin"
        pip = (scripts / "python", "-m", "pip", "--disable-pip-version-check", "install")
        run(cache.log("wheel-install"), *pip, wheel)
        environment = {key: os.environ[key] for key in ("HOME", "PATH") if key in os.environ}
        calls = ((scripts / "jaxgan", "generate"), (scripts / "jaxgan-generate",))
        return [_draw_by(cache.log("wheel-draw"), model, environment, *call) for call in calls]


def _draw_by(
    log: Path, model: Path, environment: dict[str, str], *command: str | Path
) -> np.ndarray:
    with tempfile.TemporaryDirectory() as place:
        shutil.copyfile(model, Path(place) / "generator.tflite")
        run(log, *command, *_DRAW, cwd=place, env=environment)
        return _picture(Path(place) / "drawn.png")


def _picture(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image).astype(int)
