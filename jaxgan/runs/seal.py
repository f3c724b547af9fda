"""The seal of a checkpoint: the SHA-256 of its files, which tells damage from all else."""

from __future__ import annotations

import errno
import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from jaxgan.errors import UserError, first_line
from jaxgan.io.files import read_regular, sha256, write_whole

NAME = "checkpoint.json"
_MAX_BYTES = 1 << 20  # of it that are read
# Errors of the system that say what lies there, and not that it cannot be read just now.
_LASTING = {
    errno.ENOENT, errno.EISDIR, errno.ENOTDIR, errno.EINVAL, errno.EACCES, errno.EPERM,
    errno.EFBIG, errno.ELOOP,
}  # fmt: skip


class Damaged(Exception):
    """A checkpoint's files are not those that were written."""


def write(folder: Path, facts: Mapping[str, Any]) -> None:
    """Write a checkpoint's last file: some facts, and what all the others are known by."""
    content = {**facts, "sha256": _checksums(folder)}
    sealed = {**content, "seal": _digest(content)}
    write_whole(folder / NAME, json.dumps(sealed, indent=2).encode())


def _digest(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def verify(folder: Path) -> None:
    """Raise ``Damaged`` where a checkpoint's files are not those that were written.

    Raises:
        UserError: Nobody can tell, as the system does not read them just now.
    """
    try:
        content = read(folder)
        found = _checksums(folder)
    except OSError as error:
        if error.errno in _LASTING:
            raise Damaged(first_line(error)) from error
        raise UserError(
            f"checkpoint {folder} cannot be read: {error.strerror}; nothing was changed"
        ) from error
    for name, expected in content["sha256"].items():
        if found.get(name) != expected:
            raise Damaged(f"{name} is {'changed' if name in found else 'missing'}")


def read(folder: Path) -> dict[str, Any]:
    """Return what a seal holds; raises ``Damaged`` or ``OSError`` where it is none."""
    try:
        content = json.loads(read_regular(folder / NAME, _MAX_BYTES))
        seal = content.pop("seal")
        content["sha256"].items()
        if seal == _digest(content):
            return content
    except FileNotFoundError as error:
        raise Damaged(f"{NAME} is missing") from error
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise Damaged(f"{NAME} is changed") from error
    raise Damaged(f"{NAME} is changed")


def _checksums(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of each file of a checkpoint but the last, by its path there."""
    return {
        path.relative_to(folder).as_posix(): sha256(path)
        for path in files(folder)
        if path.name != NAME
    }


def files(folder: Path) -> Iterator[Path]:
    """Return all files of a checkpoint, sorted."""
    return (path for path in sorted(folder.rglob("*")) if path.is_file())
