"""``jaxgan.Generator``: the C++ library from Python, its arguments, its errors."""

import _ctypes
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from conftest import run

from jaxgan import Generator
from jaxgan.config import ImageSpec, TrainConfig
from jaxgan.drawing import library
from jaxgan.drawing.generator import draw_latents
from jaxgan.drawing.model import METADATA
from jaxgan.drawing.run_generator import RunGenerator
from jaxgan.drawing.sampling import Sampling, choose
from jaxgan.errors import JaxganError, LibraryError, ModelError, UserError
from jaxgan.export.convert import convert
from jaxgan.gan import native, networks
from jaxgan.gan.convolution import choose_backend
from jaxgan.gan.step import make_gan
from jaxgan.io.images import to_uint8
from jaxgan.runs.run import Snapshot


@pytest.fixture
def generator(model):
    with Generator(model) as opened:
        yield opened


@pytest.mark.parametrize(
    "arguments, options",
    [
        ({}, ()),
        ({"seed": 4294967295, "count": 67, "labels": [3, 1, 4]},
         ("--seed", "4294967295", "--count", "67", "--label", "3,1,4")),
        ({"seeds": np.array([7, 3, 7]), "labels": 2, "truncation": 0.7},
         ("--seeds", "7,3,7", "--label", "2", "--truncation", "0.7")),
        ({"count": 130, "truncation": 1e-7}, ("--count", "130", "--truncation", "0.0000001")),
        ({"count": 3, "labels": (1, 5), "steps": 5},
         ("--count", "3", "--label", "1,5", "--interpolate", "5")),
    ],
    ids=str,
)  # fmt: skip
def test_the_pixels_are_those_of_the_program(
    generator, program, model, tmp_path, arguments, options
):
    done = run(program, "--model", model, *options, "--out", tmp_path / "cpp.npy")
    assert done.returncode == 0, done.stderr
    draw = generator.draw_between if "steps" in arguments else generator.draw
    np.testing.assert_array_equal(draw(**arguments), np.load(tmp_path / "cpp.npy"))


def test_latents_are_drawn(generator):
    latents = draw_latents(7, range(70), 64)
    expected = generator.draw(seed=7, count=70)
    np.testing.assert_array_equal(generator.draw(latents=latents), expected)
    # Whatever lies in memory: other dtypes, other orders.
    odd = np.asfortranarray(latents.astype(np.float64))
    np.testing.assert_array_equal(generator.draw(latents=odd), expected)
    way = generator.draw_between(latents=latents[:3], steps=4, labels=5)
    np.testing.assert_array_equal(way, generator.draw_between(seed=7, count=3, steps=4, labels=5))
    assert way.shape == (8, 28, 28, 1) and way.dtype == np.uint8


def test_a_plain_gan(plain_model):
    with Generator(plain_model) as plain:
        assert plain.classes == 0
        assert plain.draw(count=3).shape == (3, 28, 28, 1)
        assert plain.draw_between(count=3, steps=2).shape == (4, 28, 28, 1)
        assert plain.draw(latents=np.zeros((2, 64))).shape == (2, 28, 28, 1)
        with pytest.raises(UserError, match="labels: this model has no classes"):
            plain.draw(labels=1)


@pytest.mark.parametrize(
    "arguments, words",
    [
        ({"seed": -1}, "seed: expected 0 to 4294967295, got -1"),
        ({"seed": 1.5}, "seed: expected"),
        ({"count": 0}, "count: expected 1 to 1000000, got 0"),
        ({"count": 1_000_001}, "count"),
        ({"seeds": []}, "seeds"),
        ({"seeds": [2**32]}, "seeds: expected 0 to 4294967295"),
        ({"labels": 10}, "labels: expected 0 to 9, got 10"),
        ({"labels": [3, -1]}, "labels: expected 0 to 9, got -1"),
        ({"labels": []}, "labels: expected classes from 0 to 9, got none"),
        ({"truncation": 0}, "truncation: expected a number above 0"),
        ({"truncation": float("nan")}, "truncation"),
        ({"latents": np.zeros((2, 63))}, r"latents: expected float32 \[N, 64\], got \[2, 63\]"),
        ({"latents": np.zeros(64)}, "latents"),
        ({"latents": np.zeros((0, 64))}, "latents"),
        ({"latents": np.full((1, 64), np.nan)}, "latents: expected finite"),
        ({"latents": np.zeros((1, 64)), "seeds": [1]}, "latents and seeds are mutually exclusive"),
        ({"latents": np.zeros((1, 64)), "truncation": 1}, "latents and truncation"),
        ({"steps": 1}, "steps: expected 2 to 1000, got 1"),
        ({"steps": 3, "count": 1}, "count: expected at least 2 images"),
        ({"steps": 3, "seeds": [4]}, "seeds: expected at least 2 images"),
        ({"steps": 3, "latents": np.zeros((1, 64))}, "latents: expected at least 2 rows"),
    ],
    ids=str,
)
def test_wrong_arguments_are_named(generator, arguments, words):
    draw = generator.draw_between if "steps" in arguments else generator.draw
    with pytest.raises(UserError, match=words):
        draw(**arguments)


def test_what_would_be_read_beyond_its_end(generator):
    latents, labels = np.zeros((3, 64)), np.zeros(2)
    with pytest.raises(UserError, match=r"expected \[3\], got \[2\]"):
        generator.draw_values(latents, labels)
    with pytest.raises(UserError, match="latents"):
        generator.draw_values(np.zeros((3, 65)), np.zeros(3))
    with pytest.raises(UserError, match="labels from 0 to 9"):
        generator.draw_values(latents, np.array([0, 1, 10]))
    with pytest.raises(UserError, match="weights from 0 to 1"):
        generator.draw_values_between(latents, np.zeros(3), np.ones(3), np.array([0, 2, 0]))
    with pytest.raises(UserError, match="another model"):
        generator.draw_sample(choose(Sampling(), 63, 10))


def test_what_the_file_says_of_itself(generator, model):
    info = generator.info
    assert (info.image_shape, info.latent_size, info.classes) == ((28, 28, 1), 64, 10)
    assert (info.dataset, info.batch_sizes) == ("mnist", (64, 1))
    assert info.bytes == model.stat().st_size and len(info.sha256) == 64
    assert set(info.metadata) == set(METADATA)
    assert info.runtime.startswith("LiteRT, ") and "ai_edge_litert" in info.runtime
    between, *_ = info.signatures
    assert between.name == "between_1"
    assert between.inputs["weight"] == ("float32", (1,))
    assert between.outputs == {"image": ("float32", (1, 28, 28, 1))}


NAMES = ("cat", "Hot dog", "0")


@pytest.fixture(scope="module")
def named(tmp_path_factory):
    """Return a generator of images with alpha and named classes, untrained: a file, a snapshot."""
    path = tmp_path_factory.mktemp("named") / "g.tflite"
    config, spec = TrainConfig(width=4, latent_size=16), ImageSpec((32, 32, 4), 3, NAMES)
    snapshot = Snapshot(config, spec, make_gan(config, spec).init().ema, 0)
    convert(snapshot, path, batch_sizes=(1, 7))
    return path, snapshot


def test_classes_have_names(named):
    with Generator(named[0]) as generator:
        assert (generator.classes, generator.class_names) == (3, NAMES)
        assert generator.info.class_names == RunGenerator(named[1]).class_names == NAMES
        expected = generator.draw(count=4, labels=[1, 0, 2, 2])
        found = generator.draw(count=4, labels=["HOT DOG", "cat", 2, "0"])
        np.testing.assert_array_equal(found, expected)
        latents = draw_latents(0, range(2), 16)
        found = generator.draw(latents=latents, labels="Hot dog")
        np.testing.assert_array_equal(found, generator.draw(count=2, labels=1))
        np.testing.assert_array_equal(
            generator.draw_between(count=2, steps=3, labels=np.array(["cat", "0"])),
            generator.draw_between(count=2, steps=3, labels=[0, 2]),
        )


@pytest.mark.parametrize(
    "labels, words",
    [
        (
            "cats",
            r"labels: expected names .* got 'cats' \(did you mean 'cat'\?\); .* cat, Hot dog, 0",
        ),
        (["cat", "cat,0"], "got 'cat,0'"),
        (["cat", 3], "labels: expected 0 to 2, got 3"),
        ("", "got ''"),
        ("a\0b", "zero byte"),
    ],
    ids=str,
)
def test_names_that_no_class_has(named, labels, words):
    with Generator(named[0]) as generator, pytest.raises(UserError, match=words):
        generator.draw(count=2, labels=labels)


@pytest.mark.parametrize(
    "names, words",
    [
        (("a", ""), "class name '': expected 1 to 200 bytes"),
        (("a", "é" * 101), "expected 1 to 200 bytes of UTF-8"),
        (("a", "b\nc"), r"class name 'b\\nc'"),
        (("a", "\udcff"), "UTF-8 without control characters"),
        (("a", "a"), "two classes are called 'a'"),
        (tuple(f"{number:0200}" for number in range(5300)), "at most 1048576 bytes in all"),
    ],
    ids=lambda value: ascii(value)[:30],
)
def test_names_that_no_file_could_hold(names, words):
    with pytest.raises(UserError, match=words):
        ImageSpec((16, 16, 1), len(names), names)


def test_alpha_is_drawn_straight_by_the_library_and_by_jax(named):
    with Generator(named[0]) as generator:
        drawn = generator.draw(count=9)
        values = generator.draw_values(draw_latents(0, range(9), 16), np.arange(9) % 3)
    assert drawn.shape == (9, 32, 32, 4)
    np.testing.assert_array_equal(drawn, to_uint8(values))
    by_jax = RunGenerator(named[1]).draw_sample(choose(Sampling(count="9"), 16, 3))
    assert np.abs(drawn.astype(int) - by_jax).max() <= 1
    # Straight colours times their alpha are what was drawn, but for the rounding of both.
    premultiplied = (values.clip(-1, 1) + 1) * 127.5
    alpha = drawn[..., 3:].astype(float)
    fits = np.abs(drawn[..., :3] * alpha / 255 - premultiplied[..., :3]) <= 1
    assert (fits | (premultiplied[..., :3] > premultiplied[..., 3:])).all()


def test_threads_share_a_generator(generator):
    expected = [generator.draw(seed=seed, count=5) for seed in range(8)]
    found = [None] * len(expected)

    def work(seed):
        for _ in range(5):
            found[seed] = generator.draw(seed=seed, count=5)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(len(expected))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    np.testing.assert_array_equal(found, expected)


def test_threads_of_the_runtime_change_nothing(model, generator):
    with Generator(model, threads=2) as two:
        difference = two.draw(count=70).astype(int) - generator.draw(count=70)
    assert np.abs(difference).max() <= 1
    for threads in (0, 1025, 2**32 + 1):
        with pytest.raises(UserError, match="threads: expected 1 to 1024"):
            Generator(model, threads)


def test_a_closed_generator(model):
    generator = Generator(model)
    generator.close()
    generator.close()
    for use in (generator.draw, lambda: generator.info, lambda: generator.name):
        with pytest.raises(UserError, match="the generator is closed"):
            use()


def test_bytes_have_a_name(model):
    with Generator.from_bytes(model.read_bytes(), name="of a test") as generator:
        assert generator.draw(count=1).shape == (1, 28, 28, 1)
    with pytest.raises(ModelError, match="of a test is not a TensorFlow Lite model"):
        Generator.from_bytes(b"no model", name="of a test")
    with pytest.raises(ModelError, match="of a test"):
        Generator.from_bytes(b"", name="of a test")


def test_files_that_are_no_generator(tmp_path, model):
    with pytest.raises(ModelError, match=r"cannot read .*missing.tflite: No such file"):
        Generator(tmp_path / "missing.tflite")
    with pytest.raises(ModelError, match="irectory"):
        Generator(tmp_path)
    with pytest.raises(UserError, match="zero byte"):
        Generator("a\0b")
    damaged = tmp_path / "é.tflite"
    damaged.write_bytes(model.read_bytes()[:-1000])
    with pytest.raises(ModelError, match=r"é\.tflite is not a TensorFlow Lite model"):
        Generator(damaged)


def test_nothing_between(model, plain_model):
    latent, zeros = np.zeros((1, 64)), np.zeros(1)
    with Generator(plain_model) as plain, pytest.raises(ModelError, match="between_1"):
        plain.draw_values_between(latent, zeros, zeros, zeros)
    with Generator.from_bytes(model.read_bytes().replace(b"between_1", b"bEtWeEn_1")) as older:
        assert older.draw_values(latent, zeros).shape == (1, 28, 28, 1)
        with pytest.raises(ModelError, match="convert it again"):
            older.draw_between(count=3, steps=3)


@pytest.fixture
def places(monkeypatch, tmp_path):
    """Return what makes the library be looked for in some places only; nothing is loaded yet."""

    def look(*paths):
        monkeypatch.setattr(library, "_places", lambda: iter(paths))
        library.load.cache_clear()

    yield look
    monkeypatch.undo()
    library.load.cache_clear()


def test_a_library_that_is_not_there(places, tmp_path):
    places(tmp_path / "a", tmp_path / "b")
    with pytest.raises(LibraryError, match="run: make library") as caught:
        library.load()
    assert caught.value.exit_code == 4


def test_the_first_library_is_taken(places, tmp_path):
    shutil.copy(library.find(), tmp_path / "second")
    places(tmp_path / "first", tmp_path / "second")
    assert library.find() == tmp_path / "second"
    assert library.load()._name == str(tmp_path / "second")


def test_an_editable_install_has_it_in_a_folder_of_imports(monkeypatch, tmp_path):
    place = tmp_path / "jaxgan" / "drawing" / library.find().name
    place.parent.mkdir(parents=True)
    shutil.copy(library.find(), place)
    monkeypatch.syspath_prepend(tmp_path)
    assert library.find() == place


def test_libraries_that_do_not_fit(places, tmp_path, monkeypatch):
    monkeypatch.setattr(library, "VERSION", library.VERSION + 1)
    library.load.cache_clear()
    with pytest.raises(LibraryError, match=r"expected version 3 .*got 2; rebuild it: make library"):
        library.load()
    (tmp_path / "text").write_text("no library")
    places(tmp_path / "text")
    with pytest.raises(LibraryError, match=r"cannot be loaded.*make library"):
        library.load()
    places(Path(_ctypes.__file__))
    with pytest.raises(LibraryError, match="jaxgan_c_version"):
        library.load()


def test_a_runtime_that_is_not_there(monkeypatch, model):
    monkeypatch.setattr(library, "_RUNTIME_PACKAGE", "not_installed_at_all")
    with pytest.raises(LibraryError, match="pip install ai-edge-litert"):
        Generator(model)


def test_every_status_is_an_error_of_its_own():
    def failing(status):
        def function(error):
            error._obj.message = b"why \xff"
            return status

        return function

    for status, kind in ((1, JaxganError), (2, UserError), (3, ModelError), (4, LibraryError)):
        with pytest.raises(JaxganError, match=r"why \\xff") as caught:
            library.call(failing(status))
        assert type(caught.value) is kind
    with pytest.raises(MemoryError, match="why"):
        library.call(failing(5))


@pytest.mark.parametrize("convolution", ["xla", "gemm", "auto"])
def test_a_run_is_drawn_on_its_own_backend(monkeypatch, convolution):
    backends = []
    monkeypatch.setattr(networks, "generator", lambda *given: backends.append(given[-1]))
    config = TrainConfig(convolution=convolution)
    RunGenerator(Snapshot(config, ImageSpec((16, 16, 1), 3), None, 0))
    assert backends == [choose_backend(convolution)]
    # As on another machine, where the fastest that can be had takes its place.
    monkeypatch.setattr(native, "missing", lambda: "it is not built")
    RunGenerator(Snapshot(TrainConfig(convolution="onednn"), ImageSpec((16, 16, 1), 3), None, 0))
    assert backends[1] == choose_backend("auto")


@pytest.mark.slow
def test_nothing_is_loaded_at_import():
    code = "import jaxgan.drawing.library as l; print(l.load.cache_info().currsize)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "0\n"
