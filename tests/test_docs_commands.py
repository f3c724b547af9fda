"""README.md and docs/: every command is understood, and what does not take long is run."""

import importlib
import json
import logging
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from unittest import mock

import pytest
from conftest import ROOT, SMALL, call
from pages import COMMANDS, OTHERS, PAGES, PROGRAM, blocks

from jaxgan.commands import cli

MAKEFILE = (ROOT / "Makefile").read_text()
SCRIPTS = {"train.py": "train", "convert_tflite.py": "convert"}


class Command(NamedTuple):
    """A command of a page: its words, without what is set before it and where its output goes."""

    page: Path
    words: tuple[str, ...]

    @property
    def name(self) -> str:
        """What is run: ``make``, ``jaxgan train``, ``benchmarks.quality``."""
        first, second, *_ = (*self.words, "")
        if first == "python":
            return self.words[2] if second == "-m" else f"jaxgan {SCRIPTS[second]}"
        return f"{first} {second}" if first == "jaxgan" else first

    @property
    def arguments(self) -> tuple[str, ...]:
        taken = 3 if self.words[:2] == ("python", "-m") else 2
        return self.words[taken if self.words[0] in ("python", "jaxgan") else 1 :]


def commands(page: Path) -> Iterator[Command]:
    for block in blocks(page, "sh"):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            while words and re.match(r"[A-Z_]+=", words[0]):
                words = words[1:]
            words = words[: words.index(">")] if ">" in words else words
            if words:
                yield Command(page, tuple(words))


ALL = [command for page in PAGES for command in commands(page)]


def test_all_commands_are_of_known_programs():
    ours = {f"jaxgan {name}" for name in (*COMMANDS, "data")} | set(OTHERS) | {PROGRAM}
    assert {command.name for command in ALL} <= ours | {"make", "pip"}


@pytest.mark.parametrize("command", [one for one in ALL if one.name == "make"], ids=str)
def test_targets_of_make_exist(command):
    for word in command.arguments:
        name, sets, _ = word.partition("=")
        known = rf"^{name} [?:]?=" if sets else rf"^\.PHONY:.* {name}( |$)"
        assert re.search(known, MAKEFILE, re.MULTILINE), word


def test_what_pip_installs_exists():
    extras = set(re.findall(r"^(\w+) = \[", (ROOT / "pyproject.toml").read_text(), re.MULTILINE))
    for command in ALL:
        if command.name == "pip":
            _, *what = command.arguments
            path = Path(what[-1].partition("[")[0])
            assert (ROOT / path).exists()
            assert set(re.findall(r"\[(.*)\]", what[-1])) <= extras


PARSED = [one for one in ALL if one.name.startswith("jaxgan ") or one.name in OTHERS]


@pytest.mark.parametrize("command", PARSED, ids=lambda one: f"{one.page.stem}:{one.name}")
def test_options_of_commands_are_understood(command, monkeypatch):
    if command.name in OTHERS:
        options = getattr(importlib.import_module(command.name), OTHERS[command.name])

        def entry(program: str) -> None:
            cli.run(lambda options: 0, options, program)
    else:
        module = importlib.import_module(f"jaxgan.commands.{command.name.split()[1]}")
        monkeypatch.setattr(module, "main", lambda options: 0)
        entry = module.command
    done = call(entry, command.name, *command.arguments)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr


# What is run besides, once each, with what makes it short: a run that has come to its end compiles
# no step. Others are run by tests of their own: conversions by test_export and below, imports by
# the fixture of the digits.
SHORT = {
    "jaxgan generate": (),
    "jaxgan inspect": (),
    "jaxgan evaluate": ("--images", "100"),
    "jaxgan train": (*SMALL, "--no-convert", "--epochs", "2"),
}


def is_run(command: Command) -> bool:
    others = {
        "--dataset", "--minutes", "--no-conditional", "checkpoints/stacked", "--inception",
        "~/pictures/emoji", "emoji.tflite",
    }  # fmt: skip
    first = next(one for one in ALL if one.words == command.words)
    return (
        command.name in SHORT
        and not others & set(command.words)
        and (first.page == command.page or command.name == "jaxgan generate")
    )


@pytest.fixture
def folder(model, run_dir, data_dir, tmp_path, monkeypatch):
    """A folder as after ``make demo``, in which the test is."""
    shutil.copy(model, tmp_path / "generator.tflite")
    shutil.copytree(run_dir, tmp_path / "checkpoints" / "mnist")
    (tmp_path / "data").symlink_to(data_dir)
    monkeypatch.chdir(tmp_path)
    logger = logging.getLogger("jaxgan")
    level = logger.level
    yield tmp_path
    logger.setLevel(level)


PAGES_THAT_RUN = sorted({one.page for one in ALL if is_run(one) or one.name == PROGRAM})


@pytest.mark.parametrize("page", PAGES_THAT_RUN, ids=lambda page: page.name)
def test_commands_run(page, folder, program, monkeypatch):
    for command in commands(page):
        if command.name == PROGRAM:
            drawn = [program, *command.arguments]  # in the folder
            done = subprocess.run(drawn, capture_output=True, text=True, check=False)
        elif is_run(command):
            module = importlib.import_module(f"jaxgan.commands.{command.name.split()[1]}")
            arguments = (*command.arguments, *SHORT[command.name])
            done = call(module.command, command.name, *arguments)
        else:
            continue
        assert done.returncode == 0, (command.words, done.stderr)


@pytest.fixture
def quick(monkeypatch, folder, model, data_dir):
    """The library, but that what takes long was done before; arguments are checked."""
    import jaxgan

    facts = json.loads(model.with_suffix(".json").read_text())

    def evaluate(generator, **options):
        return measure(generator, **{**options, "images": 100})

    def train(config, watch=None, stop=None):
        return jaxgan.Run.open("checkpoints/mnist")

    def convert(run, path, **options):
        shutil.copy(model, path)
        return jaxgan.Report(Path(path), facts, [], 1.0, None, 0.0)

    measure = jaxgan.evaluate
    for function in (train, convert, evaluate):
        name = function.__name__
        stub = mock.create_autospec(getattr(jaxgan, name), side_effect=function)
        monkeypatch.setattr(jaxgan, name, stub)


@pytest.mark.parametrize(
    "page", [page for page in PAGES if blocks(page, "python")], ids=lambda page: page.name
)
def test_python_in_the_pages_runs(page, quick):
    exec("\n".join(blocks(page, "python")), {"__name__": page.stem})


def test_the_whole_way_from_python(folder, monkeypatch, capsys):
    monkeypatch.syspath_prepend(ROOT / "docs")
    import library

    from jaxgan import TrainConfig

    config = TrainConfig(
        width=8,
        batch_size=50,
        learning_rate=1e-3,
        report_every=7,
        epochs=1,
        evaluate_every=1,
        run_dir="whole",
    )
    library.main(config, folder / "library.tflite", images=100)
    out, _ = capsys.readouterr()
    assert "real train: fid" in out
    assert (folder / "library.json").exists()
