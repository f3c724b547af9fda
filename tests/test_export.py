"""Conversion: what is in the file, and that no wrong file is ever written."""

import json

import numpy as np
import pytest
from conftest import python, refused

from jaxgan import export, tflite
from jaxgan.errors import ModelError
from jaxgan.gan import make_gan
from jaxgan.latents import latents


def test_the_file_draws_what_jax_draws(run_dir, model):
    source = export.from_run(run_dir)
    generator = tflite.Generator.read(model)
    latent, label = np.asarray(latents(3, range(100), 64)), np.arange(100, dtype=np.int32) % 10
    expected = make_gan(source.config, source.spec).sample(source.params, latent, label)
    assert np.abs(generator.draw(latent, label) - expected).max() < 1e-5


def test_what_the_file_says_of_itself(model):
    generator = tflite.Generator.read(model)
    assert generator.batch_sizes == [64, 1]
    assert generator.latent_size == 64
    assert (generator.image_shape, generator.classes) == ((28, 28, 1), 10)
    assert generator.metadata.pop("revision")
    assert generator.metadata == {
        "version": "0.1.0", "dataset": "mnist", "seed": "0", "step": "40", "latent_size": "64",
        "classes": "10", "image_shape": "28,28,1",
    }  # fmt: skip


def test_the_graph_is_small(model):
    assert tflite.operations(model.read_bytes()) == [
        "FULLY_CONNECTED", "EMBEDDING_LOOKUP", "ADD", "LEAKY_RELU", "RESHAPE", "TRANSPOSE_CONV",
        "LEAKY_RELU", "CONV_2D", "TANH", "RESHAPE", "TRANSPOSE", "RESHAPE",
    ]  # fmt: skip


def test_signatures_share_their_weights(run_dir, tmp_path):
    source = export.from_run(run_dir)
    sizes = []
    for batch_sizes in ((1,), (1, 8, 64)):
        path = tmp_path / f"{len(batch_sizes)}.tflite"
        sizes.append(export.export(source, path, batch_sizes).size)
    weights = 4 * sum(leaf.size for leaf in __import__("jax").tree.leaves(source.params))
    assert weights < sizes[0] < weights + 10_000
    assert sizes[1] < sizes[0] + 10_000


def test_conversion_is_deterministic(run_dir, model, tmp_path):
    export.export(export.from_run(run_dir), tmp_path / "again.tflite")
    assert (tmp_path / "again.tflite").read_bytes() == model.read_bytes()


def test_the_command_line(run_dir, tmp_path):
    out = tmp_path / "new" / "g.tflite"
    done = python(
        "convert_tflite.py", "--checkpoint", run_dir, "--out", out, "--batch-sizes", "1", "5",
        "--step", "20", "--saved-model", tmp_path / "saved",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    for word in ("generate_1, generate_5", "TRANSPOSE_CONV", f"{out.stat().st_size:,} bytes"):
        assert word in done.stdout
    assert tflite.Generator.read(out).metadata["step"] == "20"
    assert (tmp_path / "saved" / "saved_model.pb").exists()


@pytest.mark.parametrize("wrong", ("values", "shape", "nothing"))
def test_a_wrong_conversion_writes_no_file(run_dir, tmp_path, monkeypatch, wrong):
    right = tflite.Generator.draw_batch

    def draw(self, *arguments):
        image = right(self, *arguments)
        return {"values": image + 2e-4, "shape": image[:, :14], "nothing": image * np.nan}[wrong]

    monkeypatch.setattr(tflite.Generator, "draw_batch", draw)
    with pytest.raises(ModelError, match="the conversion is wrong") as caught:
        export.export(export.from_run(run_dir), tmp_path / "g.tflite")
    assert caught.value.exit_code == 3
    assert list(tmp_path.iterdir()) == []


def test_a_plain_gan(plain_model):
    generator = tflite.Generator.read(plain_model)
    assert generator.classes == 0
    assert "EMBEDDING_LOOKUP" not in tflite.operations(plain_model.read_bytes())
    assert generator.draw(np.zeros((3, 64), np.float32), None).shape == (3, 28, 28, 1)


@pytest.mark.parametrize("shape", [(32, 32, 3), (16, 16, 1), (60, 60, 3), (20, 24, 1), (64, 64, 1)])
def test_other_image_shapes_convert(tmp_path, shape):
    from jaxgan.config import ImageSpec, TrainConfig

    config, spec = TrainConfig(width=4, latent_size=16), ImageSpec(shape, 3)
    params = make_gan(config, spec).init().average
    report = export.export(export.Source(config, spec, params, 0), tmp_path / "g.tflite")
    assert report.difference < 1e-5
    assert tflite.Generator.read(tmp_path / "g.tflite").image_shape == shape


@pytest.mark.parametrize(
    "arguments, words",
    [
        (("--checkpoint", "{tmp}/no"), ("no", "train.py")),
        (("--step", "21"), ("--step", "20, 40", "21")),
        (("--batch-sizes", "0"), ("--batch-sizes", "1 to 4096", "0")),
        (("--batch-sizes", "4097"), ("--batch-sizes", "4096")),
        (("--batch-sizes", "x"), ("--batch-sizes", "x")),
        (("--quantise",), ("--quantise",)),
    ],
)
def test_wrong_options(run_dir, tmp_path, arguments, words):
    arguments = [part.format(tmp=tmp_path) for part in arguments]
    done = python(
        "convert_tflite.py", "--checkpoint", run_dir, "--out", tmp_path / "g.tflite", *arguments
    )  # fmt: skip
    refused(done, 2, *words)
    assert list(tmp_path.iterdir()) == []


def test_the_config_is_json_for_people(run_dir):
    content = json.loads((run_dir / "config.json").read_text())
    assert content["version"] and content["settings"]["dataset"] == "mnist"
    assert content["images"] == {"shape": [28, 28, 1], "classes": 10, "count": 1000}


def test_a_wrong_conversion_ends_the_program_with_exit_3(run_dir, tmp_path):
    code = (
        "import runpy, sys; from jaxgan import tflite\n"
        "right = tflite.Generator.draw_batch\n"
        "tflite.Generator.draw_batch = lambda *rest: right(*rest) + 1e-3\n"
        f"sys.argv = ['x', '--checkpoint', {str(run_dir)!r}, '--out', {str(tmp_path / 'g')!r}]\n"
        "runpy.run_path('convert_tflite.py', run_name='__main__')\n"
    )
    refused(python("-c", code), 3, "the conversion is wrong", "nothing was written")
    assert list(tmp_path.iterdir()) == []


def test_a_saved_model_does_not_replace_another_folder(run_dir, tmp_path):
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "file").write_text("kept")
    done = python(
        "convert_tflite.py", "--checkpoint", run_dir, "--out", tmp_path / "g.tflite",
        "--saved-model", tmp_path / "precious",
    )  # fmt: skip
    refused(done, 5, "precious", "no SavedModel")
    assert [path.name for path in tmp_path.iterdir()] == ["precious"]
    assert (tmp_path / "precious" / "file").read_text() == "kept"
