"""Whatever options and files the programs are given: an exit code, a few lines, no traceback.

Each property draws examples from a fixed seed. HOSTILE_EXAMPLES=100 draws a hundred times as many.
"""

from __future__ import annotations

import contextlib
import dataclasses
import gc
import gzip
import io
import json
import os
import pickle
import re
import shutil
import struct
import subprocess
import sys
import tracemalloc
import zipfile
import zlib
from pathlib import Path
from typing import NamedTuple, get_args

import numpy as np
import pytest
from conftest import FIXTURE, ROOT, keep_by_tfds, run
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from jaxgan.commands import cli, convert, data, evaluate, generate, inspect, train
from jaxgan.data import dataset as datasets
from jaxgan.data import idx, packages, tfds
from jaxgan.drawing.open import open_generator
from jaxgan.errors import UserError
from jaxgan.export import convert as conversion
from jaxgan.export import graph
from jaxgan.runs import seal
from jaxgan.runs.log import Mark
from jaxgan.runs.log import read_log as read_records
from jaxgan.training import plot

TIMES = int(os.environ.get("HOSTILE_EXAMPLES", "1"))


def examples(count: int):
    """Let a property hold for so many examples, the same every time, which leave no files."""
    return settings(
        max_examples=count * TIMES,
        deadline=None,
        derandomize=TIMES == 1,
        database=None,
        suppress_health_check=list(HealthCheck),
    )


class Program(NamedTuple):
    """An entry point: what ``cli.run`` takes, and options that end it soon."""

    main: object
    options: object
    name: str
    base: tuple[str, ...]
    once: bool = False


class Left(NamedTuple):
    """What a program left."""

    code: int
    out: str
    err: str


def start(program: Program, *arguments: str | Path) -> Left:
    """Run an entry point in this process."""
    streams = [io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in range(2)]
    before, sys.argv = sys.argv, [program.name, *map(str, arguments)]
    try:
        with contextlib.redirect_stdout(streams[0]), contextlib.redirect_stderr(streams[1]):
            cli.run(program.main, program.options, program.name, program.once)
    except SystemExit as left:
        code = left.code or 0
    finally:
        sys.argv = before
    return Left(code, *(stream.buffer.getvalue().decode(errors="replace") for stream in streams))


def check(left: Left, codes: set[int] = frozenset(range(6)), table: bool = False) -> None:
    """Hold what is promised of every start of a program.

    Args:
        left: What it left.
        codes: Exit codes that it may have.
        table: Whether indented lines, of settings, may come on top of three.
    """
    assert left.code in codes, left
    assert "Traceback" not in left.err, left
    assert "internal error" not in left.err, left
    lines = [line for line in left.err.splitlines() if line.strip()]
    lines = [line for line in lines if not (table and line.startswith("  "))]
    assert len(lines) <= 3, left
    assert lines or left.code == 0, left
    shown = left.err if left.out.startswith(PNG) else left.err + left.out
    assert not set(shown) & BAD, left


PNG = "\ufffdPNG"  # its first byte is no UTF-8
BAD = {chr(code) for code in (*range(32), *range(127, 160), 0x202E, 0x2028, 0xDC80)} - {"\n"}


@pytest.fixture(scope="module", autouse=True)
def orphans():
    """Leave out what TensorStore reports to nobody when a damaged checkpoint was read.

    It comes whenever its threads end, so also after the command that read.
    """
    hook = sys.unraisablehook

    def others(unraisable):
        if str(unraisable.exc_value) != "Event loop is closed":
            hook(unraisable)

    sys.unraisablehook = others
    yield
    gc.collect()
    sys.unraisablehook = hook


@pytest.fixture(scope="module", autouse=True)
def place(tmp_path_factory):
    """A folder to work in, where paths of many kinds are."""
    folder = tmp_path_factory.mktemp("place")
    (folder / "folder").mkdir()
    (folder / "empty").write_bytes(b"")
    (folder / "text.png").write_text("no picture")
    os.mkfifo(folder / "fifo")
    for name, target in {
        "dangling": "nowhere", "loop.npy": "loop.npy", "zero": "/dev/zero", "full.png": "/dev/full",
        "pipe.png": "fifo",
    }.items():  # fmt: skip
        (folder / name).symlink_to(target)
    before = Path.cwd()
    os.chdir(folder)
    yield folder
    os.chdir(before)


PATHS = (
    "folder", "folder/", "empty", "text.png", "fifo", "dangling", "loop.npy", "zero", "full.png",
    "pipe.png", "/dev/zero", "/dev/full", "/dev/null", "empty/x.png", "folder/x.npy", "%d.png",
    "%s.png", "%d%d.png", "%99999d.png", "x" * 300 + ".png", "x/" * 3000 + "x.png", ".", "..", "/",
    "-", "~", "gs://bucket/x", "file:///etc/passwd", "/proc/self/mem", "x.gif", "x.apng", "x.npy",
    "x.tflite", "\udc80.png", "\u202e.npy", "[/x].png", "é.png",
)  # fmt: skip
NUMBERS = (
    "0", "1", "2", "7", "64", "-1", "-0", "+5", "007", "1.5", "1e5", "1e999", "nan", "-inf",
    "inf", "0x10", "1_000", "٣", " 5", "5 ", "1,2", "0-3", "3-0", "0-99999999999", "4294967295",
    "4294967296", "2147483648", "9" * 5000, "1e-400", "0." + "1" * 400, "--5", "5-",
)  # fmt: skip
TEXTS = (
    "", " ", "None", "True", "mnist", "emnist/digits", "stacked_mnist", "MNIST", "mnist:1.0.0",
    "../mnist", "bce", "xla", "int8", "all", "\x1b[31m", "a\nb", "a\0b", "\udc80", "\u202eabc",
    "\x9b31m", "é", "\u2028", "=", "--", "-h?", "[red]", "[/x]", ":smile:", "{}", "%s", "\\", "'",
)  # fmt: skip
# No slash, so that nothing lands outside of the folder.
FREE = st.text(st.characters(exclude_characters="/"), max_size=20)
ANY = st.one_of(st.sampled_from(PATHS), st.sampled_from(NUMBERS), st.sampled_from(TEXTS), FREE)


def fields(options: object) -> list[dataclasses.Field]:
    """Return the options of an entry point, those of its subcommands together."""
    kinds = [get_args(kind)[0] for kind in get_args(options)] or [options]
    return [field for kind in kinds for field in dataclasses.fields(kind)]


def fitting(field: dataclasses.Field) -> st.SearchStrategy[str]:
    """Return values of a field's type, which get past the parser."""
    kind = str(field.type)
    if "int" in kind or "float" in kind or field.name in ("seeds", "label", "truncation"):
        return st.one_of(st.sampled_from(("1", "2", "7", "20", "64")), st.sampled_from(NUMBERS))
    if "Path" in kind or field.name in ("data_dir", "run_dir", "out"):
        return st.sampled_from(PATHS)
    return st.sampled_from(TEXTS)


@st.composite
def calls(draw, options: object) -> list[str]:
    """Draw a command line: options with values that fit more often than not, sometimes a stray."""
    parts = []
    unique = {"unique_by": lambda field: field.name} if draw(st.integers(0, 9)) else {}
    for field in draw(st.lists(st.sampled_from(fields(options)), min_size=1, max_size=4, **unique)):
        name = f"--{field.name.replace('_', '-')}"
        value = draw(fitting(field) if draw(st.integers(0, 4)) else ANY)
        form = draw(st.integers(0, 9))
        if "bool" in str(field.type):
            parts.append(name if form else name.replace("--", "--no-"))
        else:
            parts += [name, value] if form < 3 else [f"{name}={value}"]
    stray = st.one_of(ANY, st.sampled_from(["--bogus", "--seed", "-x", "--help"]))
    return parts if draw(st.integers(0, 9)) else [*parts, draw(stray)]


TRAIN = Program(train.main, train.Options, "train.py", ("--data-dir", "folder"))
CONVERT = Program(convert.main, convert.ConvertConfig, "convert_tflite.py", ())
GENERATE = Program(generate.main, generate.GenerateConfig, "jaxgan generate", (), once=True)
INSPECT = Program(inspect.main, inspect.InspectConfig, "jaxgan inspect", ())
EVALUATE = Program(evaluate.main, evaluate.EvaluateConfig, "jaxgan evaluate", ())
PREPARE = Program(data.main, data.Options, "jaxgan data", ("prepare",))
IMPORT = Program(data.main, data.Options, "jaxgan data", ("import",))


def with_base(program: Program, arguments: list[str], base: tuple[str, ...]) -> list[str]:
    """Return arguments with those of a base that they do not name."""
    given = {part.partition("=")[0] for part in arguments}
    pairs = zip(base[::2], base[1::2], strict=True)
    return [*(part for pair in pairs if pair[0] not in given for part in pair), *arguments]


@pytest.fixture(scope="module")
def offline():
    """Nothing is fetched."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(packages, "reachable", lambda url: False)
        patch.setattr(packages.shutil, "which", lambda command: None)
        yield


@pytest.fixture(scope="module")
def unconverted():
    """A conversion ends when it has begun."""

    def stop(*_):
        raise UserError("stopped")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(conversion, "Conversion", stop)
        yield


# Folders of pictures that are the whole disk.
ELSEWHERE = {f"--images{form}{path}" for form in "= " for path in ("/", "..")}


def hold_options(program: Program, count: int, *base: str | Path) -> None:
    """Start a program with many command lines, and with a base where these do not name it."""

    @examples(count)
    @given(calls(program.options))
    def holds(arguments):
        assume(not (ELSEWHERE & set(arguments)))
        check(start(program, *with_base(program, arguments, tuple(map(str, base)))))

    holds()


def test_options_of_train():
    hold_options(TRAIN, 60, "--data-dir", "folder", "--run-dir", "run")


def test_options_of_convert(run_dir, unconverted):
    hold_options(CONVERT, 60, "--checkpoint", run_dir, "--data-dir", "folder")


def test_options_of_inspect(run_dir):
    hold_options(INSPECT, 30)
    for step in ("0", "-1", "20", "99999999999999999999", "x", "40"):
        check(start(INSPECT, run_dir, "--step", step))


def test_options_of_evaluate(model):
    hold_options(EVALUATE, 60, "--model", model, "--data-dir", "folder")


def test_options_of_generate(model):
    @examples(90)
    @given(calls(generate.GenerateConfig))
    def holds(arguments):
        base = ("--model", str(model), "--count", "2")
        if any(part.startswith(("--seeds", "--latents")) for part in arguments):
            base = base[:2]
        check(start(GENERATE, *with_base(GENERATE, arguments, base)))

    holds()


@pytest.mark.parametrize("program", [PREPARE, IMPORT], ids=["prepare", "import"])
def test_options_of_data(program, offline):
    @examples(80)
    @given(calls(data.Options), st.one_of(st.sampled_from([*idx.CLASS_NAMES, "cifar10"]), ANY))
    def holds(arguments, name):
        base = (name,) if program is PREPARE else (str(FIXTURE.parent),)
        base = () if any(part.startswith(base[0]) for part in arguments) else base
        check(start(program, *program.base, *base, *arguments))

    holds()


def start_cpp(program: Path, *arguments: str | Path) -> Left:
    """Run the C++ program; what is no UTF-8 in its output becomes a printable mark."""
    command = [os.fsencode(part) for part in (program, *map(str, arguments))]
    done = subprocess.run(command, capture_output=True, timeout=30, check=False)
    out, err = (part.decode(errors="replace") for part in (done.stdout, done.stderr))
    return Left(done.returncode, out, err)


def test_options_of_the_cpp_program(program, model):
    never_end = {
        "fifo",
        "pipe.png",
        "zero",
        "/dev/zero",
        "full.png",
        "/dev/full",
    }  # see the next test

    @examples(90)
    @given(calls(generate.GenerateConfig))
    def holds(arguments):
        values = {part.rpartition("=")[2] for part in arguments}
        assume(not values & never_end)
        # It shows what it was given as it is, so nothing that a terminal would act on.
        assume(all(part.isprintable() or "\udc80" in part for part in arguments))
        base = ("--model", str(model), "--count", "2")
        if any(part.startswith(("--seeds", "--latents")) for part in arguments):
            base = base[:2]
        check(start_cpp(program, *with_base(GENERATE, arguments, base)))

    holds()


NAMED = ROOT / "tflite_cpp" / "tests" / "fuzz" / "corpus" / "tflite" / "named-none.tflite"


def test_names_of_classes_are_read_alike_in_both(program):
    names = st.sampled_from(("cat", "CAT", "Hot dog", "hot dig", "é", "É", "0", "3", "", " cat"))

    @examples(60)
    @given(st.one_of(ANY, st.lists(names, max_size=4).map(",".join)))
    def holds(label):
        assume("\0" not in label and (label.isprintable() or "\udc80" in label))
        arguments = (
            "--model", NAMED, "--count", "1", "--out", "x.npy", f"--label={label}"
        )  # fmt: skip
        left = start(GENERATE, *arguments), start_cpp(program, *arguments)
        for one in left:
            check(one, {0, 2})
        assert left[0].code == left[1].code

    holds()


def mutants(content: bytes) -> st.SearchStrategy[bytes]:
    """Draw damaged copies of a file: cut, lengthened, some bytes changed, or another thing."""

    @st.composite
    def draw_one(draw):
        changed = bytearray(content)
        for _ in range(draw(st.integers(0, 4))):
            changed[draw(st.integers(0, len(changed) - 1))] = draw(st.integers(0, 255))
        return bytes(changed)

    cut = st.integers(0, len(content)).map(lambda size: content[:size])
    longer = st.binary(max_size=64).map(lambda more: content + more)
    return st.one_of(draw_one(), cut, longer, st.binary(max_size=200))


# What numbers a header may name, and what text a foreign file may hold.
SIZES = st.one_of(st.integers(-3, 70), st.sampled_from((2**31, 2**32 - 1, 2**63, 10**30, 10**5000)))
KEYS = st.one_of(st.sampled_from(TEXTS), st.text(max_size=8))
JSON = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.floats(), KEYS, st.integers(-3, 70),
        st.sampled_from((2**63, 10**400, -(10**30))),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(KEYS, inner, max_size=4)
    ),
    max_leaves=6,
)  # fmt: skip
DEEP = "[" * 5000
ODD_JSON = ("", "{", "null", "[]", "NaN", DEEP, '{"a":' * 3000, "\x00", "\ufeff{}", "9" * 5000)


@st.composite
def headers(draw) -> bytes:
    """Draw the header of a .npy file: each entry as it should be, or not."""
    kind = draw(
        st.sampled_from(("<f4", "<f4", "|O", "<f8", ">f4", "|V8", "<U9", "<U999999999", ""))
    )
    kind = draw(st.sampled_from((repr(kind), repr(kind), "[('a', '<f4')]", "None", "'\x1b[31m'")))
    order = draw(st.sampled_from(("False", "False", "False", "True", "0", "None")))
    sides = draw(st.one_of(st.just([2, 64]), st.lists(SIZES, max_size=4)))
    shape = draw(st.sampled_from(("({},)", "({})", "[{}]", "{}"))).format(
        ", ".join(map(_text, sides))
    )
    entries = [f"'descr': {kind}", f"'fortran_order': {order}", f"'shape': {shape}"]
    entries = draw(st.permutations(entries))
    entries = entries[: draw(st.integers(2, 3))] + draw(
        st.sampled_from(([], [], ["'more': 1"], entries[:1], ["__import__('os').system('x')"]))
    )
    text = draw(st.sampled_from(("{{{}}}", "{{{}, }}", "{{{}}} ", "{}", "({})"))).format(
        ", ".join(entries)
    )
    return draw(st.sampled_from((text, text, text, "(" * 9000))).encode("utf-8", "replace")


def _text(number: int) -> str:
    return str(number) if abs(number) < 10**100 else "9" * 5000


@st.composite
def arrays(draw) -> bytes:
    """Draw a .npy file that may lie about itself."""
    header, version = draw(headers()), draw(st.sampled_from((1, 1, 1, 2, 3, 255)))
    length = draw(st.sampled_from((len(header), len(header), len(header), 0, 65535, 2**32 - 1)))
    digits = 2 if version == 1 else 4
    length = min(length, 256**digits - 1).to_bytes(digits, "little")
    body = draw(st.sampled_from((bytes(512), bytes(512), b"", b"\xff" * 512, bytes(511))))
    return b"\x93NUMPY" + bytes([version, 0]) + length + header + body


def npy(array: np.ndarray) -> bytes:
    """Return an array as NumPy writes it."""
    content = io.BytesIO()
    np.save(content, array, allow_pickle=False)
    return content.getvalue()


GOOD = npy(np.zeros((2, 64), np.float32))


def test_latents(model):
    @examples(80)
    @given(st.one_of(arrays(), arrays(), mutants(GOOD)))
    @example(GOOD)
    def holds(content):
        Path("given.npy").write_bytes(content)
        left = start(GENERATE, "--model", model, "--latents", "given.npy", "--out", "x.png")
        check(left, {0, 2})

    holds()


@st.composite
def idx_files(draw) -> bytes:
    """Draw an IDX file of digits or labels that may lie about itself, gzipped or not."""
    kind = bytes(draw(st.sampled_from(((0, 0, 8), (0, 0, 8), (0, 0, 13), (1, 0, 8)))))
    sides = draw(st.one_of(st.just([2, 28, 28]), st.lists(SIZES, max_size=5)))
    sides = [side % 2**32 for side in sides]
    count = draw(st.sampled_from((len(sides), len(sides), 0, 3, 255)))
    body = bytes(draw(st.sampled_from((2 * 28 * 28, 2 * 28 * 28, 2, 0, 9, 100_000))))
    content = kind + bytes([count]) + struct.pack(f">{len(sides)}I", *sides) + body
    packed = gzip.compress(content, 1)
    return draw(st.one_of(st.sampled_from((content, packed, packed[:-5])), mutants(packed)))


def test_idx_files(place, offline):
    folder = place / "idx"
    shutil.copytree(FIXTURE, folder)
    files = sorted(path.name for path in folder.glob("*.gz"))

    @examples(80)
    @given(st.sampled_from(files), st.one_of(idx_files(), st.sampled_from(PATHS)))
    def holds(name, content):
        path = folder / name
        path.unlink()
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            path.symlink_to(place / content[:200])
        left = start(IMPORT, *IMPORT.base, folder, "--data-dir", "imported")
        check(left, {0, 2})
        path.unlink()
        shutil.copy(FIXTURE / name, path)

    holds()


END = b"\0\0\0\0IEND" + struct.pack(">I", zlib.crc32(b"IEND"))


def test_names_of_idx_files(place, offline):
    folder = place / "names"
    folder.mkdir()
    for name in ("train-images-idx3\n  \n  \n  x", "train-images-idx3\x1b[31m", "train-images-idx"):
        (folder / name).write_bytes(b"")
    check(start(IMPORT, "import", folder, "--data-dir", "imported"), {2})


@st.composite
def pngs(draw) -> bytes:
    """Draw a PNG file of chunks of any kind, length and text."""
    content = b"\x89PNG\r\n\x1a\n"
    for _ in range(draw(st.integers(0, 5))):
        kind = draw(
            st.sampled_from((b"IHDR", b"tEXt", b"tEXt", b"zTXt", b"iTXt", b"IDAT", b"IEND"))
        )
        body = draw(
            st.one_of(st.just(b"jaxgan.model\0x"), KEYS.map(_bytes), st.binary(max_size=40))
        )
        if kind == b"zTXt":
            body = b"jaxgan.model\0\0" + zlib.compress(bytes(100_000))
        lie = draw(st.integers(0, 19))
        length = (0, 2**31, 2**32 - 1)[lie] if lie < 3 else len(body)
        content += struct.pack(">I", length) + kind + body
        content += struct.pack(">I", zlib.crc32(kind + body) ^ (lie == 3))
    return content + draw(st.sampled_from((END, END, END, END, b"")))


def _bytes(text: str) -> bytes:
    return b"jaxgan.x\0" + text.encode("utf-8", "surrogatepass")


def test_pictures():
    @examples(90)
    @given(st.one_of(pngs(), pngs(), st.binary(max_size=50)))
    def holds(content):
        Path("given.png").write_bytes(content)
        check(start(GENERATE, "--describe", "given.png"), {0, 2})

    holds()


REPORT = {
    "step": 7, "epoch": 0.35, "seconds": 1.5, "discriminator_loss": 0.5, "generator_loss": 0.5,
    "real_logit": 1.0, "fake_logit": -1.0, "penalty": 0.1, "images_per_second": 100.0,
}  # fmt: skip
EVALUATION = {"step": 7, "epoch": 0.35, "seconds": 1.5, "fid": 3.0, "recall": 0.5}


@st.composite
def logs(draw) -> bytes:
    """Draw a metrics.jsonl in which lines are torn, of other kinds, or have odd values."""
    lines = []
    for _ in range(draw(st.integers(0, 4))):
        whole = draw(st.sampled_from((REPORT, EVALUATION)))
        names = st.sampled_from([*whole, "fid", "more"])
        report = {**whole, **draw(st.dictionaries(names, JSON, max_size=2))}
        line = json.dumps(report)
        lines.append(
            draw(st.one_of(st.just(line), JSON.map(json.dumps), st.sampled_from(ODD_JSON)))
        )
    return "\n".join(lines).encode("utf-8", "surrogatepass")


def test_logs(place):
    read = Program(read_log, inspect.InspectConfig, "log", ())

    @examples(30)
    @given(st.one_of(logs(), st.binary(max_size=100)))
    def holds(content):
        Path("metrics.jsonl").write_bytes(content)
        check(start(read, "."), {0})

    holds()
    for path in PATHS:
        Path("metrics.jsonl").unlink()
        Path("metrics.jsonl").symlink_to(place / path[:200])
        check(start(read, "."), {0, 2})


def read_log(config) -> None:
    """Read a log as training does, and plot it."""
    records = read_records(config.run_dir / "metrics.jsonl")
    values = [value for record in records for value in record.line().values()]
    assert all(isinstance(value, int | float) for value in values)
    if records:
        plot.write(Path("loss.png"), records)


@pytest.fixture
def spoilt_run(run_dir, tmp_path):
    """A run to spoil: what the programs read of it, and only one checkpoint."""
    folder = tmp_path / "run"
    shutil.copytree(run_dir, folder, ignore=shutil.ignore_patterns("*.png", "*.tflite"))
    return folder


@st.composite
def configs(draw, whole: dict) -> str:
    """Draw a config.json with values of other kinds, missing and foreign entries."""
    content = json.loads(json.dumps(whole))
    for _ in range(draw(st.integers(1, 3))):
        within = draw(st.sampled_from([content, *(v for v in content.values() if type(v) is dict)]))
        name = draw(st.sampled_from([*within, "more"]))
        if draw(st.integers(0, 5)):
            within[name] = draw(JSON)
        else:
            within.pop(name, None)
    text = json.dumps(content)
    doubled = text.replace('"seed":', '"seed": "x", "seed":')
    return draw(st.sampled_from((text, text, text, doubled)))


def read_run(config: inspect.InspectConfig) -> None:
    """Open a run directory as all programs do that draw from one; draw an image."""
    model = open_generator(config.run_dir, step=config.step)
    label = np.zeros(1, np.int32) if model.classes else None
    model.images(0, np.arange(1), label)


READ = Program(read_run, inspect.InspectConfig, "open", ())


def test_configs(place, spoilt_run):
    path = spoilt_run / "config.json"
    whole = json.loads(path.read_text())

    @examples(15)
    @given(st.one_of(configs(whole), configs(whole), st.sampled_from(ODD_JSON), KEYS))
    def holds(text):
        path.write_bytes(text.encode("utf-8", "surrogatepass"))
        check(start(READ, spoilt_run), {0, 2})
        check(start(INSPECT, spoilt_run), {0, 2})
        resumed = start(TRAIN, "--run-dir", spoilt_run, "--data-dir", "folder")
        check(resumed, {2}, table=True)

    holds()
    for target in PATHS:
        path.unlink()
        path.symlink_to(place / target[:200])
        check(start(READ, spoilt_run), {2})


def test_checkpoints(spoilt_run):
    files = sorted(path for path in (spoilt_run / "state").rglob("*") if path.is_file())
    contents = {path: path.read_bytes() for path in files}

    @examples(15)
    @given(st.data())
    def holds(data):
        path = data.draw(st.sampled_from(files))
        foreign = st.sampled_from(ODD_JSON).map(str.encode)
        path.write_bytes(data.draw(st.one_of(mutants(contents[path]), foreign)))
        if data.draw(st.booleans()):  # an author of a hostile checkpoint can seal it
            seal_all(spoilt_run)
        check(start(INSPECT, spoilt_run), {0, 2})
        for one, content in contents.items():
            one.write_bytes(content)

    holds()


def seal_all(run_dir: Path) -> None:
    """Make checksums fit what is there."""
    for path in (run_dir / "state").glob(f"*/{seal.NAME}"):
        log = Mark()._asdict()
        with contextlib.suppress(ValueError, TypeError, KeyError, AttributeError, RecursionError):
            log = json.loads(path.read_bytes())["log"]
        seal.write(path.parent, {"score": None, "log": log})


@pytest.fixture
def dataset(data_dir, tmp_path):
    """A prepared dataset to spoil."""
    shutil.copytree(data_dir, tmp_path / "data")
    return tmp_path / "data"


@pytest.fixture(scope="module")
def downloaded(tmp_path_factory, offline):
    """A dataset that TFDS has, to spoil, and what prepares it."""
    folder, features = tmp_path_factory.mktemp("downloaded"), tfds._load_tfds().features
    images = np.random.default_rng(0).integers(0, 256, (20, 16, 16, 3), np.uint8)
    examples = [{"image": image, "label": index % 2} for index, image in enumerate(images)]
    kinds = {
        "image": features.Image(shape=(16, 16, 3)),
        "label": features.ClassLabel(names=["cat", "dog"]),
    }
    keep_by_tfds(folder, "spoilt_pets", kinds, {"train": examples})
    return folder


def prepared(folder: Path) -> Left:
    """Prepare the dataset that TFDS has once more."""
    shutil.rmtree(folder / "spoilt_pets", ignore_errors=True)
    return start(PREPARE, "prepare", "spoilt_pets", "--data-dir", folder)


def test_stores(dataset):
    kept = [dataset / "mnist" / name for name in ("test.npy", "test-labels.npy", "store.json")]
    contents = {path: path.read_bytes() for path in kept}
    load = Program(load_test, data.Import, "load", (str(dataset),))

    @examples(100)
    @given(st.data())
    def holds(draw):
        path = draw.draw(st.sampled_from(kept))
        if path.suffix == ".json":
            spoilt = [described(contents[path].decode()).map(str.encode)]
            spoilt.append(st.sampled_from(ODD_JSON).map(str.encode))
        else:
            spoilt = [arrays(), mutants(contents[path][:3000]), mutants(contents[path])]
        path.write_bytes(draw.draw(st.one_of(*spoilt)))
        check(start(load, *load.base), {0, 2})
        path.write_bytes(contents[path])

    holds()
    for path in kept:
        for target in PATHS:
            path.unlink()
            path.symlink_to(target[:200])
            check(start(load, *load.base), {2})
        path.unlink()
        path.write_bytes(contents[path])


def load_test(config: data.Import) -> None:
    """Read a dataset as all programs do; it is sound."""
    spec, image, label, _ = datasets.load("mnist", str(config.source), "test")
    assert image.dtype == np.uint8 and image.shape == (len(label), *spec.shape)
    assert label.min() >= 0 and label.max() < spec.classes <= 1000


@st.composite
def described(draw, text: str) -> str:
    """Draw a JSON file with one of its values replaced."""
    content = json.loads(text)
    within = content
    while True:
        name = draw(st.sampled_from(range(len(within)) if type(within) is list else [*within]))
        if type(within[name]) not in (dict, list) or not within[name] or draw(st.booleans()):
            break
        within = within[name]
    within[name] = draw(JSON)
    return json.dumps(content)


def test_files_of_tfds(downloaded):
    files = sorted(path for path in (downloaded / "tfds").rglob("*") if path.is_file())
    contents = {path: path.read_bytes() for path in files}

    @examples(15)
    @given(st.data())
    def holds(draw):
        path = draw.draw(st.sampled_from(files))
        spoilt = [mutants(contents[path][-3000:]), st.sampled_from(ODD_JSON).map(str.encode)]
        if path.suffix == ".json":
            spoilt.append(described(contents[path].decode()).map(str.encode))
        path.write_bytes(draw.draw(st.one_of(*spoilt)))
        check(prepared(downloaded), {0, 2})
        path.write_bytes(contents[path])

    holds()
    for path in files:
        for target in ("fifo", "zero"):
            path.unlink()
            path.symlink_to(Path.cwd() / target)
            check(prepared(downloaded), {2})
        path.unlink()
        path.write_bytes(contents[path])


def test_metadata_of_models(model):
    content = model.read_bytes()
    names = st.sampled_from(
        ("classes", "class_names", "dataset", "report", "latent_size", "image_shape")
    )

    @examples(60)
    @given(st.dictionaries(names, st.one_of(KEYS, st.sampled_from(NUMBERS)), min_size=1))
    def holds(entries):
        entries = {name: text.encode("utf-8", "replace").decode() for name, text in entries.items()}
        Path("x.tflite").write_bytes(graph.add_metadata(content, entries))
        left = start(GENERATE, "--model", "x.tflite", "--count", "1", "--out", "x.png")
        check(left, {0, 3})
        left = start(EVALUATE, "--model", "x.tflite", "--data-dir", "folder")
        check(left, {2, 3})

    holds()


def test_names_of_signatures(model):
    for name in (b"\x1b[31mRED_", b"generatex", b"g\nn\xe2\x80\xaete"):
        spoilt = model.read_bytes().replace(b"generate_", name.ljust(9, b"_")[:9])
        Path("x.tflite").write_bytes(spoilt)
        left = start(GENERATE, "--model", "x.tflite", "--out", "x.png")
        check(left, {3})
        assert "x.tflite is not a" in left.err  # generator, or model, by whichever check is first


class Bomb:
    """What a pickle runs: it makes a file."""

    def __reduce__(self):
        return open, ("exploded", "w")


def pickles() -> dict[str, bytes]:
    """Return files that make the file ``exploded`` if they are unpickled, even in part."""
    plain, array = pickle.dumps(Bomb()), io.BytesIO()
    np.save(array, np.array([Bomb()], object), allow_pickle=True)
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        for name in ("image", "label", "classes", "files"):
            file.writestr(f"{name}.npy", array.getvalue())
    return {"plain": plain, "array": array.getvalue(), "archive": archive.getvalue()}


@pytest.fixture
def unexploded():
    """Nothing is unpickled; the files of ``pickles`` would be noticed."""
    with pytest.raises(FileExistsError):
        pickle.loads(pickle.dumps(Exists()))
    yield
    assert not Path("exploded").exists()


class Exists:
    """A pickle that does nothing but fail, to see that such code does run."""

    def __reduce__(self):
        return os.mkfifo, ("fifo",)


@pytest.mark.parametrize("kind", ["plain", "array", "archive"])
def test_nothing_is_unpickled(kind, model, dataset, downloaded, spoilt_run, unexploded, offline):
    content = pickles()[kind]
    bomb = Path("bomb.png")
    bomb.write_bytes(content)
    out = ("--out", "x.png", "--count", "1")
    check(start(GENERATE, "--describe", bomb), {2})
    check(start(GENERATE, "--model", bomb, *out), {3})
    check(start(GENERATE, "--model", model, "--latents", bomb, "--out", "x.png"), {2})
    check(start(EVALUATE, "--model", bomb, "--data-dir", dataset), {3})
    idx = Path("pickles-idx")
    shutil.copytree(FIXTURE, idx, dirs_exist_ok=True)
    (idx / "train-labels-idx1-ubyte.gz").write_bytes(gzip.compress(content))
    check(start(IMPORT, "import", idx, "--data-dir", "imported"), {2})
    load = Program(load_test, data.Import, "load", (str(dataset),))
    for path in sorted((dataset / "mnist").iterdir()):
        before = path.read_bytes()
        path.write_bytes(content)
        check(start(load, *load.base), {2} if "test" in path.name else {0, 2})
        path.write_bytes(before)
    files = sorted(path for path in (downloaded / "tfds").rglob("*") if path.is_file())
    for path in files if kind == "plain" else ():
        before = path.read_bytes()
        path.write_bytes(content)
        check(prepared(downloaded), {0, 2})
        path.write_bytes(before)
    files = sorted(path for path in spoilt_run.rglob("*") if path.is_file())
    for path in files if kind == "plain" else ():
        before = path.read_bytes()
        path.write_bytes(content)
        seal_all(spoilt_run)
        check(start(READ, spoilt_run), {0, 2})
        path.write_bytes(before)


def test_no_class_is_imported_that_a_file_names(downloaded, spoilt_run, tmp_path, monkeypatch):
    (tmp_path / "hostile_module.py").write_text("open('exploded', 'w')\nclass Thing: pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    named = re.compile(
        rb"(tensorflow_datasets|orbax)(\.\w+)+|jax\.Array|np\.ndarray|SingleDeviceSharding|image/png"
    )
    changed = 0
    spoilt = shutil.copytree(downloaded, tmp_path / "spoilt")
    for folder in (spoilt / "tfds", spoilt_run / "state"):
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            content, count = named.subn(b"hostile_module.Thing", path.read_bytes())
            path.write_bytes(content)
            changed += count
    seal_all(spoilt_run)
    check(prepared(spoilt), {0, 2})
    check(start(READ, spoilt_run), {0, 2})
    assert changed >= 4
    assert "hostile_module" not in sys.modules
    assert not Path("exploded").exists()


def limited(*command: str | Path, memory: str = "12000000", **options):
    """Run this Python with a bound on its memory (KiB) and on its time."""
    script = f'ulimit -v {memory}; exec timeout 60 "$@"'
    return run("bash", "-c", script, "bash", sys.executable, *command, **options)


def test_a_process_of_its_own(model, place, tmp_path):
    (tmp_path / "wide.npy").write_bytes(
        b"\x93NUMPY\x02\0" + (2**32 - 1).to_bytes(4, "little") + b"{'descr': '<f4'"
    )
    generate = ("-m", "jaxgan", "generate", "--model", model, "--out", tmp_path / "x.png")
    for command, code in (
        ((*generate, "--latents", place / "fifo"), 2),
        ((*generate, "--latents", "/dev/zero"), 2),
        ((*generate, "--latents", tmp_path / "wide.npy"), 2),
        (("-m", "jaxgan", "generate", "--model", "/dev/zero"), 3),
        (("-m", "jaxgan", "generate", "--describe", place / "fifo"), 2),
        (("-m", "jaxgan", "inspect", b"caf\xe9".decode(errors="surrogateescape")), 2),
    ):
        done = limited(*command)
        check(Left(done.returncode, done.stdout, done.stderr), {code})
    assert not (tmp_path / "x.png").exists()


def test_a_gzip_bomb_takes_no_memory(place, offline):
    folder = place / "bomb"
    shutil.copytree(FIXTURE, folder)
    with gzip.open(folder / "train-images-idx3-ubyte.gz", "wb", 9) as file:
        file.write(b"\0\0\x08\x03" + struct.pack(">3I", 10, 28, 28))
        for _ in range(200):
            file.write(bytes(1 << 20))
    tracemalloc.start()
    check(start(IMPORT, "import", folder, "--data-dir", "imported"), {2})
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 50 << 20


def test_devices_are_not_replaced(model, tmp_path):
    # For root, a file that is moved over /dev/null would replace it.
    os.mkfifo(tmp_path / "x.png")
    os.mkfifo(tmp_path / "x.npy")
    for out in ("x.png", "x.npy"):
        left = start(GENERATE, "--model", model, "--count", "1", "--out", tmp_path / out)
        check(left, {5})
        assert "no regular file" in left.err
        assert (tmp_path / out).is_fifo()


def test_a_fault_of_the_program_is_one_line(monkeypatch):
    def fails(_):
        raise AssertionError("first\nsecond")

    program = Program(fails, inspect.InspectConfig, "x", ())
    left = start(program)
    assert (left.code, left.err.count("\n")) == (1, 1)
    assert "internal error (AssertionError: first)" in left.err
    with pytest.raises(AssertionError):
        check(left)
    monkeypatch.setenv("JAXGAN_TRACEBACK", "1")
    with pytest.raises(AssertionError, match="second"):
        start(program)


def test_a_terminal_of_few_letters(tmp_path):
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = run(sys.executable, "-m", "jaxgan", "inspect", tmp_path / "é", env=environment)
    check(Left(done.returncode, done.stdout, done.stderr), {2})
    assert r"\xe9 is no run directory" in done.stderr


@pytest.mark.parametrize("out", ["/dev/full", "pipe"])
def test_standard_output_takes_nothing(run_dir, out):
    if out == "pipe":
        reader, writer = os.pipe()
        os.close(reader)
    else:
        writer = os.open(out, os.O_WRONLY)
    done = subprocess.run(
        [sys.executable, "-m", "jaxgan", "inspect", run_dir],
        cwd=ROOT, stdout=writer, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    os.close(writer)
    check(Left(done.returncode, "", done.stderr), {5})


def test_an_option_given_twice_and_other_spellings_of_numbers(model):
    for arguments, words in (
        (("--seed", "1", "--seed", "2"), "--seed: expected once"),
        (("--seed=1", "--seed", "2"), "--seed: expected once"),
        (("--save-latents=x.npy", "--save_latents=x.npy"), "--save-latents: expected once"),
        (("--seed", "+5"), "--seed: expected 0 to 4294967295, got +5"),
        (("--count", "1_0"), "--count: expected 1 to 1000000, got 1_0"),
        (("--count", "٣"), "--count: expected 1 to 1000000, got"),
        (("--seed", "None"), "--seed: expected 0 to 4294967295, got None"),
        (("--columns", "+5"), "whole number"),
        (("--threads", "1_0"), "whole number"),
    ):
        left = start(GENERATE, "--model", model, "--out", "x.png", *arguments)
        check(left, {2})
        assert words in left.err


def test_a_folder_that_is_no_step(spoilt_run):
    (spoilt_run / "state" / "²").mkdir()
    check(start(INSPECT, spoilt_run), {0, 2})


def test_many_damaged_checkpoints(spoilt_run):
    for step in range(5):
        (spoilt_run / "state" / str(step)).mkdir()
    for path in spoilt_run.rglob("checkpoint.json"):
        path.write_text("{}")
    check(start(INSPECT, spoilt_run), {2})
