"""The standard FID's network: held to pytorch-fid's answers with random weights."""

import json

import numpy as np
import pytest
from conftest import call

from jaxgan import Generator
from jaxgan.commands import evaluate as command
from jaxgan.data import dataset
from jaxgan.drawing import evaluation
from jaxgan.errors import UserError
from jaxgan.metrics import fid, inception
from scripts.pin_inception import FIXTURE, pictures, random_weights


@pytest.fixture(scope="module")
def pinned() -> dict:
    return json.loads(FIXTURE.read_text())


@pytest.fixture(scope="module")
def weights(pinned) -> inception.Weights:
    return inception.folded(random_weights(pinned["shapes"]))


@pytest.mark.parametrize("resize", ["clean", "legacy"])
def test_the_network_answers_as_pytorch_fids(weights, pinned, resize):
    feature = inception.see(weights, pictures(), resize)
    assert feature.shape == (2, 2048)
    np.testing.assert_allclose(feature[:, ::256], pinned["answers"][resize], rtol=1e-4, atol=1e-4)


def test_another_network_is_refused(pinned, tmp_path):
    few = dict(list(pinned["shapes"].items())[:3])
    with pytest.raises(ValueError, match="3 convolutions, expected 94"):
        inception.folded(random_weights(few))
    (tmp_path / "weights.pth").write_bytes(b"hello")
    with pytest.raises(UserError, match=r"--inception: expected pytorch-fid's.*weights\.pth"):
        inception.load(tmp_path / "weights.pth")
    with pytest.raises(UserError, match=r"--inception: cannot read .*none\.pth"):
        inception.load(tmp_path / "none.pth")


def means(_: inception.Weights, image: np.ndarray, resize: str) -> np.ndarray:
    """Four numbers of an image in place of 2,048."""
    assert image.shape[1:] == (28, 28, 3) and resize == "legacy"
    return image[..., 0].reshape(len(image), 2, 14, 2, 14).mean((2, 4)).reshape(len(image), 4)


def test_the_standard_fid_is_measured_against_training_images(model, data_dir, monkeypatch):
    monkeypatch.setattr(inception, "load", lambda path: {})
    monkeypatch.setattr(inception, "see", means)
    with Generator(model) as generator:
        found = evaluation.standard_fid(
            generator, "w.pth", "legacy", data_dir=str(data_dir), images=1_500
        )
        labels = evaluation.requested_labels(dataset.load("mnist", str(data_dir)).label, 1_500)
        drawn, _ = evaluation.draw_requested(generator, 0, labels)
    train = dataset.load("mnist", str(data_dir)).image
    seen = [means({}, np.repeat(image, 3, -1), "legacy") for image in (drawn, train)]
    assert found == (pytest.approx(fid.fid(*seen)), 1_500, 1_000, "legacy")


def test_the_command_prints_the_standard_fid(model, data_dir, monkeypatch, tmp_path):
    options = ("--model", model, "--data-dir", data_dir, "--images", "100", "--resize", "legacy")
    options += ("--out", tmp_path / "e.json", "--inception", tmp_path / "w.pth")
    done = call(command.command, "jaxgan evaluate", *options)
    assert done.returncode == 2 and "--inception: cannot read" in done.stderr
    monkeypatch.setattr(inception, "load", lambda path: {})
    monkeypatch.setattr(inception, "see", means)
    done = call(command.command, "jaxgan evaluate", *options)
    assert done.returncode == 0, done.stderr
    assert "standard FID, legacy: " in done.stdout
    assert "(100 images, 1,000 training images)" in done.stdout
    assert json.loads((tmp_path / "e.json").read_text())["standard_fid"]["train_images"] == 1_000
