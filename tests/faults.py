"""Faults done to real training, and what is left of it. The tests and ``soak.py`` share these.

Each training that something befalls is a process of its own, on the fixture's digits, with a
network small enough to take thousands of steps a minute.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from conftest import FIXTURE, ROOT, Done, call

from jaxgan.commands import train
from jaxgan.data import idx
from jaxgan.runs import checkpoint

EPOCH = 20  # steps: 1,000 digits in batches of 50
INTERVAL = 2 * EPOCH  # steps between checkpoints
OPTIONS = (
    "--width", "4", "--batch-size", "50", "--latent-size", "8", "--report-every", "7",
    "--learning-rate", "1e-3", "--evaluate-every", "0", "--checkpoint-every", "2", "--no-convert",
)  # fmt: skip
# Every objective, with and without penalties and labels, and every dataset.
VARIANTS = (
    (),
    ("--loss", "hinge", "--dataset", "fashion_mnist"),
    ("--loss", "rpgan", "--beta2-final", "0.9", "--penalty-final", "0.1", "--anneal-images", "2e4"),
    ("--no-conditional", "--evaluate-every", "3", "--epochs", "12"),  # evaluations take a second
    ("--dataset", "stacked_mnist", "--train-images", "1000"),
    ("--r1", "0", "--r2", "0", "--dataset", "kmnist"),
    ("--loss", "hinge", "--r1", "0", "--r2", "0", "--no-conditional", "--dataset", "emnist/digits"),
)
IN_WRITING, ANYWHERE = "inside checkpoint writing", "anywhere"


def prepare(folder: Path) -> Path:
    """Prepare the fixture's digits under the name of each dataset; return their folder."""
    for name in idx.CLASS_NAMES:
        idx.import_idx(name, str(folder), FIXTURE)
    return folder


def command(run_dir: Path, data_dir: Path, *options: str) -> list[str]:
    """Return the command of a small training."""
    return [
        sys.executable, str(ROOT / "train.py"), *OPTIONS, "--data-dir", str(data_dir),
        "--run-dir", str(run_dir), *map(str, options),
    ]  # fmt: skip


def with_memory(megabytes: int, arguments: list[str]) -> list[str]:
    """Return a command that has so much address space."""
    return ["sh", "-c", 'ulimit -v "$0" && exec "$@"', str(megabytes * 1024), *arguments]


def finish(run_dir: Path, data_dir: Path, *options: str) -> Done:
    """Train to the end, in this process: nothing befalls this one."""
    return call(train.command, "train.py", *command(run_dir, data_dir, *options)[2:])


def remains(run_dir: Path) -> dict[str, object]:
    """Return all that a finished run is to have in common with one that nothing befell."""
    lines = (run_dir / "metrics.jsonl").read_text().splitlines()
    timeless = [
        {name: value for name, value in json.loads(line).items() if "second" not in name}
        for line in lines
    ]
    step, state = checkpoint.load(run_dir)
    found = {"step": step, "state": checkpoint.fingerprint(state), "metrics": timeless}
    for path in (*run_dir.glob("generator.tflite"), *sorted((run_dir / "samples").iterdir())):
        found[path.name] = path.read_bytes()
    return found


class Kill(NamedTuple):
    """One kill.

    Attributes:
        aim: IN_WRITING or ANYWHERE.
        writing: Step of the checkpoint that was being written then; None if none was.
        lost: Steps that were reported and have to be taken again.
    """

    aim: str
    writing: int | None
    lost: int


def newest(run_dir: Path) -> int:
    """Return the step of the newest checkpoint; 0 if there is none."""
    steps = [entry.step for entry in checkpoint.saved(run_dir)]
    return steps[-1] if steps else 0


def writing(run_dir: Path) -> int | None:
    """Return the step of the checkpoint that is being written; None if none is."""
    found = list(run_dir.glob("state/.*.new"))
    return int(found[0].name.split(".")[1]) if found else None


def reported(run_dir: Path) -> int:
    """Return the last step that a run has reported."""
    path = run_dir / "metrics.jsonl"
    whole = path.read_text().rpartition("\n")[0].splitlines() if path.exists() else []
    return json.loads(whole[-1])["step"] if whole else 0


def kill(running: subprocess.Popen, run_dir: Path, aim: str, chance: random.Random) -> Kill | None:
    """Kill a training at a random moment; None if it ended before."""
    if aim == IN_WRITING:
        for _ in range(chance.choice((1, 1, 2, 3))):  # the first checkpoint or a later one
            while running.poll() is None and writing(run_dir) is None:
                time.sleep(0.0005)
            time.sleep(chance.uniform(0, 0.1))
    else:
        end = time.monotonic() + chance.uniform(0.5, 6.0)
        while running.poll() is None and time.monotonic() < end:
            time.sleep(0.01)
    if running.poll() is not None:
        return None
    os.kill(running.pid, signal.SIGSTOP)  # so that what is looked at is what was killed
    done = Kill(aim, writing(run_dir), reported(run_dir) - newest(run_dir))
    running.kill()
    return done


def killed_run(
    run_dir: Path, arguments: list[str], aims: Iterator[str], chance: random.Random
) -> list[Kill]:
    """Start a training again and again, kill it as the aims say, let it end when it does.

    Raises:
        AssertionError: A start failed, or a kill lost more than it may.
    """
    kills: list[Kill] = []
    for aim in itertools.chain(aims, [None]):
        running = subprocess.Popen(
            arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        done = kill(running, run_dir, aim, chance) if aim else None
        out, err = running.communicate()
        if done is None:
            assert running.returncode == 0, (running.returncode, out, err)
            break
        assert "Traceback" not in err, err
        # What was being written, or was due and about to be, may be lost; the one before may not.
        due = done.writing or reported(run_dir) // INTERVAL * INTERVAL
        assert newest(run_dir) >= due - INTERVAL, (due, newest(run_dir))
        kills.append(done)
    assert not list(run_dir.rglob(".jaxgan.*")), "half written files are left"
    return kills


def truncate(path: Path) -> None:
    """Keep the first half of a file."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def empty(path: Path) -> None:
    """Keep nothing of a file's content."""
    path.write_bytes(b"")


def flip(path: Path) -> None:
    """Change one bit in the middle of a file."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def delete(path: Path) -> None:
    """Remove a file."""
    path.unlink()


def lock_out(path: Path) -> None:
    """Make a file unreadable: to root, who may read all, by a folder in its place."""
    path.chmod(0)
    if os.access(path, os.R_OK):
        path.unlink()
        path.mkdir()


DAMAGES: tuple[Callable[[Path], None], ...] = (truncate, empty, flip, delete, lock_out)


def files(folder: Path) -> list[Path]:
    """Return a checkpoint's files, relative to its folder."""
    return sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file())


def on_small_disk(run_dir: Path, kilobytes: int, arguments: list[str], after: Path):
    """Run a command with a copy of a run on a full disk: a tmpfs with so much room left.

    Args:
        run_dir: The run; it is copied to a tmpfs that is mounted over it for the command alone.
        kilobytes: What is left free there.
        arguments: The command.
        after: Gets a copy of what is there when the command has ended.

    Returns:
        The finished process; ``None`` where no tmpfs can be mounted.
    """
    size = kilobytes + sum(
        -(-path.stat().st_size // 4096) * 4 for path in run_dir.rglob("*") if path.is_file()
    )
    script = (
        'mount -t tmpfs -o size="$1k" tmpfs "$2" && cp -a "$3/." "$2" || exit 99; shift 3; '
        'after=$1; shift; "$@"; code=$?; cp -a "$OLDPWD/." "$after"; exit $code'
    )
    copy = after.parent / f"{after.name}-source"
    shutil.copytree(run_dir, copy)
    return subprocess.run(
        ["unshare", "--mount", *([] if os.geteuid() == 0 else ["--map-root-user"]), "sh", "-c",
         f'OLDPWD="$2"; {script}', "sh", str(size), str(run_dir), str(copy), str(after),
         *arguments],
        capture_output=True, text=True,
    )  # fmt: skip
