"""Files and standard output: written whole or not at all, locked, told apart by their sums."""

from __future__ import annotations

import fcntl
import hashlib
import os
import sys
import tempfile
from pathlib import Path
from typing import BinaryIO

from jaxgan.errors import OutputError, UserError


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that a reader finds the old content or the new, never half of it.

    Args:
        path: The file; its folder is made if it is missing.
        content: All of its bytes.

    Raises:
        OutputError: It cannot be written. What stood there before is untouched.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, beside = tempfile.mkstemp(prefix=".jaxgan.", dir=path.parent)
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
    try:
        left = memoryview(content)
        while left:  # python -u has no buffer, and may write less than it was given
            left = left[sys.stdout.buffer.write(left) :]
        sys.stdout.buffer.flush()
    except OSError as error:
        # Else Python tries to write the rest again when it leaves, and complains.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise OutputError(f"cannot write to standard output: {error.strerror}") from error


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file, 64 lower-case hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def lock(folder: Path) -> BinaryIO:
    """Take a folder, made if it is missing, for this process until the result is closed.

    Raises:
        UserError: Another process has it.
        OutputError: It cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / ".lock").open("wb")
    except OSError as error:
        raise OutputError(
            f"cannot write {folder}: {error.strerror}; choose another --run-dir"
        ) from error
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        file.close()
        raise UserError(f"another process trains in {folder}; give another --run-dir") from error
    return file


def _read_umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


_UMASK = _read_umask()  # once: reading it sets it, which threads must not do side by side
