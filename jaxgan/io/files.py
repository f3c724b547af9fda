"""Files and standard output: read within bounds, written whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import stat
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from jaxgan.errors import OutputError

_BESIDE = ".jaxgan."  # how names of files begin that are not whole yet
_BLOCK = 1 << 20  # bytes read at a time


def open_regular(path: Path) -> BinaryIO:
    """Open a file to read from. It is no folder, pipe or device: these may never end, or hang.

    Raises:
        OSError: It cannot be opened; ``strerror`` says why.
    """
    # Looked at before it is opened, which alone can wait for ever or have effects.
    mode = os.stat(path).st_mode
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):  # opening a folder says what it is
        raise OSError(errno.EINVAL, "it is no regular file", str(path))
    return path.open("rb")


def read_at_most(file: BinaryIO, max_bytes: int) -> bytes:
    """Return what is left of a stream, but no more than some bytes.

    Memory goes to what is there, not to the number that is asked for.
    """
    blocks, left = [], max_bytes
    while left and (block := file.read(min(left, _BLOCK))):
        blocks.append(block)
        left -= len(block)
    return b"".join(blocks)


def read_regular(path: Path, max_bytes: int) -> bytes:
    """Return the content of a regular file.

    Args:
        path: The file.
        max_bytes: Bytes that it may have.

    Raises:
        OSError: It cannot be read, is of another kind or larger; ``strerror`` says why.
    """
    with open_regular(path) as file:
        large = os.fstat(file.fileno()).st_size > max_bytes
        content = b"" if large else read_at_most(file, max_bytes + 1)
    if large or len(content) > max_bytes:  # some files of the system tell no size
        raise OSError(errno.EFBIG, f"it is larger than {max_bytes:,} bytes", str(path))
    return content


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that a reader finds the old content or the new, never half of it.

    Args:
        path: The file; its folder is made if it is missing.
        content: All of its bytes.

    Raises:
        OutputError: It cannot be written, or is no regular file such as /dev/null, which would be
            replaced. What stood there before is untouched.
    """
    try:
        if path.exists() and not path.is_file() and not path.is_dir():
            raise OSError(errno.EINVAL, "it is there already, and is no regular file")
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, beside = tempfile.mkstemp(prefix=_BESIDE, dir=path.parent)
        try:
            with open(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.chmod(beside, 0o666 & ~_UMASK)
            os.replace(beside, path)
        except BaseException:
            os.unlink(beside)
            raise
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror or error}") from error


def write_stdout(content: bytes) -> None:
    """Write bytes to standard output.

    Raises:
        OutputError: It is closed, full, or a pipe that nobody reads.
    """
    if sys.stdout is None:
        raise OutputError("cannot write to standard output: it is closed")
    with _stdout():
        left = memoryview(content)
        while left:  # python -u has no buffer, and may write less than it was given
            left = left[sys.stdout.buffer.write(left) :]
        sys.stdout.buffer.flush()


def flush_stdout() -> None:
    """Write what standard output still keeps; ``OutputError`` where that fails."""
    if sys.stdout is not None:
        with _stdout():
            sys.stdout.flush()


@contextlib.contextmanager
def _stdout() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        # Else Python tries to write the rest again when it leaves, and complains.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise OutputError(f"cannot write to standard output: {error.strerror}") from error


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file, 64 lower-case hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sweep(folder: Path) -> None:
    """Remove what ``write_whole`` left half written in a folder when its process was killed."""
    for path in folder.glob(f"{_BESIDE}*"):
        path.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Return when the names in a folder are on the disk, as fsync sees to a file's content."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _read_umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


_UMASK = _read_umask()  # once: reading it sets it, which threads must not do side by side
