"""Memory of a training: what is free, what a step needs, and how malloc reuses it."""

from __future__ import annotations

import contextlib
import ctypes
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import jax

from jaxgan.config import ImageSpec, TrainConfig, option, resolved
from jaxgan.errors import UserError
from jaxgan.gan import networks
from jaxgan.gan.step import state_shape

# Parameters of glibc's mallopt(3).
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD, _MMAP_MAX, _ARENA_MAX = -1, -2, -3, -4, -8
_HEADROOM = 64 << 20  # bytes that the heap grows by at a time
_KEEP = {_MMAP_MAX: 0, _TRIM_THRESHOLD: 2**31 - 1, _TOP_PAD: _HEADROOM}
_DEFAULTS = {
    _MMAP_MAX: 65_536, _MMAP_THRESHOLD: 128 << 10, _TRIM_THRESHOLD: 128 << 10, _TOP_PAD: 128 << 10,
}  # fmt: skip
_ARENA = 64 << 20  # bytes that a thread's own arena can hold
_tuned = False  # whether this process's malloc may be told how to work


def tune_malloc() -> None:
    """Let ``reuse`` and ``between_steps`` tell malloc how to work; else they do nothing.

    Malloc is the whole process's, so it is for a command to call this, not for a library.
    """
    global _tuned
    _tuned = True


def reuse(step: int) -> None:
    """Have malloc reuse large blocks instead of giving them back to the system.

    XLA:CPU allocates the temporaries of every step anew. By default malloc maps each of them afresh
    and the kernel zeroes it page by page: up to a third of a training step goes into that. Only
    glibc takes such advice. It has to come before JAX starts its threads.

    Args:
        step: Bytes of a step's temporaries, roughly. Threads that start later share an arena beside
            the main one, a seventh faster than sharing the main one, and as fast as one each, which
            would all grow to the size that any thread ever needed. Where it cannot hold the
            temporaries, they do share the main one.
    """
    if _tuned:
        _advise(_KEEP | {_ARENA_MAX: 1 if step > _ARENA else 2})


@contextlib.contextmanager
def between_steps() -> Iterator[None]:
    """Suspend ``reuse`` for what is computed now and then between the steps.

    Its large arrays, each put where there is room, would leave ever more gaps between those of
    the training: a process that grows with every evaluation, and keeps a quarter more.
    """
    if not _tuned:
        yield
        return
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


def step_bytes(config: TrainConfig, spec: ImageSpec) -> int:
    """Return roughly how many bytes the temporaries of a training step take."""
    return networks.step_bytes(resolved(config, spec), spec)


def require_enough(config: TrainConfig, spec: ImageSpec) -> None:
    """Raise ``UserError`` where the system would end the process for want of memory.

    Args:
        config: Configuration of the run.
        spec: Of its images.
    """
    have = free()
    if have is None:
        return
    state = state_shape(config, spec)
    weights = sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(state))
    # The state, the next one, and what is on its way to the disk.
    need = 3 * weights + step_bytes(config, spec)
    if need > have:
        raise UserError(
            f"{sizes(config)} take about {need / 1e9:.1f} GB of memory, {have / 1e9:.1f} GB are "
            "free; give smaller ones"
        )


def sizes(config: TrainConfig) -> str:
    """Return the options that memory depends on."""
    names = ["batch_size", "width"] + ["residuals"] * bool(config.residuals)
    return " and ".join(f"{option(name)} {getattr(config, name)}" for name in names)


def free(root: Path = Path("/")) -> int | None:
    """Return the bytes that training may still take on a CPU; None where nobody tells, or a GPU.

    Args:
        root: Where the system's proc and sys lie.
    """
    if jax.default_backend() != "cpu":
        return None
    try:
        lines = (root / "proc/meminfo").read_text().splitlines()
        system = next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration):
        return None
    return min([system << 10, *_left_in_groups(root)])


def _left_in_groups(root: Path) -> Iterator[int]:
    """Yield what each control group that holds this process leaves: nested ones, v1 and v2.

    A group's usage counts the page cache, which the kernel gives back when memory is needed; so
    that of files is taken off again.
    """
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            base, names = root / "sys/fs/cgroup", ("memory.max", "memory.current")
        elif "memory" in controllers.split(","):
            base = root / "sys/fs/cgroup/memory"
            names = ("memory.limit_in_bytes", "memory.usage_in_bytes")
        else:
            continue
        # Inside a container the path may be that of the host, and the group's own files at the top.
        group = base / path.lstrip("/")
        for folder in (group, *group.parents):
            if not folder.is_relative_to(base):
                break
            with contextlib.suppress(OSError, ValueError):  # "max" is no number
                limit, used = (int((folder / name).read_text()) for name in names)
                yield limit - max(used - _page_cache(folder), 0)


def _page_cache(group: Path) -> int:
    """Return the bytes of files in a group's usage."""
    with contextlib.suppress(OSError, ValueError):
        pairs = (line.split() for line in (group / "memory.stat").read_text().splitlines())
        known = {name: int(value) for name, value in pairs}
        files = ("total_inactive_file", "total_active_file")  # v1, with the groups within
        if files[0] not in known:
            files = ("inactive_file", "active_file")
        return sum(known.get(name, 0) for name in files)
    return 0
