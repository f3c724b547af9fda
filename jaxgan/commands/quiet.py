"""Orbax, kept to one sentence where a read or write fails."""

from __future__ import annotations

import contextlib
import logging
import sys
import warnings
from collections.abc import Iterator
from typing import Any


@contextlib.contextmanager
def quiet_orbax() -> Iterator[None]:
    """Leave out what Orbax and TensorStore say besides the error that they raise.

    Where a read or write fails, Orbax closes its event loop and raises. What else was under way
    reports to nobody: TensorStore through the interpreter's hook, asyncio and Orbax through their
    logs, Python by a warning; hundreds of lines on a full disk.
    """

    def show_others(unraisable: Any) -> None:
        if str(unraisable.exc_value) != "Event loop is closed":
            hook(unraisable)

    def is_no_orbax(record: logging.LogRecord) -> bool:
        return "orbax" not in record.pathname

    asyncio, absl = logging.getLogger("asyncio"), logging.getLogger("absl")
    hook, level = sys.unraisablehook, asyncio.level
    sys.unraisablehook = show_others
    asyncio.setLevel(logging.CRITICAL)
    absl.addFilter(is_no_orbax)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "coroutine .* was never awaited", RuntimeWarning)
        try:
            yield
        finally:
            sys.unraisablehook = hook
            asyncio.setLevel(level)
            absl.removeFilter(is_no_orbax)
