"""What the tests share: prepared real digits, one trained run, its model, the programs."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, NoReturn

import pytest
from filelock import FileLock

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


class Done(NamedTuple):
    """What a program left, named as subprocess names it."""

    returncode: int
    stdout: str
    stderr: str
    raw: bytes = b""
    """What it wrote to stdout, undecoded."""


def call(command: Callable[[str], NoReturn], program: str, *arguments: str | Path) -> Done:
    """Run a command in this process, as its entry point does: options in, exit code out."""
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in range(2))
    before, sys.argv = sys.argv, [program, *map(str, arguments)]
    code: object = None
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            command(program)
    except SystemExit as left:
        code = left.code or 0
    finally:
        sys.argv = before
    assert isinstance(code, int), "a command has to end by SystemExit"
    raw, errors = (one.buffer.getvalue() for one in (out, err))
    return Done(code, raw.decode(errors="replace"), errors.decode(errors="replace"), raw)


def run(*command: str | Path, **options) -> subprocess.CompletedProcess[str]:
    """Run a command in the repository's root; output as text."""
    return subprocess.run(
        [str(part) for part in command], cwd=ROOT, capture_output=True, text=True, **options
    )


def python(*arguments: str | Path, **options) -> subprocess.CompletedProcess[str]:
    """Run this Python, as a user would: warnings are not errors, no terminal."""
    environment = {**os.environ, "COLUMNS": "200"}
    return run(sys.executable, *arguments, env=environment, **options)


def train(*arguments: str | Path, convert: bool = False) -> Done:
    """Train the small network in this process; converting takes most of the time of a short run."""
    from jaxgan.commands.train import command

    ends = () if convert else ("--no-convert",)
    return call(command, "train.py", *SMALL, *ends, *arguments)


def refused(done: Done | subprocess.CompletedProcess[str], code: int, *words: str) -> None:
    """Check that a command ended with a code and a message of at most two lines, no traceback."""
    assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
    lines = done.stderr.strip().splitlines()
    assert 1 <= len(lines) <= 2, done.stderr
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in done.stderr, done.stderr


def shared(tmp_path_factory, name: str, make: Callable[[Path], None]) -> Path:
    """Return a folder that one of the tests' processes makes for all of them; nobody changes it."""
    base = tmp_path_factory.getbasetemp()
    base = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    folder = base / name
    with FileLock(base / f"{name}.lock"):
        if not folder.exists():
            aside = base / f"{name}.part"
            shutil.rmtree(aside, ignore_errors=True)
            aside.mkdir()
            make(aside)
            aside.rename(folder)
    return folder


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory) -> Path:
    """The fixture's digits as the dataset mnist, prepared without network."""

    def make(folder: Path) -> None:
        from jaxgan.data import idx

        idx.import_idx("mnist", str(folder), FIXTURE)

    return shared(tmp_path_factory, "data", make)


def keep_by_tfds(
    data_dir: Path, name: str, features: dict[str, object], splits: dict[str, list[dict]]
) -> None:
    """Have TFDS know a dataset, and write it where it would have downloaded one."""
    from jaxgan.data import names, tfds

    library = tfds._load_tfds()
    core = library.core
    known = {
        "name": name,
        "VERSION": core.Version("1.0.0"),
        "_info": lambda self: core.DatasetInfo(
            builder=self, features=library.features.FeaturesDict(features)
        ),
        "_split_generators": lambda _, __: {
            split: enumerate(examples) for split, examples in splits.items()
        },
        "_generate_examples": None,
    }
    made = type(name.title(), (core.GeneratorBasedBuilder,), known)
    made(data_dir=str(data_dir / names.TFDS)).download_and_prepare()


def trained(folder: Path, *arguments: str | Path) -> None:
    """Train a run that is converted at its end."""
    done = train("--run-dir", folder / "run", *arguments, convert=True)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="session")
def run_dir(data_dir, tmp_path_factory) -> Path:
    """A run of two epochs with a checkpoint and an evaluation after each."""
    options = ("--epochs", "2", "--checkpoint-every", "1", "--evaluate-every", "1")
    make = lambda folder: trained(folder, "--data-dir", data_dir, *options)  # noqa: E731
    return shared(tmp_path_factory, "run", make) / "run"


@pytest.fixture(scope="session")
def model(run_dir) -> Path:
    """The run's generator."""
    return run_dir / "generator.tflite"


@pytest.fixture(scope="session")
def plain_model(data_dir, tmp_path_factory) -> Path:
    """The generator of a plain GAN, without classes."""
    options = ("--no-conditional", "--epochs", "1", "--data-dir", data_dir)
    folder = shared(tmp_path_factory, "plain", lambda folder: trained(folder, *options))
    return folder / "run" / "generator.tflite"


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


# --- What `make test-fast` leaves out: what starts a program, loads TensorFlow or needs a build.

_SLOW_FIXTURES = {
    "data_dir", "run_dir", "model", "plain_model", "program", "sanitized", "digits", "dataset",
    "named",
}  # fmt: skip


_SLOW_FILES = {
    "test_benchmarks", "test_cmake", "test_cpp", "test_dist", "test_faults", "test_hostile",
    "test_data", "test_general", "test_inception", "test_library", "test_metrics", "test_package",
    "test_tfds",
}  # fmt: skip
# Compiling takes seconds a case: of these files the smallest cases alone are fast.
_COMPILED = {"test_convolution", "test_gan", "test_gradients", "test_latents", "test_networks"}
_SMALLEST = ("[shape0-gemm]", "_refused", "test_one_step_by_the_optimizers_rule")


def is_slow(item: pytest.Item) -> bool:
    """Return whether a test is left out of ``make test-fast``."""
    if item.path.stem in _COMPILED:
        return not any(part in item.name for part in _SMALLEST)
    fixtures = set(getattr(item, "fixturenames", ()))
    return item.path.stem in _SLOW_FILES or bool(_SLOW_FIXTURES & fixtures)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if is_slow(item):
            item.add_marker("slow")


@pytest.fixture(autouse=True)
def _fast_tests_are_fast(request, monkeypatch) -> None:
    """A test that is not marked slow starts no process and loads no TensorFlow."""
    if request.node.get_closest_marker("slow"):
        return

    def refuse(*_, **__):
        raise AssertionError("mark this test slow: it starts a process")

    monkeypatch.setattr(subprocess.Popen, "__init__", refuse)
    if "tensorflow" not in sys.modules:
        monkeypatch.setitem(sys.modules, "tensorflow", None)
