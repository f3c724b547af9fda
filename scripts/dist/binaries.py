"""What a program or library needs of the system it is loaded on: ELF, Mach-O and PE, 64 bits."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from jaxgan.errors import UserError

_MACHINES = {0x3E: "x86_64", 0xB7: "aarch64", 0x100000C: "aarch64", 0x7: "x86_64", 0x8664: "x86_64"}


@dataclass(frozen=True)
class Binary:
    """What a file's own tables say."""

    system: str
    """linux, macos or windows."""

    machine: str
    """x86_64 or aarch64."""

    libraries: tuple[str, ...]
    """Files that the system's loader must find besides."""

    rpaths: tuple[str, ...] = ()
    """Folders where it looks for them, and for what the program loads by name."""

    versions: tuple[str, ...] = ()
    """Linux: versions of symbols, such as GLIBC_2.27. macOS: the oldest system that will do."""

    signed: bool = False
    """macOS: whether there is a code signature, which arm64 requires."""


def read(path: Path) -> Binary:
    """Read the tables of a program or shared library.

    Raises:
        UserError: It is none of the three formats, or damaged.
    """
    content = path.read_bytes()
    formats = {
        b"\x7fELF": _elf,
        b"\xcf\xfa\xed\xfe": _mach_o,
        b"MZ\x90\x00": _pe,
        b"MZ\x78\x00": _pe,
    }
    reader = formats.get(content[:4])
    try:
        if reader is not None:
            return reader(content)
    except (struct.error, ValueError, KeyError, IndexError):
        pass
    raise UserError(f"{path}: expected a 64-bit program or library (ELF, Mach-O or PE)")


def _text(content: bytes, start: int) -> str:
    return content[start : content.index(b"\0", start)].decode()


def _elf(content: bytes) -> Binary:
    (machine,) = struct.unpack_from("<H", content, 18)
    headers, size, count = (
        *struct.unpack_from("<Q", content, 32),
        *struct.unpack_from("<HH", content, 54),
    )
    segments = [struct.unpack_from("<IIQQQQ", content, headers + i * size) for i in range(count)]

    def offset(address: int) -> int:
        for kind, _, place, start, _, length in segments:
            if kind == 1 and start <= address < start + length:
                return place + address - start
        raise ValueError(f"no segment holds {address:#x}")

    (dynamic,) = (segment for segment in segments if segment[0] == 2)
    entries = list(struct.iter_unpack("<qQ", content[dynamic[2] : dynamic[2] + dynamic[5]]))
    tags = dict(entries)
    strings = offset(tags[5])
    name = lambda at: _text(content, strings + at)  # noqa: E731
    rpaths = [name(value) for tag, value in entries if tag in (15, 29)]
    versions = []
    if 0x6FFFFFFE in tags:
        versions = [name(at) for at in _elf_versions(content, offset(tags[0x6FFFFFFE]))]
    return Binary(
        "linux",
        _MACHINES[machine],
        tuple(name(value) for tag, value in entries if tag == 1),
        tuple(path for joined in rpaths for path in joined.split(":")),
        tuple(versions),
    )


def _elf_versions(content: bytes, place: int) -> Iterator[int]:
    """Yield the names of the versions needed, as offsets in the table of strings."""
    while True:
        _, count, _, first, following = struct.unpack_from("<HHIII", content, place)
        aux = place + first
        for _ in range(count):
            _, _, _, name, further = struct.unpack_from("<IHHII", content, aux)
            yield name
            aux += further
        if not following:
            return
        place += following


def _mach_o(content: bytes) -> Binary:
    machine, _, _, count = struct.unpack_from("<IIII", content, 4)
    libraries, rpaths, versions, signed, place = [], [], [], False, 32
    for _ in range(count):
        command, size, value, least = struct.unpack_from("<IIII", content, place)
        if command in (0xC, 0x80000018, 0x8000001F):
            libraries.append(_text(content, place + value))
        elif command == 0x8000001C:
            rpaths.append(_text(content, place + value))
        elif command == 0x32:
            versions.append(f"macOS_{least >> 16}.{least >> 8 & 255}")
        signed |= command == 0x1D
        place += size
    return Binary(
        "macos", _MACHINES[machine], tuple(libraries), tuple(rpaths), tuple(versions), signed
    )


def _pe(content: bytes) -> Binary:
    (header,) = struct.unpack_from("<I", content, 0x3C)
    machine, sections = struct.unpack_from("<HH", content, header + 4)
    (optional_size,) = struct.unpack_from("<H", content, header + 20)
    optional = header + 24
    if struct.unpack_from("<H", content, optional) != (0x20B,):
        raise ValueError("not 64 bits")

    def offset(address: int) -> int:
        for i in range(sections):
            place = optional + optional_size + 40 * i + 8
            size, start, raw_size, raw = struct.unpack_from("<IIII", content, place)
            if start <= address < start + max(size, raw_size):
                return raw + address - start
        raise ValueError(f"no section holds {address:#x}")

    # The tables of what is loaded at once, and of what is loaded when it is first called.
    libraries = []
    for table, size, field in ((1, 20, 12), (13, 32, 4)):
        (start,) = struct.unpack_from("<I", content, optional + 112 + 8 * table)
        place = offset(start) if start else None
        while place is not None:
            (name,) = struct.unpack_from("<I", content, place + field)
            if not name:
                break
            libraries.append(_text(content, offset(name)))
            place += size
    return Binary("windows", _MACHINES[machine], tuple(libraries))
