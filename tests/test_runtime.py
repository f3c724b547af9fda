"""How malloc is told to work, seen from the system: what a process keeps of what it freed."""

from __future__ import annotations

import platform

import pytest
from conftest import python

_PROGRAM = """
import contextlib, resource, sys
import numpy as np
from jaxgan import runtime

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize() / 1e6

runtime.keep_memory(0)
before = resident()
with runtime.passing_memory() if sys.argv[1] == "passing" else contextlib.nullcontext():
    blocks = [np.ones(1 << 20) for _ in range(25)]  # 8 MB each
    between = np.ones(1000)  # stands above them, so that the heap does not shrink
    held = resident() - before
    del blocks
print(held, resident() - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc takes such advice")
@pytest.mark.parametrize(("when", "kept"), [("training", (195, 250)), ("passing", (-5, 20))])
def test_memory_is_kept_for_steps_and_given_back_after_what_passes(when, kept):
    done = python("-c", _PROGRAM, when)
    assert done.returncode == 0, done.stderr
    held, after = map(float, done.stdout.split())
    assert 195 < held < 250
    assert kept[0] < after < kept[1]
