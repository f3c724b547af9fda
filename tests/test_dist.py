"""Folders for other machines: what binaries ask for, what is found wrong, what is marked."""

import base64
import dataclasses
import hashlib
import platform
import re
import struct
import subprocess
import tomllib
import zipfile
from functools import partial

import numpy as np
import pytest
from conftest import ROOT, call, refused

from jaxgan.commands import cli
from jaxgan.errors import UserError
from scripts.dist import __main__ as dist
from scripts.dist import binaries, wheels
from scripts.dist.binaries import Binary
from scripts.dist.cache import BuildError, once, pinned, run
from scripts.dist.targets import PYTHONS, TARGETS, faults_of, needs_of

LINUX_RPATHS = ("$ORIGIN", *TARGETS["linux-aarch64"].rpaths())
MACOS_RPATHS = ("@loader_path", *TARGETS["macos-arm64"].rpaths())
LINUX = Binary("linux", "aarch64", ("libc.so.6", "libm.so.6"), LINUX_RPATHS, ("GLIBC_2.34",))
MACOS = Binary(
    "macos", "aarch64", ("/usr/lib/libSystem.B.dylib",), MACOS_RPATHS, ("macOS_14.0",), True
)
WINDOWS = Binary("windows", "x86_64", ("KERNEL32.dll", "api-ms-win-crt-heap-l1-1-0.dll"))


@pytest.mark.slow
def test_an_elf_file_is_read_as_readelf_reads_it(program):
    found = binaries.read(program)
    listed = subprocess.run(["readelf", "-dV", program], capture_output=True, text=True).stdout
    needed = [line.split("[")[1].rstrip("]") for line in listed.splitlines() if "(NEEDED)" in line]
    assert found.system == "linux"
    assert found.machine == platform.machine()
    assert list(found.libraries) == needed
    assert "$ORIGIN" in found.rpaths
    assert sorted(found.versions) == sorted(re.findall(r"Name: (\S+)\s+Flags", listed))


def mach_o(*commands: tuple[int, bytes]) -> bytes:
    """Return a program for arm64 of load commands: (what, content after its size)."""
    packed = b"".join(
        struct.pack("<II", what, 8 + len(content)) + content for what, content in commands
    )
    head = struct.pack("<8I", 0xFEEDFACF, 0x100000C, 0, 2, len(commands), len(packed), 0, 0)
    return head + packed


def test_a_mach_o_file_made_by_hand(tmp_path):
    text = b"/usr/lib/libSystem.B.dylib\0\0"
    path = tmp_path / "program"
    path.write_bytes(
        mach_o(
            (0xC, struct.pack("<IIII", 24, 0, 0, 0) + text),
            *((0x8000001C, struct.pack("<I", 12) + path.encode() + b"\0") for path in MACOS_RPATHS),
            (0x32, struct.pack("<IIII", 1, 14 << 16, 14 << 16, 0)),
            (0x1D, struct.pack("<II", 4096, 128)),
        )
    )
    assert binaries.read(path) == MACOS


def test_a_pe_file_made_by_hand(tmp_path):
    names = b"KERNEL32.dll\0api-ms-win-crt-heap-l1-1-0.dll\0"
    # Imports lie at 0x1000 in memory, at 0x200 in the file: two of 20 bytes, one of zeros, names.
    imports = b"".join(
        struct.pack("<IIIII", 0, 0, 0, 0x1000 + 60 + at, 0) for at in (0, names.index(b"api"))
    )
    directories = struct.pack("<II", 0, 0) + struct.pack("<II", 0x1000, 60) + bytes(14 * 8)
    optional = struct.pack("<H", 0x20B) + bytes(110) + directories
    section = b".idata\0\0" + struct.pack("<IIII", 0x200, 0x1000, 0x200, 0x200) + bytes(16)
    head = b"MZ\x90\0".ljust(0x3C, b"\0") + struct.pack("<I", 0x40)
    head += b"PE\0\0" + struct.pack("<HHIIIHH", 0x8664, 1, 0, 0, 0, len(optional), 0)
    path = tmp_path / "program.exe"
    path.write_bytes((head + optional + section).ljust(0x200, b"\0") + imports + bytes(20) + names)
    assert binaries.read(path) == WINDOWS


def test_what_is_no_binary_or_is_cut_off(program, tmp_path):
    path = tmp_path / "file"
    for content in (b"", b"#!/bin/sh\n", program.read_bytes()[:60], program.read_bytes()[:600]):
        path.write_bytes(content)
        with pytest.raises(UserError, match="ELF, Mach-O or PE"):
            binaries.read(path)


@pytest.mark.parametrize(
    "name, program",
    [("linux-aarch64", LINUX), ("macos-arm64", MACOS), ("windows-x86_64", WINDOWS)],
)
def test_a_sound_program_has_no_faults(name, program):
    runtime = dataclasses.replace(program, rpaths=())
    assert faults_of(name, program, dataclasses.replace(program, rpaths=()), runtime) == []


@pytest.mark.parametrize(
    "name, program, changes, words",
    [
        ("linux-x86_64", LINUX, {}, "linux-aarch64"),
        ("linux-aarch64", LINUX, {"libraries": ("libpng16.so.16",)}, "libpng16.so.16"),
        ("linux-aarch64", LINUX, {"libraries": ("libstdc++.so.6",)}, "libstdc++.so.6"),
        ("linux-aarch64", LINUX, {"rpaths": (*LINUX_RPATHS, "/home/me/build")}, "/home/me/build"),
        ("linux-aarch64", LINUX, {"rpaths": ()}, "$ORIGIN"),
        ("linux-aarch64", LINUX, {"rpaths": ("$ORIGIN",)}, "python3.11/site-packages"),
        ("macos-arm64", MACOS, {"signed": False}, "no code signature"),
        ("macos-arm64", MACOS, {"libraries": ("/opt/lib/libz.dylib",)}, "/opt/lib/libz.dylib"),
        ("macos-arm64", MACOS, {"rpaths": LINUX_RPATHS}, "@loader_path"),
        ("windows-x86_64", WINDOWS, {"libraries": ("libc++.dll",)}, "libc++.dll"),
    ],
)
def test_a_program_that_would_not_run_elsewhere(name, program, changes, words):
    runtime = dataclasses.replace(program, rpaths=())
    faults = faults_of(name, dataclasses.replace(program, **changes), runtime, runtime)
    assert words in faults[0]


def test_a_library_that_would_not_load_elsewhere():
    runtime = dataclasses.replace(LINUX, rpaths=())
    library = dataclasses.replace(runtime, libraries=("libstdc++.so.6",))
    assert faults_of("linux-aarch64", LINUX, library, runtime) == [
        "the library needs libstdc++.so.6, which not every such system has"
    ]
    library = dataclasses.replace(runtime, rpaths=("/home/me/build",))
    (fault,) = faults_of("linux-aarch64", LINUX, library, runtime)
    assert "/home/me/build" in fault
    runtime = dataclasses.replace(MACOS, rpaths=())
    library = dataclasses.replace(
        runtime, libraries=("@rpath/libjaxgan.dylib", "/usr/lib/libSystem.B.dylib")
    )
    assert faults_of("macos-arm64", MACOS, library, runtime) == []


def test_the_runtime_may_need_what_the_program_may_not():
    runtime = dataclasses.replace(LINUX, libraries=("libstdc++.so.6", "libc.so.6"), rpaths=())
    library = dataclasses.replace(LINUX, rpaths=())
    assert faults_of("linux-aarch64", LINUX, library, runtime) == []


def test_the_oldest_system_is_the_newest_of_what_is_needed():
    runtime = dataclasses.replace(LINUX, versions=("GLIBC_2.9", "GLIBC_2.27", "GLIBCXX_3.4.9"))
    program = dataclasses.replace(LINUX, versions=("GLIBC_2.2.5",))
    assert needs_of(program, runtime) == "glibc 2.27, libstdc++ with GLIBCXX 3.4.9"
    assert needs_of(MACOS, MACOS) == "macOS 14.0"
    runtime = dataclasses.replace(WINDOWS, libraries=("MSVCP140.dll",))
    assert needs_of(WINDOWS, WINDOWS) == "Windows 10 1903"
    assert needs_of(WINDOWS, runtime).startswith("Windows 10 1903, Microsoft's Visual C++")


def test_what_was_only_linked_is_marked():
    row = dist.Row(
        "macos-arm64", 7_640_000, 3_200_000, 2_100_000, "macOS 14.0", "", "no emulator of it"
    )
    assert dict(zip(dist.HEADS, row.cells(), strict=True)) == {
        "target": "macos-arm64",
        "folder": "7.6 MB",
        "archive": "3.2 MB",
        "wheel": "2.1 MB",
        "run": "ONLY LINKED, NOT RUN: no emulator of it",
        "largest difference": "unknown",
        "needs": "macOS 14.0",
    }
    ran = dist.Row("linux-aarch64", 1, 1, 1, "", "by qemu-aarch64", levels=1).cells()
    assert ran[4:6] == ("run by qemu-aarch64", "1 of 255, from linux-x86_64's")


def test_options_that_make_no_sense(tmp_path):
    model = tmp_path / "generator.tflite"
    model.write_bytes(b"any")
    command = partial(cli.run, dist.main, dist.Options)
    done = call(command, "scripts.dist", "--model", model, "--targets", "linux-sparc")
    refused(done, 2, "--targets", *TARGETS, "linux-sparc")
    done = call(command, "scripts.dist", "--model", tmp_path / "none")
    refused(done, 2, "--model", "make demo")


def test_a_picture_that_differs_by_more_than_a_level_is_refused():
    picture = np.zeros((4, 4), int)
    assert dist.difference("one", picture + 1, picture) == 1
    with pytest.raises(BuildError, match="one draws pixels 2 levels off, expected at most 1"):
        dist.difference("one", picture + 2, picture)
    with pytest.raises(BuildError, match=r"\(2, 4\) pixels"):
        dist.difference("one", picture[:2], picture)


def test_a_program_of_a_wheel_looks_for_litert_in_each_python_that_the_package_names():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    classifiers = "Programming Language :: Python :: "
    named = [one.removeprefix(classifiers) for one in project["classifiers"] if classifiers in one]
    assert tuple(named) == PYTHONS
    assert project["requires-python"] == ">=3.11,<3.14"


def test_a_wheel_is_the_same_whenever_it_is_packed_and_lists_what_is_in_it(tmp_path):
    files = {"jaxgan/a.py": b"a = 1\n", "jaxgan-1.data/scripts/program": b"\x7fELF"}
    record = "jaxgan-1.dist-info/RECORD"
    for name in ("one.whl", "two.whl"):
        wheels.write(tmp_path / name, files, record)
    assert (tmp_path / "one.whl").read_bytes() == (tmp_path / "two.whl").read_bytes()
    with zipfile.ZipFile(tmp_path / "one.whl") as wheel:
        rows = wheel.read(record).decode().splitlines()
        modes = [entry.external_attr >> 16 & 0o777 for entry in wheel.infolist()]
    digest = base64.urlsafe_b64encode(hashlib.sha256(b"a = 1\n").digest()).decode().rstrip("=")
    assert rows[0] == f"jaxgan/a.py,sha256={digest},6"
    assert rows[-1] == f"{record},,"
    assert modes == [0o644, 0o755, 0o644]


def test_a_folder_is_made_anew_only_for_another_key(tmp_path):
    made = []
    for key in ("a", "a", "b"):
        folder = once(tmp_path / "folder", key, lambda folder: made.append(list(folder.iterdir())))
        (folder / "left over").touch()
    assert made == [[], []]


@pytest.mark.slow
def test_a_step_that_fails_gives_its_fault_in_one_line(tmp_path):
    log = tmp_path / "log" / "step.log"
    with pytest.raises(BuildError, match=r"^step failed: x.c:1: error: no \(all of it: .*step.log"):
        run(log, "sh", "-c", "echo x.c:1: error: no; echo 1 fault; exit 1")
    with pytest.raises(BuildError, match=r"step.*timed out"):
        run(log, "sleep", "5", timeout=0.1)
    with pytest.raises(BuildError, match="no-such-program"):
        run(log, "no-such-program")


def test_versions_are_pinned_once():
    assert pinned("ai-edge-litert").startswith("ai-edge-litert==")
    assert pinned("ziglang").startswith("ziglang==")
