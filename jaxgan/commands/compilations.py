"""Compiled programs, kept between starts in the user's cache folder."""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
from pathlib import Path

import jax

_MAX_BYTES = 256 << 20  # of compiled programs on the disk, the oldest are dropped


def keep() -> None:
    """Have JAX keep what it compiles in the user's cache folder, at most 256 MB of it.

    Where JAX_COMPILATION_CACHE_DIR is set, the user has settled all that already.
    """
    if "JAX_COMPILATION_CACHE_DIR" in os.environ:
        return
    folder = _folder()
    _drop_torn(folder)
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_compilation_cache_max_size", _MAX_BYTES)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)


def _drop_torn(folder: Path) -> None:
    """Remove what a process was writing when it was killed, which JAX would not replace.

    JAX writes an entry's file first and then the time of its last use, under another name.
    """
    with contextlib.suppress(OSError):
        for entry in folder.glob("*-cache"):
            if not entry.with_name(entry.name.removesuffix("-cache") + "-atime").exists():
                entry.unlink()


def _folder() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "jaxgan" / _processor()


def _processor() -> str:
    """Return a short name of the processor's kind: a home may be shared by several."""
    cpu = Path("/proc/cpuinfo")
    lines = cpu.read_text().splitlines() if cpu.exists() else []
    flags = next((line for line in lines if line.startswith(("flags", "Features"))), "")
    return hashlib.sha256(f"{platform.machine()} {flags}".encode()).hexdigest()[:12]
