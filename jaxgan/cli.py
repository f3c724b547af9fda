"""What every entry point shares: options in, exit code out, never a traceback for a bad input."""

from __future__ import annotations

import collections
import contextlib
import io
import os
import re
import sys
from collections.abc import Callable
from typing import NoReturn, TypeVar

import tyro

from jaxgan.errors import OutputError, UserError, first_line
from jaxgan.files import flush_stdout

Options = TypeVar("Options")

_TRACEBACK = "JAXGAN_TRACEBACK"  # set to 1, a fault of the program shows its traceback


def run(
    main: Callable[[Options], int | None],
    options: type[Options],
    program: str,
    once: bool = False,
) -> NoReturn:
    """Parse the command line into ``options``, call ``main`` with them, exit.

    Exit codes: 0 done, what ``main`` returns, a ``UserError``'s own, 1 a fault of the program, 2
    wrong options, 5 a file that cannot be read or written, no memory, 130 Ctrl-C.

    Args:
        main: What to do.
        options: Dataclass of the options.
        program: How people call it.
        once: Whether an option may be given only once, as the C++ program has it; else the last one
            counts.
    """
    _escape_what_cannot_be_written()
    try:
        _refuse_control_characters(sys.argv[1:])
        if once:
            _refuse_repetitions(sys.argv[1:], program)
        code = main(_parse(options, program)) or 0
        flush_stdout()
    except UserError as error:
        code = _fail(str(error), error.exit_code)
    except OSError as error:
        code = _fail(f"{error.filename or program}: {error.strerror or error}", 5)
    except MemoryError:
        code = _fail("out of memory; choose fewer or smaller images", 5)
    except KeyboardInterrupt:
        code = _fail("interrupted", 130)
    except Exception as error:
        if os.environ.get(_TRACEBACK) == "1":
            raise
        code = _fail(
            f"internal error ({type(error).__name__}: {first_line(error)}); please report it, with "
            f"what {_TRACEBACK}=1 shows",
            1,
        )
    with contextlib.suppress(OutputError):  # told already, or less than the error that was
        flush_stdout()
    sys.exit(code)


def _escape_what_cannot_be_written() -> None:
    """Have a terminal of few letters show a code for one that it lacks, not end the program."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _fail(text: str, code: int) -> int:
    from jaxgan import progress

    progress.fail(text)
    return code


def _parse(options: type[Options], program: str) -> Options:
    """Let tyro parse; turn its framed complaint of several lines into one line."""
    complaint = io.StringIO()
    try:
        with contextlib.redirect_stderr(complaint):
            return tyro.cli(
                options,
                prog=program,
                config=(tyro.conf.OmitSubcommandPrefixes,),
                registry=_decimal_numbers(),
            )
    except SystemExit as left:
        if left.code in (0, None):
            raise
    raise UserError(f"{_first_lines(complaint.getvalue())} (see: {program} --help)")


def _refuse_control_characters(arguments: list[str]) -> None:
    for argument in arguments:
        if re.search(r"[\x00-\x1f\x7f-\x9f]", argument):
            raise UserError(f"expected no control characters in options, got {argument!r}")


def _refuse_repetitions(arguments: list[str], program: str) -> None:
    names = [part.partition("=")[0].replace("_", "-") for part in arguments if part[:2] == "--"]
    for name, times in collections.Counter(names).items():
        if times > 1:
            raise UserError(f"{name}: expected once, got it {times} times (see: {program} --help)")


def _decimal_numbers() -> tyro.constructors.ConstructorRegistry:
    """Return what reads whole numbers as C++ does: not ``+5``, ``1_000`` or other scripts'."""
    registry = tyro.constructors.ConstructorRegistry()

    @registry.primitive_rule
    def whole(
        info: tyro.constructors.PrimitiveTypeInfo,
    ) -> tyro.constructors.PrimitiveConstructorSpec | None:
        if info.type not in (int, int | None):
            return None
        return tyro.constructors.PrimitiveConstructorSpec(
            nargs=1,
            metavar="INT",
            instance_from_str=lambda words: _whole(words[0]),
            is_instance=lambda value: value is None or isinstance(value, int),
            str_from_instance=lambda value: [str(value)],
        )

    return registry


def _whole(text: str) -> int:
    if not re.fullmatch("-?[0-9]+", text):
        raise ValueError(f"expected a whole number, got {text!r}")
    return int(text)


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
