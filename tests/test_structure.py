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


# What can run code that a file holds, or write where an archive says.
UNSAFE_MODULES = {
    "pickle", "_pickle", "dill", "cloudpickle", "joblib", "marshal", "shelve", "yaml", "runpy",
}  # fmt: skip
UNSAFE_FUNCTIONS = {
    "eval", "exec", "compile", "__import__", "os.system", "os.popen", "torch.load",
    "np.load without allow_pickle=False", "extractall of a tar archive",
}  # fmt: skip
UNSAFE_METHODS = {"saved_model.load", "models.load_model", "model_from_json", "read_pickle"}
SOURCES = [
    ROOT / "train.py", ROOT / "convert_tflite.py",
    *(path for name in ("jaxgan", "scripts", "benchmarks") for path in (ROOT / name).rglob("*.py")),
]  # fmt: skip


def risks(source: str) -> set[str]:
    """Return what a program does that could run code out of a foreign file."""
    nodes = list(ast.walk(ast.parse(source)))
    modules = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    modules |= {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}
    modules = {name.split(".")[0] for name in modules}
    calls = [node for node in nodes if isinstance(node, ast.Call)]
    return modules & UNSAFE_MODULES | {risk for call in calls for risk in of_call(call, modules)}


def of_call(call: ast.Call, modules: set[str]) -> set[str]:
    words = {word.arg: getattr(word.value, "value", None) for word in call.keywords}
    name = ast.unparse(call.func)
    if name.replace("numpy", "np") == "np.load" and words.get("allow_pickle") is not False:
        name = "np.load without allow_pickle=False"
    if name.endswith(".extractall") and "tarfile" in modules:  # zipfile cleans the names itself
        name = "extractall of a tar archive"
    found = {name} & UNSAFE_FUNCTIONS | {name for end in UNSAFE_METHODS if name.endswith(end)}
    return found | {word for word in ("allow_pickle", "shell") if words.get(word)}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_program_runs_what_a_file_holds(path):
    assert risks(path.read_text()) == set()


@pytest.mark.parametrize(
    "line",
    [
        "import pickle", "from pickle import loads", "import yaml", "eval('1')", "exec(text)",
        "np.load(path)", "np.load(path, allow_pickle=True)", "numpy.load(path, mmap_mode='r')",
        "np.save(path, x, allow_pickle=True)", "subprocess.run(text, shell=True)",
        "os.system(text)", "keras.models.load_model(path)", "tensorflow.saved_model.load(path)",
        "torch.load(path)",
        "import tarfile\ntarfile.open(path).extractall()",
    ],
)  # fmt: skip
def test_what_runs_code_is_found(line):
    assert risks(line)
    assert not risks("np.load(path, allow_pickle=False)\njson.loads(text)\nmodel.compile()")
