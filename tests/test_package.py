"""The package as people install it: what pip builds of this checkout, in an empty environment."""

import os
import platform
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from conftest import ROOT, Done, refused, run, shared

import jaxgan

pytestmark = pytest.mark.slow
_DIST = f"jaxgan-{jaxgan.__version__}-py3-none-manylinux_2_27_{platform.machine()}.whl"
_MAX_MEGABYTES = 230  # of the base install


def outside(*command: str | Path, cwd: Path) -> Done:
    """Run a command that sees nothing of this checkout or of the Python that tests it."""
    environment = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    words = [str(word) for word in command]
    done = subprocess.run(words, cwd=cwd, env=environment, capture_output=True, text=True)
    return Done(done.returncode, done.stdout, done.stderr)


def checkout(folder: Path) -> Path:
    """Copy this checkout into a repository of somebody else, with what a user leaves in it."""
    copy = folder / "jaxgan"
    listed = run("git", "ls-files", "--cached", "--others", "--exclude-standard")
    for name in listed.stdout.splitlines():
        if (ROOT / name).is_file() and not name.startswith(("docs/", "tests/", "benchmarks/")):
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, copy / name)
    for left in ("data/mnist/a.py", "checkpoints/mnist/b.py", "jaxgan/gan/native/build/c.py",
                 "tflite_cpp/build/release/d.cc", "generator.tflite"):  # fmt: skip
        (copy / left).parent.mkdir(parents=True, exist_ok=True)
        (copy / left).write_text("left over\n")
    git(folder, "init", "--quiet")
    git(folder, "commit", "--quiet", "--allow-empty", "--message=other")
    return copy


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=A", "-c", "user.email=a@example.org")
    return run("git", "-C", folder, *identity, *arguments).stdout.strip()


@pytest.fixture(scope="session")
def installed(tmp_path_factory) -> Path:
    """A folder with a copy of the checkout (sources/), its sdist, and a base install (env/)."""

    def make(folder: Path) -> None:
        copy, env = checkout(folder / "sources"), environment_of(folder)
        pip = (sys.executable, "-m", "pip", "--disable-pip-version-check")
        build = f"from scikit_build_core.build import build_sdist; build_sdist({str(folder)!r})"
        steps = (
            (sys.executable, "-m", "venv", "--clear", "--without-pip", env),
            (*pip, "--python", env / "bin" / "python", "install", "--quiet", copy),
            (*pip, "install", "--quiet", "--target", folder / "builder", "scikit-build-core"),
            ("env", f"PYTHONPATH={folder / 'builder'}", sys.executable, "-c", build),
        )
        for step in steps:
            done = outside(*step, cwd=copy)
            assert done.returncode == 0, done.stderr

    return shared(tmp_path_factory, "installed", make)


def environment_of(folder: Path) -> Path:
    """Return where the environment lies: beside the folder, as it cannot be renamed with it."""
    return folder.parent / "installed-environment"


@pytest.fixture(scope="session")
def programs(installed) -> Path:
    return environment_of(installed) / "bin"


@pytest.fixture(scope="session")
def packages(installed) -> Path:
    (found,) = environment_of(installed).glob("lib/python*/site-packages")
    return found


def test_a_wheel_has_what_is_needed_and_nothing_that_lies_about(packages):
    package = packages / "jaxgan"
    library = "libjaxgan.dylib" if sys.platform == "darwin" else "libjaxgan.so"
    for name in (
        "py.typed", "metrics/weights/mnist.npz", "metrics/weights/fashion_mnist.npz",
        "gan/native/build.sh", "gan/native/CMakeLists.txt", "gan/native/maps.cc",
        "gan/native/maps.h", f"drawing/{library}",
    ):  # fmt: skip
        assert (package / name).is_file(), name
    assert not (package / "gan/native/build").exists()
    (info,) = packages.glob("jaxgan-*.dist-info")
    assert info.name == f"jaxgan-{jaxgan.__version__}.dist-info"
    assert (info / "licenses" / "LICENSE").is_file()
    listed = [line.split(",")[0] for line in (info / "RECORD").read_text().splitlines()]
    tops = {name.partition("/")[0] for name in listed}
    assert tops == {"jaxgan", info.name, ".."}  # ..: the command
    assert [name for name in listed if name.startswith("..")] == ["../../../bin/jaxgan"]


def test_a_base_install_is_small_and_has_neither_jax_nor_tensorflow(packages):
    names = {path.name for path in packages.iterdir()}
    assert "ai_edge_litert" in names
    assert not names & {"jax", "jaxlib", "flax", "tensorflow", "matplotlib", "keras"}
    total = sum(path.stat().st_size for path in packages.rglob("*") if path.is_file())
    print(f"base install: {total / 1e6:.0f} MB")
    assert total < _MAX_MEGABYTES * 1e6


def test_the_sdist_has_the_sources_alone(installed):
    (path,) = installed.glob("jaxgan-*.tar.gz")
    with tarfile.open(path) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    for name in ("LICENSE", "pyproject.toml", "jaxgan/py.typed", "tflite_cpp/src/c.cc",
                 "tflite_cpp/CMakeLists.txt", "scripts/revision.cmake"):  # fmt: skip
        assert name in names
    stray = re.compile(r"(data|checkpoints|dist|\.venv|\.git)/|.*/build/|generator")
    assert not [name for name in names if stray.match(name)]


def test_an_install_draws_as_the_checkout_does(programs, model, tmp_path):
    command, python = programs / "jaxgan", programs / "python"
    options = ("--model", model, "--seed", "7", "--count", "12", "--out")
    calls = {
        "a.png": (command, "generate"),
        "b.png": (python, "-m", "jaxgan", "generate"),
    }
    for name, call in calls.items():
        done = outside(*call, *options, name, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    expected = run(sys.executable, "-m", "jaxgan", "generate", *options, tmp_path / "c.png")
    assert expected.returncode == 0, expected.stderr
    pictures = [(tmp_path / name).read_bytes() for name in ("a.png", "b.png", "c.png")]
    assert pictures[0] == pictures[1] == pictures[2]
    text = f"""
import jaxgan
from jaxgan.errors import UserError
with jaxgan.Generator({str(model)!r}) as generator:
    print(generator.draw(seed=7, count=12).shape, generator.info.image_shape)
try:
    jaxgan.train
except UserError as error:
    print(error)
"""
    done = outside(python, "-c", text, cwd=tmp_path)
    assert done.stdout.splitlines() == [
        "(12, 28, 28, 1) (28, 28, 1)",
        "jax is not installed; run: pip install 'jaxgan[train]'",
    ], done.stderr


def test_the_command_names_the_extra_that_it_lacks(programs, tmp_path):
    command = programs / "jaxgan"
    for name, extra in (("train", "train"), ("convert", "train"), ("native", "train")):
        done = outside(command, name, cwd=tmp_path)
        refused(done, 2, "is not installed; run: pip install", f"'jaxgan[{extra}]'")
    done = outside(command, "data", "prepare", "cifar10", cwd=tmp_path)  # no package has it
    refused(done, 2, "pip install 'jaxgan[data]'")
    done = outside(command, "--version", cwd=tmp_path)
    assert done.stdout == f"jaxgan {jaxgan.__version__}\n"
    for name in ("train", "generate", "evaluate"):
        done = outside(command, name, "--help", cwd=tmp_path)
        assert done.returncode == 0 and f"jaxgan {name}" in done.stdout, done.stderr


def test_a_revision_is_that_of_the_checkout_never_of_a_folder_around_it(
    installed, packages, tmp_path
):
    assert git(installed / "sources", "describe", "--always")
    assert (packages / "jaxgan" / "_revision.txt").read_text() == "unknown\n"
    (tmp_path / "scripts").mkdir()
    shutil.copy(ROOT / "scripts" / "revision.cmake", tmp_path / "scripts")
    (tmp_path / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.21)\nproject(any LANGUAGES NONE)\n"
        "include(scripts/revision.cmake)\n"
    )
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", "CMakeLists.txt", "scripts")
    git(tmp_path, "commit", "--quiet", "--message=ours")
    expected = git(tmp_path, "rev-parse", "--short=12", "HEAD")
    for dirty in ("", "-dirty"):
        done = run("cmake", "-S", tmp_path, "-B", tmp_path / "build")
        assert done.returncode == 0, done.stderr
        assert (tmp_path / "build" / "_revision.txt").read_text() == f"{expected}{dirty}\n"
        with (tmp_path / "CMakeLists.txt").open("a") as file:
            file.write("# changed\n")


def test_a_wheel_of_make_dist_is_installed_and_draws_by_package_and_program(model, tmp_path):
    wheel = ROOT / "dist" / _DIST
    if not wheel.exists():
        pytest.skip(f"dist/{_DIST} is not built; make dist builds it, installs it and draws, too")
    from scripts.dist import runners
    from scripts.dist.cache import Cache

    by_package, by_program = runners.draw_installed(Cache(tmp_path), wheel, model)
    assert (by_package == by_program).all()
    assert by_package.std() > 0
