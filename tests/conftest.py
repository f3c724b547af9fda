"""What the tests share: real digits prepared by TFDS, one trained run, its model, the program."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FIXTURE = Path(__file__).parent / "fixture"
BUILDS = ROOT / "tflite_cpp" / "build"

# A network small enough for tests; the options stand here once.
SMALL = (
    "--width", "8", "--batch-size", "50", "--report-every", "7", "--learning-rate", "1e-3",
    "--evaluate-every", "0",
)  # fmt: skip


# What one process of the tests has compiled, the next one need not. Each worker has its own folder,
# since JAX writes no entry as a whole.
_CACHE = tempfile.TemporaryDirectory(prefix="jaxgan-tests-")
os.environ["JAX_COMPILATION_CACHE_DIR"] = _CACHE.name
os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
os.environ["HYPOTHESIS_STORAGE_DIRECTORY"] = _CACHE.name  # so that nothing is left in the tree
# A hostile model may ask for more memory than there is: fail as malloc does, do not abort.
os.environ["ASAN_OPTIONS"] = "allocator_may_return_null=1"


def run(*command: str | Path, **options) -> subprocess.CompletedProcess[str]:
    """Run a command in the repository's root; output as text."""
    return subprocess.run(
        [str(part) for part in command], cwd=ROOT, capture_output=True, text=True, **options
    )


def python(*arguments: str | Path, **options) -> subprocess.CompletedProcess[str]:
    """Run this Python, as a user would: warnings are not errors, no terminal."""
    environment = {**os.environ, "COLUMNS": "200"}
    return run(sys.executable, *arguments, env=environment, **options)


def train(
    *arguments: str | Path, convert: bool = False, **options
) -> subprocess.CompletedProcess[str]:
    """Run train.py with the small network; converting takes most of the time of a short run."""
    ends = () if convert else ("--no-convert",)
    return python("train.py", *SMALL, *ends, *arguments, **options)


def refused(done: subprocess.CompletedProcess[str], code: int, *words: str) -> None:
    """Check that a command ended with a code and a message of at most two lines, no traceback."""
    assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
    lines = done.stderr.strip().splitlines()
    assert 1 <= len(lines) <= 2, done.stderr
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in done.stderr, done.stderr


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory) -> Path:
    """The fixture's digits as a TFDS dataset, made by the importer without network."""
    from jaxgan import data

    folder = tmp_path_factory.mktemp("data")
    data.import_idx("mnist", str(folder), FIXTURE)
    return folder


@pytest.fixture(scope="session")
def run_dir(data_dir, tmp_path_factory) -> Path:
    """A run of two epochs with a checkpoint and an evaluation after each."""
    folder = tmp_path_factory.mktemp("runs") / "run"
    done = train(
        "--data-dir", data_dir, "--run-dir", folder, "--epochs", "2", "--checkpoint-every", "1",
        "--evaluate-every", "1", convert=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="session")
def model(run_dir) -> Path:
    """The run's generator."""
    return run_dir / "generator.tflite"


@pytest.fixture(scope="session")
def plain_model(data_dir, tmp_path_factory) -> Path:
    """The generator of a plain GAN, without classes."""
    folder = tmp_path_factory.mktemp("runs") / "plain"
    done = train(
        "--no-conditional", "--data-dir", data_dir, "--run-dir", folder, "--epochs", "1",
        convert=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return folder / "generator.tflite"


def _built(preset: str) -> Path:
    path = BUILDS / preset / "jaxgan-generate"
    assert path.exists(), f"{path} is not built; run: make test"
    return path


@pytest.fixture(scope="session")
def program() -> Path:
    """The C++ program as people use it."""
    return _built("release")


@pytest.fixture(scope="session")
def sanitized() -> Path:
    """The C++ program with AddressSanitizer and UBSan."""
    return _built("sanitize")
