"""README.md and docs/: links lead somewhere, tables and figures follow their sources."""

import dataclasses
import importlib
import re
import statistics
from functools import cache
from pathlib import Path

import pytest
from conftest import ROOT
from pages import COMMANDS, OTHERS, PAGES, prose, text
from test_structure import rooms as graph_of_rooms

from jaxgan import errors
from jaxgan.config import option
from scripts.tables.__main__ import TABLES, marked
from scripts.tables.markdown import RESULTS
from scripts.tables.quality import agreement, figures

MAX_README = 170
LINK = re.compile(r"\[[^\]\n]*\]\(([^)\s]+)\)|src=\"([^\"]+)\"")
CODE = re.compile(r"`([^`\n]+)`")
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z0-9-]*+(?!_)")
page_by_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def rows(page: Path, first_head: str) -> list[list[str]]:
    """Return the rows of the table whose first heading is given."""
    lines = text(page).splitlines()
    start = next(at for at, line in enumerate(lines) if line.startswith(f"| {first_head} |"))
    found = []
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        found.append([cell.strip() for cell in line.strip("|").split("|")])
    return found


def docs(name: str) -> Path:
    return ROOT / "docs" / f"{name}.md"


def test_the_readme_fits_on_two_screens():
    assert len(text(ROOT / "README.md").splitlines()) <= MAX_README


def test_the_readme_leads_to_every_page():
    targets = {one for one, _ in LINK.findall(text(ROOT / "README.md"))}
    names = {f"docs/{page.name}" for page in PAGES if page.parent.name == "docs"}
    assert names <= {target.partition("#")[0] for target in targets}


# Links


def anchors(page: Path) -> set[str]:
    heads = re.findall(r"^#+ (.*)$", prose(page), re.MULTILINE)
    kept = (re.sub(r"[^\w\- ]", "", head.lower()) for head in heads)
    return {one.replace(" ", "-") for one in kept}


@page_by_page
def test_links_lead_somewhere(page):
    for found in LINK.finditer(prose(page)):
        target, _, anchor = (found[1] or found[2]).partition("#")
        if target.startswith("http"):
            continue
        path = (page.parent / target).resolve() if target else page
        assert path.exists(), found[0]
        assert not anchor or anchor in anchors(path), found[0]


@page_by_page
def test_files_that_are_named_exist(page):
    tops = ("jaxgan/", "docs/", "tests/", "scripts/", "benchmarks/", "tflite_cpp/")
    for name in CODE.findall(prose(page)):
        if name.startswith(tops) and not re.search(r"[\s…*]", name) and "/build/" not in name:
            assert (ROOT / name).exists(), name


# Tables and figures


@page_by_page
def test_tables_follow_their_sources(page):
    for name, there in marked(page):
        assert there == TABLES[name](), f"{page.name}: {name}; run: python -m scripts.tables"


def test_every_table_stands_somewhere():
    assert {name for page in PAGES for name, _ in marked(page)} == set(TABLES)


def mean(file: str, minutes: int, side: str, name: str = "fid") -> float:
    return statistics.mean(figures(file, minutes, side, name))


def ratios(file: str, peer: str, ours: str) -> list[float]:
    return [mean(file, minutes, peer) / mean(file, minutes, ours) for minutes in (2, 5, 15, 60)]


def test_figures_in_sentences_are_those_of_the_tables():
    quality = " ".join(text(docs("quality")).split())
    readme = " ".join(text(ROOT / "README.md").split())
    at_2 = agreement("mnist", 2, "jaxgan").removesuffix(" %")
    assert f"Of its digits, {float(at_2):.1f} % show" in readme
    a, b, c, d = ratios("mnist", "PyTorch example, labels", "jaxgan")
    lead = f"{a:.1f} times the FID at 2 minutes, {b:.1f} at 5, {c:.1f} at 15 and {d:.1f} at 60"
    assert lead in quality
    plain = ratios("mnist", "PyTorch example", "jaxgan, no labels")
    assert f"without labels it has {min(plain):.1f} to {max(plain):.1f} times" in quality
    a, b, c, d = ratios("fashion_mnist", "PyTorch example, labels", "jaxgan")
    assert f"PyTorch's FID is {a:.1f}, {b:.1f}, {c:.1f} and {d:.1f} times ours" in quality
    clock = [
        mean("clock/mnist", minutes, side)
        for side in ("jaxgan", "PyTorch example, labels")
        for minutes in (2, 5)
    ]
    words = "FID {:.2f} after 2 minutes and {:.2f} after 5, PyTorch's {:.1f} and {:.2f}."
    assert words.format(*clock) in quality


def test_the_fraction_of_the_peak_is_that_of_the_table():
    steps = (RESULTS / "train_step.md").read_text()
    found = re.findall(r"^\| jaxgan \|.*\| ([0-9]+)% \|", steps, re.MULTILINE)
    of_64_and_128 = sorted(map(int, found[1:3]))
    assert "runs at {} to {} % of what a product".format(*of_64_and_128) in text(docs("speed"))


# Options, exit codes, messages, rooms


def of_class(module: str, name: str) -> set[str]:
    fields = dataclasses.fields(getattr(importlib.import_module(module), name))
    names = {option(field.name) for field in fields}
    return names | {f"--no-{name[2:]}" for name in names}


def of_python(name: str) -> set[str]:
    fields = dataclasses.fields(
        getattr(importlib.import_module(f"jaxgan.commands.{name}"), COMMANDS[name])
    )
    return {option(field.name) for field in fields}


def of_cpp() -> set[str]:
    sources = "".join(path.read_text() for path in (ROOT / "tflite_cpp" / "src").glob("*.cc"))
    return set(re.findall(r"add_(?:option|flag)\(\s*\"(--[a-z-]+)\"", sources))


def known_options() -> set[str]:
    found = {"--help", "--version"} | of_cpp()
    found |= of_class("jaxgan.commands.data", "Prepare") | of_class(
        "jaxgan.commands.data", "Import"
    )
    for name, options in COMMANDS.items():
        found |= of_class(f"jaxgan.commands.{name}", options)
    for module, options in OTHERS.items():
        found |= of_class(module, options)
    return found


@page_by_page
def test_no_option_is_named_that_does_not_exist(page):
    assert set(OPTION.findall(text(page))) - known_options() == set()


def test_the_options_of_sampling_are_those_of_both_programs():
    table = [
        (set(OPTION.findall(name)), python, cpp, what)
        for name, python, cpp, what in rows(docs("sampling"), "option")
    ]
    of_timing = next(set(OPTION.findall(what)) for *_, what in table if "times the model" in what)
    python = set().union(*(names for names, python, *_ in table if python))
    cpp = set().union(*(names for names, _, cpp, _ in table if cpp))
    assert python == of_python("generate")
    assert cpp | of_timing == of_cpp()


def test_the_options_of_conversion_are_those_of_the_command():
    there = {
        found for name, _ in rows(docs("conversion"), "option") for found in OPTION.findall(name)
    }
    assert there == of_python("convert")


def test_exit_codes_are_those_of_the_exceptions():
    there = {
        name.strip("`"): int(code)
        for code, name, _ in rows(docs("troubleshooting"), "code")
        if "Error" in name
    }
    classes = {
        name: kind.exit_code
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and issubclass(kind, errors.JaxganError)
    }
    assert there == classes | {"MemoryError": 5}


@cache
def sources() -> str:
    """Return all programs; strings that Python joins are joined, and what is formatted is cut."""
    paths = [ROOT / "Makefile", *(ROOT / "tflite_cpp").glob("cmake/*.cmake")]
    for folder, kinds in (("jaxgan", "py sh"), ("scripts", "py sh"), ("tflite_cpp/src", "cc")):
        paths += [path for kind in kinds.split() for path in (ROOT / folder).rglob(f"*.{kind}")]
    whole = "\n".join(path.read_text(encoding="utf-8") for path in paths)
    return re.sub(r"\"\s*f?\"", "", whole)


def test_messages_are_those_of_the_programs():
    for message, _ in rows(docs("troubleshooting"), "what you see"):
        for shown in CODE.findall(message):
            for part in re.split(r"\s*…\s*|the C\+\+ program:|\(…\)", shown):
                assert part.strip(" ()") in sources(), (shown, part)


def test_rooms_import_what_the_design_says():
    table = {
        name.strip("`/"): set() if "nothing" in may else set(may.split(", "))
        for cell, _, may in rows(docs("design"), "room")
        for name in cell.split(", ")
    }
    graph = graph_of_rooms()
    assert set(table) == set(graph)
    for room, others in graph.items():
        assert others <= table[room], f"docs/design.md: {room} imports {others - table[room]}"


def test_files_of_rooms_that_are_named_exist():
    for cell, what, _ in rows(docs("design"), "room"):
        folder = ROOT / "jaxgan" / cell.strip("`")
        names = re.findall(r"`([a-z_]+)`", what) if folder.is_dir() else []
        assert [name for name in names if not (folder / f"{name}.py").exists()] == []
