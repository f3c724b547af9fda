"""How JAX is run: what it compiled is kept for the next start, memory for the next step."""

from __future__ import annotations

import ctypes
import hashlib
import os
import platform
import sys
from pathlib import Path

import jax

# Parameters of glibc's mallopt(3).
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX, _ARENA_MAX = -1, -2, -4, -8
_HEADROOM = 64 << 20  # bytes that the heap grows by at a time
_ARENA = 64 << 20  # bytes that a thread's own arena can hold


def keep_memory(step: int) -> bool:
    """Have malloc reuse large blocks instead of giving them back to the system.

    XLA:CPU allocates the temporaries of every step anew. By default malloc maps each of them afresh
    and the kernel zeroes it page by page: up to a third of a training step goes into that.

    Args:
        step: Bytes of a step's temporaries, roughly. Where a thread's arena cannot hold them, all
            threads share one; else arenas of their own are up to a seventh faster.

    Returns:
        Whether the C library takes such advice; glibc does.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    advice = [(_MMAP_MAX, 0), (_TRIM_THRESHOLD, 2**31 - 1), (_TOP_PAD, _HEADROOM)]
    if step > _ARENA:
        advice.append((_ARENA_MAX, 1))
    return mallopt is not None and all([mallopt(*pair) for pair in advice])


def keep_compilations() -> Path:
    """Have JAX keep what it compiles on the disk; return the folder.

    It is the one that JAX_COMPILATION_CACHE_DIR names, else one in the user's cache folder.
    """
    folder = os.environ.get("JAX_COMPILATION_CACHE_DIR") or str(_cache_folder())
    jax.config.update("jax_compilation_cache_dir", folder)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    return Path(folder)


def _cache_folder() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "jaxgan" / _processor()


def _processor() -> str:
    """Return a short name of the processor's kind: a home may be shared by several."""
    cpu = Path("/proc/cpuinfo")
    lines = cpu.read_text().splitlines() if cpu.exists() else []
    flags = next((line for line in lines if line.startswith(("flags", "Features"))), "")
    return hashlib.sha256(f"{platform.machine()} {flags}".encode()).hexdigest()[:12]
