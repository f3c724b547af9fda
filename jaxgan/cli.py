"""What every entry point shares: options in, exit code out, never a traceback for a bad input."""

from __future__ import annotations

import contextlib
import io
import re
import sys
from collections.abc import Callable
from typing import NoReturn, TypeVar

import tyro

from jaxgan.errors import UserError

Options = TypeVar("Options")


def run(main: Callable[[Options], int | None], options: type[Options], program: str) -> NoReturn:
    """Parse the command line into ``options``, call ``main`` with them, exit.

    Exit codes: 0 done, what ``main`` returns, a ``UserError``'s own, 2 wrong options, 5 a file
    that cannot be read or written, 130 Ctrl-C.
    """
    try:
        code = main(_parse(options, program)) or 0
    except UserError as error:
        code = _fail(str(error), error.exit_code)
    except OSError as error:
        code = _fail(f"{error.filename or program}: {error.strerror or error}", 5)
    except KeyboardInterrupt:
        code = _fail("interrupted", 130)
    sys.exit(code)


def _fail(text: str, code: int) -> int:
    from jaxgan import progress

    progress.fail(text)
    return code


def _parse(options: type[Options], program: str) -> Options:
    """Let tyro parse; turn its framed complaint of several lines into one line."""
    complaint = io.StringIO()
    try:
        with contextlib.redirect_stderr(complaint):
            return tyro.cli(options, prog=program, config=(tyro.conf.OmitSubcommandPrefixes,))
    except SystemExit as left:
        if left.code in (0, None):
            raise
    raise UserError(f"{_first_lines(complaint.getvalue())} (see: {program} --help)")


def _first_lines(framed: str) -> str:
    """Return what a framed message says above its first rule, and what it suggests below it."""
    parts: list[list[str]] = [[]]
    for line in framed.splitlines():
        words = line.strip("│ \n")
        if re.fullmatch("[─╭╮╰╯].*", words):
            parts.append([])
        elif words:
            parts[-1].append(words)
    parts = [part for part in parts if part]
    message = " ".join(parts[0]) if parts else "these options do not fit"
    if len(parts) > 2:
        hint = " ".join(parts[1][:2]).rstrip(":").replace("Argument helptext:", "expected")
        message += f"; {hint}"
    return message
