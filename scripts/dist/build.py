"""The C++ program and library for a target, by zig."""

from __future__ import annotations

import os
from pathlib import Path

from scripts.dist.cache import ROOT, SOURCES, Cache, once, run
from scripts.dist.targets import TARGETS, Target

_CPP = ROOT / "tflite_cpp"


def build(cache: Cache, name: str) -> Path:
    """Build for a target; return the folder that has program, library and runtime."""
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
        runtime = runtime_folder(cache, target) / target.runtime
        settings = {
            "CMAKE_PREFIX_PATH": folder / "parts", "LITERT_LIBRARY": runtime, **_linker(target),
        }  # fmt: skip
        configure("program", _CPP, into, **settings)

    recipes = [recipe, parts / "CMakeLists.txt", zig.parent / ".made"]
    key = "\n".join([target.zig, *(path.read_text() for path in recipes)])
    once(folder / "parts", key, make_parts)
    program = once(folder / "program", f"{_linker(target)}\n{key}", make_program)
    cmake("program-build", "--build", program)
    return program


def runtime_folder(cache: Cache, target: Target) -> Path:
    """Return the folder of LiteRT's library for a target."""
    return cache.wheel("ai-edge-litert", target.runtime_wheel) / "ai_edge_litert"


def _linker(target: Target) -> dict[str, str]:
    """Return what the linker is told besides."""
    rpaths = " ".join(f"-Wl,-rpath,'{path}'" for path in target.rpaths())
    # On macOS a library would name the object files here, for a debugger.
    strip = "-Wl,-S" if "macos" in target.zig else ""
    return {"CMAKE_EXE_LINKER_FLAGS": rpaths, "CMAKE_SHARED_LINKER_FLAGS": strip}
