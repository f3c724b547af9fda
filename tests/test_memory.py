"""How malloc is told to work, seen from the system: what a process keeps of what it freed."""

from __future__ import annotations

import platform

import pytest
from conftest import python

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


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc takes such advice")
@pytest.mark.parametrize(("when", "kept"), [("training", (195, 250)), ("between", (-5, 20))])
def test_memory_is_reused_by_steps_and_given_back_between_them(when, kept):
    done = python("-c", _PROGRAM, when)
    assert done.returncode == 0, done.stderr
    held, after = map(float, done.stdout.split())
    assert 195 < held < 250
    assert kept[0] < after < kept[1]
