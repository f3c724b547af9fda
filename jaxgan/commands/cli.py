"""What every command shares: options in, exit code out, never a traceback for a bad input."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import difflib
import io
import os
import re
import sys
import types
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, NoReturn, TypeAlias, TypeVar, Union

import tyro
from tyro import _errors as tyro_errors  # its documented hook for parse errors

from jaxgan.commands.quiet import quiet_orbax
from jaxgan.config import GROUPS, option, settings
from jaxgan.console import output
from jaxgan.errors import JaxganError, OutputError, UserError, first_line, missing_extra
from jaxgan.io.files import flush_stdout

Options = TypeVar("Options")
# tyro tells at once whether a default fits typing's own unions; for ``int | None`` it loads
# typeguard, which takes as long as all the rest of a start.
OptionalInt: TypeAlias = Union[int, None]  # noqa: UP007
OptionalStr: TypeAlias = Union[str, None]  # noqa: UP007
OptionalPath: TypeAlias = Union[Path, None]  # noqa: UP007

_TRACEBACK = "JAXGAN_TRACEBACK"  # set to 1, a fault of the program shows its traceback
_CLOSE = 0.6  # likeness of an option that is suggested in place of an unknown one


def run(
    main: Callable[[Options], int | None],
    options: type[Options],
    program: str,
    once: bool = False,
) -> NoReturn:
    """Parse the command line into ``options``, call ``main`` with them, exit.

    Exit codes: 0 done, what ``main`` returns, a ``JaxganError``'s own, 1 a fault of the program, 2
    wrong options, 5 a file that cannot be read or written, no memory, 130 Ctrl-C.

    Args:
        main: What to do.
        options: Dataclass of the options.
        program: How people call it.
        once: Whether an option may be given only once, as the C++ program has it; else the last one
            counts.
    """
    _escape_what_cannot_be_written()
    with output.printed_log(), quiet_orbax():
        code = _exit_code(lambda: main(_parse(options, program, once)), program)
    with contextlib.suppress(OutputError):  # printed already, or less than the error that was
        flush_stdout()
    sys.exit(code)


def _exit_code(work: Callable[[], int | None], program: str) -> int:
    """Do some work; return its exit code, after a sentence where it failed."""
    try:
        code = work() or 0
        flush_stdout()
        return code
    except JaxganError as error:
        return _fail(str(error), error.exit_code)
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("jaxgan"):
            raise
        return _fail(str(missing_extra(error)), 2)
    except OSError as error:
        return _fail(f"{error.filename or program}: {error.strerror or error}", 5)
    except MemoryError:
        return _fail("out of memory; choose fewer or smaller images", 5)
    except KeyboardInterrupt:
        return _fail("interrupted", 130)
    except Exception as error:
        if os.environ.get(_TRACEBACK) == "1":
            raise
        fault = f"{type(error).__name__}: {first_line(error)}"
        return _fail(
            f"internal error ({fault}); please report it, with what {_TRACEBACK}=1 shows", 1
        )


def _fail(text: str, code: int) -> int:
    output.fail(text)
    return code


def _escape_what_cannot_be_written() -> None:
    """Have a terminal of few letters show a code for one that it lacks, not end the program."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _parse(options: type[Options], program: str, once: bool) -> Options:
    arguments = sys.argv[1:]
    _refuse_control_characters(arguments)
    if once:
        _refuse_repetitions(arguments, program)

    def refuse(event: tyro_errors.ParseErrorEvent) -> NoReturn:
        raise UserError(f"{_in_words(event, _names(options))} (see: {program} --help)")

    def parse(what: Any) -> Any:
        with tyro_errors.on_parse_error(refuse):
            return tyro.cli(
                what,
                prog=program,
                args=arguments,
                config=(tyro.conf.OmitSubcommandPrefixes, tyro.conf.OmitArgPrefixes),
                registry=_constructors(),
            )

    if not _has_settings(options):
        return typing.cast(Options, parse(options))
    groups = parse(_grouped(options))
    values = {
        field.name: getattr(group, field.name)
        for group in vars(groups).values()
        for field in dataclasses.fields(group)
    }
    return options(**values)


def _has_settings(options: Any) -> bool:
    return dataclasses.is_dataclass(options) and all(
        "setting" in field.metadata for field in dataclasses.fields(options)
    )


def _grouped(options: Any) -> Any:
    """Return a dataclass of dataclasses, one a group of settings, so that help lists them so."""
    known, hints = settings(options), typing.get_type_hints(options)
    groups: dict[str, list[Any]] = {}
    for field in dataclasses.fields(options):
        entry = known[field.name]
        hint: Any = hints[field.name]
        if isinstance(hint, types.UnionType):
            hint = Union[typing.get_args(hint)]  # noqa: UP007
        arguments: Any = (hint, tyro.conf.arg(help=entry.help))
        kind = Annotated[arguments]
        groups.setdefault(entry.group, []).append(
            (field.name, kind, dataclasses.field(default=field.default))
        )
    parts = []
    for name, fields in groups.items():
        part = dataclasses.make_dataclass(name.capitalize(), fields, frozen=True)
        part.__doc__ = GROUPS[name]
        parts.append((name, part, dataclasses.field(default_factory=part)))
    whole = dataclasses.make_dataclass(options.__name__, parts, frozen=True)
    whole.__doc__ = options.__doc__
    return whole


def _in_words(event: tyro_errors.ParseErrorEvent, names: list[str]) -> str:
    """Return what is wrong with a command line, as one sentence; ``names`` are all options."""
    match event:
        case tyro_errors.UnrecognizedArgs():
            token = event.tokens[0]
            close = difflib.get_close_matches(token.partition("=")[0], names, 1, _CLOSE)
            hint = f"; did you mean {close[0]}?" if close else ""
            return f"unknown option or value {token!r}{hint}"
        case tyro_errors.InvalidChoice():
            choices, name = ", ".join(event.choices), event.argument.display_name()
            return f"{name}: expected one of {choices}, got {event.value!r}"
        case tyro_errors.BadValue():
            got = event.offending_value
            got_words = "none" if got is None else repr(got)
            return f"{event.argument.display_name()}: expected a value, got {got_words}"
        case tyro_errors.InstantiationFailure():
            reason = " ".join(str(event.message).split())
            return f"{event.argument.display_name()}: {reason}" if event.argument else reason
        case tyro_errors.MissingArgs():
            missing = ", ".join(one.arg.display_name() for one in event.missing_arguments)
            stray = f", got {event.unrecognized_tokens[0]!r}" if event.unrecognized_tokens else ""
            return f"expected {missing}{stray}"
        case tyro_errors.MissingSubcommand():
            return f"expected one of {', '.join(event.subcommand_spec.parser_from_name)}"
    return "these options do not fit together"


def _names(options: Any) -> list[str]:
    """Return the options of a dataclass, or of all dataclasses of subcommands."""
    kinds = [typing.get_args(kind)[0] for kind in typing.get_args(options)] or [options]
    fields = [field for kind in kinds for field in dataclasses.fields(kind)]
    negated = [f"--no-{field.name.replace('_', '-')}" for field in fields if field.default is True]
    return [option(field.name) for field in fields] + negated


def _refuse_control_characters(arguments: list[str]) -> None:
    for argument in arguments:
        if re.search(r"[\x00-\x1f\x7f-\x9f]", argument):
            raise UserError(f"expected no control characters in options, got {argument!r}")


def _refuse_repetitions(arguments: list[str], program: str) -> None:
    names = [part.partition("=")[0].replace("_", "-") for part in arguments if part[:2] == "--"]
    for name, times in collections.Counter(names).items():
        if times > 1:
            raise UserError(f"{name}: expected once, got it {times} times (see: {program} --help)")


def _constructors() -> tyro.constructors.ConstructorRegistry:
    """Return what reads words as C++ does.

    Whole numbers are plain decimals: not ``+5``, ``1_000`` or other scripts'. ``None`` is a word
    like any other: an option that is not wanted is left out.
    """
    registry = tyro.constructors.ConstructorRegistry()
    readers: dict[Any, tuple[str, Callable[[str], Any], Any]] = {
        int: ("INT", _whole, int),
        float: ("FLOAT", _number, (int, float)),
        OptionalInt: ("INT", _whole, int),
        Union[float, None]: ("FLOAT", _number, (int, float)),  # noqa: UP007
        OptionalStr: ("STR", str, str),
        OptionalPath: ("PATH", Path, Path),
    }

    @registry.primitive_rule
    def read(
        info: tyro.constructors.PrimitiveTypeInfo,
    ) -> tyro.constructors.PrimitiveConstructorSpec[Any] | None:
        if info.type not in readers:
            return None
        metavar, reader, kind = readers[info.type]
        return tyro.constructors.PrimitiveConstructorSpec(
            nargs=1,
            metavar=metavar,
            instance_from_str=lambda words: reader(words[0]),
            is_instance=lambda value: value is None or isinstance(value, kind),
            str_from_instance=lambda value: [str(value)],
        )

    return registry


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise ValueError(f"expected a number, got {text!r}") from error


def _whole(text: str) -> int:
    if not re.fullmatch("-?[0-9]+", text):
        raise ValueError(f"expected a whole number, got {text!r}")
    return int(text)
