"""The C++ program: the same pixels as Python, and an answer to every wrong input."""

import csv
import hashlib
import io
import json
import os
import random
import shutil
import stat
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from conftest import BUILDS, call, refused, run
from PIL import Image

from jaxgan import Generator
from jaxgan.commands.generate import command as generate
from jaxgan.config import ImageSpec, TrainConfig
from jaxgan.export import graph as flatbuffers
from jaxgan.export.convert import convert
from jaxgan.gan.step import make_gan
from jaxgan.io.tensorflow import load_tensorflow
from jaxgan.runs.run import Snapshot


def pixels(path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image).astype(int)


def started(language, program, *arguments):
    """Give options to the C++ program, or to Python's command in this process."""
    return run(program, *arguments) if language == "c++" else python_generate(*arguments)


def draw(program, *arguments):
    done = run(program, *arguments)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done


def python_generate(*arguments):
    """Give options to Python's command, in this process."""
    return call(generate, "jaxgan generate", *arguments)


@pytest.fixture
def both(program):
    """Return what gives options to the C++ program and to Python's, which runs in this process.

    ``{}`` in an option stands for ``cpp`` or ``py``. What it returns is their output on stdout.
    """

    def call(*options) -> tuple[bytes, bytes]:
        cpp, py = ([str(part).replace("{}", name) for part in options] for name in ("cpp", "py"))
        done = subprocess.run([program, *cpp], capture_output=True, check=False)
        assert (done.returncode, done.stderr) == (0, b""), done.stderr
        other = python_generate(*py)
        assert (other.returncode, other.stderr) == (0, ""), other.stderr
        return done.stdout, other.raw

    return call


def as_numpy_saves(path: Path) -> np.ndarray:
    """Return the array in a file that has the very bytes that NumPy would write of it."""
    array, content = np.load(path), io.BytesIO()
    np.save(content, array)
    assert path.read_bytes() == content.getvalue()
    return array


def head(path: Path) -> bytes:
    """Return how a PNG begins: its size, and what it says of itself."""
    content, place = path.read_bytes(), 33  # after the signature and the chunk IHDR
    while content[place + 4 : place + 8] == b"tEXt":
        place += 12 + int.from_bytes(content[place : place + 4], "big")
    return content[:place]


def test_a_thousand_images_equal_pythons(program, model, run_dir, tmp_path):
    sheets = []
    for name in ("cpp", "tflite", "jax"):
        source = run_dir if name == "jax" else model
        out = tmp_path / f"{name}.png"
        options = (
            "--model", source, "--seed", "7", "--count", "1000", "--columns", "40", "--out", out,
        )  # fmt: skip
        done = run(program, *options) if name == "cpp" else python_generate(*options)
        assert done.returncode == 0, done.stderr
        sheets.append(pixels(out))
    assert sheets[0].shape == (25 * 28, 40 * 28)
    assert sheets[0].std() > 10  # a picture, not one grey
    assert np.abs(sheets[0] - sheets[1]).max() <= 1
    assert np.abs(sheets[0] - sheets[2]).max() <= 1


# --interpolate between labels needs a model with the signature between_1.
@pytest.mark.parametrize(
    "options",
    [
        ("--label", "3", "--threads", "2"),
        ("--seed", "4294967295", "--count", "67", "--label", "3,1,4"),
        ("--seeds", "7,3-5,7", "--label", "3,1", "--columns", "2"),
        ("--count", "9", "--truncation", "0.7"),
        ("--seeds", "0-3", "--label", "2", "--truncation", ".1", "--interpolate", "3"),
        ("--count", "3", "--label", "4", "--interpolate", "5", "--columns", "4"),
        ("--count", "3", "--label", "1,5", "--interpolate", "5"),
        ("--latents", "KEYS", "--label", "2,8"),
        ("--latents", "KEYS", "--interpolate", "4"),
    ],
    ids=" ".join,
)
def test_options_mean_the_same_in_both(both, model, tmp_path, options):
    keys = tmp_path / "keys.npy"
    np.save(keys, np.random.default_rng(0).normal(size=(5, 64)).astype(np.float32))
    options = ("--model", model, *(keys if part == "KEYS" else part for part in options))
    both(*options, "--out", tmp_path / "{}.npy", "--save-latents", tmp_path / "{}-z.npy")
    cpp, py = (as_numpy_saves(tmp_path / f"{name}.npy") for name in ("cpp", "py"))
    assert cpp.dtype == np.uint8 and cpp.shape == py.shape and cpp.std() > 10
    assert np.abs(cpp.astype(int) - py).max() <= 1
    cpp_z, py_z = (as_numpy_saves(tmp_path / f"{name}-z.npy") for name in ("cpp", "py"))
    np.testing.assert_allclose(cpp_z, py_z, rtol=0, atol=3e-6)
    # The same images as a grid, and what it says of itself.
    both(*options, "--out", tmp_path / "{}.png")
    assert np.abs(pixels(tmp_path / "cpp.png") - pixels(tmp_path / "py.png")).max() <= 1
    assert head(tmp_path / "cpp.png") == head(tmp_path / "py.png")
    described = both("--describe", tmp_path / "cpp.png"), both("--describe", tmp_path / "py.png")
    assert len({text for pair in described for text in pair}) == 1


def test_saved_latents_draw_the_same_again(program, model, tmp_path):
    options, latents = ("--model", model, "--label", "3"), tmp_path / "z.npy"
    first = ("--seeds", "5,1", "--truncation", "0.5", "--interpolate", "4")
    draw(program, *options, *first, "--out", tmp_path / "a.npy", "--save-latents", latents)
    draw(program, *options, "--latents", latents, "--out", tmp_path / "b.npy")
    assert (tmp_path / "a.npy").read_bytes() == (tmp_path / "b.npy").read_bytes()


def test_a_png_says_how_it_was_drawn(both, program, model, tmp_path):
    options = ("--model", model, "--seeds", "0-2", "--truncation", "0.70", "--label", "3,1")
    both(*options, "--out", tmp_path / "{}-%d.png")
    sha256 = hashlib.sha256(model.read_bytes()).hexdigest()
    for index in range(3):
        expected = [
            "Software: jaxgan 0.1.0", f"jaxgan.model: {sha256}",
            "jaxgan.latents: seeds 0-2, truncation 0.70", "jaxgan.labels: 3,1",
            f"jaxgan.image: {index}",
        ]  # fmt: skip
        for name in ("cpp", "py"):
            said = draw(program, "--describe", tmp_path / f"{name}-{index}.png").stdout
            assert said.splitlines() == expected
        assert head(tmp_path / f"cpp-{index}.png") == head(tmp_path / f"py-{index}.png")


def test_a_grid_goes_to_stdout(both, model, tmp_path):
    options = ("--model", model, "--count", "5", "--columns", "3")
    piped = both(*options, "--out", "-")
    both(*options, "--out", tmp_path / "{}.png")
    assert piped == tuple((tmp_path / f"{name}.png").read_bytes() for name in ("cpp", "py"))


def test_an_image_depends_on_seed_index_and_label_alone(program, model, tmp_path):
    # 130 images are two batches of 64 and two of 1; 5 are five batches of 1.
    draw(program, "--model", model, "--count", "130", "--columns", "1", "--out", tmp_path / "a.png")
    draw(program, "--model", model, "--count", "5", "--columns", "1", "--out", tmp_path / "b.png")
    assert np.abs(pixels(tmp_path / "a.png")[: 5 * 28] - pixels(tmp_path / "b.png")).max() <= 1


def test_one_file_an_image(both, program, model, tmp_path):
    arguments = ("--model", model, "--count", "12")
    draw(program, *arguments, "--out", tmp_path / "sheet.png", "--columns", "12")
    both(*arguments, "--out", tmp_path / "{}" / "digit_%04d.png")
    sheet, names = pixels(tmp_path / "sheet.png"), [f"digit_{i:04d}.png" for i in range(12)]
    for folder in ("cpp", "py"):
        assert sorted(path.name for path in (tmp_path / folder).iterdir()) == names
        for i, name in enumerate(names):
            digit = pixels(tmp_path / folder / name)
            assert np.abs(digit - sheet[:, 28 * i : 28 * i + 28]).max() <= 1


def test_a_plain_gan(both, program, plain_model, tmp_path):
    arguments = ("--model", plain_model, "--count", "70")
    both(*arguments, "--out", tmp_path / "{}.png")
    assert np.abs(pixels(tmp_path / "cpp.png") - pixels(tmp_path / "py.png")).max() <= 1
    assert head(tmp_path / "cpp.png") == head(tmp_path / "py.png")
    assert b"jaxgan.latents" in head(tmp_path / "cpp.png")
    assert b"jaxgan.labels" not in head(tmp_path / "cpp.png")
    for done in (
        run(program, *arguments, "--label", "1"), python_generate(*arguments, "--label", "1")
    ):  # fmt: skip
        refused(done, 2, "--label", "no classes")


def test_colour_images(both, tmp_path):
    config, spec = TrainConfig(width=4, latent_size=16), ImageSpec((32, 32, 3), 3)
    params = make_gan(config, spec).init().ema
    convert(Snapshot(config, spec, params, 0), tmp_path / "g.tflite", batch_sizes=(1, 7))
    both("--model", tmp_path / "g.tflite", "--count", "9", "--out", tmp_path / "{}.png")
    assert pixels(tmp_path / "cpp.png").shape == (32, 9 * 32, 3)
    assert np.abs(pixels(tmp_path / "cpp.png") - pixels(tmp_path / "py.png")).max() <= 1


@pytest.fixture(scope="module")
def named(tmp_path_factory):
    """Return an untrained generator of images with alpha and named classes."""
    path = tmp_path_factory.mktemp("named") / "g.tflite"
    config = TrainConfig(width=4, latent_size=16)
    spec = ImageSpec((32, 32, 4), 3, ("cat", "Hot dog, plain", "日本"))
    convert(Snapshot(config, spec, make_gan(config, spec).init().ema, 0), path, batch_sizes=(1, 7))
    return path


def test_images_with_alpha_are_the_same_bits_in_both(both, named, tmp_path):
    options = ("--model", named, "--count", "9", "--columns", "5")
    both(*options, "--out", tmp_path / "{}.png")
    for name in ("cpp", "py"):
        with Image.open(tmp_path / f"{name}.png") as image:
            assert image.mode == "RGBA"
    np.testing.assert_array_equal(pixels(tmp_path / "cpp.png"), pixels(tmp_path / "py.png"))
    assert pixels(tmp_path / "cpp.png").shape == (64, 160, 4)
    assert not pixels(tmp_path / "cpp.png")[32:, 128:].any()  # the place left over
    both(*options, "--out", tmp_path / "{}.npy")
    drawn = np.load(tmp_path / "cpp.npy")
    np.testing.assert_array_equal(drawn, np.load(tmp_path / "py.npy"))
    np.testing.assert_array_equal(drawn[8], pixels(tmp_path / "cpp.png")[32:, 96:128])


def test_classes_are_drawn_by_name(both, program, named, tmp_path):
    options = ("--model", named, "--count", "4", "--out", tmp_path / "{}.png")
    drawn = []
    for label in ("日本,CAT,Hot dog, plain,0", "2,0,1,0"):
        both(*options, "--label", label)
        assert head(tmp_path / "cpp.png") == head(tmp_path / "py.png")
        drawn.append((tmp_path / "cpp.png").read_bytes())
    assert drawn[0] == drawn[1]
    said = draw(program, "--describe", tmp_path / "cpp.png").stdout
    assert "jaxgan.labels: 日本,cat,Hot dog, plain,cat\n" in said
    assert both("--describe", tmp_path / "py.png") == (said.encode(), said.encode())
    info = draw(program, "--model", named, "--info").stdout
    assert "classes: 3 (cat, Hot dog, plain, 日本)\n" in info


@pytest.mark.parametrize("language", ["c++", "python"])
def test_a_name_that_no_class_has(sanitized, named, tmp_path, language):
    options = ("--model", named, "--out", tmp_path / "x.png", "--label", "cat,Hot dig, plain")
    done = started(language, sanitized, *options)
    refused(done, 2, "--label: expected names of classes, or numbers from 0 to 2", "'Hot dig'")
    refused(done, 2, "the names are: cat, Hot dog, plain, ")
    done = started(language, sanitized, *options[:-1], "kat")
    refused(done, 2, "got 'kat' (did you mean 'cat'?)")


@pytest.mark.parametrize(
    "names", ["", "a\nb", "a\nb\nb", "a\nb\n\x1b[31m", "a\nb\n" + 201 * "x", "a\nb\n\n"], ids=ascii
)
def test_names_that_do_not_fit_the_classes(sanitized, named, tmp_path, names):
    def change(changed, graph, first):
        entry = next(one for one in changed.metadata if one.name == b"jaxgan.class_names")
        changed.buffers[entry.buffer].data = np.frombuffer(names.encode(), np.uint8)

    path = changed(tmp_path / "model", change, named)
    done = run(sanitized, "--model", path, "--info")
    refused(done, 3, "class_names", "convert it again")


def test_info(program, model):
    first, *lines = draw(program, "--model", model, "--info").stdout.splitlines()
    assert first == f"{model}: {model.stat().st_size} bytes"
    shapes = [line for line in lines if "->" in line]
    signatures = {line.split(":")[0]: line for line in shapes}
    assert set(signatures) == {"generate_1", "generate_64", "between_1"}
    for part in ("latent float32 [64, 64]", "label int32 [64]", "image float32 [64, 28, 28, 1]"):
        assert part in signatures["generate_64"]
    for part in ("target_label int32 [1]", "weight float32 [1]"):
        assert part in signatures["between_1"]
    names = (
        "version", "revision", "dataset", "seed", "step", "latent_size", "classes", "image_shape",
        "quantization",
    )  # fmt: skip
    metadata = Generator(model).info.metadata
    assert lines[len(shapes) :] == [f"{name}: {metadata[name]}" for name in names]


def test_help_and_version(program):
    text = draw(program, "--help").stdout
    options = (
        "model", "seed", "count", "seeds", "label", "truncation", "interpolate", "latents",
        "save-latents", "out", "columns", "threads", "info", "describe", "benchmark", "batch",
        "warmup", "seconds", "repetitions", "format", "version", "verbose",
    )  # fmt: skip
    for word in (*(f"--{name}" for name in options), "generator.tflite", "default: 64"):
        assert word in text
    version, runtime = draw(program, "--version").stdout.splitlines()
    assert version == "jaxgan-generate 0.1.0"
    assert runtime.startswith(f"runtime LiteRT, {BUILDS / 'release' / 'libLiteRt'}")


def test_the_folder_can_be_carried_away(program, model, tmp_path):
    shutil.copy(program, tmp_path)
    (library,) = program.parent.glob("libLiteRt.*")
    shutil.copy(library, tmp_path)
    done = run(tmp_path / program.name, "--version")
    assert str(tmp_path / library.name) in done.stdout
    assert program.stat().st_size <= 1_000_000


@pytest.mark.parametrize(
    "arguments, words",
    [
        (("--bogus",), ("--bogus",)),
        (("stray",), ("stray",)),
        (("--count", "0"), ("--count", "0")),
        (("--count", "many"), ("--count", "many")),
        (("--count", "1.5"), ("--count", "1.5")),
        (("--count", "0x10"), ("--count", "0x10")),
        (("--count", "1000001"), ("--count", "1000000")),
        (("--threads", "1025"), ("--threads", "1024")),
        (("--label", "3, 1"), ("--label", "0 to 9")),
        (("--count",), ("--count",)),
        (("--threads", "0"), ("--threads", "0")),
        (("--columns", "-1"), ("--columns", "-1")),
        (("--seed", "-1"), ("--seed", "-1")),
        (("--seed", "4294967296"), ("--seed", "4294967296")),
        (("--label", "10"), ("--label", "0 to 9", "10")),
        (("--label", "3,x"), ("--label", "0 to 9", "3,x")),
        (("--label", ""), ("--label", "0 to 9")),
        (("--out", "%d%d.png"), ("--out", "%04d")),
        (("--out", ""), ("--out",)),
        (("--out", "%s.png"), ("--out", "%04d")),
    ],
)
@pytest.mark.parametrize("language", ("c++", "python"))
def test_wrong_options(sanitized, model, tmp_path, language, arguments, words):
    if arguments[0] != "--out":
        arguments = ("--out", tmp_path / "x.png", *arguments)
    done = started(language, sanitized, "--model", model, *arguments)
    refused(done, 2, *words)
    assert list(tmp_path.iterdir()) == []


# Python refuses the same; its own tests see to that without a start for each.
@pytest.mark.parametrize(
    "arguments, words",
    [
        (("--seeds", ""), ("--seeds", "1,5,9-12")),
        (("--seeds", "5-3"), ("--seeds", "5-3")),
        (("--seeds", "0-1000000"), ("--seeds", "1000000")),
        (("--seeds", "4294967296"), ("--seeds", "4294967295")),
        (("--seeds", "1", "--seed", "0"), ("--seeds", "--seed ")),
        (("--seeds", "1", "--count", "64"), ("--seeds", "--count")),
        (("--latents", "LATENTS", "--seed", "0"), ("--latents", "--seed ")),
        (("--latents", "LATENTS", "--seeds", "0"), ("--latents", "--seeds")),
        (("--latents", "LATENTS", "--count", "1"), ("--latents", "--count")),
        (("--latents", "LATENTS", "--truncation", "1"), ("--latents", "--truncation")),
        (("--latents", "nowhere.npy"), ("--latents", "nowhere.npy", "No such file")),
        (("--latents", "README.md"), ("--latents", "README.md", "float32 [N, 64]")),
        (("--truncation", "0"), ("--truncation", "above 0")),
        (("--truncation", "10.1"), ("--truncation", "at most 10")),
        (("--truncation", "nan"), ("--truncation", "nan")),
        (("--truncation", "0x1"), ("--truncation", "'0x1'")),
        (("--truncation", "1e-1"), ("--truncation", "'1e-1'")),
        (("--truncation", "1.2.3"), ("--truncation", "'1.2.3'")),
        (("--truncation", "1."), ("--truncation", "'1.'")),
        (("--interpolate", "1"), ("--interpolate", "2")),
        (("--interpolate", "1001"), ("--interpolate", "1000")),
        (("--interpolate", "2", "--count", "1"), ("--interpolate", "--count", "--seeds")),
        (("--interpolate", "1000", "--count", "1002"), ("--interpolate", "1000000")),
        (("--save-latents", "z.txt"), ("--save-latents", ".npy", "z.txt")),
        (("--out", "x.npy", "--save-latents", "x.npy"), ("--save-latents", "--out")),
        (("--out", "digits"), ("--out", ".png", "digits")),
        (("--out", "x.jpg"), ("--out", ".png", "x.jpg")),
        (("--out", "x.gif"), ("--out", "jaxgan generate", "x.gif")),
        (("--out", "x.apng"), ("--out", "jaxgan generate")),
        (("--out", "x%04d.npy"), ("--out", "%04d", ".png")),
        (("--out", ".png/x"), ("--out", ".png/x")),
        (("--threads", "1,2"), ("--threads", "--benchmark")),
    ],
)
def test_wrong_sampling(sanitized, model, tmp_path, arguments, words):
    np.save(tmp_path / "l.npy", np.zeros((1, 64), np.float32))
    arguments = [tmp_path / "l.npy" if part == "LATENTS" else part for part in arguments]
    if "--out" not in arguments:
        arguments = ["--out", tmp_path / "x.png", *arguments]
    refused(run(sanitized, "--model", model, *arguments), 2, *words)
    assert [path.name for path in tmp_path.iterdir()] == ["l.npy"]


def test_a_png_that_names_no_model(sanitized, tmp_path):
    Image.new("L", (3, 3)).save(tmp_path / "other.png")
    content = (tmp_path / "other.png").read_bytes()
    (tmp_path / "damaged.png").write_bytes(content.replace(b"IDAT", b"IDAX"))
    (tmp_path / "text.png").write_text("not a picture")
    for name, words in (
        ("other.png", "names no jaxgan model"), ("damaged.png", "a damaged PNG file"),
        ("text.png", "no PNG file"), ("none.png", "No such file"),
    ):  # fmt: skip
        path = tmp_path / name
        refused(run(sanitized, "--describe", path), 2, "--describe", str(path), words)


COLUMNS = [
    "threads", "batch", "load_ms", "compile_ms", "first_ms", "calls", "mean_ms", "deviation_ms",
    "p50_ms", "p95_ms", "p99_ms", "images_per_second", "peak_memory_mb",
]  # fmt: skip


def test_benchmark(program, model):
    timing = ("--repetitions", "7", "--warmup", "1", "--threads", "1,2", "--batch", "1,3,64")

    def benchmark(style):
        return draw(program, "--model", model, "--benchmark", *timing, "--format", style).stdout

    told = json.loads(benchmark("json"))
    assert told["model"] == str(model)
    commas = list(csv.DictReader(io.StringIO(benchmark("csv"))))
    names, *lines = (line.split() for line in benchmark("table").splitlines())
    table = [dict(zip(names, cells, strict=True)) for cells in lines]
    combinations = [(threads, batch) for threads in (1, 2) for batch in (1, 3, 64)]
    for rows in (told["rows"], commas, table):
        assert [list(row) for row in rows] == [COLUMNS] * 6
        rows = [{name: float(value) for name, value in row.items()} for row in rows]
        assert [(row["threads"], row["batch"]) for row in rows] == combinations
        for row in rows:
            assert row["calls"] == 7
            assert 0 < row["p50_ms"] <= row["p95_ms"] <= row["p99_ms"]
            assert row["p50_ms"] / 2 <= row["mean_ms"] <= row["p99_ms"]  # of seven calls
            a_second = 1000 * row["batch"] / row["mean_ms"]
            assert row["images_per_second"] == pytest.approx(a_second, rel=0.01, abs=1)  # rounded
            assert min(row["load_ms"], row["first_ms"]) > 0
            assert min(row["compile_ms"], row["deviation_ms"]) >= 0
            assert 1 < row["peak_memory_mb"] < 10_000


def test_benchmark_by_seconds(program, model):
    timing = ("--benchmark", "--seconds", "0.05", "--warmup", "0", "--batch", "1")
    (row,) = json.loads(draw(program, "--model", model, *timing, "--format", "json").stdout)["rows"]
    assert row["calls"] * row["mean_ms"] >= 0.99 * 50  # as many as fill the time


@pytest.mark.parametrize(
    "arguments, words",
    [
        (("--format", "xml"), ("--format", "xml", "json")),
        (("--batch", "0"), ("--batch", "1")),
        (("--batch", "1,x"), ("--batch", "x")),
        (("--batch", "4097"), ("--batch", "4096")),
        (("--threads", "1,0"), ("--threads", "0")),
        (("--repetitions", "0"), ("--repetitions", "1")),
        (("--repetitions", "5", "--seconds", "1"), ("--repetitions", "--seconds")),
        (("--seconds", "0"), ("--seconds", "0")),
        (("--warmup", "-1"), ("--warmup", "-1")),
    ],
)
def test_wrong_benchmarks(sanitized, model, arguments, words):
    done = run(sanitized, "--model", model, "--benchmark", *arguments)
    refused(done, 2, *words)
    assert done.stdout == ""


def no_file(path, model):
    return path


def a_directory(path, model):
    path.mkdir()
    return path


def written(path, content):
    path.write_bytes(content)
    return path


def a_loop(path, model):
    path.symlink_to(path)
    return path


def unreadable(path, model):
    return Path("/proc/self/mem")  # opens, but its first byte cannot be read


def empty(path, model):
    return written(path, b"")


def random_bytes(path, model):
    return written(path, random.Random(0).randbytes(10_000))


def truncated(path, model):
    return written(path, model.read_bytes()[:-1000])


def cut_to_the_head(path, model):
    return written(path, model.read_bytes()[:100])


def not_a_generator(path, model):
    # A real model whose signatures carry other names.
    return written(path, model.read_bytes().replace(b"generate_", b"gEnErAtE_"))


def without_metadata(path, model):
    return written(path, model.read_bytes().replace(b"jaxgan.classes", b"jaxgan.cl_sses"))


@pytest.mark.parametrize(
    "make, words",
    [
        (no_file, "No such file"),
        (a_directory, "irectory"),
        (a_loop, "symbolic links"),
        (unreadable, "cannot read"),
        (empty, "empty"),
        (random_bytes, "not a TensorFlow Lite model"),
        (truncated, "not a TensorFlow Lite model"),
        (cut_to_the_head, "not a TensorFlow Lite model"),
        (not_a_generator, "not a generator"),
        (without_metadata, "number of classes"),
    ],
)
@pytest.mark.parametrize("language", ("c++", "python"))
def test_wrong_models(sanitized, model, tmp_path, language, make, words):
    path = make(tmp_path / "model", model)
    out = tmp_path / "out" / "x.png"
    done = started(language, sanitized, "--model", path, "--out", out)
    if make is a_directory and language == "python":
        refused(done, 2, "holds no run", str(path))  # it reads run directories, too
    else:
        refused(done, 3, words, str(path), *(("--model",) if language == "c++" else ()))
    assert not out.parent.exists()


def mutants(content: bytes, count: int):
    """Yield copies of a model with a few bytes changed."""
    random_ = random.Random(2)
    for _ in range(count):
        mutant = bytearray(content)
        for _ in range(random_.choice((1, 3, 10))):
            # Half of them at the end, where the tables lie, and not in the weights.
            start = random_.choice((0, len(mutant) - 6000))
            mutant[random_.randrange(start, len(mutant))] = random_.randrange(256)
        yield bytes(mutant)


def test_mutants_end_with_a_documented_code(sanitized, model, plain_model, tmp_path):
    # More are tried of small models by ctest, and by `make fuzz`.
    tried = run(
        sanitized.parent / "tests" / "fuzz" / "mutants", "--count", "600", "--findings", tmp_path,
        model, plain_model,
    )  # fmt: skip
    assert tried.returncode == 0, tried.stdout + tried.stderr
    done, _, refused_, no_memory, other = map(int, tried.stdout.splitlines()[-2].split()[1:])
    assert min(done, refused_) > 50 and other == 0
    assert done + refused_ + no_memory == 600


CORPUS = BUILDS.parent / "tests" / "fuzz" / "corpus" / "tflite"
SOUND = CORPUS / "digits-none.tflite"
NAMES = {
    5: "depth",
    34: "pad",
    7: "lookup",
    9: "dense",
    22: "reshape",
    25: "softmax",
    65: "slice",
    67: "transposed",
}


def changed(path, change, sound=SOUND):
    """Write a sound model after a change to it in the form of the flatbuffer's schema."""
    from ai_edge_litert import schema_py_generated as schema

    changed = schema.ModelT.InitFromPackedBuf(sound.read_bytes(), 0)
    codes = [max(code.builtinCode, code.deprecatedBuiltinCode) for code in changed.operatorCodes]
    graph = changed.subgraphs[-1]
    for part, name in (*((one, "shape") for one in graph.tensors),
                       *((one, "inputs") for one in graph.operators)):  # fmt: skip
        setattr(part, name, getattr(part, name).copy())
    operators = reversed(graph.operators)
    first = {NAMES.get(codes[one.opcodeIndex]): one for one in operators}
    change(changed, graph, first)
    return written(path, flatbuffers.pack(changed))


def shrink(changed, graph, first):
    graph.tensors[first["dense"].outputs[0]].shape[1] //= 2


def grow(changed, graph, first):
    graph.tensors[first["transposed"].outputs[0]].shape[1] += 1


def starve(changed, graph, first):
    weights = graph.tensors[first["dense"].inputs[1]]
    changed.buffers[weights.buffer].data = changed.buffers[weights.buffer].data[:-4]


def point_outside(changed, graph, first):
    first["lookup"].inputs[1] = len(graph.tensors)


def use_before_it_is_made(changed, graph, first):
    graph.operators.reverse()


def stride_of_nothing(changed, graph, first):
    first["transposed"].builtinOptions.strideH = 0


def padding_of_another_kind(changed, graph, first):  # allowed where a kernel has one pixel
    first["transposed"].builtinOptions.padding = 1


def without_options(changed, graph, first):
    first["transposed"].builtinOptions, first["transposed"].builtinOptionsType = None, 0


def bytes_without_scale(changed, graph, first):
    graph.tensors[first["reshape"].outputs[0]].type = 9


def a_variable(changed, graph, first):
    graph.tensors[0].isVariable = True


def negative(changed, graph, first):
    graph.tensors[first["dense"].outputs[0]].shape[0] = -1


def an_operation_of_others(changed, graph, first):
    changed.operatorCodes[first["reshape"].opcodeIndex].builtinCode = 26  # SPACE_TO_DEPTH


def a_name_that_moves_the_cursor(changed, graph, first):
    changed.signatureDefs[0].signatureKey = b"\x1b[2J"


def one_graph_for_two(changed, graph, first):
    changed.signatureDefs[0].subgraphIndex = 9


def foreign_metadata(changed, graph, first):
    changed.metadata[0].name = b"model_control_dependencies"


@pytest.mark.parametrize(
    "change, words",
    [
        (shrink, "FULLY_CONNECTED: its result has other sizes"),
        (grow, "TRANSPOSE_CONV: sizes"),
        (starve, "a constant of another size"),
        (point_outside, "EMBEDDING_LOOKUP: a tensor is missing"),
        (use_before_it_is_made, "nothing made before"),
        (stride_of_nothing, "TRANSPOSE_CONV: stride"),
        (padding_of_another_kind, "TRANSPOSE_CONV: padding"),
        (without_options, "TRANSPOSE_CONV: options"),
        (bytes_without_scale, "8 bits without a scale"),
        (a_variable, "a variable"),
        (negative, "sizes below 1"),
        (an_operation_of_others, "operation 26"),
        (a_name_that_moves_the_cursor, "odd letters"),
        (one_graph_for_two, "a signature without its graph"),
        (foreign_metadata, "metadata of another kind"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_models_that_would_lead_the_runtime_astray(sanitized, tmp_path, change, words):
    path = changed(tmp_path / "model", change)
    done = run(sanitized, "--model", path, "--out", tmp_path / "x.png")
    refused(done, 3, words, str(path), "convert_tflite.py")
    assert not (tmp_path / "x.png").exists()


def layers(tensorflow):
    """Return a function of latent vectors: every kind of layer of large images, [2, 64, 64, 4]."""

    def draw(latent):
        nn, random_ = tensorflow.nn, np.random.default_rng(0)  # the same whenever it is traced

        def weights(*shape):
            scale = 2 / np.sqrt(np.prod(shape[:-1]))
            return random_.normal(0, scale, shape).astype(np.float32)

        def convolved(x, kernel, stride, padding="SAME"):
            return nn.conv2d(x, weights(*kernel), stride, padding)

        x = tensorflow.reshape(latent @ weights(8, 16 * 16 * 8), (2, 16, 16, 8))
        x = nn.leaky_relu(convolved(x, (8, 8, 8, 16), 4), 0.2)  # 4x4
        x = x + nn.leaky_relu(convolved(x, (1, 1, 16, 16), 1), 0.2)  # a residual
        x = nn.conv2d_transpose(x, weights(8, 8, 8, 16), (2, 16, 16, 8), 4)
        x = tensorflow.pad(nn.leaky_relu(x + weights(8), 0.2), [[0, 0], [2, 1], [1, 2], [0, 0]])
        x = convolved(x, (4, 4, 8, 16), 1, "VALID")
        x = nn.depthwise_conv2d(x, weights(3, 3, 16, 1), (1, 1, 1, 1), "SAME")
        x = tensorflow.pad(nn.depth_to_space(x, 2), [[0, 0], [0, 0], [0, 0], [0, 2]])
        x = convolved(nn.leaky_relu(x, 0.2), (3, 3, 6, 16), 1)  # pixels of a block as channels
        x = tensorflow.reshape(x, (2, 32, 32, 2, 2, 4))
        x = tensorflow.transpose(x, (0, 1, 3, 2, 4, 5))
        return {"image": tensorflow.tanh(tensorflow.reshape(x, (2, 64, 64, 4)))}

    return draw


@pytest.mark.parametrize("kind", ["none", "float16"])
def test_every_layer_of_large_images_is_admitted_and_drawn(sanitized, tmp_path, kind):
    tensorflow = load_tensorflow()
    draw = tensorflow.function(
        layers(tensorflow),
        input_signature=[tensorflow.TensorSpec((2, 8), tensorflow.float32, "latent")],
    )
    module = tensorflow.Module()
    tensorflow.saved_model.save(module, str(tmp_path / "saved"), signatures={"generate_2": draw})
    converter = tensorflow.lite.TFLiteConverter.from_saved_model(str(tmp_path / "saved"))
    if kind == "float16":
        converter.optimizations = [tensorflow.lite.Optimize.DEFAULT]
        converter.target_spec.supported_types = [tensorflow.float16]
    content = converter.convert()
    path = written(tmp_path / "model.tflite", content)
    found = set(flatbuffers.operations(content))
    assert {"PAD", "DEPTH_TO_SPACE", "TRANSPOSE", "ADD", "TRANSPOSE_CONV", "CONV_2D"} <= found
    done = run(sanitized, "--model", path, "--count", "3", "--out", tmp_path / "x.npy")
    assert (done.returncode, done.stderr) == (0, "")
    latents = np.random.default_rng(1).normal(size=(2, 8)).astype(np.float32)
    with Generator(path) as generator:
        np.testing.assert_array_equal(np.load(tmp_path / "x.npy"), generator.draw(count=3))
        drawn = generator.draw_values(latents, None)
    expected = draw(latents)["image"].numpy()
    assert expected.std() > 0.1
    np.testing.assert_allclose(drawn, expected, atol=1e-5 if kind == "none" else 1e-2)
    if kind == "none":
        are_refused_where_they_do_not_fit(sanitized, path)


def are_refused_where_they_do_not_fit(program, sound):
    def other_block(changed, graph, first):
        first["depth"].builtinOptions.blockSize = 4

    def no_block(changed, graph, first):
        first["depth"].builtinOptions.blockSize = 0

    def other_padding(changed, graph, first):
        graph.tensors[first["pad"].outputs[0]].shape[3] += 1

    def less_than_none(changed, graph, first):
        around = changed.buffers[graph.tensors[first["pad"].inputs[1]].buffer]
        numbers = around.data.view(np.int32).copy()
        numbers[-2:] -= 2, -2  # as large a sum as before
        around.data = numbers.view(np.uint8)

    def not_padded(changed, graph, first):
        options = [one.builtinOptions for one in graph.operators]
        next(one for one in options if hasattr(one, "dilationHFactor")).padding = 1

    for change, words in (
        (other_block, "DEPTH_TO_SPACE"), (no_block, "DEPTH_TO_SPACE: inputs of sizes"),
        (other_padding, "PAD: its result has other sizes"), (less_than_none, "PAD: sizes"),
        (not_padded, "CONV_2D: its result has other sizes"),
    ):  # fmt: skip
        path = changed(sound.with_name(f"{change.__name__}.tflite"), change, sound)
        refused(run(program, "--model", path, "--info"), 3, words)


def cut_from(changed, graph, first, place):
    start = graph.tensors[first["slice"].inputs[1]]
    changed.buffers[start.buffer].data = np.frombuffer(np.int32([0, place]).tobytes(), np.uint8)


def reach_outside(changed, graph, first):
    cut_from(changed, graph, first, 2)


def start_before(changed, graph, first):
    cut_from(changed, graph, first, -1)


def cut_more(changed, graph, first):
    graph.tensors[first["slice"].outputs[0]].shape[1] += 1


def stretch(changed, graph, first):
    graph.tensors[first["softmax"].outputs[0]].shape[1] += 1


def sharpen(changed, graph, first):
    first["softmax"].builtinOptions.beta = 2.0


def of_other_scale(changed, graph, first):
    graph.tensors[first["softmax"].outputs[0]].quantization.scale = np.float32([1.0])


def of_tiny_scale(changed, graph, first):
    for index in (first["softmax"].inputs[0], first["slice"].inputs[0]):
        graph.tensors[index].quantization.scale = np.float32([1e-12])


@pytest.mark.parametrize(
    "kind, change, words",
    [
        ("none", reach_outside, "SLICE: inputs of sizes"),
        ("none", start_before, "SLICE: inputs of sizes"),
        ("none", cut_more, "SLICE: its result has other sizes"),
        ("none", stretch, "SOFTMAX: its result has other sizes"),
        ("none", sharpen, "SOFTMAX: its exponents"),
        ("int8", of_other_scale, "SOFTMAX: scales"),
        ("int8", of_tiny_scale, "scales"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_wrong_mixtures(sanitized, tmp_path, kind, change, words):
    path = changed(tmp_path / "model", change, CORPUS / f"plain-{kind}.tflite")
    refused(run(sanitized, "--model", path, "--out", tmp_path / "x.png"), 3, words, str(path))


@pytest.mark.parametrize("told", ("0", "-1", "65537", "2147483647", "9" * 30, "3x", ""))
def test_metadata_tells_no_number_of_classes(sanitized, tmp_path, told):
    def change(changed, graph, first):
        entries = {entry.name: entry.buffer for entry in changed.metadata}
        changed.buffers[entries[b"jaxgan.classes"]].data = np.frombuffer(told.encode(), np.uint8)

    path = changed(tmp_path / "model", change)
    refused(run(sanitized, "--model", path), 3, "number of classes", str(path))


def test_info_shows_metadata_within_bounds(program, tmp_path):
    def change(changed, graph, first):
        entries = {entry.name: entry.buffer for entry in changed.metadata}
        text = b"\x1b[2J" + bytes(100_000)
        changed.buffers[entries[b"jaxgan.dataset"]].data = np.frombuffer(text, np.uint8)

    path = changed(tmp_path / "model", change)
    text = draw(program, "--model", path, "--info").stdout
    assert "dataset: \\x1b[2J\\x00" in text
    assert max(map(len, text.splitlines())) < 1000


TWO_GIB = 1 << 31


@pytest.mark.parametrize("size", (TWO_GIB - 1, TWO_GIB, TWO_GIB + 1, 5_000_000_000))
@pytest.mark.parametrize("start", ("model", "nothing"))
def test_files_of_two_gigabytes(program, tmp_path, size, start):
    # Sparse: they take no room on the disk. With a model at its start the smallest one is loaded.
    path = tmp_path / "large.tflite"
    path.write_bytes(SOUND.read_bytes() if start == "model" else b"")
    os.truncate(path, size)
    loads = start == "model" and size < TWO_GIB
    limit = 3 * TWO_GIB if loads else 2**28  # of memory
    done = subprocess.run(
        ["sh", "-c", f'ulimit -v {limit // 1024}; exec "$@"', "sh", program, "--model", path,
         "--info"], capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    if loads:
        assert (done.returncode, done.stderr) == (0, "")
        assert f"{size} bytes" in done.stdout
    else:
        refused(done, 3, "2 GiB" if size >= TWO_GIB else "does not begin", str(path))


@pytest.mark.parametrize("option", ["--model", "--latents", "--describe"])
def test_pipes_and_devices_are_refused(sanitized, tmp_path, option):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path in ("/dev/zero", "/dev/null", pipe):
        options = {"--model": SOUND, "--out": tmp_path / "x.png", option: path}
        done = run(sanitized, *(part for pair in options.items() for part in pair), timeout=10)
        refused(done, 3 if option == "--model" else 2, option, "no regular file", str(path))


def test_control_characters_are_refused(sanitized):
    for text in ("\x1b[31m", "a\nb", "\x7f", "\x9b31m"):
        refused(run(sanitized, "--model", text), 2, "control characters", "number 2")
    refused(run(sanitized, "--model", "é.tflite"), 3, "é.tflite")


def test_python_reads_no_more_than_a_model(tmp_path):
    path = tmp_path / "large.tflite"
    path.write_bytes(SOUND.read_bytes())
    os.truncate(path, 5_000_000_000)
    command = sys.executable, "-m", "jaxgan", "generate", "--out", tmp_path / "x.png", "--model"
    limited = "sh", "-c", 'ulimit -v 12000000; exec "$@"', "sh", *command
    refused(run(*limited, path, timeout=60), 3, "2 GiB", str(path))
    refused(run(*limited, "/dev/zero", timeout=60), 3, "no regular file", "/dev/zero")


def test_a_file_that_shrinks_while_it_is_read(sanitized, tmp_path):
    path, stop = tmp_path / "model", time.monotonic() + 2
    path.write_bytes(SOUND.read_bytes())
    codes = set()
    with subprocess.Popen(
        ["sh", "-c", 'while :; do cat "$1" > "$2"; : > "$2"; done', "sh", SOUND, path]
    ) as writer:
        while time.monotonic() < stop:
            codes.add(run(sanitized, "--model", path, "--info").returncode)
        writer.kill()
    assert codes <= {0, 3}


def library_of(program, tmp_path):
    """Copy the program alone; return it and where its library should be."""
    shutil.copy(program, tmp_path)
    (library,) = program.parent.glob("libLiteRt.*")
    return tmp_path / program.name, tmp_path / library.name


def test_the_runtime_is_missing(program, model, tmp_path):
    alone, _ = library_of(program, tmp_path)
    refused(run(alone, "--model", model), 4, "libLiteRt", "2.1.6")


def test_the_runtime_is_damaged(program, model, tmp_path):
    alone, library = library_of(program, tmp_path)
    library.write_bytes(b"\x7fELF and no more")
    refused(run(alone, "--model", model), 4, "libLiteRt", "2.1.6")


def test_the_runtime_is_too_old(program, model, tmp_path):
    alone, library = library_of(program, tmp_path)
    # Before 2.1.6, it had LiteRtCreateModelFromBuffer (with other parameters) and no ...FromFd.
    source = tmp_path / "old.c"
    source.write_text("int LiteRtCreateModelFromBuffer(void) { return 0; }\n")
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source], check=True)
    refused(run(alone, "--model", model), 4, "too old", "LiteRtCreateModelFromFd", "2.1.6")


@pytest.mark.parametrize("language", ("c++", "python"))
def test_an_output_that_cannot_be_written(sanitized, model, tmp_path, language):
    (tmp_path / "file").write_text("kept")
    (tmp_path / "folder.png" / "inside").mkdir(parents=True)
    for out in (tmp_path / "file" / "x.png", tmp_path / "folder.png"):
        refused(started(language, sanitized, "--model", model, "--out", out), 5, str(out))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder.png"]
    assert (tmp_path / "file").read_text() == "kept"


def a_pipe(path):
    os.mkfifo(path)
    return stat.S_ISFIFO


def a_link_to_a_device(path):
    path.symlink_to("/dev/null")
    return stat.S_ISLNK


def a_device(path):
    try:
        os.mknod(path, 0o600 | stat.S_IFCHR, os.stat("/dev/null").st_rdev)
    except PermissionError:
        pytest.skip("only root makes devices, and in some containers not even root")
    return stat.S_ISCHR


@pytest.mark.parametrize("make", (a_pipe, a_link_to_a_device, a_device))
@pytest.mark.parametrize(
    "option, name", [("--out", "x.png"), ("--out", "x.npy"), ("--save-latents", "x.npy")]
)
def test_devices_are_not_replaced(sanitized, tmp_path, make, option, name):
    path = tmp_path / name
    is_kept = make(path)
    options = {"--model": SOUND, "--out": tmp_path / "other.png", option: path}
    done = run(sanitized, *(part for pair in options.items() for part in pair), timeout=10)
    refused(done, 5, str(path), "it is there already, and is no regular file")
    assert is_kept(path.lstat().st_mode)
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)
    assert not list(tmp_path.glob(".jaxgan.*"))


@pytest.mark.parametrize("language", ("c++", "python"))
def test_a_full_disk_leaves_no_half_file(program, model, tmp_path, language):
    command = (program,) if language == "c++" else (sys.executable, "-m", "jaxgan", "generate")

    # A limit on the size of files, without its signal, fails a write as a full disk does.
    limited = ("sh", "-c", 'trap "" XFSZ; ulimit -f 1; exec "$@"', "sh", *command)
    out = tmp_path / "x.png"
    out.write_bytes(b"older")
    environment = {**os.environ, "JAX_ENABLE_COMPILATION_CACHE": "false"}  # it would warn, too
    done = run(*limited, "--model", model, "--out", out, env=environment)
    refused(done, 5, "cannot write", str(out))
    assert out.read_bytes() == b"older"
    assert list(tmp_path.iterdir()) == [out]


@pytest.mark.parametrize("language", ("c++", "python"))
def test_a_picture_too_tall_for_png(program, model, tmp_path, language):
    out = tmp_path / "x.png"
    options = ("--model", model, "--out", out, "--count", "40000", "--columns", "1")
    done = started(language, program, *options)
    refused(done, 2, "--columns", "28x1120000", "1000000")
    assert not out.exists()


def test_standard_output_is_full(program, model):
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [program, "--model", model, "--info"], stdout=full, stderr=subprocess.PIPE, text=True
        )
    refused(done, 5, "standard output")


def test_the_runtimes_log_is_silent_unless_asked_for(program, model, tmp_path):
    arguments = ("--model", model, "--out", tmp_path / "x.png")
    assert draw(program, *arguments).stdout == ""
    assert "XNNPACK" in run(program, *arguments, "--verbose").stderr


def test_leading_zeros_are_no_octal_numbers(program, model, tmp_path):
    draw(program, "--model", model, "--seed", "010", "--count", "08", "--out", tmp_path / "a.npy")
    draw(program, "--model", model, "--seed", "10", "--count", "8", "--out", tmp_path / "b.npy")
    assert (tmp_path / "a.npy").read_bytes() == (tmp_path / "b.npy").read_bytes()


def test_nobody_reads_stdout(program, model):
    command = f"'{program}' --model '{model}' --out - 2>&1 >&3 | cat; exit ${{PIPESTATUS[0]}}"
    script = f"exec 3> >(exec 0<&-; sleep 0.2); sleep 0.4; {command}"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True)
    assert done.returncode == 5, done
    assert "standard output" in done.stdout


@pytest.mark.parametrize(
    "arguments, words",
    [
        (("--benchmark", "--info"), ("--benchmark", "--info")),
        (("--benchmark", "--seeds", "1"), ("--benchmark", "--seeds")),
        (("--batch", "3"), ("--batch", "--benchmark")),
        (("--save-latents", "./x.npy", "--out", "x.npy"), ("--save-latents", "--out")),
    ],
)
def test_options_that_do_not_fit_together(program, model, arguments, words):
    refused(run(program, "--model", model, *arguments), 2, *words)
