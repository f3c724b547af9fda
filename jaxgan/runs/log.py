"""What a run reports of itself: typed records, and metrics.jsonl, which holds one a line.

The log, the display and whatever else shows a run are consumers: functions that are called with a
``Started``, then with each ``StepReport`` and ``Evaluation`` in order.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import math
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, TypeAlias

from jaxgan.config import MAX_STEPS, TrainConfig
from jaxgan.errors import OutputError, UserError
from jaxgan.io.files import open_regular, write_whole

_MAX_LINE = 1 << 16  # bytes; ours have 300
_BLOCK = 1 << 20  # bytes read at a time
_log = logging.getLogger(__name__)


class Started(NamedTuple):
    """A training that is about to take its next step.

    Attributes:
        config: Its configuration.
        step: Steps taken before.
        last_step: Where it ends, unless ``config.minutes`` ends it.
        steps_per_epoch: Steps in an epoch.
        steps_per_tick: Steps between reports that are always made.
    """

    config: TrainConfig
    step: int
    last_step: int
    steps_per_epoch: int
    steps_per_tick: int


class StepReport(NamedTuple):
    """What was measured at a step.

    Attributes:
        step: Number of the step, from 1.
        epoch: Passes over the training images, a fraction within one.
        seconds: The training clock: what compiling, samples, evaluation and saving take is left
            out.
        discriminator_loss: D's loss in nats, without the penalty.
        generator_loss: G's loss in nats.
        real_logit: Mean logit of the real images.
        fake_logit: Mean logit of the generated images.
        penalty: Sum of the weighted gradient penalties.
        augmentation: Probability of each augmentation of what D sees.
        images_per_second: Real images a second since the last report; None where that time held a
            compilation.
    """

    step: int
    epoch: float
    seconds: float
    discriminator_loss: float
    generator_loss: float
    real_logit: float
    fake_logit: float
    penalty: float
    augmentation: float = 0.0
    images_per_second: float | None = None

    def line(self) -> dict[str, Any]:
        """Return it as an object of metrics.jsonl."""
        return {name: value for name, value in self._asdict().items() if value is not None}


class Evaluation(NamedTuple):
    """What G's weight EMA was worth at a step.

    Attributes:
        step: As in ``StepReport``.
        epoch: As in ``StepReport``.
        seconds: As in ``StepReport``.
        metrics: Values by name, such as fid, recall, agreement.
        warning: How G has collapsed, in words; None if it has not.
    """

    step: int
    epoch: float
    seconds: float
    metrics: Mapping[str, float]
    warning: str | None = None

    def line(self) -> dict[str, Any]:
        """Return it as an object of metrics.jsonl."""
        return {"step": self.step, "epoch": self.epoch, "seconds": self.seconds, **self.metrics}


Record: TypeAlias = StepReport | Evaluation
Watch: TypeAlias = Callable[[Started | StepReport | Evaluation], None]


class Mark(NamedTuple):
    """How far a log had come when a checkpoint was made, which keeps this.

    Attributes:
        bytes: Size of metrics.jsonl.
        sha256: Its SHA-256.
        certain_bytes: Size without the lines of the last step, which a longer run may drop.
        certain_sha256: SHA-256 of that part.
        seconds: The training clock.
        evaluated: Step of the newest evaluation; -1 if there is none.
    """

    bytes: int = 0
    sha256: str = hashlib.sha256().hexdigest()
    certain_bytes: int = 0
    certain_sha256: str = hashlib.sha256().hexdigest()
    seconds: float = 0.0
    evaluated: int = -1


class Log:
    """The run's metrics.jsonl. A second copy stands behind the checkpoints' marks.

    Use as a context: leaving it closes the file.

    Attributes:
        seconds: The training clock.
        evaluated: Step of the newest evaluation; -1 if there is none.
    """

    def __init__(self, path: Path, backup: Path, mark: Mark) -> None:
        """Open the log of a run that continues from a checkpoint.

        Args:
            path: metrics.jsonl. What it has beyond the mark will be reported again, so it is
                dropped; what it should have and has not is put back.
            backup: The copy up to the newest checkpoint.
            mark: Where the checkpoint was made.
        """
        self._path, self._backup = path, backup
        self.seconds, self.evaluated = mark.seconds, mark.evaluated
        self._restore(mark)
        self._start(mark.certain_bytes)
        self.mark()

    def _restore(self, mark: Mark) -> None:
        """Make the file what it was at a mark."""
        sound = _has_prefix(self._path, mark.bytes, mark.sha256)
        if sound:
            if _ends_torn(self._path):
                _log.warning("%s: a torn last line was removed", self._path)
        elif not _has_prefix(self._path, mark.certain_bytes, mark.certain_sha256) or (
            mark.bytes and not self._path.exists()
        ):
            _log.warning("%s is damaged or missing: put back as the checkpoint has it", self._path)
        source = self._path if sound else self._backup
        if not sound and not _has_prefix(source, mark.bytes, mark.sha256):
            _log.warning("%s is damaged, too: the log starts anew", source)
            write_whole(self._path, b"")
        else:
            write_whole(self._path, _first_bytes(source, mark.bytes))

    def _start(self, certain_bytes: int) -> None:
        """Open the file to append to, and take the sums of what it holds."""
        content = self._path.read_bytes()
        self._certain = min(certain_bytes, len(content)), hashlib.sha256(content[:certain_bytes])
        self._size, self._sum = len(content), hashlib.sha256(content)
        lines = content[self._certain[0] :].splitlines()
        self._last_step = int(json.loads(lines[0])["step"]) if lines else -1
        self._file = self._path.open("ab")

    def drop_last_step(self, is_dropped: Callable[[Record], bool]) -> None:
        """Drop some lines of the last step: those of an end of a run that now goes on."""
        start = self._certain[0]
        content = self._path.read_bytes()
        lines = content[start:].splitlines(keepends=True)
        kept = [line for line in lines if not is_dropped(_record(json.loads(line)))]
        if len(kept) < len(lines):
            self._file.close()
            write_whole(self._path, content[:start] + b"".join(kept))
            self._start(start)

    def __call__(self, record: Started | StepReport | Evaluation) -> None:
        """Append a record and hand it to the system at once."""
        if isinstance(record, Started):
            return
        if record.step > self._last_step:
            self._certain, self._last_step = (self._size, self._sum.copy()), record.step
        if isinstance(record, Evaluation):
            self.evaluated = record.step
        line = (json.dumps(record.line()) + "\n").encode()
        self._size += len(line)
        self._sum.update(line)
        try:
            self._file.write(line)
            self._file.flush()
        except OSError as error:
            raise OutputError(f"cannot write {self._path}: {error.strerror}") from error

    def mark(self) -> Mark:
        """Bring the copy up to date, and return what a checkpoint keeps of the log."""
        try:
            self._copy()
        except OSError as error:
            raise OutputError(f"cannot write {self._backup}: {error.strerror}") from error
        certain, certain_sum = self._certain
        return Mark(
            self._size, self._sum.hexdigest(), certain, certain_sum.hexdigest(),
            self.seconds, self.evaluated,
        )  # fmt: skip

    def _copy(self) -> None:
        """Append what the copy lacks; begin it anew where it is no beginning of the log."""
        have = self._backup.stat().st_size if self._backup.is_file() else 0
        sound = have <= self._size and _has_prefix(self._backup, have, _sum_of(self._path, have))
        if not have or not sound:
            write_whole(self._backup, _first_bytes(self._path, self._size))
        elif have < self._size:
            with self._path.open("rb") as source, self._backup.open("ab") as file:
                source.seek(have)
                file.write(source.read(self._size - have))
                file.flush()
                os.fsync(file.fileno())

    def __enter__(self) -> Log:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):  # what could not be written was raised already
            self._file.close()


def _blocks(file: BinaryIO, size: int) -> Iterator[bytes]:
    while size > 0 and (block := file.read(min(size, _BLOCK))):
        size -= len(block)
        yield block


def _sum_of(path: Path, size: int) -> str:
    """Return the SHA-256 of a file's first bytes; "" where it cannot be read or is shorter."""
    total, seen = hashlib.sha256(), 0
    try:
        with open_regular(path) as file:
            for block in _blocks(file, size):
                total.update(block)
                seen += len(block)
    except OSError:
        return "" if size else total.hexdigest()
    return total.hexdigest() if seen == size else ""


def _has_prefix(path: Path, size: int, sha256: str) -> bool:
    return _sum_of(path, size) == sha256


def _first_bytes(path: Path, size: int) -> bytes:
    if not size:
        return b""
    with open_regular(path) as file:
        return b"".join(_blocks(file, size))


def _ends_torn(path: Path) -> bool:
    if not path.is_file() or not path.stat().st_size:
        return False
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read() != b"\n"


def read_log(path: Path) -> list[Record]:
    """Return the records of a metrics.jsonl; [] where there is none. Torn lines are left out.

    Raises:
        UserError: It is no file, or cannot be read.
    """
    records: list[Record] = []
    torn: list[bytes] = []
    try:
        for line in _lines(path) if path.exists() else ():
            try:
                records.append(_record(json.loads(line)))
            except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
                torn.append(line)
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}; remove it") from error
    if torn:
        count = "a torn line was" if len(torn) == 1 else f"{len(torn):,} torn lines were"
        _log.warning("%s: %s left out: %r", path, count, torn[0][:40].decode(errors="replace"))
    return records


def _lines(path: Path) -> Iterator[bytes]:
    with open_regular(path) as file:
        while line := file.readline(_MAX_LINE):
            yield line


def _record(line: dict[str, Any]) -> Record:
    """Return the record that a line holds; one of several exceptions where it is none."""
    step, seconds, epoch = line["step"], line["seconds"], line["epoch"]
    if type(step) is not int or not 0 <= step <= MAX_STEPS or not 0 <= seconds < math.inf:
        raise ValueError("no place in a run")
    if not all(map(_is_figure, line.values())):
        raise ValueError("not every value is a number")
    if "discriminator_loss" in line:
        return StepReport(**line)
    metrics = {name: v for name, v in line.items() if name not in ("step", "seconds", "epoch")}
    return Evaluation(step, epoch, seconds, metrics)


def _is_figure(value: object) -> bool:
    """Return whether a value is one that can be plotted, or is nan or infinite."""
    return type(value) in (int, float) and (abs(value) < 1e30 or not abs(value) < math.inf)  # type: ignore[arg-type]
