"""What the commands print. The only module that does.

Library code logs to the logger ``jaxgan``; ``printed_log`` shows that while a command runs.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import re
import sys
import tempfile
from collections.abc import Iterable, Iterator
from typing import NoReturn, TextIO

_MAX_MESSAGE = 2_000  # characters of an error or a warning
_TABLE_WIDTH = 160  # columns of text at least, whatever a terminal has: rows stay one line


_YELLOW, _RED, _PLAIN = "\x1b[33m", "\x1b[1;31m", "\x1b[0m"


def show(text: str) -> None:
    """Print lines to stdout."""
    print(_printable(text))


def warn(text: str) -> None:
    """Print a warning to stderr; the work goes on."""
    _print_error(f"warning: {_message(text)}", _YELLOW)


def fail(text: str) -> None:
    """Print an error to stderr; the work ends."""
    _print_error(f"error: {_message(text)}", _RED)


def _print_error(text: str, colour: str) -> None:
    coloured = is_terminal(sys.stderr) and "NO_COLOR" not in os.environ
    print(f"{colour}{text}{_PLAIN}" if coloured else text, file=sys.stderr)


def is_terminal(stream: TextIO | None) -> bool:
    """Return whether a stream is a terminal that can show more than plain lines."""
    with contextlib.suppress(AttributeError, ValueError):  # closed, or none
        return bool(stream and stream.isatty()) and os.environ.get("TERM") != "dumb"
    return False


@contextlib.contextmanager
def printed_log() -> Iterator[None]:
    """Show what the library logs: INFO on stdout, WARNING and above on stderr."""
    logger, handler = logging.getLogger("jaxgan"), _Handler(logging.INFO)
    level, propagates = logger.level, logger.propagate
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
        logger.propagate = propagates


class _Handler(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        warn(text) if record.levelno >= logging.WARNING else show(text)


def _printable(text: str) -> str:
    """Return a text in which nothing but line breaks can act on a terminal or deceive the eye.

    Names and texts come from foreign files: escape sequences, marks that turn the direction of
    writing, bytes of no encoding.
    """
    return "".join(
        letter if letter.isprintable() or letter == "\n" else _escaped(letter) for letter in text
    )


def _escaped(letter: str) -> str:
    return letter.encode("unicode_escape").decode("ascii")


def _message(text: str) -> str:
    """Return a message as ``_printable``, long ones shortened in the middle.

    Lines after the first are ours where they are indented; other breaks came with a foreign text.
    """
    if len(text) > _MAX_MESSAGE:
        text = f"{text[: _MAX_MESSAGE // 2]} … {text[-_MAX_MESSAGE // 2 :]}"
    return _printable(re.sub(r"\n(?!  )", r"\\n", text))


def quit_now(code: int) -> NoReturn:
    """End the process at once, with the terminal as it was before a bar was shown on it."""
    if is_terminal(sys.stdout):
        os.write(1, b"\x1b[?25h\n")  # the cursor, which the bar hides
    os._exit(code)


def table(heads: Iterable[str], rows: Iterable[Iterable[object]]) -> None:
    """Print rows under heads to stdout. Columns of numbers are set to the right."""
    from rich.console import Console  # takes 60 ms, and plain lines need none
    from rich.table import Table

    cells = [[_cell(value) for value in row] for row in rows]
    view = Table(box=None, pad_edge=False, header_style="bold")
    for column, head in enumerate(heads):
        numeric = all(_is_number(row[column]) for row in cells)
        view.add_column(head, justify="right" if numeric else "left", no_wrap=True)
    for row in cells:
        view.add_row(*row)
    console = Console(highlight=False, markup=False, emoji=False)
    console.width = max(console.width, _TABLE_WIDTH)
    with console.capture() as text:  # printed by us: rich ends the program at a broken pipe
        console.print(view)
    print(text.get(), end="")


def _is_number(cell: str) -> bool:
    """Return whether a cell is a number, or the dash of one that is not known."""
    with contextlib.suppress(ValueError):
        float(cell.replace(",", ""))
        return True
    return cell == "-"


def _cell(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else _printable(str(value)).replace("\n", r"\n")


@contextlib.contextmanager
def captured_stderr() -> Iterator[None]:
    """Keep what native libraries write to stderr, and show it only if the work inside fails.

    Python's own ``sys.stderr`` goes on working. The file descriptor is the whole process's, so
    this is for a command, not for a library.
    """
    sys.stderr.flush()
    original, python = os.dup(2), sys.stderr
    with (
        tempfile.TemporaryFile() as kept,
        io.TextIOWrapper(
            io.FileIO(os.dup(original), "w"), errors="backslashreplace", write_through=True
        ) as direct,
    ):
        os.dup2(kept.fileno(), 2)
        if _writes_to(python, 2):
            sys.stderr = direct
        try:
            yield
        except Exception as error:
            if not getattr(error, "exit_code", None):  # no sentence of ours
                kept.seek(0)
                os.write(original, kept.read())
            raise
        finally:
            os.dup2(original, 2)
            os.close(original)
            sys.stderr = python


def _writes_to(stream: object, descriptor: int) -> bool:
    try:
        return stream.fileno() == descriptor  # type: ignore[attr-defined]
    except (AttributeError, OSError, ValueError):
        return False
