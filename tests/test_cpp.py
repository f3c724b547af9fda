"""The C++ program: the same pixels as Python, and an answer to every wrong input."""

import os
import random
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from conftest import BUILDS, python, refused, run
from PIL import Image

from jaxgan import tflite
from jaxgan.errors import ModelError


def pixels(path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image).astype(int)


def draw(program, *arguments):
    done = run(program, *arguments)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done


def test_a_thousand_images_equal_pythons(program, model, run_dir, tmp_path):
    sheets = []
    for name, command in (
        ("cpp", (program,)),
        ("tflite", (os.sys.executable, "-m", "jaxgan.generate")),
        ("jax", (os.sys.executable, "-m", "jaxgan.generate")),
    ):
        source = run_dir if name == "jax" else model
        out = tmp_path / f"{name}.png"
        done = run(
            *command, "--model", source, "--seed", "7", "--count", "1000", "--columns", "40",
            "--out", out,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        sheets.append(pixels(out))
    assert sheets[0].shape == (25 * 28, 40 * 28)
    assert sheets[0].std() > 10  # a picture, not one grey
    assert np.abs(sheets[0] - sheets[1]).max() <= 1
    assert np.abs(sheets[0] - sheets[2]).max() <= 1


@pytest.mark.parametrize("options", [("--label", "3"), ("--label", "3,1,4"), ("--threads", "2")])
def test_options_mean_the_same_in_both(program, model, tmp_path, options):
    arguments = ("--model", model, "--seed", "4294967295", "--count", "67", *options)
    draw(program, *arguments, "--out", tmp_path / "cpp.png")
    done = python("-m", "jaxgan.generate", *arguments, "--out", tmp_path / "python.png")
    assert done.returncode == 0, done.stderr
    assert np.abs(pixels(tmp_path / "cpp.png") - pixels(tmp_path / "python.png")).max() <= 1


def test_an_image_depends_on_seed_index_and_label_alone(program, model, tmp_path):
    # 130 images are two batches of 64 and two of 1; 5 are five batches of 1.
    draw(program, "--model", model, "--count", "130", "--columns", "1", "--out", tmp_path / "a.png")
    draw(program, "--model", model, "--count", "5", "--columns", "1", "--out", tmp_path / "b.png")
    assert np.abs(pixels(tmp_path / "a.png")[: 5 * 28] - pixels(tmp_path / "b.png")).max() <= 1


def test_one_file_an_image(program, model, tmp_path):
    arguments = ("--model", model, "--count", "12")
    draw(program, *arguments, "--out", tmp_path / "sheet.png", "--columns", "12")
    draw(program, *arguments, "--out", tmp_path / "cpp" / "digit_%04d.png")
    done = python("-m", "jaxgan.generate", *arguments, "--out", tmp_path / "py" / "digit_%04d.png")
    assert done.returncode == 0, done.stderr
    sheet, names = pixels(tmp_path / "sheet.png"), [f"digit_{i:04d}.png" for i in range(12)]
    for folder in ("cpp", "py"):
        assert sorted(path.name for path in (tmp_path / folder).iterdir()) == names
        for i, name in enumerate(names):
            digit = pixels(tmp_path / folder / name)
            assert np.abs(digit - sheet[:, 28 * i : 28 * i + 28]).max() <= 1


def test_a_plain_gan(program, plain_model, tmp_path):
    arguments = ("--model", plain_model, "--count", "70")
    draw(program, *arguments, "--out", tmp_path / "cpp.png")
    assert python("-m", "jaxgan.generate", *arguments, "--out", tmp_path / "py.png").returncode == 0
    assert np.abs(pixels(tmp_path / "cpp.png") - pixels(tmp_path / "py.png")).max() <= 1
    for command in ((program,), (os.sys.executable, "-m", "jaxgan.generate")):
        refused(run(*command, *arguments, "--label", "1"), 2, "--label", "no classes")


def test_colour_images(program, tmp_path):
    from jaxgan import export
    from jaxgan.config import ImageSpec, TrainConfig
    from jaxgan.gan import make_gan

    config, spec = TrainConfig(width=4, latent_size=16), ImageSpec((32, 32, 3), 3)
    params = make_gan(config, spec).init().average
    export.export(export.Source(config, spec, params, 0), tmp_path / "g.tflite", (1, 7))
    arguments = ("--model", tmp_path / "g.tflite", "--count", "9")
    draw(program, *arguments, "--out", tmp_path / "cpp.png")
    assert python("-m", "jaxgan.generate", *arguments, "--out", tmp_path / "py.png").returncode == 0
    assert pixels(tmp_path / "cpp.png").shape == (32, 9 * 32, 3)
    assert np.abs(pixels(tmp_path / "cpp.png") - pixels(tmp_path / "py.png")).max() <= 1


def test_info(program, model):
    lines = draw(program, "--model", model, "--info").stdout.splitlines()
    assert lines[0] == f"{model}: {model.stat().st_size} bytes"
    signatures = {line.split(":")[0]: line for line in lines if line.startswith("generate_")}
    assert set(signatures) == {"generate_1", "generate_64"}
    for part in ("latent float32 [64, 64]", "label int32 [64]", "image float32 [64, 28, 28, 1]"):
        assert part in signatures["generate_64"]
    metadata = dict(line.split(": ") for line in lines[3:])
    assert metadata == tflite.Generator.read(model).metadata


def test_help_and_version(program):
    text = draw(program, "--help").stdout
    for word in ("--model", "generator.tflite", "--seed", "--count", "=64", "--label", "--columns"):
        assert word in text
    done = draw(program, "--version")
    assert "jaxgan-generate 0.1.0" in done.stdout
    assert str(BUILDS / "release" / "libLiteRt") in done.stdout


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
    command = (sanitized,) if language == "c++" else (os.sys.executable, "-m", "jaxgan.generate")
    if arguments[0] != "--out":
        arguments = ("--out", tmp_path / "x.png", *arguments)
    done = run(*command, "--model", model, *arguments)
    refused(done, 2, *words)
    assert list(tmp_path.iterdir()) == []


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
    command = (sanitized,) if language == "c++" else (os.sys.executable, "-m", "jaxgan.generate")
    path = make(tmp_path / "model", model)
    out = tmp_path / "out" / "x.png"
    done = run(*command, "--model", path, "--out", out)
    if make is a_directory and language == "python":
        refused(done, 2, "holds no run", str(path))  # it reads run directories, too
    else:
        refused(done, 3, words, str(path))
    assert not out.parent.exists()


def test_random_truncations_never_crash(sanitized, model, tmp_path):
    content, random_ = model.read_bytes(), random.Random(1)
    for length in [0, 1, 4, 8, *(random_.randrange(len(content)) for _ in range(12))]:
        done = run(sanitized, "--model", written(tmp_path / "m", content[:length]), "--info")
        refused(done, 3, str(tmp_path / "m"))


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


def test_mutants_end_with_a_documented_code(sanitized, model, tmp_path):
    codes = set()
    for mutant in mutants(model.read_bytes(), 60):
        path = written(tmp_path / "m", mutant)
        done = run(sanitized, "--model", path, "--count", "3", "--out", tmp_path / "x.png")
        assert done.returncode in (0, 3), (done.returncode, done.stderr)
        assert len(done.stderr.strip().splitlines()) <= 1, done.stderr
        codes.add(done.returncode)
    assert codes == {0, 3}


def test_mutants_never_trace_back_in_python(model):
    for mutant in mutants(model.read_bytes(), 200):
        try:
            generator = tflite.Generator(mutant)
            label = np.zeros(3, np.int32) if generator.classes else None
            generator.draw(np.zeros((3, generator.latent_size), np.float32), label)
        except ModelError as error:
            assert str(error)


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
    command = (sanitized,) if language == "c++" else (os.sys.executable, "-m", "jaxgan.generate")
    (tmp_path / "file").write_text("kept")
    (tmp_path / "folder.png" / "inside").mkdir(parents=True)
    for out in (tmp_path / "file" / "x.png", tmp_path / "folder.png"):
        refused(run(*command, "--model", model, "--out", out), 5, "cannot write", str(out))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder.png"]
    assert (tmp_path / "file").read_text() == "kept"


@pytest.mark.parametrize("language", ("c++", "python"))
def test_a_full_disk_leaves_no_half_file(program, model, tmp_path, language):
    command = (program,) if language == "c++" else (os.sys.executable, "-m", "jaxgan.generate")

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
    command = (program,) if language == "c++" else (os.sys.executable, "-m", "jaxgan.generate")
    out = tmp_path / "x.png"
    done = run(*command, "--model", model, "--out", out, "--count", "40000", "--columns", "1")
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
