"""Which label and which split each picture has: by metadata, by folders, or as it came."""

from __future__ import annotations

import csv
import io
import json
import posixpath
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from jaxgan.data.names import class_name
from jaxgan.data.pictures import BadPicture
from jaxgan.data.rules import Rules
from jaxgan.data.sources import Source
from jaxgan.data.store import MAX_CLASSES
from jaxgan.errors import UserError, first_line

MAX_METADATA = 1 << 28  # bytes of a file of labels

_TRAIN = {"train", "training"}
_TEST = {"test", "testing", "val", "valid", "validation"}
_SHOWN = 5  # names in a message


class Plan(NamedTuple):
    """What is known of the pictures, in the order of their names.

    Attributes:
        labels: The class of each, an index of ``classes``; -1 where it has none and others have.
        classes: Names of the classes, sorted; () for a set without labels.
        tests: Whether each is for measuring; None where there are no splits.
        origin: Where the labels come from, in words.
    """

    labels: Sequence[int]
    classes: tuple[str, ...]
    tests: Sequence[bool] | None
    origin: str


def plan(source: Source, rules: Rules) -> Plan:
    """Return labels and splits of a source's pictures.

    Raises:
        UserError: Metadata cannot be read or names files that are not there; there are more than
            ``MAX_CLASSES`` classes.
    """
    tests, inner = _splits(source.names)
    if source.given and source.given.tests is not None:
        tests = source.given.tests
    found: Sequence[str | None] | None = None
    origin = "none"
    if rules.labels == "auto":
        if source.given:
            found, origin = source.given.labels, "the file's own"
        elif (known := _metadata(source)) is not None:
            found, origin = [known[0].get(name) for name in source.names], known[1]
        else:
            found, origin = _folders(inner), "the folders' names"
    names = _classes({label for label in found if label is not None}) if found else {}
    if found is None or len(set(names.values())) < 2:
        return Plan([0] * len(source.names), (), tests, "none")
    classes = tuple(dict.fromkeys(names.values()))
    if len(classes) > MAX_CLASSES:
        raise UserError(
            f"--labels: expected at most {MAX_CLASSES:,} classes, got {len(classes):,} from "
            f"{origin}; --labels none imports without"
        )
    index = {label: classes.index(name) for label, name in names.items()}
    labels = [-1 if label is None else index[label] for label in found]
    return Plan(labels, classes, tests, origin)


def _splits(names: Sequence[str]) -> tuple[list[bool] | None, list[str]]:
    """Return whether each picture lies in a folder for measuring, and names without the splits.

    Only if there is nothing at the top but splits of both kinds: a ``train`` may be a class.
    """
    tops = {name.partition("/")[0] for name in names if "/" in name}
    kinds = {top: top.lower() in _TEST for top in tops if top.lower() in _TEST | _TRAIN}
    if len(kinds) < len(tops) or len(set(kinds.values())) < 2 or any("/" not in n for n in names):
        return None, list(names)
    parts = [name.partition("/") for name in names]
    return [kinds[top] for top, _, _ in parts], [rest for _, _, rest in parts]


def _folders(names: Sequence[str]) -> list[str] | None:
    """Return the first folder of each name; None unless there are two and no picture beside."""
    parts = [name.partition("/") for name in names]
    if not all(slash for _, slash, _ in parts) or len({top for top, _, _ in parts}) < 2:
        return None
    return [top for top, _, _ in parts]


def _classes(labels: Iterable[str]) -> dict[str, str]:
    """Return label → name of its class, sorted; whole numbers by their value."""
    named = {label: class_name(label) for label in labels}
    numbers = all(name.isascii() and name.isdigit() and len(name) < 16 for name in named.values())

    def key(label: str) -> tuple[int, str, str]:
        return int(named[label]) if numbers else 0, named[label], label

    return {label: named[label] for label in sorted(named, key=key)}


# Metadata


def _metadata(source: Source) -> tuple[dict[str, str], str] | None:
    """Return name → label by the metadata of a source, and which that was; None if there is none.

    Metadata at the top counts, or such in each folder of a split.
    """
    for kind, read in _READERS.items():
        places = [name for name in source.others if name.rpartition("/")[2] == kind]
        places = [
            name for name in places if name.count("/") <= (1 if _splits(source.names)[0] else 0)
        ]
        labels: dict[str, str] = {}
        for place in sorted(places):
            folder = place.rpartition("/")[0]
            for name, label in read(_text(source, place), place):
                full = posixpath.normpath(posixpath.join(folder, name.replace("\\", "/")))
                if labels.setdefault(full, label) != label:
                    raise UserError(
                        f"{place}: {full} has two labels, {labels[full]} and {label}; "
                        "leave one of them, or give --labels none"
                    )
        if labels:
            _check_names(source, labels, places)
            return labels, kind
    return None


def _check_names(source: Source, labels: dict[str, str], places: list[str]) -> None:
    missing = sorted(labels.keys() - set(source.names) - source.others)
    if missing:
        shown = ", ".join(missing[:_SHOWN]) + (", …" if len(missing) > _SHOWN else "")
        raise UserError(
            f"{' and '.join(sorted(places))}: {len(missing):,} of {len(labels):,} files that have "
            f"a label are not there: {shown}; correct it, or give --labels none"
        )


def _text(source: Source, name: str) -> str:
    try:
        content = source.text(name, MAX_METADATA + 1)
        if len(content) > MAX_METADATA:
            raise UserError(f"{name}: expected at most {MAX_METADATA:,} bytes")
        return content.decode("utf-8-sig")
    except (OSError, UnicodeDecodeError, BadPicture) as error:
        reason = getattr(error, "strerror", None) or first_line(error)
        raise UserError(
            f"cannot read {name}: {reason}; give --labels none to do without"
        ) from error


def _label(value: Any, place: str) -> str | None:
    """Return a label as text; None for none."""
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise UserError(
            f"{place}: expected labels that are text or whole numbers, got {str(value)[:40]}; "
            "--labels none imports without"
        )
    return str(value)


def _read_csv(text: str, place: str) -> Iterable[tuple[str, str]]:
    """Yield (file_name, label) of each row that has both."""
    try:
        rows = csv.DictReader(io.StringIO(text, newline=""), strict=True)
        if not {"file_name", "label"} <= set(rows.fieldnames or ()):
            return
        for row in rows:
            label = _label(row["label"], place)
            if row["file_name"] and label is not None:
                yield row["file_name"], label
    except csv.Error as error:
        raise UserError(f"{place} is damaged: {first_line(error)}") from error


def _read_jsonl(text: str, place: str) -> Iterable[tuple[str, str]]:
    """Yield (file_name, label) of each line that has both."""
    for number, line in enumerate(text.split("\n"), 1):
        row = _json(line, f"{place}, line {number}") if line.strip() else {}
        if not isinstance(row, dict):
            raise UserError(f"{place}, line {number}: expected an object with file_name and label")
        name, label = row.get("file_name"), _label(row.get("label"), place)
        if isinstance(name, str) and name and label is not None:
            yield name, label


def _read_dataset_json(text: str, place: str) -> Iterable[tuple[str, str]]:
    """Yield the pairs of StyleGAN's dataset.json: ``{"labels": [["a.png", 0], …]}``."""
    whole = _json(text, place)
    pairs = whole.get("labels") if isinstance(whole, dict) else None
    if not isinstance(pairs, list):
        return
    for pair in pairs:
        if not (isinstance(pair, list) and len(pair) == 2 and isinstance(pair[0], str)):
            raise UserError(f'{place}: expected "labels" to be pairs of a file and its label')
        label = _label(pair[1], place)
        if label is not None:
            yield pair[0], label


def _json(text: str, place: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{place} is damaged: {first_line(error)}") from error


_READERS = {
    "metadata.csv": _read_csv,
    "metadata.jsonl": _read_jsonl,
    "dataset.json": _read_dataset_json,
}
