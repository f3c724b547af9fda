"""What the benchmarks write: Markdown tables, plots, JSON with the machine and the versions."""

from __future__ import annotations

import importlib.metadata
import io
import json
import os
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from jaxgan.io.files import write_whole

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_PACKAGES = (
    "jax", "jaxlib", "flax", "optax", "numpy", "tensorflow-cpu", "tensorflow", "keras", "torch",
    "ai-edge-litert", "onnx", "onnxruntime",
)  # fmt: skip


def machine() -> dict[str, str]:
    """Return what was measured on: processor, cores, system, versions."""
    found = {"processor": _processor(), "cores": str(os.cpu_count()), "system": platform.platform()}
    found["python"] = platform.python_version()
    for package in _PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _processor() -> str:
    """Return the processor's name and the vector instructions that matter here."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    known = dict(line.split(":", 1) for line in lines if ":" in line)
    known = {key.strip(): value.strip() for key, value in known.items()}
    flags = [flag for flag in ("avx2", "avx512f") if flag in known.get("flags", "").split()]
    return " ".join([known.get("model name", platform.processor() or platform.machine()), *flags])


def markdown(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return a Markdown table; the first column is text, the others are set to the right."""
    lines = [heads, ["---", *["---:"] * (len(heads) - 1)], *rows]
    return "".join("| " + " | ".join(map(str, line)) + " |\n" for line in lines)


def described(found: dict[str, str]) -> str:
    """Return the machine and versions as a paragraph."""
    names = ("processor", "cores", "system")
    versions = ", ".join(f"{name} {value}" for name, value in found.items() if name not in names)
    return (
        f"Measured on {found['cores']} cores ({found['processor']}; {found['system']}) with "
        f"{versions}.\n"
    )


def write(folder: Path, name: str, text: str, figure: Figure) -> str:
    """Write ``NAME.md`` and ``NAME.png``; return a line about it."""
    figure.tight_layout()
    content = io.BytesIO()
    figure.savefig(content, dpi=110)
    write_whole(folder / f"{name}.png", content.getvalue())
    write_whole(folder / f"{name}.md", text.encode())
    return f"wrote {folder / name}.md and {name}.png"


def write_json(path: Path, content: object) -> None:
    """Write every figure, for programs."""
    write_whole(path, json.dumps(content, indent=1).encode() + b"\n")
