"""How far a long work is: a live bar on a terminal, plain lines anywhere else."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from jaxgan.console.display import duration
from jaxgan.console.output import is_terminal, show

_LINE_SECONDS = 10.0  # between plain lines
_BAR_SECONDS = 0.1  # between changes of the bar


@contextlib.contextmanager
def progress(what: str) -> Iterator[Callable[[int, int], None]]:
    """Give a function to call with how many things are done, of how many.

    Args:
        what: What the things are, such as ``pictures``.
    """
    live = is_terminal(sys.stdout)
    bar = Progress(
        BarColumn(bar_width=20),
        TextColumn("{task.description}"),
        console=Console(highlight=False, markup=False, emoji=False),
        disable=not live,
        transient=True,
    )
    task = bar.add_task("", total=None)
    start = shown = time.monotonic()

    def update(done: int, total: int) -> None:
        nonlocal shown
        now = time.monotonic()
        if now - shown < (_BAR_SECONDS if live else _LINE_SECONDS):
            return
        shown = now
        pace = done / (now - start)
        left = duration((total - done) / pace) if done else "?"
        text = f"{done:,} of {total:,} {what}  {pace:,.0f} a second  {left} left"
        if live:
            bar.update(task, completed=done, total=total, description=text)
        else:
            show(text)

    with bar:
        yield update
