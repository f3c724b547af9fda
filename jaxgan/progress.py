"""What a person sees and what a machine reads. The only module that prints."""

from __future__ import annotations

import contextlib
import io
import json
import math
import os
import re
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import NoReturn

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from jaxgan.config import MOST_STEPS
from jaxgan.errors import OutputError, UserError
from jaxgan.files import read_regular, write_whole

_MOST_LOG = 1 << 30  # bytes
_MOST_MESSAGE = 2_000  # characters of an error or a warning
_SHARES = ("recall", "agreement")  # metrics from 0 to 1


class _Console(Console):
    """Text as it is; a pipe that nobody reads is a fault as any other."""

    def __init__(self, **options) -> None:
        super().__init__(**options, highlight=False, markup=False, emoji=False)

    def on_broken_pipe(self) -> None:
        raise


_out = _Console(soft_wrap=True)
_err = _Console(stderr=True, soft_wrap=True)


def say(text: str) -> None:
    """Print lines to stdout."""
    _out.print(_shown(text))


def warn(text: str) -> None:
    """Print a warning to stderr; the work goes on."""
    _err.print(f"warning: {_message(text)}", style="yellow")


def fail(text: str) -> None:
    """Print an error to stderr; the work ends."""
    _err.print(f"error: {_message(text)}", style="bold red")


def _shown(text: str) -> str:
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
    """Return a message as ``_shown``, long ones shortened in the middle.

    Lines after the first are ours where they are indented; other breaks came with a foreign text.
    """
    if len(text) > _MOST_MESSAGE:
        text = f"{text[: _MOST_MESSAGE // 2]} … {text[-_MOST_MESSAGE // 2 :]}"
    return _shown(re.sub(r"\n(?!  )", r"\\n", text))


def leave(code: int) -> NoReturn:
    """End the process at once, with the terminal as it was before a bar was shown on it."""
    if _out.is_terminal:
        os.write(1, b"\x1b[?25h\n")  # the cursor, which the bar hides
    os._exit(code)


def table(heads: Iterable[str], rows: Iterable[Iterable[object]]) -> None:
    """Print rows under heads to stdout. Columns of numbers are set to the right."""
    rows = [[_cell(value) for value in row] for row in rows]
    view = Table(box=None, pad_edge=False, header_style="bold")
    for column, head in enumerate(heads):
        numeric = all(_is_number(row[column]) for row in rows)
        view.add_column(head, justify="right" if numeric else "left", no_wrap=True)
    for row in rows:
        view.add_row(*row)
    _Console(width=max(_out.width, 160)).print(view)


def _is_number(cell: str) -> bool:
    """Return whether a cell is a number, or the dash of one that is not known."""
    with contextlib.suppress(ValueError):
        float(cell.replace(",", ""))
        return True
    return cell == "-"


def _cell(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else _shown(str(value)).replace("\n", r"\n")


@contextlib.contextmanager
def quiet_stderr(show: bool = True) -> Iterator[None]:
    """Keep what native libraries write to stderr.

    Args:
        show: Whether to show it if the work inside fails.
    """
    with tempfile.TemporaryFile() as kept:
        sys.stderr.flush()
        original = os.dup(2)
        os.dup2(kept.fileno(), 2)
        try:
            yield
        except BaseException:
            os.dup2(original, 2)
            kept.seek(0)
            if show:
                sys.stderr.write(kept.read().decode(errors="replace"))
            raise
        finally:
            os.dup2(original, 2)
            os.close(original)


class Log:
    """The run's metrics.jsonl: one JSON object a line.

    Attributes:
        seconds: The training clock.
        judged: Step of the newest evaluation; -1 if there is none.
    """

    def __init__(self, path: Path, kept: bytes) -> None:
        """Open the log of a run that goes on from a checkpoint.

        Args:
            path: metrics.jsonl. What it has beyond the checkpoint will be reported again, so it is
                dropped; what it should have and has not is put back.
            kept: Its content when the checkpoint was made.
        """
        self._path = path
        lines = _parsed(path, kept.decode(errors="replace"))
        self._compare(path.read_bytes() if path.is_file() else b"", lines)
        self.seconds = lines[-1]["seconds"] if lines else 0.0
        self.judged = max((line["step"] for line in lines if is_look(line)), default=-1)
        self._start(lines)

    def _compare(self, found: bytes, lines: list[dict[str, float]]) -> None:
        # Lines of the checkpoint's own step may have been forgotten since.
        certain = [_line(line) for line in lines if line["step"] < lines[-1]["step"]]
        if not found.startswith("".join(certain).encode()) or (lines and not found):
            warn(f"{self._path} is damaged or missing: put back as the checkpoint has it")
        elif found.rpartition(b"\n")[2]:
            warn(f"{self._path}: a torn last line was removed")

    def _start(self, lines: Iterable[Mapping[str, float]]) -> None:
        self._lines = list(map(_line, lines))
        write_whole(self._path, self.content())
        self._file = self._path.open("a")

    def content(self) -> bytes:
        """Return what the file holds."""
        return "".join(self._lines).encode()

    def forget(self, is_past: Callable[[Mapping[str, float]], bool]) -> None:
        """Drop lines: those of an end of a run that now goes on."""
        kept = [line for line in map(json.loads, self._lines) if not is_past(line)]
        if len(kept) < len(self._lines):
            self._file.close()
            self._start(kept)

    def write(self, line: Mapping[str, float]) -> None:
        """Append a report and hand it to the system at once."""
        if is_look(line):
            self.judged = int(line["step"])
        self._lines.append(_line(line))
        try:
            self._file.write(self._lines[-1])
            self._file.flush()
        except OSError as error:
            raise OutputError(f"cannot write {self._path}: {error.strerror}") from error

    def __enter__(self) -> Log:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):  # what could not be written was told, and is tried again
            self._file.close()


def _line(report: Mapping[str, float]) -> str:
    return json.dumps(dict(report)) + "\n"


def is_look(line: Mapping[str, float]) -> bool:
    """Return whether a report is a judge's, not a step's."""
    return "discriminator_loss" not in line


def read_log(path: Path) -> list[dict[str, float]]:
    """Return the reports of a metrics.jsonl; [] where there is none. Torn lines are left out.

    Raises:
        UserError: It is no file, cannot be read, or is beyond all measure.
    """
    try:
        content = read_regular(path, _MOST_LOG) if path.exists() else b""
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}; remove it") from error
    return _parsed(path, content.decode(errors="replace"))


def _parsed(path: Path, text: str) -> list[dict[str, float]]:
    reports, torn = [], []
    for line in text.splitlines():
        try:
            reports.append(_read_report(line))
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            torn.append(line)
    if torn:
        count = "a torn line was" if len(torn) == 1 else f"{len(torn):,} torn lines were"
        warn(f"{path}: {count} left out: {torn[0][:40]!r}")
    return reports


def _read_report(line: str) -> dict[str, float]:
    report = json.loads(line)
    step, seconds = report["step"], report["seconds"]
    if type(step) is not int or not 0 <= step <= MOST_STEPS or not 0 <= seconds < math.inf:
        raise ValueError("no place in a run")
    if not all(map(_is_figure, report.values())):
        raise ValueError("not every value is a number")
    return report


def _is_figure(value: object) -> bool:
    """Return whether a value is one that can be plotted, or is nan or infinite."""
    return type(value) in (int, float) and (abs(value) < 1e30 or not abs(value) < math.inf)


class Display:
    """Training as it goes: a live bar on a terminal, plain lines anywhere else."""

    def __init__(
        self, step: int, steps: int, steps_per_epoch: int, minutes: float | None = None
    ) -> None:
        """Show a run that goes on after a step.

        Args:
            step: Steps taken before.
            steps: The last step.
            steps_per_epoch: Steps of an epoch.
            minutes: End of the run on the training clock, which then is what the bar shows.
        """
        self._steps_per_epoch, self._steps = steps_per_epoch, steps
        self._seconds = minutes and 60 * minutes
        self._first = self._done = 0.0 if minutes else step
        self._started: float | None = None
        self._said = time.monotonic()
        self._live = _out.is_terminal
        self._bar = Progress(
            TextColumn("epoch {task.fields[epoch]}"),
            BarColumn(bar_width=20),
            TimeRemainingColumn(),
            TextColumn("{task.fields[numbers]}"),
            console=_out,
            disable=not self._live,
        )
        self._task = self._bar.add_task(
            "",
            total=self._seconds or steps,
            completed=self._done,
            epoch=self._epoch(step + 1),
            numbers="compiling",
        )

    def __enter__(self) -> Display:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def _epoch(self, step: int) -> str:
        current = f"{-(-step // self._steps_per_epoch)}"
        return current if self._seconds else f"{current}/{self._steps // self._steps_per_epoch}"

    def advance(self, step: int, seconds: float) -> None:
        """Move the bar to a step, or to seconds of training where these end the run.

        The clock of the time left starts at the first step, which was compiled before it.
        """
        self._done = seconds if self._seconds else step
        if self._started is None:
            self._started, self._first = time.monotonic(), self._done
            self._bar.update(self._task, numbers="")
        self._bar.update(self._task, completed=self._done, epoch=self._epoch(step))

    def report(self, line: Mapping[str, float]) -> None:
        """Show a report; as plain lines, at the end of an epoch and every ten seconds."""
        step = int(line["step"])
        numbers = (
            f"D {line['discriminator_loss']:.3f}  G {line['generator_loss']:.3f}  "
            f"{line['images_per_second']:.0f} images/s"
        )
        self._bar.update(self._task, numbers=numbers)
        now, ended = time.monotonic(), step % self._steps_per_epoch == 0
        if not self._live and (ended or now - self._said >= 10):
            self._said = now
            place = f"step {step}" if self._seconds else f"step {step}/{self._steps}"
            say(f"epoch {self._epoch(step)}  {place}  {numbers}  {self._left(now)} left")

    def _left(self, now: float) -> str:
        rate = (now - self._started) / max(self._done - self._first, 1e-9)
        return duration(max(rate * ((self._seconds or self._steps) - self._done), 0.0))

    def tell(self, quality: Mapping[str, float], collapse: str | None) -> None:
        """Print what a judge says as a line, with a warning where the generator has collapsed."""
        numbers = "  ".join(
            f"{name.replace('_', ' ')} {_number(value)}" for name, value in quality.items()
        )
        say(f"  {numbers}" + (f"  WARNING: {collapse}" if collapse else ""))


def _number(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:.3g}"


def duration(seconds: float) -> str:
    """Return seconds as 4.2s, 1m05s or 2h03m."""
    if seconds < 60:
        return f"{seconds:.1f}s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}m{rest:02d}s" if minutes < 60 else f"{minutes // 60}h{minutes % 60:02d}m"


def plot(path: Path, reports: list[dict[str, float]]) -> None:
    """Write the final graph of a run: losses, mean logits and, where it was judged, quality."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    steps = [report for report in reports if not is_look(report)]
    looks = [report for report in reports if is_look(report)]
    known = looks[0] if looks else {}
    names = [name for name in known if name not in ("step", "epoch", "seconds")]
    quality = [
        ("quality", [name for name in names if name not in _SHARES], {"yscale": "log"}),
        ("share", [name for name in names if name in _SHARES], {"ylim": (0, 1.02)}),
    ]
    quality = [panel for panel in quality if panel[1]]
    panels = 2 + len(quality)
    figure, axes = pyplot.subplots(panels, 1, figsize=(8, 3 * panels))
    _lines(axes[0], steps, "step", ("discriminator_loss", "generator_loss"), "loss (nats)")
    _lines(axes[1], steps, "step", ("real_logit", "fake_logit"), "mean logit (nats)")
    for place, (label, shown, scale) in zip(axes[2:], quality, strict=True):
        _lines(place, looks, "seconds", shown, label, marker=".")
        place.set(xlabel="seconds of training", **scale)
    figure.tight_layout()
    content = io.BytesIO()
    figure.savefig(content, dpi=120)
    pyplot.close(figure)
    write_whole(path, content.getvalue())


def _lines(
    axes,
    reports: list[dict[str, float]],
    x: str,
    names: Iterable[str],
    label: str,
    marker: str | None = None,
) -> None:
    for name in names:
        values = [report.get(name, math.nan) for report in reports]
        at = [report[x] for report in reports]
        axes.plot(at, values, label=name.replace("_", " "), linewidth=0.8, marker=marker)
    axes.set(xlabel=x, ylabel=label)
    axes.grid(alpha=0.3)
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
