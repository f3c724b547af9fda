"""The texts in a folder: what it consists of, whose licences hold, how it is used."""

from __future__ import annotations

from pathlib import Path

from scripts.dist.cache import SOURCES, Cache
from scripts.dist.targets import TARGETS, Target

_RULE = "=" * 80


def folder_notice(cache: Cache, target: Target) -> str:
    """Return a text that names what a folder consists of, and the licence of each part."""
    return (
        f"{target.program} and generator.tflite are jaxgan's: Apache License 2.0, see LICENSE.\n"
        f"What else lies here or is linked into {target.program}:\n"
    ) + _sections([_runtime(cache, target), *_linked(cache, target)])


def wheel_notice(cache: Cache, target: Target, has_runtime: bool) -> str:
    """Return the same for a wheel."""
    parts = _linked(cache, target)
    if has_runtime:
        parts.insert(0, _runtime(cache, target))
    return (
        "jaxgan: Apache License 2.0, see LICENSE.\n"
        f"What else lies here or is linked into {target.program} and {target.library}:\n"
    ) + _sections(parts)


def _runtime(cache: Cache, target: Target) -> tuple[str, Path]:
    (litert,) = cache.wheel("ai-edge-litert", target.runtime_wheel).glob("*.dist-info")
    version = litert.name.removesuffix(".dist-info").split("-")[1]
    return (
        f"{target.runtime}: LiteRT {version}, as it lies in the wheel ai-edge-litert. The wheel"
        "\n   has one licence, this one, and does not name what its authors linked into it.",
        litert / "licenses" / "LICENSE",
    )


def _linked(cache: Cache, target: Target) -> list[tuple[str, Path]]:
    """Return what is linked into the program, and the file of its licence."""
    zig, sources, parts = cache.zig(), cache.sources(), []
    for source, what in zip(SOURCES, ("libpng", "zlib", "CLI11"), strict=True):
        folder = sources / source
        newest = (folder / "debian" / "changelog").read_text().splitlines()[0]
        text = next(path for path in (folder / "LICENSE", folder / "README") if path.exists())
        parts.append((f"{what} {newest.split('(')[1].split(')')[0]} of Debian or Ubuntu", text))
    return [
        *parts,
        ("libc++, libc++abi and libunwind of LLVM", zig / "lib" / "libcxx" / "LICENSE.TXT"),
        ("compiler_rt of zig", zig / "LICENSE"),
        *((what, zig / "lib" / file) for what, file in target.linked),
    ]


def _sections(parts: list[tuple[str, Path]]) -> str:
    return "".join(
        f"\n{_RULE}\n{i}. {what}\n{_RULE}\n\n{file.read_text()}"
        for i, (what, file) in enumerate(parts, 1)
    )


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
