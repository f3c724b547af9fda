"""Every fault at full length, and what came of it: ``make soak``.

It kills, damages and starves real training, then lets one train on for long, and writes the table
of docs/reliability.md from what it counted. The seed makes it the same each time but for the
moments at which a signal reaches a process. Exit 0 if every promise held, 1 if one did not.
"""

from __future__ import annotations

import argparse
import collections
import itertools
import random
import re
import resource
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import faults
from conftest import ROOT

from jaxgan.runs import checkpoint
from jaxgan.runs.log import StepReport, read_log

EPOCHS = ("--epochs", "150", "--convert")
EIGHT = ("--epochs", "8", "--convert")
WARM = 200  # steps after which nothing may grow
PAGE = ROOT / "docs" / "reliability.md"
TABLE = re.compile(r"(<!-- table -->\n).*(<!-- end -->)", re.DOTALL)


class Row(NamedTuple):
    """A line of the table: what was done, how, how often, what happened, whether that is right."""

    fault: str
    how: str
    times: int
    outcome: str
    held: bool


def killing(work: Path, data_dir: Path, count: int, chance: random.Random) -> Iterator[Row]:
    """Kill runs of every variant; each has to end as one that nothing befell."""
    kills, wrong, runs = [], [], 0
    for variant in itertools.cycle(faults.VARIANTS):
        if len(kills) >= count:
            break
        whole = work / f"whole-{'-'.join(variant).replace('/', '-')}"
        if not whole.exists():
            done = faults.finish(whole, data_dir, *EPOCHS, *variant)
            assert done.returncode == 0, done.stderr
        run_dir = work / f"killed-{runs}"
        arguments = faults.command(run_dir, data_dir, *EPOCHS, *variant)
        most = min(count - len(kills), 15)
        aims = itertools.islice(itertools.cycle((faults.IN_WRITING, faults.ANYWHERE)), most)
        kills += faults.killed_run(run_dir, arguments, aims, chance)
        runs += 1
        if faults.remains(run_dir) != faults.remains(whole):
            wrong.append(variant)
        shutil.rmtree(run_dir)
        print(f"{len(kills)} kills, {runs} runs", flush=True)
    writing = sum(kill.writing is not None for kill in kills)
    most = max(kill.lost for kill in kills)
    same = "the same bits" if not wrong else f"OTHER BITS with {wrong}"
    yield Row(
        "killed (SIGKILL)",
        f"{runs} runs of {len(faults.VARIANTS)} settings (each objective and dataset), "
        f"{writing} kills while a checkpoint was being written",
        len(kills),
        f"every start went on; all runs ended with {same} as runs that nothing befell: weights, "
        f"optimizers, metrics, samples, .tflite. At most {most} steps were lost, checkpoints being "
        f"{faults.INTERVAL} apart, and one taking up to as long to be written",
        not wrong and writing >= min(60, count // 4),
    )


def stopping(work: Path, data_dir: Path) -> Iterator[Row]:
    """Ask runs to stop, once and twice."""
    for number, name in ((signal.SIGTERM, "SIGTERM"), (signal.SIGINT, "Ctrl-C")):
        for twice in (False, True):
            took = []
            for trial in range(5):
                run_dir = work / f"stopped-{name}-{twice}-{trial}"
                running = _started(run_dir, data_dir)
                started = time.monotonic()
                running.send_signal(number)
                if twice:
                    time.sleep(0.05)  # else both count as one
                    running.send_signal(number)
                code = running.wait(60)
                took.append(time.monotonic() - started)
                assert code == 128 + number, (code, running.stderr.read())
                assert twice or faults.newest(run_dir) > 0
            yield Row(
                f"{name}, {'twice' if twice else 'once'}",
                "while it trained",
                len(took),
                f"{'left at once' if twice else 'saved and left'}, exit {128 + number}, within "
                f"{max(took):.1f} s",
                max(took) < (1 if twice else 10),
            )


def _started(run_dir: Path, data_dir: Path) -> subprocess.Popen:
    running = subprocess.Popen(
        faults.command(run_dir, data_dir, "--epochs", "100000"),
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    while faults.reported(run_dir) == 0 and running.poll() is None:
        time.sleep(0.05)
    return running


def damaging(work: Path, data_dir: Path, run_dir: Path) -> Iterator[Row]:
    """Damage each file of the newest checkpoint in each way, then resume."""
    newest = faults.newest(run_dir)
    names = faults.files(run_dir / "state" / str(newest))
    for damage in faults.DAMAGES:
        named = 0
        for name in names:
            copy = work / "damaged"
            shutil.copytree(run_dir, copy)
            damage(copy / "state" / str(newest) / name)
            done = faults.finish(copy, data_dir, "--epochs", "4")
            fell_back = f"from step {newest - faults.INTERVAL}" in done.stdout
            named += done.returncode == 0 and fell_back and name.name in done.stderr
            assert "Traceback" not in done.stderr, done.stderr
            named -= faults.remains(copy)["state"] != faults.remains(run_dir)["state"]
            shutil.rmtree(copy)
        yield Row(
            f"a checkpoint's file: {damage.__name__.replace('_', ' ')}",
            "each file of the newest checkpoint in turn",
            len(names),
            f"{named} named in a warning, the checkpoint before it used, the same bits at the end",
            named == len(names),
        )


def starving(work: Path, data_dir: Path, run_dir: Path) -> Iterator[Row]:
    """Continue a run on disks with less and less room, then where there is some again."""
    sound, codes, sizes = 0, collections.Counter(), (0, 4, 12, 28, 60, 100, 150, 220, 300, 400, 600)
    whole = work / "wide"
    assert faults.finish(whole, data_dir, *EIGHT).returncode == 0
    for size in sizes:
        after = work / f"small-{size}"
        arguments = faults.command(run_dir, data_dir, *EIGHT)
        done = faults.on_small_disk(run_dir, size, arguments, after)
        codes[done.returncode] += 1
        assert len(done.stderr.splitlines()) <= 3, done.stderr
        assert faults.finish(after, data_dir, *EIGHT).returncode == 0
        sound += faults.remains(after) == faults.remains(whole)
    told = ", ".join(f"exit {code} {count} times" for code, count in sorted(codes.items()))
    yield Row(
        "disk full",
        f"a run goes on where {sizes[0]} to {sizes[-1]} KiB are free (tmpfs): the settings, "
        "samples, metrics, checkpoint or model do not fit",
        len(sizes),
        f"{told}; given room, {sound} of them went on and ended with the bits of a run that "
        "nothing befell",
        sound == len(sizes) and codes.keys() <= {0, 5},
    )


def without_memory(work: Path, data_dir: Path) -> Iterator[Row]:
    """Train with ever less address space."""
    outcomes = collections.Counter()
    for megabytes in range(1100, 3100, 200):
        run_dir = work / f"memory-{megabytes}"
        arguments = faults.command(
            run_dir, data_dir, "--epochs", "2", "--width", "128", "--batch-size", "1000"
        )
        done = subprocess.run(
            faults.with_memory(megabytes, arguments), capture_output=True, text=True
        )
        told = "out of memory with --batch-size 1000 and --width 128" in done.stderr
        if told or done.returncode == 0:
            outcomes["told in a sentence" if told else "trained"] += 1
        elif done.returncode < 0:
            outcomes["ended by a library, without a word"] += 1
        else:
            outcomes[f"exit {done.returncode}"] += 1
        assert all(
            checkpoint.fault(run_dir, entry.step) is None for entry in checkpoint.saved(run_dir)
        )
    yield Row(
        "memory runs out",
        "1.1 to 2.9 GB of address space for a training that takes more",
        sum(outcomes.values()),
        ", ".join(f"{count} {name}" for name, count in outcomes.items()) + "; no checkpoint harmed",
        outcomes["told in a sentence"] > 0,
    )
    done = faults.finish(work / "large", data_dir, "--width", "8192")
    assert "--width 8192" in done.stderr, done.stderr
    yield Row(
        "more memory than there is",
        "--width 8192",
        1,
        "refused before it starts, exit 2, naming batch and width",
        done.returncode == 2,
    )


def long(work: Path, data_dir: Path, steps: int) -> Iterator[Row]:
    """Train on for long, with samples, evaluation and checkpoints; watch the process."""
    # A dataset's first reading takes TensorFlow into memory, beside which little growth would show.
    done = faults.finish(work / "brief", data_dir, "--epochs", "1", "--evaluate-every", "1")
    assert done.returncode == 0, done.stderr
    run_dir = work / "long"
    running = subprocess.Popen(
        faults.command(run_dir, data_dir, "--epochs", str(steps // faults.EPOCH),
                       "--evaluate-every", "5", "--report-every", "10"),
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    seen: list[tuple[int, int, int, int]] = []  # step, bytes, handles, threads
    while running.poll() is None and (not seen or seen[-1][0] < steps - faults.EPOCH):
        time.sleep(0.05)
        step = faults.reported(run_dir)
        if step > WARM and (not seen or seen[-1][0] != step):
            seen.append((step, *_looked_at(running.pid)))
    assert running.wait() == 0, running.stderr.read()
    # Handles and threads come and go with each write, so their fewest count.
    quarter = len(seen) // 4
    before, after = seen[:quarter], seen[-quarter:]
    (old, new) = (statistics.median(one[1] for one in part) for part in (before, after))
    handles, threads = (
        [min(one[column] for one in part) for part in (before, after)] for column in (2, 3)
    )
    rates = [
        record.images_per_second
        for record in read_log(run_dir / "metrics.jsonl")
        if isinstance(record, StepReport) and record.step > WARM
    ]
    quarter = len(rates) // 4
    drift = statistics.median(rates[:quarter]) / statistics.median(rates[-quarter:]) - 1
    yield Row(
        f"{steps:,} steps",
        f"{steps // faults.EPOCH} sample sheets, {steps // faults.INTERVAL} checkpoints, "
        f"{steps // (5 * faults.EPOCH)} evaluations and more; looked at {len(seen)} times after "
        f"step {WARM}, the first and the last quarter compared",
        1,
        f"memory {old / 1e6:.1f} to {new / 1e6:.1f} MB ({new / old - 1:+.2%}, medians), file "
        f"handles {handles[0]} to {handles[1]}, threads {threads[0]} to {threads[1]} (at least), a "
        f"step's time {drift:+.1%} (medians)",
        new < 1.01 * old and handles[0] >= handles[1] and threads[0] >= threads[1] and drift < 0.05,
    )


def _looked_at(pid: int) -> tuple[int, int, int]:
    """Return a process's resident bytes, open files and threads."""
    process = Path("/proc") / str(pid)
    pages = int((process / "statm").read_text().split()[1])
    handles = len(list((process / "fd").iterdir()))
    return pages * resource.getpagesize(), handles, len(list((process / "task").iterdir()))


def main() -> int:
    """Do all of it, or some, tell and write down what happened."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200, help="how often to kill (200)")
    parser.add_argument("--steps", type=int, default=4_000, help="length of the long run (4000)")
    parser.add_argument("--seed", type=int, default=0, help="of the moments of killing (0)")
    parser.add_argument("--page", type=Path, default=PAGE, help="page whose table is written")
    names = ("killing", "stopping", "damaging", "starving", "memory", "long")
    parser.add_argument("--only", choices=names, help="one part; the other rows stay as they are")
    options = parser.parse_args()
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="jaxgan-soak-") as folder:
        work = Path(folder)
        data_dir = faults.prepare(work / "data")
        run_dir = work / "sound"
        assert faults.finish(run_dir, data_dir, "--epochs", "4").returncode == 0
        parts = (
            killing(work, data_dir, options.kills, random.Random(options.seed)),
            stopping(work, data_dir),
            damaging(work, data_dir, run_dir),
            starving(work, data_dir, run_dir),
            without_memory(work, data_dir),
            long(work, data_dir, options.steps),
        )
        for name, part in zip(names, parts, strict=True):
            for row in part if options.only in (None, name) else ():
                rows.append(row)
                print("ok  " if row.held else "NOT ", *row[:4], sep="  ", flush=True)
    _write(options.page, rows, anew=options.only is None)
    return 0 if all(row.held for row in rows) else 1


def _write(page: Path, rows: list[Row], anew: bool) -> None:
    """Write the table: of these rows alone, or with them in place of those of the same faults."""
    text = page.read_text()
    head = "| fault | how tried | times | what happened | as promised |\n|---|---|---:|---|---|\n"
    lines = [] if anew else TABLE.search(text)[0].splitlines()[3:-1]
    by_fault = {line.split("|")[1].strip(): line for line in lines}
    by_fault |= {
        row.fault: f"| {row.fault} | {row.how} | {row.times} | {row.outcome} | "
        f"{'yes' if row.held else 'NO'} |"
        for row in rows
    }
    table = head + "".join(line + "\n" for line in by_fault.values())
    page.write_text(TABLE.sub(lambda found: found[1] + table + found[2], text))


if __name__ == "__main__":
    sys.exit(main())
