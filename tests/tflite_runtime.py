"""The C++ program with classic TensorFlow Lite, held against LiteRT's: make test-tflite."""

import subprocess

import numpy as np
import pytest
from conftest import BUILDS, refused, run
from test_cpp import (
    changed,
    cut_to_the_head,
    empty,
    mutants,
    not_a_generator,
    random_bytes,
    truncated,
    without_metadata,
    written,
)

TFLITE = BUILDS / "tflite"


def draw(program, *arguments):
    done = run(program, *arguments)
    assert done.returncode == 0, done.stderr
    assert done.stdout == done.stderr == ""


def levels(build, model, tmp_path, *options):
    out = tmp_path / f"{build.name}.npy"
    draw(build / "release" / "jaxgan-generate", "--model", model, *options, "--out", out)
    return np.load(out).astype(int)


def floats(build, model) -> np.ndarray:
    program = build / "release" / "draw-floats"
    done = subprocess.run([program, model, "1000"], capture_output=True, check=True)
    return np.frombuffer(done.stdout, "<f4").reshape(1000, 28, 28)


def both(draw_with):
    """Return what the two programs draw, TensorFlow Lite's first."""
    return draw_with(TFLITE), draw_with(BUILDS)


@pytest.mark.parametrize("kind", ("model", "plain_model"))
def test_a_thousand_images_equal_literts(kind, request):
    model = request.getfixturevalue(kind)
    tflite, litert = both(lambda build: floats(build, model))
    assert litert.std() > 0.1  # pictures, not one grey
    assert np.abs(litert).max() <= 1
    assert np.abs(tflite - litert).max() <= 1e-5


@pytest.mark.parametrize(
    "options",
    [
        ("--threads", "2"),
        ("--count", "5", "--label", "3,1,4"),
        ("--count", "4", "--interpolate", "8"),  # from class to class
    ],
)
def test_levels_equal_literts(model, tmp_path, options):
    tflite, litert = both(lambda build: levels(build, model, tmp_path, *options))
    assert litert.std() > 10
    assert np.abs(tflite - litert).max() <= 1


def test_info_equals_literts(model):
    tflite, litert = both(
        lambda build: run(build / "release" / "jaxgan-generate", "--model", model, "--info").stdout
    )
    assert "latent float32 [64, 64]" in tflite
    assert tflite == litert


def test_the_version_names_the_runtime():
    assert "TensorFlow Lite 2." in run(TFLITE / "release" / "jaxgan-generate", "--version").stdout


@pytest.fixture
def sanitized():
    return TFLITE / "sanitize" / "jaxgan-generate"


@pytest.mark.parametrize(
    "make, words",
    [
        (empty, "empty"),
        (random_bytes, "not a TensorFlow Lite model"),
        (truncated, "not a TensorFlow Lite model"),
        (cut_to_the_head, "not a TensorFlow Lite model"),
        (not_a_generator, "not a generator"),
        (without_metadata, "number of classes"),
    ],
)
def test_wrong_models(sanitized, model, tmp_path, make, words):
    path = make(tmp_path / "model", model)
    refused(run(sanitized, "--model", path, "--out", tmp_path / "x.png"), 3, words, str(path))
    assert not (tmp_path / "x.png").exists()


def test_the_runtimes_log_is_silent_unless_asked_for(sanitized, tmp_path):
    def change(changed_, graph, first):
        changed_.version = 9  # of the schema, which we leave to the runtime

    arguments = (sanitized, "--model", changed(tmp_path / "model", change))
    refused(run(*arguments), 3, "version 9")
    assert "ERROR: Invalid model version 9" in run(*arguments, "--verbose").stderr


def test_a_newer_operation_is_named(sanitized, model, tmp_path):
    from tensorflow.lite.tools import flatbuffer_utils

    newer = flatbuffer_utils.read_model(str(model))
    codes = {flatbuffer_utils.opcode_to_name(newer, i): i for i in range(len(newer.operatorCodes))}
    newer.operatorCodes[codes["TRANSPOSE_CONV"]].version = 99
    path = tmp_path / "newer.tflite"
    flatbuffer_utils.write_model(newer, str(path))
    done = run(sanitized, "--model", path, "--out", tmp_path / "x.png")
    refused(done, 3, str(path), "TensorFlow Lite 2.", "TRANSPOSE_CONV in version 99", "LiteRT")


def test_mutants_end_with_a_documented_code(sanitized, model, tmp_path):
    codes = set()
    for mutant in mutants(model.read_bytes(), 200):
        path = written(tmp_path / "m", mutant)
        done = run(sanitized, "--model", path, "--count", "3", "--out", tmp_path / "x.png")
        assert done.returncode in (0, 3), (done.returncode, done.stderr)
        assert len(done.stderr.strip().splitlines()) <= 1, done.stderr
        codes.add(done.returncode)
    assert codes == {0, 3}
