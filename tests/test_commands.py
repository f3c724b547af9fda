"""The command ``jaxgan``, and the package as others import it."""

import importlib
import subprocess
import sys

import pytest
from conftest import ROOT, call, python, refused

import jaxgan
from jaxgan.commands import main as entry
from jaxgan.errors import JaxganError, UserError, missing_extra


def jaxgan_command(*arguments):
    return call(lambda _: entry.main(), "jaxgan", *arguments)


def test_help_lists_every_command_with_what_it_does():
    done = jaxgan_command("--help")
    assert (done.returncode, done.stderr) == (0, "")
    for name, what in entry.COMMANDS.items():
        assert f"  {name:9} {what}\n" in done.stdout
    files = {path.stem for path in (ROOT / "jaxgan" / "commands").glob("*.py")}
    assert set(entry.COMMANDS) == files - {"__init__", "cli", "compilations", "main", "quiet"}


@pytest.mark.parametrize("name", sorted(entry.COMMANDS))
def test_each_command_helps_with_its_options(name, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    done = jaxgan_command(name, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"usage: jaxgan {name}")


@pytest.mark.parametrize("name", sorted(entry.COMMANDS))
def test_a_wrong_option_is_one_sentence_with_exit_code_2(name):
    refused(jaxgan_command(name, "--bogus"), 2, "--bogus", f"jaxgan {name} --help")


@pytest.mark.parametrize("arguments", [(), ("trian",), ("\x1b[31m",), ("--bogus",)])
def test_an_unknown_command_is_refused(arguments):
    done = jaxgan_command(*arguments)
    refused(done, 2, "expected a command", "train", "jaxgan --help")
    assert "\x1b" not in done.stderr


def test_the_version_is_that_of_the_cpp_library():
    assert jaxgan_command("--version").stdout == f"jaxgan {jaxgan.__version__}\n"
    cmake = (ROOT / "tflite_cpp" / "CMakeLists.txt").read_text()
    assert f"project(jaxgan VERSION {jaxgan.__version__} " in cmake


@pytest.mark.slow
@pytest.mark.parametrize("command", [("-m", "jaxgan", "inspect"), ("-m", "jaxgan", "train")])
def test_it_runs_as_a_module_from_any_folder(command, tmp_path):
    environment = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        [sys.executable, *command, "--bogus"], cwd=tmp_path, env=environment,
        capture_output=True, text=True,
    )  # fmt: skip
    refused(done, 2, "--bogus", f"jaxgan {command[2]} --help")


@pytest.mark.slow
def test_importing_needs_the_standard_library_alone_and_does_nothing():
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r})\n"
        "before = set(sys.modules)\n"
        "import jaxgan\n"
        "assert jaxgan.TrainConfig(width=8).width == 8 and 'train' in dir(jaxgan)\n"
        "assert issubclass(jaxgan.JaxganError, Exception) and jaxgan.__version__\n"
        "print(sorted(name for name in set(sys.modules) - before if name.startswith('numpy')))\n"
    )
    done = python("-I", "-S", "-c", code)  # without site-packages
    assert (done.returncode, done.stdout, done.stderr) == (0, "[]\n", "")


def test_public_names_are_those_that_are_promised():
    assert jaxgan.__all__ == sorted(jaxgan.__all__)
    for name in jaxgan.__all__:
        assert getattr(jaxgan, name) is not None
    with pytest.raises(AttributeError, match="nothing"):
        _ = jaxgan.nothing


@pytest.mark.parametrize(
    ("package", "name", "extra"),
    [("jax", "train", "train"), ("tensorflow", "convert", "convert"), ("orbax", "Run", "train")],
)
def test_a_missing_extra_is_named_with_the_command_that_installs_it(package, name, extra):
    error = ModuleNotFoundError(f"No module named {package!r}", name=package)
    assert str(missing_extra(error)) == (
        f"{package} is not installed; run: pip install 'jaxgan[{extra}]'"
    )


def test_a_name_whose_packages_are_missing_raises_one_of_ours(monkeypatch):
    def fails(_name):
        raise ModuleNotFoundError("No module named 'jax'", name="jax")

    monkeypatch.delitem(vars(jaxgan), "train", raising=False)
    monkeypatch.setattr(importlib, "import_module", fails)
    with pytest.raises(JaxganError, match=r"pip install 'jaxgan\[train\]'") as caught:
        _ = jaxgan.train
    assert isinstance(caught.value, UserError) and caught.value.exit_code == 2
    done = jaxgan_command("train", "--help")
    refused(done, 2, "pip install 'jaxgan[train]'")
