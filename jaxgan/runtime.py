"""How JAX is run: what it compiled is kept for the next start, memory for the next step."""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import os
import platform
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import jax

# Parameters of glibc's mallopt(3).
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD, _MMAP_MAX, _ARENA_MAX = -1, -2, -3, -4, -8
_HEADROOM = 64 << 20  # bytes that the heap grows by at a time
_KEEP = {_MMAP_MAX: 0, _TRIM_THRESHOLD: 2**31 - 1, _TOP_PAD: _HEADROOM}
_DEFAULTS = {
    _MMAP_MAX: 65_536, _MMAP_THRESHOLD: 128 << 10, _TRIM_THRESHOLD: 128 << 10, _TOP_PAD: 128 << 10,
}  # fmt: skip
_CACHE = 256 << 20  # bytes of compiled programs on the disk, the oldest are dropped
_ARENA = 64 << 20  # bytes that a thread's own arena can hold


def keep_memory(step: int) -> None:
    """Have malloc reuse large blocks instead of giving them back to the system.

    XLA:CPU allocates the temporaries of every step anew. By default malloc maps each of them afresh
    and the kernel zeroes it page by page: up to a third of a training step goes into that. Only
    glibc takes such advice.

    Args:
        step: Bytes of a step's temporaries, roughly. Threads that start later share an arena beside
            the main one, a seventh faster than sharing the main one, and as fast as one each, which
            would all grow to the size that any thread ever needed. Where it cannot hold the
            temporaries, they do share the main one.
    """
    _advise(_KEEP | {_ARENA_MAX: 1 if step > _ARENA else 2})


@contextlib.contextmanager
def passing_memory() -> Iterator[None]:
    """Suspend ``keep_memory`` for what is computed now and then between the steps.

    Its large arrays, each put where there is room, would leave ever more pieces between those of
    the training: a process that grows with every evaluation, and keeps a quarter more.
    """
    _advise(_DEFAULTS)
    try:
        yield
    finally:
        _glibc("malloc_trim")(0)
        _advise(_KEEP)


def _advise(parameters: Mapping[int, int]) -> None:
    for parameter, value in parameters.items():
        _glibc("mallopt")(parameter, value)


def _glibc(name: str) -> Callable[..., object]:
    """Return a function of glibc; one that does nothing where there is another C library."""
    library = ctypes.CDLL(None) if sys.platform == "linux" else None
    return getattr(library, name, lambda *_: None)


def free_memory() -> int | None:
    """Return the bytes that training may still take on a CPU; None where nobody tells, or a GPU."""
    if jax.default_backend() != "cpu":
        return None
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        free = next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable")) << 10
    except (OSError, StopIteration):
        return None
    group = Path("/sys/fs/cgroup")  # a container's own, where it has one
    with contextlib.suppress(OSError, ValueError):  # "max" is no number
        limit, used = ((group / f"memory.{name}").read_text() for name in ("max", "current"))
        free = min(free, int(limit) - int(used))
    return free


def keep_compilations() -> None:
    """Have JAX keep what it compiles in the user's cache folder, at most 256 MB of it.

    Where JAX_COMPILATION_CACHE_DIR is set, the user has settled all that already.
    """
    if "JAX_COMPILATION_CACHE_DIR" in os.environ:
        return
    folder = _cache_folder()
    _drop_torn(folder)
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_compilation_cache_max_size", _CACHE)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)


def _drop_torn(folder: Path) -> None:
    """Remove what a process was writing when it was killed, which JAX would not replace.

    JAX writes an entry's file first and then the time of its last use, under another name.
    """
    with contextlib.suppress(OSError):
        for entry in folder.glob("*-cache"):
            if not entry.with_name(entry.name.removesuffix("-cache") + "-atime").exists():
                entry.unlink()


def _cache_folder() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "jaxgan" / _processor()


def _processor() -> str:
    """Return a short name of the processor's kind: a home may be shared by several."""
    cpu = Path("/proc/cpuinfo")
    lines = cpu.read_text().splitlines() if cpu.exists() else []
    flags = next((line for line in lines if line.startswith(("flags", "Features"))), "")
    return hashlib.sha256(f"{platform.machine()} {flags}".encode()).hexdigest()[:12]
