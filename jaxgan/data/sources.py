"""Where pictures come from: a folder or a zip, as sorted names and what reads each of them.

Nothing is extracted, followed in circles or waited for: hidden files, pipes, broken links and files
that are no pictures are skipped and counted.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxgan.data.pictures import BadPicture, is_picture
from jaxgan.errors import UserError, first_line
from jaxgan.io.files import open_regular, read_at_most

MAX_FILE_BYTES = 1 << 27  # of one picture as a file
MAX_SKIPPED = 1_000  # skipped files that are remembered by name
MAX_MEMBERS = 2_000_000  # files in a zip: its index takes 600 bytes of memory for each
METADATA = ("metadata.csv", "metadata.jsonl", "dataset.json")
# Pictures hardly get smaller in a zip: what grows more than so, and to more than a gigabyte, is a
# trap, or arrays of nothing.
MAX_RATIO, MAX_GROWN = 200, 1 << 30

_SUFFIXES = {
    ".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".bmp", ".dib", ".gif", ".tif",
    ".tiff",
}  # fmt: skip
_SNIFFED = 32  # bytes that tell a picture


class Skipped:
    """Files that were skipped: how many for each kind of reason, and the first by name.

    Attributes:
        counts: Kind of reason, the text up to a colon → number of files.
        files: The first ``MAX_SKIPPED`` (name, reason).
    """

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.files: list[tuple[str, str]] = []

    def add(self, name: str, reason: str) -> None:
        """Count a file."""
        self.counts[kind_of(reason)] += 1
        if len(self.files) < MAX_SKIPPED:
            self.files.append((name, reason))

    def first(self, kind: str, count: int) -> list[str]:
        """Return the names of the first files that were skipped for a kind of reason."""
        return [name for name, reason in self.files if kind_of(reason) == kind][:count]


def kind_of(reason: str) -> str:
    """Return what a reason is counted under."""
    return reason.partition(":")[0]


class Item(NamedTuple):
    """What reads a picture.

    Attributes:
        size: In bytes, before it is decoded.
        load: Return its file, or its levels uint8 [H, W] or [H, W, C]; raise ``BadPicture`` where
            it cannot be read. May be called by any thread.
    """

    size: int
    load: Callable[[], bytes | np.ndarray]


class Given(NamedTuple):
    """Labels and splits that come with the images.

    Attributes:
        labels: One for each image; None where there are none.
        tests: Whether each image is for measuring; None where there are no splits.
    """

    labels: list[str] | None
    tests: list[bool] | None


class Source(NamedTuple):
    """Pictures of one folder, zip or file of arrays.

    Attributes:
        names: Sorted names of the pictures, relative, with ``/``.
        others: Names of the other files.
        skipped: Files that are no pictures, so far.
        digest: SHA-256 of all names, sizes and times of the last change.
        items: Return what reads each picture, in the order of ``names``.
        text: Return the bytes of one of ``METADATA``, up to a number of them.
        given: What is known of the images beside their names.
    """

    names: Sequence[str]
    others: frozenset[str]
    skipped: Skipped
    digest: str
    items: Callable[[], Iterator[Item]]
    text: Callable[[str, int], bytes]
    given: Given | None = None


def open_folder(root: Path) -> Source:
    """Return the pictures in a folder, of any depth.

    Links are followed, unless a folder was seen already.

    Raises:
        UserError: The folder cannot be read.
    """
    skipped, digest = Skipped(), hashlib.sha256()
    names: list[str] = []
    others: list[str] = []
    try:
        for name, status in _files(root, skipped):
            size, changed = status.st_size, status.st_mtime_ns
            digest.update(f"{name}\0{size} {changed}\n".encode("utf-8", "surrogatepass"))
            chosen = names if _may_be_picture(name, partial(_start, root / name)) else others
            chosen.append(name)
    except OSError as error:
        raise UserError(f"cannot read {error.filename or root}: {error.strerror}") from error
    names.sort()
    prefix, names, rest = _unwrapped(names, others, skipped)

    def items() -> Iterator[Item]:
        for name in names:
            path = root / (prefix + name)
            with contextlib.suppress(OSError):
                yield Item(path.stat().st_size, partial(_read, path))
                continue
            yield Item(0, partial(_read, path))

    def text(name: str, most: int) -> bytes:
        with open_regular(root / (prefix + name)) as file:
            return read_at_most(file, most)

    return Source(names, rest, skipped, digest.hexdigest(), items, text)


def _files(root: Path, skipped: Skipped) -> Iterator[tuple[str, os.stat_result]]:
    """Yield the regular files below a folder, in an order that depends on their names alone."""
    above = (os.stat(folder) for folder in root.resolve().parents)  # they hold what is read
    seen = {(status.st_dev, status.st_ino) for status in above}
    folders: list[str] = [""]
    links: list[str] = []
    while folders or links:
        # Links come last, so that a folder goes by its own name.
        place = folders.pop() if folders else links.pop(0)
        status = os.stat(root / place)
        if (status.st_dev, status.st_ino) in seen:
            skipped.add(place, "link to a folder that is read already or lies above")
            continue
        seen.add((status.st_dev, status.st_ino))
        try:
            with os.scandir(root / place) as entries:
                found = sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            if not place:
                raise
            skipped.add(place, f"unreadable: {error.strerror}")
            continue
        for entry in found:
            name = f"{place}/{entry.name}" if place else entry.name
            status_or_reason = _status(entry)
            if isinstance(status_or_reason, str):
                skipped.add(name, status_or_reason)
            elif stat.S_ISDIR(status_or_reason.st_mode):
                (links if entry.is_symlink() else folders).append(name)
            else:
                yield name, status_or_reason
        folders.sort(reverse=True)
        links.sort()


def _status(entry: os.DirEntry[str]) -> os.stat_result | str:
    """Return what a folder or regular file is, or why anything is skipped."""
    if _is_hidden(entry.name):
        return "hidden"
    try:
        status = entry.stat()
    except OSError as error:
        return "broken link" if entry.is_symlink() else f"unreadable: {error.strerror}"
    if not stat.S_ISREG(status.st_mode) and not stat.S_ISDIR(status.st_mode):
        return "no regular file: a pipe, socket or device"
    return status


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name == "__MACOSX"


def _may_be_picture(name: str, start: Callable[[], bytes]) -> bool:
    return os.path.splitext(name)[1].lower() in _SUFFIXES or is_picture(start())


def _start(path: Path) -> bytes:
    with contextlib.suppress(OSError), open_regular(path) as file:
        return file.read(_SNIFFED)
    return b""


def _read(path: Path) -> bytes:
    try:
        with open_regular(path) as file:
            return _bounded(read_at_most(file, MAX_FILE_BYTES + 1))
    except OSError as error:
        raise BadPicture(f"unreadable: {error.strerror}") from error


def _bounded(content: bytes) -> bytes:
    if len(content) > MAX_FILE_BYTES:
        raise BadPicture(f"too large: a file of more than {MAX_FILE_BYTES:,} bytes")
    return content


def _unwrapped(
    names: list[str], others: list[str], skipped: Skipped
) -> tuple[str, list[str], frozenset[str]]:
    """Return names without the folders that hold all the pictures, and those folders.

    Files that are neither pictures nor metadata are skipped.
    """
    prefix = ""
    while names:
        head, slash, _ = names[0][len(prefix) :].partition("/")
        inner = prefix + head + slash
        beside = (name for name in others if name.rpartition("/")[2] in METADATA)
        if not slash or not all(name.startswith(inner) for name in (*names, *beside)):
            break
        prefix = inner
    for name in sorted(others):
        if name.rpartition("/")[2] not in METADATA:
            skipped.add(name, "not a picture: no PNG, JPEG, WebP, BMP, GIF or TIFF")
    inside = frozenset(name[len(prefix) :] for name in others if name.startswith(prefix))
    return prefix, [name[len(prefix) :] for name in names], inside


@contextlib.contextmanager
def open_zip(path: Path) -> Iterator[Source]:
    """Give the pictures in a zip; they are read in memory.

    Raises:
        UserError: It cannot be read, is encrypted, or a bomb.
    """
    with opened_zip(path) as archive:
        yield _of_zip(archive)


@contextlib.contextmanager
def opened_zip(path: Path) -> Iterator[zipfile.ZipFile]:
    """Open a zip that is sound, not encrypted and no bomb; ``UserError`` where it is not."""
    try:
        file = open_regular(path)
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
    with file:
        try:
            archive = zipfile.ZipFile(file)
        except Exception as error:  # whatever zipfile raises at a damaged index
            raise UserError(
                f"{path} is a damaged zip: {first_line(error)}; get it again"
            ) from error
        members = archive.infolist()
        total = sum(member.file_size for member in members)
        packed = os.fstat(file.fileno()).st_size
        if any(member.flag_bits & 1 for member in members):
            raise UserError(f"{path} is encrypted; unpack it and give the folder")
        if len(members) > MAX_MEMBERS or total > max(MAX_RATIO * packed, MAX_GROWN):
            raise UserError(
                f"{path}: {len(members):,} files of {total:,} bytes in a zip of {packed:,} are "
                "more than any pictures make; unpack it and give the folder, if you trust it"
            )
        yield archive


def _of_zip(archive: zipfile.ZipFile) -> Source:
    skipped, digest, others = Skipped(), hashlib.sha256(), []
    found: dict[str, zipfile.ZipInfo] = {}
    for member in sorted(archive.infolist(), key=lambda one: (one.filename, one.header_offset)):
        parts = member.filename.replace("\\", "/").split("/")
        name = "/".join(part for part in parts if part not in ("", ".", ".."))
        if member.is_dir() or not name:
            continue
        known = f"{name}\0{member.file_size} {member.CRC} {member.date_time}\n"
        digest.update(known.encode("utf-8", "surrogatepass"))
        if any(map(_is_hidden, name.split("/"))):
            skipped.add(name, "hidden")
        elif name in found:
            skipped.add(name, "a second file of that name")
        else:
            found[name] = member
            if not _may_be_picture(name, partial(_start_of_member, archive, member)):
                others.append(name)
    names = sorted(found.keys() - set(others))
    prefix, names, rest = _unwrapped(names, others, skipped)

    def items() -> Iterator[Item]:
        for name in names:
            member = found[prefix + name]
            yield Item(member.file_size, partial(_read_member, archive, member))

    def text(name: str, most: int) -> bytes:
        return _member(archive, found[prefix + name], most)

    return Source(names, rest, skipped, digest.hexdigest(), items, text)


def _start_of_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    with contextlib.suppress(BadPicture):
        return _member(archive, member, _SNIFFED)
    return b""


def _read_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    return _bounded(_member(archive, member, MAX_FILE_BYTES + 1))


def _member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, most: int) -> bytes:
    """Return what a member begins with: all of it, or so many bytes."""
    if most > MAX_FILE_BYTES and member.file_size > MAX_FILE_BYTES:
        most = 0
        raise BadPicture(f"too large: a file of more than {MAX_FILE_BYTES:,} bytes")
    try:
        with archive.open(member) as file:
            return file.read(most)
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError) as error:
        raise BadPicture(f"damaged in the zip: {first_line(error)}") from error
    except (NotImplementedError, RuntimeError) as error:
        raise BadPicture(f"cannot be unpacked: {first_line(error)}") from error
