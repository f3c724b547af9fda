"""Datasets of TFDS, made here by its own writer, so that no network is needed."""

import os
import sys
import time
import types

import numpy as np
import pytest
from conftest import call, keep_by_tfds, refused

from jaxgan.commands import data as command
from jaxgan.config import ImageSpec
from jaxgan.data import dataset, names, packages, store, tfds
from jaxgan.errors import UserError

NAMES = ["cat", "dog"]


@pytest.fixture(autouse=True)
def offline(monkeypatch):
    monkeypatch.setattr(packages, "reachable", lambda url: False)


@pytest.fixture(scope="module")
def features():
    return tfds._load_tfds().features


def noise(index: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(index).integers(0, 256, shape, np.uint8)


def both(data_dir, name: str) -> tuple[dataset.Dataset, dataset.Dataset]:
    train, test = (dataset.load(name, str(data_dir), split) for split in store.SPLITS)
    return train, test


def test_colour_with_class_names(features, tmp_path):
    examples = [{"image": noise(i, 16, 20, 3), "label": i % 2} for i in range(40)]
    kinds = {
        "image": features.Image(shape=(16, 20, 3)),
        "label": features.ClassLabel(names=NAMES),
        "id": features.Text(),
    }
    examples = [example | {"id": str(index)} for index, example in enumerate(examples)]
    keep_by_tfds(tmp_path, "pets", kinds, {"train": examples[:30], "test": examples[30:]})
    tfds.prepare("pets", str(tmp_path))
    train, test = both(tmp_path, "pets")
    assert train.spec == test.spec == ImageSpec((16, 20, 3), 2, ("cat", "dog"))
    for split, made in ((train, examples[:30]), (test, examples[30:])):
        got = {image.tobytes(): label for image, label in zip(split.image, split.label)}  # noqa: B905
        assert got == {example["image"].tobytes(): example["label"] for example in made}


def test_without_labels_and_with_a_split_to_validate(features, tmp_path):
    kinds = {"picture": features.Image(shape=(16, 16, 1))}
    examples = [{"picture": noise(i, 16, 16, 1)} for i in range(40)]
    keep_by_tfds(tmp_path, "plain", kinds, {"train": examples[:30], "validation": examples[30:]})
    tfds.prepare("plain", str(tmp_path))
    train, test = both(tmp_path, "plain")
    assert train.spec == ImageSpec((16, 16, 1), 0) and not train.label.any()
    assert (len(train.image), len(test.image)) == (30, 10)
    assert {image.tobytes() for image in test.image} == {
        example["picture"].tobytes() for example in examples[30:]
    }


def test_of_two_kinds_of_labels_neither_is_taken(features, tmp_path):
    kinds = {
        "image": features.Image(shape=(16, 16, 3)),
        "fine": features.ClassLabel(names=NAMES),
        "coarse": features.ClassLabel(names=NAMES),
    }
    examples = [{"image": noise(i, 16, 16, 3), "fine": 1, "coarse": 0} for i in range(20)]
    keep_by_tfds(tmp_path, "doubtful", kinds, {"train": examples})
    tfds.prepare("doubtful", str(tmp_path))
    assert both(tmp_path, "doubtful")[0].spec == ImageSpec((16, 16, 3), 0)


def test_names_of_classes_become_those_that_people_can_type(features, tmp_path):
    kinds = {
        "image": features.Image(shape=(16, 16, 1)),
        "label": features.ClassLabel(names=["cow, calf", "big\tdog"]),
    }
    examples = [{"image": noise(i, 16, 16, 1), "label": i % 2} for i in range(20)]
    keep_by_tfds(tmp_path, "herd", kinds, {"train": examples})
    tfds.prepare("herd", str(tmp_path))
    assert both(tmp_path, "herd")[0].spec.names == ("cow calf", "big dog")


def test_names_that_cannot_be_told_apart_are_named(features, tmp_path):
    kinds = {
        "image": features.Image(shape=(16, 16, 1)),
        "label": features.ClassLabel(names=["a,b", "a b"]),
    }
    examples = [{"image": noise(i, 16, 16, 1), "label": i % 2} for i in range(20)]
    keep_by_tfds(tmp_path, "twins", kinds, {"train": examples})
    with pytest.raises(UserError, match="a b"):
        tfds.prepare("twins", str(tmp_path))
    assert store.names(tmp_path) == []


def test_more_classes_than_a_store_has_are_refused_before_it_is_written(features, tmp_path):
    kinds = {
        "image": features.Image(shape=(16, 16, 1)),
        "label": features.ClassLabel(num_classes=1001),
    }
    examples = [{"image": noise(i, 16, 16, 1), "label": i} for i in range(20)]
    keep_by_tfds(tmp_path, "species", kinds, {"train": examples})
    with pytest.raises(UserError, match="at most 1,000 classes, got 1,001"):
        tfds.prepare("species", str(tmp_path))
    assert store.names(tmp_path) == []


def test_only_a_split_to_train_on_gives_a_tenth_to_measure_with(features, tmp_path):
    kinds = {"image": features.Image(shape=(16, 16, 3))}
    examples = [{"image": noise(i % 50, 16, 16, 3)} for i in range(100)]  # each twice
    keep_by_tfds(tmp_path, "alone", kinds, {"train": examples})
    tfds.prepare("alone", str(tmp_path))
    train, test = both(tmp_path, "alone")
    assert (len(train.image), len(test.image)) == (90, 10)
    a, b = ({image.tobytes() for image in split.image} for split in (train, test))
    assert not a & b


def test_alpha_is_premultiplied(features, tmp_path):
    image = np.full((16, 16, 4), (200, 0, 255, 128), np.uint8)
    examples = [{"image": image}, {"image": noise(1, 16, 16, 4)}]
    keep_by_tfds(tmp_path, "clear", {"image": features.Image(shape=(16, 16, 4))}, {
        "train": examples, "test": examples[:1],
    })  # fmt: skip
    tfds.prepare("clear", str(tmp_path))
    train, test = both(tmp_path, "clear")
    np.testing.assert_array_equal(test.image[0, 0, 0], (100, 0, 128, 128))
    assert (train.image[..., :3] <= train.image[..., 3:]).all()


def test_mixed_sizes_are_refused_and_taken_with_a_size(features, tmp_path):
    examples = [{"image": noise(i, 16, 16 + 4 * (i % 2), 3)} for i in range(40)]
    keep_by_tfds(tmp_path, "mixed", {"image": features.Image()}, {"train": examples})
    options = ("prepare", "mixed", "--data-dir", tmp_path)
    refused(call(command.command, "jaxgan data", *options), 2, "several sizes", "--size 64")
    assert os.listdir(tmp_path) == [names.TFDS]
    done = call(command.command, "jaxgan data", *options, "--size", "24x16")
    assert (done.returncode, done.stderr) == (0, "")
    assert "36 train and 4 test images" in done.stdout
    assert both(tmp_path, "mixed")[0].spec.shape == (16, 24, 3)


def test_what_is_no_set_of_images_is_refused(features, tmp_path):
    image = features.Image(shape=(16, 16, 3))
    one = noise(0, 16, 16, 3)
    keep_by_tfds(tmp_path, "pairs", {"a": image, "b": image}, {"train": [{"a": one, "b": one}]})
    keep_by_tfds(tmp_path, "texts", {"text": features.Text()}, {"train": [{"text": "a"}]})
    keep_by_tfds(tmp_path, "held", {"image": image}, {"test": [{"image": one}]})
    deep = features.Image(shape=(16, 16, 1), dtype=np.uint16)
    keep_by_tfds(
        tmp_path, "deep", {"image": deep}, {"train": [{"image": one[..., :1].astype(np.uint16)}]}
    )
    for name, words in {
        "pairs": "expected one image in an example, got 2",
        "texts": "expected one image in an example, got 0",
        "held": "expected a split train, got test",
        "deep": "expected images of 8 bits",
    }.items():
        with pytest.raises(UserError, match=words):
            tfds.prepare(name, str(tmp_path))
        assert not store.exists(tmp_path, name)
    assert os.listdir(tmp_path) == [names.TFDS]


def test_the_second_time_nothing_is_done(features, tmp_path, monkeypatch):
    examples = [{"image": noise(i, 16, 16, 3)} for i in range(20)]
    keep_by_tfds(
        tmp_path, "twice", {"image": features.Image(shape=(16, 16, 3))}, {"train": examples}
    )
    tfds.prepare("twice", str(tmp_path))
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "twice").iterdir()}
    monkeypatch.setattr(tfds, "_load_tfds", None)  # which takes seconds
    tfds.prepare("twice", str(tmp_path))
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "twice").iterdir()} == before


def test_a_dataset_that_tfds_has_not_is_one_sentence(tmp_path):
    done = call(command.command, "jaxgan data", "prepare", "nmist", "--data-dir", tmp_path)
    refused(done, 2, "TFDS has no dataset nmist", "jaxgan data import FOLDER")
    assert os.listdir(tmp_path) == []


def test_a_dataset_that_only_the_files_tell_of_is_not_read(features, tmp_path, monkeypatch):
    examples = [{"image": noise(i, 16, 16, 3)} for i in range(20)]
    kinds = {"image": features.Image(shape=(16, 16, 3))}
    keep_by_tfds(tmp_path, "known", kinds, {"train": examples})
    (tmp_path / names.TFDS / "known").rename(tmp_path / names.TFDS / "strange")
    (described,) = tmp_path.rglob("features.json")
    text = described.read_text()
    described.write_text(text.replace("tensorflow_datasets.core", "hostile_module"))
    assert described.read_text() != text
    (tmp_path / "hostile_module.py").write_text("raise SystemExit\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UserError, match="TFDS has no dataset strange"):
        tfds.prepare("strange", str(tmp_path))
    assert "hostile_module" not in sys.modules


@pytest.mark.parametrize("name", ["emnist/nope", "cifar10/nope"])
def test_a_configuration_that_a_dataset_has_not_is_one_sentence(tmp_path, name):
    done = call(command.command, "jaxgan data", "prepare", name, "--data-dir", tmp_path)
    refused(done, 2, name)


@pytest.mark.parametrize("name", ["cifar10", "kmnist", "emnist/digits"])
def test_a_host_that_does_not_answer_is_one_sentence_within_seconds(tmp_path, name):
    started = time.monotonic()
    done = call(command.command, "jaxgan data", "prepare", name, "--data-dir", tmp_path)
    words = ("cannot be downloaded here", "http", f"jaxgan data import FOLDER --name {name}")
    refused(done, 2, *words)
    assert time.monotonic() - started < 20
    assert not store.exists(tmp_path, name)


def test_damage_of_its_files_is_named_and_leaves_nothing(features, tmp_path):
    examples = [{"image": noise(i, 16, 16, 3)} for i in range(20)]
    keep_by_tfds(
        tmp_path, "spoilt", {"image": features.Image(shape=(16, 16, 3))}, {"train": examples}
    )
    (shard,) = tmp_path.rglob("spoilt-train.*")
    whole = shard.read_bytes()
    for content in (b"", whole[: len(whole) // 2], whole[:999] + b"\0\1" + whole[1001:]):
        shard.write_bytes(content)
        with pytest.raises(UserError, match=r"damaged .*remove that folder|has no images"):
            tfds.prepare("spoilt", str(tmp_path))
        assert os.listdir(tmp_path) == [names.TFDS]
    shard.write_bytes(whole)
    (info,) = tmp_path.rglob("dataset_info.json")
    info.write_text("{")
    with pytest.raises(UserError, match="spoilt cannot be read"):
        tfds.prepare("spoilt", str(tmp_path))


def test_what_is_no_file_among_its_files_is_not_waited_for(features, tmp_path):
    examples = [{"image": noise(i, 16, 16, 3)} for i in range(20)]
    keep_by_tfds(
        tmp_path, "piped", {"image": features.Image(shape=(16, 16, 3))}, {"train": examples}
    )
    (shard,) = tmp_path.rglob("piped-train.*")
    shard.unlink()
    os.mkfifo(shard)
    with pytest.raises(UserError, match="no regular file; remove it"):
        tfds.prepare("piped", str(tmp_path))


def test_too_little_memory_is_not_taken_for_damage(tmp_path, monkeypatch):
    def fail(*_, **__):
        raise MemoryError

    library = tfds._load_tfds()
    info = types.SimpleNamespace(
        full_name="few/1.0.0", splits={"train": None},
        features={"image": library.features.Image()},
    )  # fmt: skip
    builder = types.SimpleNamespace(info=info, as_dataset=fail, data_dir="data", name="few")
    monkeypatch.setattr(tfds, "_builder", lambda *_: builder)
    with pytest.raises(MemoryError):
        tfds.prepare("few", str(tmp_path))
    assert os.listdir(tmp_path) == []


def test_a_missing_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(tfds.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"pip install 'jaxgan\[data\]'"):
        tfds.prepare("cifar10", str(tmp_path))
