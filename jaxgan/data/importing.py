"""A person's own images → a prepared store: a folder, a zip, .npy or .npz, IDX files.

Sources are listed and labelled first, so that what is wrong with them is said at once. Then each
picture is decoded once; duplicates, the hold-out, grey or colour are known at the end only, so the
images wait in a file beside the store.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from jaxgan.config import ImageSpec, TrainConfig
from jaxgan.data import (
    arrays,
    findings,
    holdout,
    idx,
    intake,
    labels,
    preview,
    store,
)
from jaxgan.data.findings import Imported
from jaxgan.data.holdout import Chosen
from jaxgan.data.intake import Progress, Taken
from jaxgan.data.labels import Plan
from jaxgan.data.names import PART, STACKED
from jaxgan.data.rules import Rules, name_of
from jaxgan.data.sources import Source, open_folder, open_zip
from jaxgan.errors import UserError
from jaxgan.io.files import open_regular, read_regular
from jaxgan.version import __version__

RECORD, PREVIEW = "import.json", "preview.png"
RESERVED = (*idx.CLASS_NAMES, STACKED)  # names that IDX files alone may take
_FORMAT = 1
_MAX_RECORD = 1 << 24  # bytes
_log = logging.getLogger("jaxgan")


def import_images(
    source: Path,
    data_dir: str,
    rules: Rules,
    name: str | None = None,
    *,
    force: bool = False,
    threads: int | None = None,
    progress: Progress = lambda done, total: None,
) -> Imported:
    """Import images as a prepared dataset, unless the same ones are imported already.

    Args:
        source: A folder of any depth, a zip, a .npy or .npz file, or a folder of four IDX files.
        data_dir: Folder of prepared datasets.
        rules: Size, fit, alpha, labels, hold-out. IDX files heed the size alone, and keep their own
            if it fits and no other than the default is asked for.
        name: Of the dataset. None: made of the last part of ``source``; mnist for IDX files.
        force: Replace a dataset of that name that has other images.
        threads: That decode; None: one for each core. They change no bit.
        progress: Called with the number of pictures that are done, and of all.

    Raises:
        UserError: The source cannot be used, or the name is taken.
        OutputError: The dataset cannot be written; an older one is untouched then.
    """
    if source.is_dir() and idx.find_any(source):
        return _import_idx(name or TrainConfig.dataset, data_dir, source, rules)
    name = _checked(name or name_of(source))
    with _opened(source) as found:
        if not found.names:
            raise UserError(_nothing(source, found))
        record = _known(found, rules)
        if done := _done(data_dir, name, record, force):
            _log.info("already imported %s as %s", source, name)
            return done
        plan = labels.plan(found, rules)
        with store.aside(data_dir, name) as scratch:
            taken = intake.take(
                found,
                rules,
                lambda index: _has_label(found, plan, index),
                scratch / "rows",
                threads or intake.default_threads(),
                progress,
            )
            imported = _finish((found, taken, plan), (source, data_dir, name), rules, record)
    for warning in imported.warnings:
        _log.warning("%s", warning)
    _log.info("imported %s as %s", source, name)
    return imported


def _checked(name: str) -> str:
    if not re.fullmatch(PART, name):
        raise UserError(
            "--name: expected up to 64 letters, digits, dots, dashes and underscores, a letter or "
            f"digit first, got {name}"
        )
    if name in RESERVED:
        raise UserError(f"--name: {name} stands for a known dataset; give another name")
    return name


@contextlib.contextmanager
def _opened(source: Path) -> Iterator[Source]:
    """Give what a folder or file holds, by its content."""
    if source.is_dir():
        yield open_folder(source)
        return
    try:
        with open_regular(source) as file:
            start = file.read(8)
    except OSError as error:
        raise UserError(f"cannot read {source}: {error.strerror}") from error
    if start.startswith(arrays.NPY):
        with arrays.open_npy(source) as found:
            yield found
    elif start.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        is_npz = source.suffix.lower() == ".npz"
        with arrays.open_npz(source) if is_npz else open_zip(source) as found:
            yield found
    else:
        raise UserError(f"{source}: expected a folder, a .zip, .npz or .npy file")


def _nothing(source: Path, found: Source) -> str:
    skipped = ", ".join(f"{count:,} {why}" for why, count in found.skipped.counts.most_common())
    return f"{source}: expected pictures, got {f'none (skipped: {skipped})' if skipped else 'none'}"


def _has_label(source: Source, plan: Plan, index: int) -> bool:
    if plan.labels[index] >= 0:
        return True
    source.skipped.add(source.names[index], f"{findings.NO_LABEL}: {plan.origin} has none for it")
    return False


def _known(source: Source, rules: Rules) -> dict[str, Any]:
    """Return what an import depends on: if all of it is the same, so are the images."""
    return {
        "format": _FORMAT,
        "source_sha256": source.digest,
        "rules": dataclasses.asdict(rules),
    }


def _done(data_dir: str, name: str, record: dict[str, Any], force: bool) -> Imported | None:
    """Return what an earlier import of the same did; None if there is none, or it is damaged.

    Raises:
        UserError: There is something else of that name, which ``force`` does not allow to replace.
    """
    place = store.folder(data_dir, name)
    if not place.exists():
        return None
    taken = f"--name: {place} is there already"
    if not store.exists(data_dir, name):
        raise UserError(f"{taken} and is no dataset of ours; give another --name")
    try:
        kept = json.loads(read_regular(place / RECORD, _MAX_RECORD))
        same = {key: kept[key] for key in record} == record
        earlier = kept["imported"]
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        same, earlier = False, {}
    if not same and not force:
        origin = f", imported from {earlier['source']}" if "source" in earlier else ""
        raise UserError(
            f"{taken}{origin}, with other images or by other rules; give another --name, or "
            "--force to replace it"
        )
    if not same:
        return None
    try:
        spec, _ = (store.read(data_dir, name, split).spec for split in store.SPLITS)
        return _from_record(earlier, spec)
    except (UserError, TypeError, ValueError, KeyError):
        return None


def _from_record(earlier: dict[str, Any], spec: ImageSpec) -> Imported:
    lists: dict[str, Any] = {
        "skipped": tuple((why, count, tuple(names)) for why, count, names in earlier["skipped"]),
        "classes": tuple((name, train, test) for name, train, test in earlier["classes"]),
        "notes": tuple(earlier["notes"]),
        "warnings": tuple(earlier["warnings"]),
    }
    return Imported(**{**earlier, **lists, "spec": spec, "repeated": True})


def _finish(
    parts: tuple[Source, Taken, Plan],
    place: tuple[Path, str, str],
    rules: Rules,
    record: dict[str, Any],
) -> Imported:
    """Choose among the images that were taken, and write the store."""
    (found, taken, plan), (source, data_dir, name) = parts, place
    findings.refuse_bad(found, taken, source)
    chosen = holdout.choose(found, taken, plan.tests, rules) if len(taken.picture) else None
    if chosen is None:
        raise UserError(_nothing(source, found))
    findings.refuse_few(found, chosen, source)
    rows = np.concatenate(chosen)
    width, height = rules.sides
    spec = ImageSpec(
        (height, width, findings.channels(taken, rows, rules)), len(plan.classes), plan.classes
    )
    label = np.array(plan.labels, np.int32)[taken.picture]
    classes = _per_class(spec, label, chosen)
    imported = Imported(
        name=name,
        spec=spec,
        source=str(source),
        found=len(found.names),
        train=len(chosen.train) * (2 if rules.mirror else 1),
        test=len(chosen.test),
        skipped=findings.table(found.skipped),
        classes=classes,
        notes=findings.notes(taken, rows, rules, plan),
        warnings=findings.warnings(taken, rows, rules, classes),
    )
    record = {**record, "version": __version__, "imported": _recorded(imported)}
    record["skipped_files"] = found.skipped.files
    files = {
        RECORD: (json.dumps(record, indent=1) + "\n").encode(),
        PREVIEW: preview.sheet(taken, chosen.train[: preview.COUNT], spec.shape[2]),
    }
    splits = {
        "train": preview.split(taken, chosen.train, spec.shape[2], label, rules.mirror),
        "test": preview.split(taken, chosen.test, spec.shape[2], label, False),
    }
    store.write(data_dir, name, spec, splits, files)
    return imported


def _recorded(imported: Imported) -> dict[str, Any]:
    known = imported._asdict()
    del known["spec"], known["repeated"]
    return known


def _per_class(
    spec: ImageSpec, label: np.ndarray, chosen: Chosen
) -> tuple[tuple[str, int, int], ...]:
    """Return name, images to train on and to measure with of each class."""
    train, test = (np.bincount(label[rows], minlength=spec.classes).tolist() for rows in chosen)
    names = map(spec.name, range(spec.classes))
    return tuple(zip(names, train, test, strict=True)) if spec.classes else ()


def _import_idx(name: str, data_dir: str, folder: Path, rules: Rules) -> Imported:
    width, height = rules.sides
    keeps_size = rules.size == Rules.size and _fits(idx.sizes(folder))
    idx.import_idx(name, data_dir, folder, size=None if keeps_size else (height, width))
    train, test = (store.read(data_dir, name, split) for split in store.SPLITS)
    splits = len(train.image), len(test.image)
    return Imported(name, train.spec, str(folder), sum(splits), *splits, (), (), (), ())


def _fits(sizes: set[tuple[int, int]]) -> bool:
    """Return whether images have one size, and one that the networks can have."""
    if len(sizes) > 1:
        return False
    with contextlib.suppress(UserError):
        for height, width in sizes:
            ImageSpec((height, width, 1), 0)
        return True
    return False
