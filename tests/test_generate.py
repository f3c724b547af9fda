"""The command line of jaxgan generate: every option, what excludes what, hostile files."""

import functools
import hashlib
import io
import os
import subprocess
import sys
from pathlib import Path

import conftest
import numpy as np
import pytest
from conftest import ROOT, Done, python, refused
from PIL import Image

from jaxgan.commands import generate
from jaxgan.drawing.generator import draw_latents
from jaxgan.drawing.run_generator import RunGenerator
from jaxgan.errors import OutputError
from jaxgan.runs.run import Run
from jaxgan.version import __version__


@pytest.fixture
def call(monkeypatch, tmp_path):
    """Return what calls the program in this process, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return functools.partial(conftest.call, generate.command, "jaxgan generate")


@pytest.fixture
def draw(call, model):
    """Return what draws with the model, or another: the array of an .npy file, or nothing."""

    def run(*arguments, model=model, out="images.npy"):
        done = call("--model", model, "--out", out, *arguments)
        assert (done.returncode, done.stderr) == (0, ""), done
        return np.load(out, allow_pickle=False) if out.endswith(".npy") else None

    return run


def pixels(path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


def text(path) -> dict[str, str]:
    with Image.open(path) as image:
        return image.text


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_defaults_are_those_that_help_tells(draw):
    drawn = draw()
    assert drawn.shape == (64, 28, 28, 1)
    np.testing.assert_array_equal(drawn, draw("--seed", 0, "--count", 64))
    draw(out="sheet.png")
    assert pixels("sheet.png").shape == (7 * 28, 10 * 28)


def test_seeds_are_the_first_images_of_each(draw):
    drawn = draw("--seeds", "7,3-4,7", "--label", 5)
    each = [draw("--seed", seed, "--count", 1, "--label", 5)[0] for seed in (7, 3, 4, 7)]
    # One by one or in a batch they differ by rounding alone.
    assert np.abs(drawn.astype(int) - each).max() <= 1
    assert not np.array_equal(drawn[1], drawn[2])


def test_seeds_take_labels_in_turn(draw):
    drawn = draw("--seeds", "4,4,4", "--label", "3,8")
    np.testing.assert_array_equal(drawn[0], drawn[2])
    assert not np.array_equal(drawn[0], drawn[1])


def test_truncation_moves_every_image_to_the_middle_of_its_class(draw):
    arguments = ("--count", 20, "--label", 3)
    ordinary, narrow, narrower = (
        draw(*arguments, *more).astype(float)
        for more in ((), ("--truncation", "0.7"), ("--truncation", "0.01"))
    )
    assert ordinary.std(axis=0).mean() > 1.2 * narrow.std(axis=0).mean()
    assert narrower.std(axis=0).max() < 5
    np.testing.assert_array_equal(draw(*arguments, "--truncation", "10"), ordinary)


def test_saved_latents_are_those_drawn_from(draw):
    draw("--count", 3, "--seed", 9, "--truncation", "0.5", "--save-latents", "z.npy")
    saved = np.load("z.npy", allow_pickle=False)
    np.testing.assert_array_equal(saved, draw_latents(9, range(3), 64, 0.5))
    content = io.BytesIO()
    np.save(content, saved)
    assert Path("z.npy").read_bytes() == content.getvalue()


@pytest.mark.parametrize("more", [(), ("--truncation", "0.7"), ("--interpolate", 4)])
def test_saved_latents_give_the_same_images_again(draw, more):
    drawn = draw("--seeds", "0-2,8", "--label", 3, *more, "--save-latents", "z.npy")
    np.testing.assert_array_equal(draw("--latents", "z.npy", "--label", 3), drawn)


def test_latents_that_numpy_wrote_in_its_second_version(draw):
    given = draw_latents(5, range(2), 64)
    with open("second.npy", "wb") as file:
        np.lib.format.write_array(file, given, version=(2, 0))
    np.testing.assert_array_equal(draw("--latents", "second.npy"), draw("--seed", 5, "--count", 2))


def test_a_way_leads_from_key_to_key(draw, model):
    keys = draw("--count", 3, "--label", 4, "--save-latents", "keys.npy")
    way = draw("--count", 3, "--label", 4, "--interpolate", 5, "--save-latents", "way.npy")
    assert way.shape == (10, 28, 28, 1)
    assert np.abs(way[[0, 4, 5, 9]].astype(int) - keys[[0, 1, 1, 2]]).max() <= 1
    a, b = np.load("keys.npy")[:2].astype(float)
    angle = np.arccos(a @ b / np.linalg.norm(a) / np.linalg.norm(b))
    quarter = (np.sin(0.75 * angle) * a + np.sin(0.25 * angle) * b) / np.sin(angle)
    np.testing.assert_allclose(np.load("way.npy")[1], quarter, rtol=1e-5, atol=1e-6)


def test_a_way_between_labels_mixes_their_classes(draw, run_dir):
    # One latent twice, so that nothing but the class changes on the way.
    latent = draw_latents(0, [0, 0], 64)
    np.save("same.npy", latent)
    arguments = ("--latents", "same.npy", "--label", "1,5")
    way = draw(*arguments, "--interpolate", 5, model=run_dir)
    keys = draw(*arguments, model=run_dir)
    assert np.abs(way[[0, 4]].astype(int) - keys).max() <= 1
    generator = RunGenerator(Run.open(run_dir).snapshot())
    one, five = (np.int32([label]) for label in (1, 5))
    quarter = generator.draw_values_between(latent[:1], one, five, np.float32([0.25]))
    level = (quarter[0] + 1) * 127.5
    assert np.abs(way[1] - level).max() < 0.51
    assert np.abs(way[1].astype(int) - keys[0]).max() > 5


def test_a_file_that_cannot_mix_classes_is_refused_where_it_would_have_to(call, draw, model):
    older = Path("older")
    older.write_bytes(model.read_bytes().replace(b"between_1", b"bEtWeEn_1"))
    arguments = ("--model", older, "--out", "x.png", "--save-latents", "z.npy")
    done = call(*arguments, "--count", 3, "--interpolate", 3)
    refused(done, 3, "between_1", "convert it again")
    assert list(Path().iterdir()) == [older]
    # Not where all frames are ends of a way, nor where there is one label.
    draw("--count", 3, "--interpolate", 2, model=older)
    draw("--count", 3, "--interpolate", 3, "--label", 2, model=older)


def test_a_way_is_a_row_of_the_grid(draw):
    arguments = ("--count", 4, "--label", 1, "--interpolate", 6)
    draw(*arguments, out="rows.png")
    assert pixels("rows.png").shape == (3 * 28, 6 * 28)
    draw(*arguments, "--columns", 9, out="wide.png")
    assert pixels("wide.png").shape == (2 * 28, 9 * 28)


def test_an_array_a_grid_and_files_have_the_same_pixels(draw):
    drawn = draw("--count", 6)
    content = io.BytesIO()
    np.save(content, drawn)
    assert Path("images.npy").read_bytes() == content.getvalue()
    draw("--count", 6, "--columns", 3, out="grid.png")
    draw("--count", 6, out="folder/digit_%04d.png")
    for index, expected in enumerate(drawn[..., 0]):
        np.testing.assert_array_equal(pixels(f"folder/digit_{index:04d}.png"), expected)
        row, column = divmod(index, 3)
        place = pixels("grid.png")[28 * row : 28 * row + 28, 28 * column : 28 * column + 28]
        np.testing.assert_array_equal(place, expected)


@pytest.mark.parametrize("name", ["x.gif", "x.apng"])
def test_an_animation_has_a_frame_an_image(draw, name):
    drawn = draw("--count", 5)
    draw("--count", 5, out=name)
    with Image.open(name) as image:
        assert image.n_frames == 5
        for index in range(5):
            image.seek(index)
            np.testing.assert_array_equal(image.convert("L"), drawn[index, ..., 0])


def test_the_grid_on_stdout_and_nothing_else(call, draw, model):
    draw("--count", 5, out="grid.png")
    done = call("--model", model, "--count", 5, "--out", "-", "--save-latents", "z.npy")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.raw == Path("grid.png").read_bytes()


def test_nobody_reads_stdout(model):
    # So small that Python keeps it in its buffer, and would try again when it leaves.
    environment = {**os.environ, "PYTHONUNBUFFERED": ""}
    command = [
        sys.executable, "-m", "jaxgan", "generate", "--model", model, "--count", "1", "--out", "-",
    ]  # fmt: skip
    child = subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    child.stdout.close()
    error = child.stderr.read()
    child.stderr.close()
    refused(Done(child.wait(), "", error), 5, "standard output", "Broken pipe")


def test_stdout_is_closed(model, monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    with pytest.raises(OutputError, match="standard output: it is closed"):
        generate.main(generate.GenerateConfig(model, count="1", out="-"))


def test_a_picture_says_how_it_was_drawn(call, draw, model):
    draw(
        "--seed", 7, "--count", 3, "--label", "3,1,4", "--truncation", "0.70", "--interpolate", 2,
        out="x.png",
    )  # fmt: skip
    done = call("--describe", "x.png")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == (
        f"Software: jaxgan {__version__}\n"
        f"jaxgan.model: {sha256(model)}\n"
        "jaxgan.latents: seed 7, images 0-2, truncation 0.70, interpolate 2\n"
        "jaxgan.labels: 3,1,4\n"
    )


def test_what_other_keys_are_called(draw, run_dir, plain_model):
    draw(out="x.png")
    assert text("x.png")["jaxgan.latents"] == "seed 0, images 0-63"
    assert text("x.png")["jaxgan.labels"] == "0,1,2,3,4,5,6,7,8,9"
    draw("--seeds", "007,1-2", "--save-latents", "z.npy", "--label", "03", out="x.png")
    assert text("x.png")["jaxgan.latents"] == "seeds 007,1-2"
    assert text("x.png")["jaxgan.labels"] == "3"
    digest = sha256(Path("z.npy"))
    # Read and written over in one go: the sum is that of the file that was read.
    draw("--latents", "z.npy", "--interpolate", 2, "--save-latents", "z.npy", out="x.apng")
    assert text("x.apng")["jaxgan.latents"] == f"file {digest}, interpolate 2"
    draw("--count", 1, model=run_dir, out="x.png")
    step = Run.open(run_dir).snapshot().step
    assert text("x.png")["jaxgan.model"] == f"mnist seed 0 step {step}"
    draw(model=plain_model, out="x.png")
    assert list(text("x.png")) == ["Software", "jaxgan.model", "jaxgan.latents"]


def test_a_file_of_one_image_says_which(draw):
    draw("--count", 3, out="%d.png")
    assert [text(f"{index}.png")["jaxgan.image"] for index in range(3)] == ["0", "1", "2"]
    assert list(text("1.png"))[-2:] == ["jaxgan.labels", "jaxgan.image"]


def test_what_cannot_be_described(call, draw):
    Path("x.png").write_bytes(b"no picture")
    refused(call("--describe", "x.png"), 2, "--describe: x.png is no PNG file")
    refused(call("--describe", "y.png"), 2, "--describe: cannot read y.png: No such file")


@pytest.mark.parametrize(
    "arguments, words",
    [
        (("--seeds", "0-3", "--seed", "0"), ("--seeds", "--seed ")),
        (("--seeds", "0-3", "--count", "4"), ("--seeds", "--count")),
        (("--latents", "z.npy", "--seed", "0"), ("--latents", "--seed ")),
        (("--latents", "z.npy", "--seeds", "0"), ("--latents", "--seeds")),
        (("--latents", "z.npy", "--count", "4"), ("--latents", "--count")),
        (("--latents", "z.npy", "--truncation", "1"), ("--latents", "--truncation")),
        (("--out", "z.npy", "--save-latents", "./z.npy"), ("--save-latents", "--out")),
        (("--seeds", "5-4"), ("--seeds", "'5-4'")),
        (("--seeds", ""), ("--seeds", "1,5,9-12")),
        (("--truncation", "0"), ("--truncation", "above 0", "'0'")),
        (("--truncation", ""), ("--truncation", "above 0", "''")),
        (("--truncation", "nan"), ("--truncation", "'nan'")),
        (("--interpolate", "1"), ("--interpolate", "2 to 1000", "got 1")),
        (("--interpolate", "1001"), ("--interpolate", "2 to 1000")),
        (("--interpolate", "3", "--count", "1"), ("--interpolate", "--count", "--seeds")),
        (("--interpolate", "3", "--seeds", "4"), ("--interpolate", "--count", "--seeds")),
        (("--interpolate", "1000", "--count", "1002"), ("--interpolate", "1001000", "1000000")),
        (("--interpolate", "x"), ("--interpolate", "2 to 1000", "got x")),
        (("--count", "0"), ("--count", "1 to 1000000", "got 0")),
        (("--count", "1.5"), ("--count", "1.5")),
        (("--count", "0x10"), ("--count", "0x10")),
        (("--count", "1_0"), ("--count", "1_0")),
        (("--seed", "-1"), ("--seed", "0 to 4294967295", "-1")),
        (("--seed", "+5"), ("--seed", "+5")),
        (("--seed", "4294967296"), ("--seed", "4294967296")),
        (("--seed", ""), ("--seed", "got nothing")),
        (("--threads", "0"), ("--threads", "1 to 1024", "0")),
        (("--threads", "1025"), ("--threads", "1 to 1024")),
        (("--columns", "0"), ("--columns", "1 to 1000000")),
        (("--label", "3, 1"), ("--label", "0 to 9")),
        (("--out", "x.jpg"), ("--out", ".png, .npy, .gif or .apng, or -", "x.jpg")),
        (("--out", "x"), ("--out", ".png", "'x'")),
        (("--out", ""), ("--out", ".png", "''")),
        (("--out", "x.png/"), ("--out", "x.png/")),
        (("--out", "x_%04d.npy"), ("--out", "%04d", ".png file")),
        (("--out", "x_%04d.gif"), ("--out", "%04d", ".png file")),
        (("--save-latents", "z.png"), ("--save-latents", ".npy", "z.png")),
        (("--save-latents", ""), ("--save-latents", ".npy")),
        (("--latents", "missing.npy"), ("--latents", "missing.npy", "No such file")),
        (("--interpolat", "3"), ("--interpolat",)),
        (("--seed", "x"), ("--seed", "0 to 4294967295", "got x")),
        (("--latents",), ("--latents",)),
        (("--label", "9" * 5000), ("--label", "0 to 9")),
    ],
)
def test_wrong_options(call, model, arguments, words):
    out = () if "--out" in arguments else ("--out", "x.png")
    refused(call("--model", model, *out, *arguments), 2, *words)
    assert list(Path().iterdir()) == []


def npy(array, **header):
    """Return a .npy file whose header may lie."""
    content = io.BytesIO()
    true = np.lib.format.header_data_from_array_1_0(array)
    np.lib.format.write_array_header_1_0(content, {**true, **header})
    return content.getvalue() + array.tobytes()


def raw(header: bytes, version=1, length=None) -> bytes:
    size = len(header) if length is None else length
    return b"\x93NUMPY" + bytes([version, 0]) + size.to_bytes(2 * version, "little") + header


GOOD = np.zeros((2, 64), np.float32)
PICKLE = io.BytesIO()
np.save(PICKLE, np.array([GOOD, None], object), allow_pickle=True)


@pytest.mark.parametrize(
    "content, words",
    [
        (b"", "no .npy file"),
        (b"\x93NUMPY", "no .npy file"),
        (b"PK\x03\x04 an archive of arrays", "no .npy file"),
        (npy(GOOD).replace(b"\x01\x00", b"\x03\x00", 1), "no .npy file of version 1.0 or 2.0"),
        (PICKLE.getvalue(), "of type |O"),
        (npy(np.zeros(2, [("a", "<f4")])), "damaged"),
        (npy(GOOD.astype(float)), "of type <f8"),
        (npy(GOOD.astype(">f4")), "of type >f4"),
        (npy(GOOD.astype("<i4")), "of type <i4"),
        (npy(GOOD, fortran_order=True), "in Fortran order"),
        (npy(GOOD[0]), "of shape [64]"),
        (npy(GOOD[None]), "of shape [1, 2, 64]"),
        (npy(GOOD[:, 1:]), "of shape [2, 63]"),
        (npy(np.float32(0)), "of shape []"),
        (npy(GOOD[:0]), "of shape [0, 64]"),
        (npy(GOOD, shape=(1_000_001, 64)), "of shape [1000001, 64]"),
        (npy(GOOD, shape=(1_000_000, 64)), "cut off or too long"),
        (npy(GOOD, shape=(3, 64)), "cut off or too long"),
        (npy(GOOD) + b"\0", "cut off or too long"),
        (npy(GOOD)[:-1], "cut off or too long"),
        (npy(GOOD)[:40], "damaged"),
        (npy(GOOD * np.nan), "not finite"),
        (npy(np.concatenate([GOOD, GOOD[:1] + np.inf])), "not finite"),
        (npy(GOOD, shape=(-2, 64)), "damaged"),
        (raw(b"{'descr': '<f4'}"), "in Fortran order"),
        (raw(b"(" * 9000), "damaged"),
        (raw(b"x", version=2, length=2**32 - 1), "damaged"),
        (raw(b"{'descr': '\x1b[31m', 'fortran_order': False, 'shape': (2, 64), }"), "of type "),
        (
            raw(b"{'descr': '<f4', 'fortran_order': False, 'shape': (%s, 64), }" % (b"9" * 5000)),
            "--latents",
        ),
    ],
)
def test_hostile_latents(call, model, tmp_path, content, words):
    path = tmp_path / "given.npy"
    path.write_bytes(content)
    done = call("--model", model, "--latents", path, "--out", "x.png")
    refused(done, 2, f"--latents: {path} is ", words, "expected float32 [N, 64] in an .npy file")
    assert len(done.stderr) < 1000
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("path", ["/proc/self/mem", "/dev/zero", "."])
def test_latents_that_are_no_file(call, model, path):
    refused(call("--model", model, "--latents", path, "--out", "x.png"), 2, "--latents", path)


def loaded(*arguments) -> tuple[str, set[str]]:
    """Return what the program prints, and the modules that a process of its own loads."""
    done = python("-X", "importtime", "-m", "jaxgan", "generate", *arguments)
    assert done.returncode == 0, done.stderr
    lines = done.stderr.splitlines()
    assert all(line.startswith("import time:") for line in lines)  # and nothing of LiteRT's own
    return done.stdout, {line.split("|")[-1].strip() for line in lines}


SLOW = {"jax", "PIL.Image", "tensorflow", "ai_edge_litert", "numpy"}


@pytest.mark.slow
def test_help_is_there_at_once():
    text, modules = loaded("--help")
    for word in ("--seeds", "--truncation", "--latents", "--interpolate", "--describe", "stdout"):
        assert word in text
    assert "tyro" in modules
    assert not SLOW & modules


def test_a_picture_needs_no_numpy(model, tmp_path):
    _, modules = loaded("--model", model, "--count", 3, "--out", tmp_path / "x.png")
    assert "jaxgan.drawing.library" in modules
    assert not SLOW & modules
    assert pixels(tmp_path / "x.png").shape == (28, 3 * 28)
