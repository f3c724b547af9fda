"""Build folders that draw on other machines: python -m scripts.dist --model generator.tflite

A folder has the C++ program, LiteRT's library, a generator and licences; an archive of it lies
beside it. The program is compiled with zig for every system, LiteRT comes out of that system's
wheel, and libpng, zlib and CLI11 are Debian's or Ubuntu's sources. Every archive whose program runs
on this machine, by an emulator or not, is unpacked elsewhere and draws; the images are compared.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from jaxgan import cli, progress
from jaxgan.errors import UserError
from scripts import binaries
from scripts.binaries import Binary
from scripts.cache import ROOT, SOURCES, BuildError, Cache, once, run

_CPP = ROOT / "tflite_cpp"
_DRAW = ("--model", "generator.tflite", "--seed", "7", "--count", "100", "--out", "drawn.png")
_MOST_BYTES = 12_000_000
_PATIENCE = 300  # seconds that an emulator may take


@dataclass(frozen=True)
class Target:
    """A system to build for."""

    zig: str
    """Its name in zig, with the oldest version of the system that LiteRT runs on."""

    wheel: str
    """Its name in wheels."""

    runtime: str
    """LiteRT's library in the wheel."""

    offers: str
    """Libraries of the system that the program may use, as a regular expression."""

    offers_runtime: str
    """Those that LiteRT uses besides."""

    linked: tuple[tuple[str, str], ...] = ()
    """What zig links in besides libc++: (what, file of its licence in zig's lib folder)."""

    here: str = ""
    """How the system writes the folder that a program lies in."""

    program: str = "jaxgan-generate"

    archive: str = "gztar"


_LINUX = {
    "runtime": "libLiteRt.so",
    "offers": r"(libc|libm|libdl|libpthread|librt|ld-linux[-\w]*)\.so\.\d+",
    "offers_runtime": r"(libstdc\+\+|libgcc_s)\.so\.\d+",
    "linked": (("startup code of the GNU C library", "libc/glibc/LICENSES"),),
    "here": "$ORIGIN",
}
TARGETS = {
    "linux-x86_64": Target("x86_64-linux-gnu.2.27", "manylinux_2_27_x86_64", **_LINUX),
    "linux-aarch64": Target("aarch64-linux-gnu.2.34", "manylinux_2_27_aarch64", **_LINUX),
    "macos-arm64": Target(
        "aarch64-macos.14.0",
        "macosx_14_0_arm64",
        "libLiteRt.dylib",
        offers=r"/usr/lib/libSystem\.B\.dylib",
        offers_runtime=r"/usr/lib/.+|/System/Library/Frameworks/.+",
        here="@loader_path",
    ),
    "windows-x86_64": Target(
        "x86_64-windows-gnu",
        "win_amd64",
        "libLiteRt.dll",
        offers=r"(KERNEL32|NTDLL|PSAPI|api-ms-win-crt-[-\w]+)\.dll",
        offers_runtime=r"(MSVCP140|VCRUNTIME140(_\w+)?)\.dll",
        linked=(("startup code of mingw-w64", "libc/mingw/COPYING"),),
        program="jaxgan-generate.exe",
        archive="zip",
    ),
}
_REFERENCE = "linux-x86_64"


@dataclass(frozen=True)
class Options:
    """Build folders with program, runtime library and model that run on other machines."""

    model: Path = Path("generator.tflite")
    """The generator that each folder carries."""

    targets: tuple[str, ...] = tuple(TARGETS)
    """Systems to build for; linux-x86_64 always is, as the others are compared with it."""

    out: Path = Path("dist")
    """Where the folders go; what was fetched and built on the way is kept in its .cache."""

    def __post_init__(self) -> None:
        for name in self.targets:
            if name not in TARGETS:
                raise UserError(f"--targets: expected some of {', '.join(TARGETS)}, got {name}")
        if not self.model.is_file():
            raise UserError(f"--model: there is no {self.model}; make it with: make demo")


def build(cache: Cache, name: str) -> Path:
    """Build the program for a target; return the folder that has it and its runtime."""
    target, zig, sources = TARGETS[name], cache.zig(), cache.sources()
    recipe = _CPP / "cmake" / "zig.cmake"
    parts = _CPP / "cmake" / "parts"
    folder = cache.folder / "build" / name
    environment = {
        **os.environ,
        "ZIG_GLOBAL_CACHE_DIR": str(cache.folder / "zig-cache"),
        "ZIG_LOCAL_CACHE_DIR": str(cache.folder / "zig-cache"),
    }

    def cmake(step: str, *arguments: str | Path) -> None:
        run(cache.log(f"{name}-{step}"), "cmake", *arguments, env=environment)

    def configure(step: str, source: Path, into: Path, **settings: str | Path) -> None:
        common = {"ZIG": zig / "zig", "ZIG_TARGET": target.zig, "CMAKE_BUILD_TYPE": "Release"}
        definitions = [f"-D{key}={value}" for key, value in {**common, **settings}.items()]
        cmake(step, "-G", "Ninja", "-S", source, "-B", into, "--toolchain", recipe, *definitions)

    def make_parts(into: Path) -> None:
        png, zlib, cli11 = (sources / source for source in SOURCES)
        settings = {"PNG_SOURCE": png, "ZLIB_SOURCE": zlib, "CLI11_SOURCE": cli11}
        configure("parts", parts, into / "build", CMAKE_INSTALL_PREFIX=into, **settings)
        cmake("parts-build", "--build", into / "build", "--target", "install")

    def make_program(into: Path) -> None:
        library = cache.wheel("ai-edge-litert", target.wheel) / "ai_edge_litert" / target.runtime
        prefix = folder / "parts"
        configure("program", _CPP, into, CMAKE_PREFIX_PATH=prefix, LITERT_LIBRARY=library)

    recipes = [recipe, parts / "CMakeLists.txt", zig.parent / ".made"]
    key = "\n".join([target.zig, *(path.read_text() for path in recipes)])
    once(folder / "parts", key, make_parts)
    program = once(folder / "program", key, make_program)
    cmake("program-build", "--build", program)
    return program


def notice(cache: Cache, target: Target) -> str:
    """Return a text that names what a folder consists of, and the licence of each."""
    zig, sources = cache.zig(), cache.sources()
    (litert,) = cache.wheel("ai-edge-litert", target.wheel).glob("*.dist-info")
    version = litert.name.removesuffix(".dist-info").split("-")[1]
    parts = [
        (
            f"{target.runtime}: LiteRT {version}, as it lies in the wheel ai-edge-litert. The wheel"
            "\n   has one licence, this one, and does not name what its authors linked into it.",
            litert / "licenses" / "LICENSE",
        )
    ]
    for source, what in zip(SOURCES, ("libpng", "zlib", "CLI11"), strict=True):
        folder = sources / source
        newest = (folder / "debian" / "changelog").read_text().splitlines()[0]
        text = next(path for path in (folder / "LICENSE", folder / "README") if path.exists())
        parts.append((f"{what} {newest.split('(')[1].split(')')[0]} of Debian or Ubuntu", text))
    parts += [
        ("libc++, libc++abi and libunwind of LLVM", zig / "lib" / "libcxx" / "LICENSE.TXT"),
        ("compiler_rt of zig", zig / "LICENSE"),
        *((what, zig / "lib" / file) for what, file in target.linked),
    ]
    text = (
        f"{target.program} and generator.tflite are jaxgan's: Apache License 2.0, see LICENSE.\n"
        f"What else lies here or is linked into {target.program}:\n"
    )
    for i, (what, file) in enumerate(parts, 1):
        text += f"\n{'=' * 80}\n{i}. {what}\n{'=' * 80}\n\n{file.read_text()}"
    return text


def readme(name: str, needs: str) -> str:
    """Return five lines that say how a folder is used."""
    call = TARGETS[name].program if name.startswith("windows") else f"./{TARGETS[name].program}"
    return (
        f"jaxgan-generate for {name} draws images. It needs {needs}.\n"
        f"100 images:     {call} --seed 7 --count 100 --out digits.png\n"
        f"The generator:  {call} --info\n"
        f"All options:    {call} --help\n"
        "Keep the files together, wherever the folder goes. Licences: LICENSE, NOTICE.\n"
    )


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
    program, runtime = (
        binaries.read(folder / target.program),
        binaries.read(folder / target.runtime),
    )
    needs = needs_of(program, runtime)
    lines = "\r\n" if name.startswith("windows") else "\n"
    (folder / "NOTICE").write_text(notice(cache, target), newline=lines)
    (folder / "README.txt").write_text(readme(name, needs), newline=lines)
    faults = faults_of(name, program, runtime)
    if str(ROOT).encode() in (folder / target.program).read_bytes():
        faults.append(f"the program holds a path of this machine, {ROOT}")
    if size(folder) > _MOST_BYTES:
        faults.append(f"{size(folder)} bytes, expected at most {_MOST_BYTES}")
    if faults:
        raise BuildError(f"{folder}: {'; '.join(faults)}")
    archive = shutil.make_archive(
        str(folder), target.archive, options.out, folder.name, owner="root", group="root"
    )
    return Path(archive), needs


def size(folder: Path) -> int:
    """Return the bytes of a folder's files."""
    return sum(path.stat().st_size for path in folder.iterdir())


def faults_of(name: str, program: Binary, runtime: Binary) -> list[str]:
    """Return what would keep a target's program from running on every such system."""
    target, faults = TARGETS[name], []
    system, machine = name.replace("arm64", "aarch64").split("-")
    offers = {"program": target.offers, "runtime": f"{target.offers}|{target.offers_runtime}"}
    for what, binary in (("program", program), ("runtime", runtime)):
        if (binary.system, binary.machine) != (system, machine):
            faults.append(f"the {what} is one for {binary.system}-{binary.machine}")
        for library in binary.libraries:
            if not re.fullmatch(offers[what], library, re.IGNORECASE):
                faults.append(f"the {what} needs {library}, which not every such system has")
        if system == "macos" and not binary.signed:
            faults.append(f"the {what} has no code signature")
    if target.here and target.here not in program.rpaths:
        faults.append(f"the program does not look for its runtime in {target.here}")
    for path in program.rpaths:
        if not path.startswith(target.here):
            faults.append(f"the program looks for libraries in {path}")
    return faults


def needs_of(*parts: Binary) -> str:
    """Return in words the least system that has what binaries ask for."""
    needs = []
    versions = [version.split("_") for part in parts for version in part.versions]
    for prefix, words in (("GLIBC", "glibc"), ("GLIBCXX", "libstdc++ with GLIBCXX"),
                          ("macOS", "macOS")):  # fmt: skip
        found = [[int(n) for n in one[1].split(".")] for one in versions if one[0] == prefix]
        if found:
            needs.append(f"{words} {'.'.join(map(str, max(found)))}")
    libraries = {library.upper() for part in parts for library in part.libraries}
    if "KERNEL32.DLL" in libraries:
        needs.append("Windows 10 1903")
    if "MSVCP140.DLL" in libraries:
        needs.append("Microsoft's Visual C++ runtime 2022")
    return ", ".join(needs)


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
    if name == _REFERENCE:
        return Runner("here")
    if name == "linux-aarch64":
        qemu = shutil.which("qemu-aarch64-static") or shutil.which("qemu-aarch64")
        if not qemu or not (_ARM_LIBRARIES / "libstdc++.so.6").exists():
            return "it takes qemu-user-static and libstdc++6-arm64-cross"
        root = once(cache.folder / "aarch64", "", _make_arm_root)
        return Runner("by qemu-aarch64", (qemu, "-L", str(root)))
    if name == "windows-x86_64":
        wine = shutil.which("wine64", path=f"{os.environ['PATH']}:/usr/lib/wine")
        if not wine:
            return "it takes wine64"
        microsoft = cache.wheel("msvc-runtime", TARGETS[name].wheel)
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
    return "no emulator of it"


_ARM_LIBRARIES = Path("/usr/aarch64-linux-gnu/lib")


def _make_arm_root(folder: Path) -> None:
    """Make a root of ARM's libraries, with what LiteRT asks Linux about the processor."""
    (folder / "lib").symlink_to(_ARM_LIBRARIES)
    (folder / "proc").mkdir()
    (folder / "proc" / "cpuinfo").write_text(
        "processor\t: 0\nBogoMIPS\t: 50.00\nFeatures\t: fp asimd\nCPU implementer\t: 0x41\n"
        "CPU architecture: 8\nCPU variant\t: 0x0\nCPU part\t: 0xd03\nCPU revision\t: 4\n"
    )


def _run_for_a_while(log: Path, *command: str | Path, cwd: Path | None = None, **variables: str):
    keep = {key: os.environ[key] for key in ("HOME", "PATH", "TMPDIR") if key in os.environ}
    run(log, *command, cwd=cwd, env={**keep, **variables}, timeout=_PATIENCE)


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


def draw_in_python(cache: Cache, model: Path) -> np.ndarray:
    """Return the picture that Python draws."""
    with tempfile.TemporaryDirectory() as place:
        shutil.copyfile(model, Path(place) / "generator.tflite")
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        command = (sys.executable, "-m", "jaxgan.generate", *_DRAW)
        run(cache.log("python-draw"), *command, cwd=place, env=environment)
        return _picture(Path(place) / "drawn.png")


def _picture(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image).astype(int)


@dataclass(frozen=True)
class Row:
    """What became of a target."""

    name: str
    folder_bytes: int
    archive_bytes: int
    needs: str
    ran: str
    """How it ran; empty: it did not."""

    lacks: str = ""
    """Why it did not run."""

    levels: int | None = None
    """The largest difference of a pixel from what it was compared with."""

    def cells(self) -> tuple[str, ...]:
        """Return them as text, in the order of ``HEADS``."""
        sizes = [f"{count / 1e6:.1f} MB" for count in (self.folder_bytes, self.archive_bytes)]
        ran = f"run {self.ran}" if self.ran else f"ONLY LINKED, NOT RUN: {self.lacks}"
        whose = "Python's" if self.name == _REFERENCE else f"{_REFERENCE}'s"
        levels = "unknown" if self.levels is None else f"{self.levels} of 255, from {whose}"
        return self.name, *sizes, ran, levels, self.needs


HEADS = ("target", "folder", "archive", "run", "largest difference", "needs")


def _try(cache: Cache, name: str, archive: Path) -> tuple[np.ndarray | None, str]:
    """Return what a target's program draws, and how it ran; or None, and why it did not."""
    try:
        by = runner(cache, name)
        return (None, by) if isinstance(by, str) else (draw(cache, name, archive, by), by.words)
    except BuildError as error:
        if not name.startswith("windows"):
            raise
        return None, f"wine cannot ({error})"


def make(
    cache: Cache, name: str, options: Options, expected: np.ndarray
) -> tuple[Row, np.ndarray | None]:
    """Build, pack and try a target; return what became of it, and what it drew if it ran.

    Raises:
        BuildError: A step fails, or it draws other images than expected.
    """
    archive, needs = pack(cache, name, options, build(cache, name))
    sizes = size(options.out / f"jaxgan-{name}"), archive.stat().st_size
    picture, how = _try(cache, name, archive)
    if picture is None:
        return Row(name, *sizes, needs, ran="", lacks=how), None
    if picture.shape != expected.shape:
        raise BuildError(f"{name} draws {picture.shape} pixels, expected {expected.shape}")
    levels = int(np.abs(picture - expected).max())
    if levels > 1:
        raise BuildError(f"{name} draws pixels {levels} levels off, expected at most 1")
    return Row(name, *sizes, needs, how, levels=levels), picture


def main(options: Options) -> None:
    """Make every target and list them."""
    cache = Cache(options.out / ".cache")
    expected, rows = draw_in_python(cache, options.model), []
    for name in dict.fromkeys((_REFERENCE, *options.targets)):
        start = time.monotonic()
        row, picture = make(cache, name, options, expected)
        if name == _REFERENCE:
            expected = picture
        rows.append(row)
        progress.say(f"{options.out}/jaxgan-{name}: {progress.duration(time.monotonic() - start)}")
    progress.say("")
    progress.table(HEADS, [row.cells() for row in rows])


if __name__ == "__main__":
    cli.run(main, Options, "scripts.dist")
