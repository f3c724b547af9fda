"""The plan of the house, read from the graph of imports: those for type checkers included."""

import ast
import re
from functools import cache
from graphlib import CycleError, TopologicalSorter

import pytest
from conftest import ROOT

PACKAGE = ROOT / "jaxgan"
FILES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in PACKAGE.rglob("*.py")
}
ENTRIES = {"jaxgan", "jaxgan.__main__"}  # public names and `python -m jaxgan`: no rooms
MAX_ROOMS, MAX_FLOORS = 12, 7
MAX_FUNCTION, MAX_FILE, MAX_ARGUMENTS = 60, 350, 8
TABLES = {"jaxgan.config"}  # half of it is the help of the options
# Who alone may know a library.
ONLY_USERS = {
    "ai_edge_litert": {"jaxgan.export.graph"},
    "flax": {"jaxgan.gan.networks"},
    "matplotlib": {"jaxgan.training.plot"},
    "orbax": {"jaxgan.runs.checkpoint"},
    "rich": {"jaxgan.console.output", "jaxgan.console.display", "jaxgan.console.progress"},
    "scipy": {"jaxgan.metrics.probe"},
    "tensorflow": {"jaxgan.io.tensorflow"},
    "tensorflow_datasets": {"jaxgan.data.tfds"},
    "tyro": {"jaxgan.commands.cli", "jaxgan.commands.data", "jaxgan.commands.inspect"},
}
# What the pure core may not touch: disk, clock, processes, what a person sees.
IMPURE = {"os", "sys", "time", "pathlib", "io", "json", "logging", "subprocess"}


@cache
def tree(name: str) -> ast.Module:
    return ast.parse(FILES[name].read_text())


@cache
def imports(name: str) -> frozenset[str]:
    """Return the modules that a file imports, ours by the names of ``FILES``."""
    found = set()
    for node in ast.walk(tree(name)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{name}: a relative import"
            within = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= (within & FILES.keys()) or {node.module}
    return frozenset(found)


def ours(name: str) -> set[str]:
    return {one for one in imports(name) if one.partition(".")[0] == "jaxgan"} - {"jaxgan"}


def room(name: str) -> str:
    return name.split(".")[1]


def rooms() -> dict[str, set[str]]:
    """Return which rooms each room at the top imports."""
    found: dict[str, set[str]] = {}
    for name in FILES.keys() - ENTRIES:
        found.setdefault(room(name), set()).update(map(room, ours(name)))
    return {name: others - {name} for name, others in found.items()}


def is_acyclic(graph: dict[str, set[str]]) -> str:
    """Return a cycle of a graph as text; nothing if there is none."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return " → ".join(error.args[1])
    return ""


def test_no_files_import_each_other_in_a_cycle():
    assert is_acyclic({name: ours(name) for name in FILES}) == ""


def test_no_rooms_import_each_other_in_a_cycle():
    assert is_acyclic(rooms()) == ""


def test_a_cycle_is_found():
    assert is_acyclic({"a": {"b"}, "b": {"c"}, "c": {"b"}})


def test_a_dozen_rooms_on_seven_floors():
    graph = rooms()

    @cache
    def floor(name: str) -> int:
        return 1 + max(map(floor, graph[name]), default=0)

    inner = set(graph) - {"version"}  # one line that every room may know
    assert len(inner) <= MAX_ROOMS, sorted(inner)
    assert max(map(floor, graph)) <= MAX_FLOORS, sorted((floor(name), name) for name in graph)


def test_nothing_imports_the_commands():
    users = {name for name in FILES if any(room(one) == "commands" for one in ours(name))}
    assert all(room(name) == "commands" for name in users - ENTRIES)


def test_the_core_is_pure():
    for name in FILES:
        if name.startswith("jaxgan.gan") and "native" not in name:
            allowed = {"gan", "config", "errors"}
            assert set(map(room, ours(name))) <= allowed, name
            assert not {one.split(".")[0] for one in imports(name)} & IMPURE, name


def test_measures_see_images_and_no_generator():
    assert rooms()["metrics"] <= {"gan", "data", "io", "config", "errors"}


def test_config_needs_the_standard_library_alone():
    for name in ("jaxgan", "jaxgan.config", "jaxgan.errors", "jaxgan.version"):
        foreign = {one.split(".")[0] for one in imports(name)} - {"jaxgan"}
        assert foreign <= {
            "__future__", "collections", "dataclasses", "importlib", "math", "pathlib", "re",
            "typing",
        }, name  # fmt: skip


@pytest.mark.parametrize("library", sorted(ONLY_USERS))
def test_a_library_has_one_user(library):
    users = {name for name in FILES if library in {one.split(".")[0] for one in imports(name)}}
    assert users <= ONLY_USERS[library]
    assert users


def test_only_the_console_prints_and_only_commands_leave():
    for name in FILES:
        calls = [node for node in ast.walk(tree(name)) if isinstance(node, ast.Call)]
        called = {ast.unparse(call.func) for call in calls}
        assert "print" not in called or room(name) == "console", name
        if name not in ENTRIES and room(name) not in ("commands", "console"):
            assert not called & {"sys.exit", "os._exit", "exit", "quit", "signal.signal"}, name
            assert "SystemExit" not in FILES[name].read_text(), name


def test_functions_and_files_are_short():
    long = []
    for name, path in FILES.items():
        lines = len(path.read_text().splitlines())
        if lines > MAX_FILE and name not in TABLES:
            long.append(f"{name}: {lines} lines")
        for node in ast.walk(tree(name)):
            if isinstance(node, ast.FunctionDef):
                size = node.end_lineno - node.lineno + 1
                count = len(node.args.args) + len(node.args.kwonlyargs)
                if size > MAX_FUNCTION or count > MAX_ARGUMENTS:
                    long.append(f"{name}.{node.name}: {size} lines, {count} arguments")
    assert long == []


def test_the_bounds_of_both_languages_are_the_same():
    header = (ROOT / "tflite_cpp" / "src" / "bounds.h").read_text()
    found = dict(re.findall(r"constexpr [\w:]+ (k\w+) = ([^;]+);", header))

    def bound(name: str) -> int:
        return eval_bound(found[name])

    from jaxgan import config

    for name, expected in BOUNDS.items():
        assert bound(name) == getattr(config, expected), name


def eval_bound(text: str) -> int:
    """Return the value of a constant such as ``std::size_t{1} << 30`` or ``1000000``."""
    text = re.sub(r"std::\w+\{(\w+)\}", r"\1", text).replace("'", "")
    text = re.sub(r"\b(0x[0-9A-Fa-f]+|[0-9]+)[uUlL]*\b", r"\1", text)
    first, *rest = (int(part.strip(" ()"), 0) for part in text.split("<<"))
    return first << rest[0] if rest else first


# Names in bounds.h, and what config.py calls them.
BOUNDS = {
    "kMaxBatch": "MAX_BATCH",
    "kMaxClassName": "MAX_CLASS_NAME",
    "kMaxClassNames": "MAX_CLASS_NAMES",
    "kMaxCount": "MAX_COUNT",
    "kMaxLatent": "MAX_LATENT",
    "kMaxModelBytes": "MAX_MODEL_BYTES",
    "kMaxSeed": "MAX_SEED",
    "kMaxThreads": "MAX_THREADS",
}


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
