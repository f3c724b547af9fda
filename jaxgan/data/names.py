"""Which names datasets have, which are folders of the data folder, and which their classes."""

from __future__ import annotations

import re

from jaxgan.errors import UserError

TFDS = "tfds"  # a folder in data_dir where TFDS keeps its own: no dataset
STACKED = "stacked_mnist"  # made of the prepared MNIST when it is read
PART = "[A-Za-z0-9][A-Za-z0-9._-]{0,63}"  # of a name: no hidden file, no way out of data_dir


def check_name(name: str) -> None:
    """Raise ``UserError`` unless a dataset may have a name: one or two parts of a path."""
    if not re.fullmatch(f"{PART}(/{PART})?", name):
        raise UserError(
            "the name of a dataset: expected up to 64 letters, digits, dots, dashes and "
            f"underscores, a letter or digit first (or two such parts with a slash), got {name!r}"
        )
    if name == STACKED:
        raise UserError(f"{STACKED} is made of mnist; run: jaxgan data prepare mnist")
    if name.split("/")[0] == TFDS:
        raise UserError(f"{TFDS} is the folder of TFDS's own files; give the dataset another name")


def class_name(label: str) -> str:
    """Return a label as people type it in a list of labels, and as one line of text."""
    kept = label.encode("utf-8", "replace").decode()
    kept = "".join(letter if letter.isprintable() and letter != "," else " " for letter in kept)
    return " ".join(kept.split()) or "?"
