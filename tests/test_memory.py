"""How malloc is told to work, seen from the system: what a process keeps of what it freed."""

from __future__ import annotations

import platform
from pathlib import Path

import pytest
from conftest import python

from jaxgan.training import memory

_PROGRAM = """
import contextlib, resource, sys
import numpy as np
from jaxgan.training import memory

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize() / 1e6

memory.tune_malloc()
memory.reuse(0)
before = resident()
with memory.between_steps() if sys.argv[1] == "between" else contextlib.nullcontext():
    blocks = [np.ones(1 << 20) for _ in range(25)]  # 8 MB each
    between = np.ones(1000)  # stands above them, so that the heap does not shrink
    held = resident() - before
    del blocks
print(held, resident() - before)
"""


@pytest.mark.slow
@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc takes such advice")
@pytest.mark.parametrize(("when", "kept"), [("training", (195, 250)), ("between", (-5, 20))])
def test_memory_is_reused_by_steps_and_given_back_between_them(when, kept):
    done = python("-c", _PROGRAM, when)
    assert done.returncode == 0, done.stderr
    held, after = map(float, done.stdout.split())
    assert 195 < held < 250
    assert kept[0] < after < kept[1]


def system(root: Path, cgroup: str, files: dict[str, str], available_kb: int = 8_000_000) -> Path:
    """Write what Linux tells of memory below a folder."""
    files = {
        "proc/meminfo": f"MemAvailable: {available_kb} kB\n",
        "proc/self/cgroup": cgroup,
    } | files
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


GIB = 1 << 30


def v2(limit: str, used: int, cached: int, group: str = "") -> dict[str, str]:
    folder = f"sys/fs/cgroup{group}"
    return {
        f"{folder}/memory.max": f"{limit}\n", f"{folder}/memory.current": f"{used}\n",
        f"{folder}/memory.stat": f"anon 5\ninactive_file {cached - 100}\nactive_file 100\n",
    }  # fmt: skip


def v1(limit: int, used: int, cached: int, group: str) -> dict[str, str]:
    folder = f"sys/fs/cgroup/memory{group}"
    return {
        f"{folder}/memory.limit_in_bytes": f"{limit}\n",
        f"{folder}/memory.usage_in_bytes": f"{used}\n",
        f"{folder}/memory.stat": f"total_inactive_file {cached}\ntotal_active_file 0\n",
    }


@pytest.mark.parametrize(
    ("cgroup", "files", "free"),
    [
        ("0::/\n", {}, 8_192_000_000),
        ("0::/\n", v2("max", 4 * GIB, 0), 8_192_000_000),
        # What the page cache holds is given back when it is needed.
        ("0::/\n", v2(f"{4 * GIB}", 3 * GIB, 2 * GIB), 3 * GIB),
        # A group within a group: the nearest bound counts, wherever it is set.
        ("0::/a/b\n", v2("max", GIB, 0, "/a/b") | v2(f"{2 * GIB}", GIB, 0, "/a"), GIB),
        ("0::/a/b\n", v2(f"{2 * GIB}", GIB, 0, "/a/b") | v2(f"{4 * GIB}", GIB, 0, "/a"), GIB),
        # The first version, beside other controllers.
        ("5:cpu:/x\n4:memory:/x\n", v1(3 * GIB, 2 * GIB, GIB, "/x"), 2 * GIB),
        # A container whose path is that of the host.
        ("4:memory:/docker/0\n", v1(3 * GIB, 2 * GIB, GIB, ""), 2 * GIB),
        # More in use than allowed, by a hair.
        ("0::/\n", v2(f"{GIB}", GIB + 4096, 0), -4096),
    ],
)
def test_free_memory_by_the_control_groups(tmp_path, cgroup, files, free):
    assert memory.free(system(tmp_path, cgroup, files)) == free


def test_free_memory_that_nobody_tells(tmp_path):
    assert memory.free(tmp_path) is None


def test_a_library_leaves_malloc_alone(monkeypatch):
    calls = []
    monkeypatch.setattr(memory, "_tuned", False)
    monkeypatch.setattr(memory, "_advise", calls.append)
    memory.reuse(1 << 20)
    with memory.between_steps():
        pass
    assert calls == []
    memory.tune_malloc()
    memory.reuse(1 << 20)
    assert len(calls) == 1
