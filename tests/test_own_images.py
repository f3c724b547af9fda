"""Training on images of one's own: names, alpha, long epochs, and forks onto other images."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
from conftest import refused, run, shared, train
from PIL import Image

from jaxgan import Generator
from jaxgan.config import ImageSpec, TrainConfig
from jaxgan.data import store
from jaxgan.gan import augment
from jaxgan.runs import checkpoint
from jaxgan.runs.log import StepReport, read_log
from jaxgan.runs.run import Run
from jaxgan.training import cadence
from jaxgan.training import train as training

pytestmark = pytest.mark.slow
NAMES = ("heart", "red flag", "half moon")
COUNT = 200  # four steps of 50


def prepare(
    data_dir: Path, name: str, names=NAMES, shape=(16, 16, 1), count: int = COUNT, seed: int = 0
) -> None:
    """Write a store of discs, each class of its own grey; with alpha they stand on nothing."""
    random = np.random.default_rng(seed)
    label = (np.arange(count) % max(len(names), 1)).astype(np.int32)
    row, column = np.indices(shape[:2])
    middle = random.uniform(5, 11, (2, count, 1, 1))
    inside = (row - middle[0]) ** 2 + (column - middle[1]) ** 2 < 16
    level = (80 + 70 * label)[:, None, None] * inside
    images = np.repeat(level[..., None], shape[2], -1)
    if shape[2] == 4:
        images[..., 3] = 255 * inside
    content = store.Split([images.astype(np.uint8)], label)
    spec = ImageSpec(shape, len(names), names)
    store.write(data_dir, name, spec, {"train": content, "test": content})


@pytest.fixture(scope="module")
def sets(tmp_path_factory) -> Path:
    """Sets of the same shape and of others."""

    def make(folder: Path) -> None:
        prepare(folder, "discs")
        prepare(folder, "more", seed=1)
        prepare(folder, "others", ("sun", "planet"), seed=2)
        prepare(folder, "large", shape=(20, 20, 1))
        prepare(folder, "colour", shape=(16, 16, 3))
        prepare(folder, "sprites", shape=(16, 16, 4))

    return shared(tmp_path_factory, "sets", make)


@pytest.fixture(scope="module")
def source(sets, tmp_path_factory) -> Path:
    """A run of an epoch on the discs."""

    def make(folder: Path) -> None:
        options = ("--dataset", "discs", "--data-dir", sets, "--run-dir", folder / "run")
        done = train(*options, "--epochs", "1")
        assert done.returncode == 0, done.stderr

    return shared(tmp_path_factory, "source", make) / "run"


def forked(source: Path, sets: Path, folder: Path, *options: str):
    """Return what the source ended with and what a fork began with, leaves by their names."""
    more = ("--data-dir", sets, "--run-dir", source, "--fork", folder, "--epochs", "1")
    done = train(*more, *options)
    assert done.returncode == 0, done.stderr
    assert Run.open(folder).origin == f"{source} step 4"
    both = checkpoint.load(source)[1], checkpoint.load(folder, 0)[1]
    return tuple(checkpoint.named_leaves(tree) for tree in both)


def is_same(one, other, name: str) -> bool:
    return name in one and np.array_equal(one[name], other[name])


def test_a_fork_on_other_images_takes_the_weights_alone(source, sets, tmp_path):
    before, start = forked(source, sets, tmp_path / "fork", "--dataset", "more")
    assert before.keys() == start.keys()
    assert before["step"] == 4 and start["step"] == 0
    for name in start:
        kind = name.partition("/")[0]
        if kind in ("params", "ema"):
            assert is_same(before, start, name), name
        elif kind == "optimizer":
            assert not np.any(start[name]), name
    assert np.any(before["optimizer/discriminator/mu/logits/kernel"])
    assert not is_same(before, start, "adaptive/logits")
    np.testing.assert_array_equal(start["adaptive/logits"], [0, 0])
    # Four steps from there, reported from the first one on.
    assert checkpoint.load(tmp_path / "fork")[0] == 4
    assert [line.step for line in read_log(tmp_path / "fork" / "metrics.jsonl")] == [4]


@pytest.mark.parametrize(
    "options", [("--dataset", "others"), ("--dataset", "more", "--no-conditional")]
)
def test_what_depends_on_labels_begins_anew_where_they_differ(source, sets, tmp_path, options):
    before, start = forked(source, sets, tmp_path / "fork", *options)
    layers = {name.split("/")[2] for name in start if name.startswith("params/")}
    assert ("classes" in layers) == ("--no-conditional" not in options)
    assert ("components" in layers) == ("--no-conditional" in options)
    for name in start:
        if not name.startswith(("params/", "ema/")):
            continue
        fresh = any(part in ("classes", "components", "logits") for part in name.split("/"))
        assert is_same(before, start, name) == (not fresh) or not np.any(start[name]), name
    kernel = start["params/discriminator/logits/kernel"]
    assert kernel.shape == (32, 1 if "--no-conditional" in options else 2)


def test_labels_that_are_dropped_make_other_images_of_the_same(source, sets, tmp_path):
    before, start = forked(
        source, sets, tmp_path / "fork", "--dataset", "discs", "--no-conditional"
    )
    assert start["step"] == 0
    assert is_same(before, start, "params/generator/project/kernel")


def test_a_fork_on_the_same_images_goes_on(source, sets, tmp_path):
    options = ("--dataset", "discs", "--learning-rate", "5e-4")
    before, _ = checkpoint.named_leaves(checkpoint.load(source)[1]), None
    more = ("--data-dir", sets, "--run-dir", source, "--fork", tmp_path / "fork", "--epochs", "2")
    done = train(*more, *options)
    assert done.returncode == 0, done.stderr
    start = checkpoint.named_leaves(checkpoint.load(tmp_path / "fork", 4)[1])
    assert all(is_same(before, start, name) for name in before)


@pytest.mark.parametrize("name", ["large", "colour", "sprites"])
def test_a_fork_on_images_of_another_shape_is_refused(source, sets, tmp_path, name):
    more = ("--data-dir", sets, "--run-dir", source, "--fork", tmp_path / "fork", "--epochs", "1")
    refused(train(*more, "--dataset", name), 2, "--fork", "another network", "shape of")
    assert not checkpoint.saved(tmp_path / "fork")


def same_state(one: Path, other: Path) -> bool:
    trees = [checkpoint.load(folder) for folder in (one, other)]
    return (
        trees[0][0] == trees[1][0] and len({checkpoint.fingerprint(tree) for _, tree in trees}) == 1
    )


def test_adaptive_augmentation_resumes_bit_for_bit(sets, tmp_path, monkeypatch):
    # As if D were always certain, and a set were learnt within 500 images.
    monkeypatch.setattr(augment, "_TARGET", -2.0)
    monkeypatch.setattr(augment, "_ADAPT_IMAGES", 500)
    options = ("--dataset", "discs", "--data-dir", sets, "--augment", "adaptive", "--run-dir")
    for name, ends in (("whole", (2,)), ("parts", (1, 2))):
        for epochs in ends:
            done = train(*options, tmp_path / name, "--epochs", str(epochs))
            assert done.returncode == 0, done.stderr
    assert same_state(tmp_path / "whole", tmp_path / "parts")
    kept = checkpoint.load(tmp_path / "parts")[1]["adaptive"]
    assert kept["probability"] == pytest.approx(0.8)  # after eight steps of 50
    assert np.all(kept["logits"] != 0)
    (line,) = [one for one in read_log(tmp_path / "whole" / "metrics.jsonl") if one.step == 4]
    assert isinstance(line, StepReport) and 0.3 <= line.augmentation <= 0.41


def test_an_epoch_longer_than_a_tick_is_drawn_and_resumed_within(tmp_path, monkeypatch):
    # Four steps of 500 are an epoch, two of them a tick.
    monkeypatch.setattr(cadence, "_MAX_EPOCH", 1_000)
    monkeypatch.setattr(cadence, "_TICK_IMAGES", 1_000)
    prepare(tmp_path, "many", count=2_000)

    def trained(name: str, steps: int = 1_000) -> Path:
        config = TrainConfig(
            dataset="many", data_dir=str(tmp_path), run_dir=str(tmp_path / name), batch_size=500,
            width=4, epochs=2, evaluate_every=0, checkpoint_every=1,
        )  # fmt: skip
        asked = itertools.count()
        return training.train(config, stop=lambda: next(asked) >= steps).path

    whole = trained("whole")
    sheets = [f"kimg_{thousands:06d}.png" for thousands in (1, 2, 3, 4)]
    assert sorted(path.name for path in (whole / "samples").iterdir()) == [*sheets, "real.png"]
    assert [entry.step for entry in checkpoint.saved(whole)] == [4, 6, 8]
    assert [line.step for line in read_log(whole / "metrics.jsonl")] == [2, 4, 6, 8]
    parts = trained("parts", steps=3)
    assert checkpoint.saved(parts)[-1].step == 3  # within a tick
    trained("parts")
    assert same_state(whole, parts)
    for name in sheets:
        one, other = (folder / "samples" / name for folder in (whole, parts))
        assert one.read_bytes() == other.read_bytes()


@pytest.fixture(scope="module")
def sprites(sets, tmp_path_factory) -> Path:
    """A run on images with alpha, converted."""

    def make(folder: Path) -> None:
        options = ("--dataset", "sprites", "--data-dir", sets, "--run-dir", folder / "run")
        done = train(*options, "--epochs", "1", convert=True)
        assert done.returncode == 0, done.stderr

    return shared(tmp_path_factory, "trained-sprites", make) / "run"


def test_sheets_of_images_with_alpha_stand_on_a_checkerboard(sprites):
    for name in ("real.png", "epoch_001.png"):
        with Image.open(sprites / "samples" / name) as image:
            assert image.mode == "RGB"
            sheet = np.asarray(image)
        assert sheet.shape[0] == 3 * 16 and sheet.shape[1] > 10 * 16  # names beside the rows
    with Image.open(sprites / "samples" / "real.png") as image:
        first = np.asarray(image)[:16, -160:-144]
    # Discs of grey 80; where they leave a picture clear, squares of two lighter greys show.
    assert set(np.unique(first)) > {80} and len(np.unique(first)) == 3


def test_class_names_reach_config_and_model_file(sprites):
    assert json.loads((sprites / "config.json").read_text())["images"]["names"] == list(NAMES)
    assert Run.open(sprites).spec == ImageSpec((16, 16, 4), 3, NAMES)
    with Generator(sprites / "generator.tflite") as generator:
        assert generator.class_names == generator.info.class_names == NAMES
        assert generator.image_shape == (16, 16, 4)
        by_name = generator.draw(seed=7, count=4, labels="red flag")
        np.testing.assert_array_equal(by_name, generator.draw(seed=7, count=4, labels=1))
    facts = json.loads((sprites / "generator.json").read_text())
    assert facts["difference"]["max"] < 1e-4


def test_the_program_writes_alpha_and_knows_the_names(sprites, program, tmp_path):
    def drawn(label: str) -> np.ndarray:
        out = tmp_path / f"{label}.png"
        options = ("--seed", "7", "--count", "4", "--label", label, "--out", out)
        done = run(program, "--model", sprites / "generator.tflite", *options)
        assert done.returncode == 0, done.stderr
        with Image.open(out) as image:
            assert image.mode == "RGBA"
            return np.asarray(image)

    np.testing.assert_array_equal(drawn("red flag"), drawn("1"))
    assert not np.array_equal(drawn("heart"), drawn("1"))
    with Generator(sprites / "generator.tflite") as generator:
        first = generator.draw(seed=7, count=4, labels="red flag")[0]
    np.testing.assert_array_equal(drawn("red flag")[:16, :16], first)
    options = ("--label", "sun", "--out", tmp_path / "x.png")
    refused(run(program, "--model", sprites / "generator.tflite", *options), 2, "sun", "heart")


def test_an_unlabelled_run_of_named_classes_has_no_names(sets, tmp_path):
    options = ("--dataset", "discs", "--data-dir", sets, "--run-dir", tmp_path / "run")
    assert train(*options, "--epochs", "1", "--no-conditional").returncode == 0
    assert Run.open(tmp_path / "run").spec == ImageSpec((16, 16, 1), 0)


@pytest.fixture
def pictures(tmp_path) -> Path:
    """A folder of 120 pictures of 24x20 in colour."""
    folder = tmp_path / "my pets"
    folder.mkdir()
    for index in range(120):
        levels = np.random.default_rng(index).integers(0, 256, (20, 24, 3), np.uint8)
        Image.fromarray(levels).save(folder / f"{index}.png")
    return folder


def test_a_folder_is_imported_once_and_trained_on(pictures, tmp_path):
    data_dir, run_dir = tmp_path / "data", tmp_path / "run"
    options = ("--images", pictures, "--size", "16", "--data-dir", data_dir, "--run-dir", run_dir)
    done = train(*options, "--epochs", "1")
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    assert "used to train" in done.stdout and "held out to measure" in done.stdout
    (name,) = store.names(data_dir)
    kept = store.read(data_dir, name, "train")
    assert kept.spec.shape == (16, 16, 3) and len(kept.image) == 108
    opened = Run.open(run_dir)
    assert (opened.config.dataset, opened.spec.shape) == (name, (16, 16, 3))
    assert (run_dir / "samples" / "real.png").exists()
    written = (data_dir / name / store.RECORD).stat().st_mtime_ns
    # The same command goes on, and imports nothing.
    done = train(*options, "--epochs", "2")
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    assert "continuing" in done.stdout
    assert (data_dir / name / store.RECORD).stat().st_mtime_ns == written
    # Other images are not put in place of those that a run may be trained on.
    (pictures / "0.png").unlink()
    refused(train(*options, "--epochs", "2"), 2, name, "--force", "--name")
    assert (data_dir / name / store.RECORD).stat().st_mtime_ns == written


def test_images_that_cannot_be_imported_are_refused_before_anything_is_written(pictures, tmp_path):
    places = ("--data-dir", tmp_path / "data", "--run-dir", tmp_path / "run")
    for options, words in {
        ("--images", pictures, "--size", "17"): ("--size", "17"),
        ("--images", pictures, "--alpha", "mauve"): ("--alpha", "mauve"),
        ("--images", tmp_path / "no"): (str(tmp_path / "no"),),
        ("--images", pictures, "--dataset", "../up"): ("../up",),
    }.items():
        refused(train(*options, *places), 2, *words)
    assert [path.name for path in tmp_path.iterdir()] == [pictures.name]
