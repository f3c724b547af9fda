"""Sides in processes of their own, timed in turn, so that all meet the same moods of a machine.

A side is ``module:function`` and its arguments. Its process starts it (``function(**arguments)`` →
``run(steps)``) and then runs as many steps as requested. While one works, the others wait. A
``run`` may return the seconds of its single steps. A side that cannot run raises an ``ImportError``
or a ``UserError``.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from jaxgan.errors import UserError

# Nothing compiled is taken from a disk, and on a GPU nobody takes all memory at once.
_FRESH = {
    "JAX_ENABLE_COMPILATION_CACHE": "false",
    "TORCHINDUCTOR_FORCE_DISABLE_CACHES": "1",
    "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
}
_SECONDS = 1.0  # that one side works in one round, or one step if that takes longer


@dataclass(frozen=True)
class Side:
    """One competitor.

    Attributes:
        name: What tables call it.
        function: ``module:function`` that starts it.
        arguments: Keyword arguments of the function.
        environment: Variables that its process gets besides ours.
    """

    name: str
    function: str
    arguments: dict = field(default_factory=dict)
    environment: dict = field(default_factory=dict)


@dataclass(frozen=True)
class Timing:
    """What was measured of a side.

    Attributes:
        seconds: Of one step, one value a round.
        calls: Of every step, one list a round; empty where the side does not report them.
        first: Seconds from the start of the process to the end of its first step.
        memory: Most memory that its process held, bytes.
        missing: Why it did not run; then the rest is empty.
    """

    seconds: list[float] = field(default_factory=list)
    calls: list[list[float]] = field(default_factory=list)
    first: float = 0.0
    memory: int = 0
    missing: str | None = None

    @property
    def median(self) -> float:
        """Median seconds of a step."""
        return statistics.median(self.seconds)


def measure(sides: list[Side], rounds: int) -> list[Timing]:
    """Start all sides, one after the other, then time each in every round.

    Raises:
        UserError: A side that had started ended.
    """
    answers = [[] for _ in sides]
    with contextlib.ExitStack() as stack:
        workers = [stack.enter_context(_Worker(side)) for side in sides]
        for worker in workers:
            worker.warm()
        for _ in range(rounds):
            for worker, its in zip(workers, answers, strict=True):
                if not worker.missing:
                    its.append(worker.time())
        return [worker.timing(its) for worker, its in zip(workers, answers, strict=True)]


class _Worker:
    """A side's process and the line between us."""

    def __init__(self, side: Side) -> None:
        call = json.dumps([side.function, side.arguments])
        self._name = side.name
        started = time.perf_counter()
        # Libraries announce themselves there; leaving closes it.
        self._stderr = tempfile.TemporaryFile("w+")  # noqa: SIM115
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.rounds", call],
            cwd=Path(__file__).parent.parent,
            env={**os.environ, **_FRESH, **side.environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            text=True,
        )
        answer = self._answer()
        self.missing = answer.get("missing")
        self.first = time.perf_counter() - started
        self._steps = 1

    def _answer(self) -> dict:
        for line in self._process.stdout:
            if line.startswith("{"):
                return json.loads(line)
        code = self._process.wait()
        self._stderr.seek(0)
        last = self._stderr.read().strip().rpartition("\n")[2]
        return {"missing": f"its process ended with code {code}: {last or 'no reason given'}"}

    def _request(self, word: object) -> dict:
        with contextlib.suppress(BrokenPipeError):  # then there is no answer either
            self._process.stdin.write(f"{word}\n")
            self._process.stdin.flush()
        answer = self._answer()
        if "missing" in answer:
            raise UserError(f"{self._name}: {answer['missing']}")
        return answer

    def warm(self) -> None:
        """Run until the time of a step is known, and how many fill a round."""
        if self.missing:
            return
        self._request(2)
        seconds = self._request(3)["seconds"] / 3
        self._steps = max(1, round(_SECONDS / seconds))

    def time(self) -> tuple[float, list[float]]:
        """Return the seconds of a step, of one round, and of every step where a side reports it."""
        answer = self._request(self._steps)
        return answer["seconds"] / self._steps, answer["calls"] or []

    def timing(self, answers: list[tuple[float, list[float]]]) -> Timing:
        """Return all that was measured, given the answers of ``time``."""
        if self.missing:
            return Timing(missing=self.missing)
        seconds, calls = zip(*answers, strict=True)
        return Timing(list(seconds), list(calls), self.first, self._request("memory")["bytes"])

    def __enter__(self) -> _Worker:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()
        self._stderr.close()


def _serve(function: str, arguments: dict) -> None:
    module, name = function.split(":")
    try:
        run = getattr(importlib.import_module(module), name)(**arguments)
        run(1)
    except ImportError as error:
        _reply(missing=f"{error.name or error} is not installed")
        return
    except UserError as error:
        _reply(missing=str(error))
        return
    _reply(ready=True)
    for line in sys.stdin:
        if line.strip() == "memory":
            _reply(bytes=_peak())
            continue
        started = time.perf_counter()
        calls = run(int(line))
        _reply(seconds=time.perf_counter() - started, calls=calls)


def _peak() -> int:
    """Return the most bytes held since exec; getrusage's figure has the parent's in it too."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


def _reply(**answer: object) -> None:
    print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    _serve(*json.loads(sys.argv[1]))
