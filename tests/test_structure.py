"""Who may import whom: the plan of the rooms, held by the code's own imports."""

import ast
from pathlib import Path

import pytest
from conftest import ROOT

PURE = {"gan", "lessons", "schedules", "models", "losses", "convolution"}  # no I/O, no clock
ACCELERATOR = {"native"}  # what convolution calls where it is built
EDGES = {
    "data", "checkpoint", "images", "progress", "tflite", "files", "npy", "tf", "runtime", "verify",
}  # fmt: skip
MEASURES = {"metrics"}  # of images; a package with a file a metric
SHELLS = {
    "training", "samples", "judge", "export", "convert", "scores", "report", "drawing", "generate",
    "evaluate", "inspect", "cli", "settings",
}  # fmt: skip
FOUNDATION = {"config", "errors"}
ONLY_USER = {
    "tensorflow_datasets": {"data"},
    "orbax": {"checkpoint"},
    "flax": {"models"},
    "tensorflow": {"tf"},
    "ai_edge_litert": {"tflite"},
    "tyro": {"cli", "data", "inspect"},  # the two with positional arguments or subcommands
    "rich": {"progress"},
    "matplotlib": {"progress"},
}

MODULES = {path.stem: path for path in (ROOT / "jaxgan").glob("*.py") if path.stem != "__init__"}
MODULES |= {path.parent.name: path for path in (ROOT / "jaxgan").glob("*/__init__.py")}


def imports(path: Path) -> set[str]:
    """Return what a file imports: jaxgan's modules as jaxgan.NAME, others by their top name."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            found |= set(names) if node.module == "jaxgan" else {node.module}
    return {name if name.startswith("jaxgan") else name.split(".")[0] for name in found}


def ours(name: str) -> set[str]:
    return {
        part.split(".")[1]
        for part in imports(MODULES[name])
        if part.startswith("jaxgan.") and part.split(".")[1] in MODULES
    }


def test_every_module_has_its_room():
    assert set(MODULES) == PURE | ACCELERATOR | MEASURES | EDGES | SHELLS | FOUNDATION | {"latents"}


@pytest.mark.parametrize("name", sorted(PURE))
def test_the_core_is_pure(name):
    assert ours(name) <= PURE | FOUNDATION | (ACCELERATOR if name == "convolution" else set())
    forbidden = {"os", "sys", "time", "pathlib", "io", "json", "numpy", "logging", "subprocess"}
    assert not imports(MODULES[name]) & forbidden


def test_config_stands_on_the_standard_library():
    assert ours("config") == {"errors"}
    assert imports(MODULES["config"]) <= {
        "__future__", "dataclasses", "math", "typing", "jaxgan.errors",
    }  # fmt: skip
    assert ours("errors") == set()


def test_measures_see_images_and_no_generator():
    for path in (ROOT / "jaxgan" / "metrics").glob("*.py"):
        if path.stem == "train_features":  # a program of its own
            continue
        found = {part.split(".")[1] for part in imports(path) if part.startswith("jaxgan.")}
        assert found <= {"metrics", "convolution", "errors", "gan", "data"}, path


@pytest.mark.parametrize("name", sorted(EDGES))
def test_edges_do_not_import_the_shells(name):
    assert not ours(name) & (SHELLS - {"cli"})


@pytest.mark.parametrize("library", sorted(ONLY_USER))
def test_a_library_has_one_user(library):
    users = {name for name, path in MODULES.items() if library in imports(path)}
    assert users == ONLY_USER[library]


def test_only_progress_prints():
    for name, path in MODULES.items():
        calls = [
            node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)
        ]
        printing = [
            call for call in calls if isinstance(call.func, ast.Name) and call.func.id == "print"
        ]
        assert not printing, name
