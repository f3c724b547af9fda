"""Folders for other machines: what binaries ask for, what is found wrong, what is marked."""

import dataclasses
import platform
import re
import struct
import subprocess

import pytest
from conftest import python, refused

from jaxgan.errors import UserError
from scripts import binaries, dist
from scripts.binaries import Binary
from scripts.cache import BuildError, once, pinned, run

LINUX = Binary("linux", "aarch64", ("libc.so.6", "libm.so.6"), ("$ORIGIN",), ("GLIBC_2.34",))
MACOS = Binary(
    "macos", "aarch64", ("/usr/lib/libSystem.B.dylib",), ("@loader_path",), ("macOS_14.0",), True
)
WINDOWS = Binary("windows", "x86_64", ("KERNEL32.dll", "api-ms-win-crt-heap-l1-1-0.dll"))


def test_an_elf_file_is_read_as_readelf_reads_it(program):
    found = binaries.read(program)
    said = subprocess.run(["readelf", "-dV", program], capture_output=True, text=True).stdout
    needed = [line.split("[")[1].rstrip("]") for line in said.splitlines() if "(NEEDED)" in line]
    assert found.system == "linux"
    assert found.machine == platform.machine()
    assert list(found.libraries) == needed
    assert "$ORIGIN" in found.rpaths
    assert sorted(found.versions) == sorted(re.findall(r"Name: (\S+)\s+Flags", said))


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
            (0x8000001C, struct.pack("<I", 12) + b"@loader_path\0\0\0\0"),
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
    assert dist.faults_of(name, program, dataclasses.replace(program, rpaths=())) == []


@pytest.mark.parametrize(
    "name, program, changes, words",
    [
        ("linux-x86_64", LINUX, {}, "linux-aarch64"),
        ("linux-aarch64", LINUX, {"libraries": ("libpng16.so.16",)}, "libpng16.so.16"),
        ("linux-aarch64", LINUX, {"libraries": ("libstdc++.so.6",)}, "libstdc++.so.6"),
        ("linux-aarch64", LINUX, {"rpaths": ("$ORIGIN", "/home/me/build")}, "/home/me/build"),
        ("linux-aarch64", LINUX, {"rpaths": ()}, "$ORIGIN"),
        ("macos-arm64", MACOS, {"signed": False}, "no code signature"),
        ("macos-arm64", MACOS, {"libraries": ("/opt/lib/libz.dylib",)}, "/opt/lib/libz.dylib"),
        ("macos-arm64", MACOS, {"rpaths": ("$ORIGIN",)}, "@loader_path"),
        ("windows-x86_64", WINDOWS, {"libraries": ("libc++.dll",)}, "libc++.dll"),
    ],
)
def test_a_program_that_would_not_run_elsewhere(name, program, changes, words):
    runtime = dataclasses.replace(program, rpaths=())
    (fault, *_) = dist.faults_of(name, dataclasses.replace(program, **changes), runtime)
    assert words in fault


def test_the_runtime_may_need_what_the_program_may_not():
    runtime = dataclasses.replace(LINUX, libraries=("libstdc++.so.6", "libc.so.6"), rpaths=())
    assert dist.faults_of("linux-aarch64", LINUX, runtime) == []


def test_the_least_system_is_the_newest_of_what_is_needed():
    runtime = dataclasses.replace(LINUX, versions=("GLIBC_2.9", "GLIBC_2.27", "GLIBCXX_3.4.9"))
    program = dataclasses.replace(LINUX, versions=("GLIBC_2.2.5",))
    assert dist.needs_of(program, runtime) == "glibc 2.27, libstdc++ with GLIBCXX 3.4.9"
    assert dist.needs_of(MACOS, MACOS) == "macOS 14.0"
    runtime = dataclasses.replace(WINDOWS, libraries=("MSVCP140.dll",))
    assert dist.needs_of(WINDOWS, WINDOWS) == "Windows 10 1903"
    assert dist.needs_of(WINDOWS, runtime).startswith("Windows 10 1903, Microsoft's Visual C++")


def test_what_was_only_linked_is_marked():
    row = dist.Row("macos-arm64", 7_640_000, 3_200_000, "macOS 14.0", "", "no emulator of it")
    assert dict(zip(dist.HEADS, row.cells(), strict=True)) == {
        "target": "macos-arm64",
        "folder": "7.6 MB",
        "archive": "3.2 MB",
        "run": "ONLY LINKED, NOT RUN: no emulator of it",
        "largest difference": "unknown",
        "needs": "macOS 14.0",
    }
    ran = dist.Row("linux-aarch64", 1, 1, "", "by qemu-aarch64", levels=1).cells()
    assert ran[3:5] == ("run by qemu-aarch64", "1 of 255, from linux-x86_64's")


def test_options_that_make_no_sense(tmp_path):
    model = tmp_path / "generator.tflite"
    model.write_bytes(b"any")
    done = python("-m", "scripts.dist", "--model", model, "--targets", "linux-sparc")
    refused(done, 2, "--targets", *dist.TARGETS, "linux-sparc")
    refused(python("-m", "scripts.dist", "--model", tmp_path / "none"), 2, "--model", "make demo")


def test_a_folder_is_made_anew_only_for_another_key(tmp_path):
    made = []
    for key in ("a", "a", "b"):
        folder = once(tmp_path / "folder", key, lambda folder: made.append(list(folder.iterdir())))
        (folder / "left over").touch()
    assert made == [[], []]


def test_a_step_that_fails_says_its_fault_in_one_line(tmp_path):
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
