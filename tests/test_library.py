"""The C++ library as others use it: installed, moved elsewhere, found by CMake and pkg-config."""

import ctypes
import os
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT, run

SOURCES = ROOT / "tflite_cpp"
CONSUMER = SOURCES / "tests" / "consumer"
COMPILER = os.environ.get("CXX", "c++")


def done(*command, **options) -> str:
    """Run a command that has to succeed; return what it wrote to stdout."""
    finished = run(*command, **options)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    return finished.stdout


@pytest.fixture(scope="session")
def installed(program, tmp_path_factory) -> Path:
    """The release build, installed into a prefix that was moved since."""
    folder = tmp_path_factory.mktemp("install")
    done("cmake", "--install", program.parent, "--prefix", folder / "first")
    return Path(shutil.move(folder / "first", folder / "moved"))


@pytest.fixture(scope="session")
def consumer(installed, tmp_path_factory) -> Path:
    """The build folder of the consumer project, made with the installed CMake package."""
    folder = tmp_path_factory.mktemp("consumer")
    done("cmake", "-G", "Ninja", "-S", CONSUMER, "-B", folder, f"-DCMAKE_PREFIX_PATH={installed}")
    done("cmake", "--build", folder)
    return folder


@pytest.fixture(scope="session")
def throwing_runtime(tmp_path_factory) -> Path:
    """A runtime library whose functions throw."""
    library = tmp_path_factory.mktemp("runtime") / "throwing.so"
    source = SOURCES / "tests" / "throwing_runtime.cc"
    done(COMPILER, "-std=c++17", "-shared", "-fPIC", f"-I{SOURCES}/src", source, "-o", library)
    return library


@pytest.fixture(scope="session")
def drawn(installed, model, tmp_path_factory) -> bytes:
    """What the installed program draws of seed 7, as bytes of 70 images."""
    out = tmp_path_factory.mktemp("drawn") / "x.npy"
    program = installed / "bin" / "jaxgan-generate"
    done(program, "--model", model, "--seed", "7", "--count", "70", "--out", out)
    images = np.load(out)
    assert images.shape == (70, 28, 28, 1) and images.std() > 10
    return images.tobytes()


def drawn_by(draw: Path, model: Path) -> bytes:
    finished = subprocess.run([draw, model, "7", "70"], capture_output=True, check=False)
    assert finished.returncode == 0, finished.stderr
    return finished.stdout


def test_the_installed_program_uses_the_installed_runtime(installed):
    (line,) = done(installed / "bin" / "jaxgan-generate", "--version").splitlines()[1:]
    runtime = Path(line.split(", ")[1])
    assert line.startswith("runtime LiteRT, ")
    assert runtime.resolve().parent == (installed / "lib").resolve()


def test_nothing_installed_names_the_place_it_was_built_in(installed):
    for path in installed.rglob("*"):
        if path.is_file() and path.suffix in {".cmake", ".pc", ".h"}:
            text = path.read_text()
            assert str(ROOT) not in text and str(installed.parent) not in text, path


def test_a_cmake_project_draws_what_the_program_draws(consumer, model, drawn):
    assert drawn_by(consumer / "draw", model) == drawn


def test_a_program_in_c_draws_the_same(consumer, model, drawn):
    assert drawn_by(consumer / "draw_c", model) == drawn
    wrong = run(consumer / "draw_c", model, "7", "0")
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert wrong.stderr.endswith("error: --count: expected 1 to 1000000, got 0\n")


def test_the_readme_shows_a_program_that_works(installed, model, drawn, tmp_path):
    readme = (SOURCES / "README.md").read_text()
    code, command = re.search(r"```c\n(.*?)```\n\n```sh\n(cc .*?)\n", readme, re.DOTALL).groups()
    assert (CONSUMER / "draw_c.c").read_text().endswith(code)
    places = {"/opt/jaxgan": str(installed), " draw_c": f" {tmp_path}/draw_c"}
    for named, place in places.items():
        command = command.replace(named, place)
    (tmp_path / "draw_c.c").write_text(code)
    done(*command.split(), "-Wall", "-Wextra", "-Wpedantic", "-Werror")
    assert drawn_by(tmp_path / "draw_c", model) == drawn


def test_the_shared_library_shows_the_c_interface_alone(installed):
    (library,) = installed.glob("lib*/libjaxgan.*")
    header = (installed / "include" / "jaxgan" / "c.h").read_text()
    declared = set(re.findall(r"^JAXGAN_API [^(]*?(jaxgan_\w+)\(", header, re.MULTILINE))
    shown = {line.split()[-1] for line in done("nm", "-D", "--defined-only", library).splitlines()}
    assert shown == declared
    assert len(declared) == 19


def test_the_python_package_gets_the_shared_library_alone(tmp_path):
    build, prefix = tmp_path / "build", tmp_path / "prefix"
    environment = {**os.environ, "PATH": f"{Path(shutil.which('cmake')).parent}:/usr/bin:/bin"}
    done(
        "cmake", "-S", SOURCES, "-B", build, "-G", "Ninja", "-DJAXGAN_PYTHON=ON",
        "-DCMAKE_BUILD_TYPE=Release",
        *(f"-DCMAKE_DISABLE_FIND_PACKAGE_{name}=ON" for name in ("PNG", "ZLIB", "CLI11")),
        env=environment,
    )  # fmt: skip
    done("cmake", "--build", build)
    done("cmake", "--install", build, "--prefix", prefix)
    files = [path.relative_to(prefix) for path in prefix.rglob("*") if path.is_file()]
    assert [str(path) for path in files] == ["jaxgan/drawing/libjaxgan.so"]
    library = ctypes.CDLL(str(prefix / files[0]))
    assert library.jaxgan_c_version() == 2


def test_pkg_config_is_enough(installed, model, drawn, tmp_path):
    environment = {**os.environ, "PKG_CONFIG_PATH": str(installed / "lib" / "pkgconfig")}
    flags = done("pkg-config", "--cflags", "--libs", "jaxgan", env=environment).split()
    done(COMPILER, "-std=c++17", CONSUMER / "draw.cc", "-o", tmp_path / "draw", *flags)
    assert drawn_by(tmp_path / "draw", model) == drawn


@pytest.mark.parametrize("shared", ("OFF", "ON"))
def test_the_sources_are_enough(model, drawn, tmp_path, shared):
    build = tmp_path / "build"
    done(
        "cmake", "-G", "Ninja", "-S", CONSUMER, "-B", build, f"-DJAXGAN_SOURCE={SOURCES}",
        f"-DBUILD_SHARED_LIBS={shared}",
    )  # fmt: skip
    done("cmake", "--build", build, "--target", "draw")
    assert drawn_by(build / "draw", model) == drawn
    # What belongs to a project of our own is not made part of another one.
    assert "jaxgan-generate" not in done("cmake", "--build", build, "--target", "help")
    done("cmake", "--install", build, "--prefix", tmp_path / "prefix")
    assert not (tmp_path / "prefix").exists()


@pytest.mark.parametrize("build", ("installed", "sanitize"))
def test_threads_errors_and_moves_are_as_the_headers_promise(
    request, build, model, plain_model, throwing_runtime
):
    if build == "installed":
        program = request.getfixturevalue("consumer") / "contract"
    else:
        program = request.getfixturevalue("sanitized").with_name("contract-tests")
    in_c = program.with_name({"contract": "contract_c"}.get(program.name, "contract-tests-c"))
    for one in (program, in_c):
        assert done(one, model, plain_model, throwing_runtime) == "the contract holds\n"


@pytest.mark.parametrize("standard", ("c++17", "c++20"))
def test_every_header_compiles_alone(installed, standard):
    headers = sorted(path.name for path in (installed / "include" / "jaxgan").iterdir())
    assert headers == ["c.h", "errors.h", "generator.h", "latents.h"]
    for name in headers:
        done(
            COMPILER, f"-std={standard}", "-Wall", "-Wextra", "-Wpedantic", "-Werror",
            "-fsyntax-only", "-x", "c++", "-", f"-I{installed}/include",
            input=f"#include <jaxgan/{name}>\n#include <jaxgan/{name}>\n",
        )  # fmt: skip


def test_the_c_header_is_c(installed):
    done(
        "cc", "-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only", "-x", "c",
        "-", f"-I{installed}/include", input="#include <jaxgan/c.h>\n#include <jaxgan/c.h>\n",
    )  # fmt: skip


def test_the_library_has_no_global_state(installed):
    # Constants that hold addresses lie in .data.rel.ro: they are written by the loader alone.
    (archive,) = installed.glob("lib*/libjaxgan-generator.a")
    rows = [line.split("|") for line in done("nm", "-C", "-f", "sysv", archive).splitlines()]
    symbols = [[word.strip() for word in row] for row in rows if len(row) == 7]
    written = (".data", ".bss", ".tdata", ".tbss", "*COM*")
    constant, compilers = ".data.rel.ro", "DW.ref."  # the latter: addresses for exceptions
    assert not [
        row for row in symbols
        if row[6].startswith(written) and not row[6].startswith(constant)
        and not row[0].startswith(compilers)
    ]  # fmt: skip
    assert any(row[0].endswith("kRules") and row[6].startswith(constant) for row in symbols)
    assert any(row[0] == "jaxgan::to_level(float)" and row[6] == ".text" for row in symbols)
