"""A run directory, taken by one process at a time."""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
from pathlib import Path

from jaxgan.errors import OutputError, UserError


class Lock:
    """A folder locked for this process, until it is closed or the process ends, however it ends.

    Use as a context: leaving it unlocks the folder.

    Attributes:
        left_by: Pid and host of a process that held the lock and was killed; None if none was.
    """

    def __init__(self, folder: Path) -> None:
        """Lock a folder, made if it is missing.

        Raises:
            UserError: Another process has it.
            OutputError: It cannot be made.
        """
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._file = os.fdopen(os.open(folder / ".lock", os.O_RDWR | os.O_CREAT, 0o666), "r+")
        except OSError as error:
            raise OutputError(
                f"cannot write {folder}: {error.strerror}; choose another --run-dir"
            ) from error
        owner = " ".join(self._file.read(200).split())
        try:
            # Of the kernel: gone with its process, so a file left behind locks nobody out.
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self._file.close()
            who = f" ({owner})" if owner else ""
            raise UserError(
                f"another process{who} trains in {folder}; give another --run-dir"
            ) from error
        self.left_by = owner or None
        self._note(f"pid {os.getpid()} on {socket.gethostname()}\n")

    def _note(self, owner: str) -> None:
        with contextlib.suppress(OSError):  # a full disk: the lock holds all the same
            self._file.seek(0)
            self._file.truncate()
            self._file.write(owner)
            self._file.flush()

    def __enter__(self) -> Lock:
        return self

    def __exit__(self, *_: object) -> None:
        self._note("")
        self._file.close()
