"""Which images are left of a set, and which of them are held out to measure with."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from jaxgan.data import gather
from jaxgan.data.intake import Taken
from jaxgan.data.rules import Rules
from jaxgan.data.sources import Source
from jaxgan.errors import UserError


class Chosen(NamedTuple):
    """Rows of the images that are used.

    Both are in the order of a hash of the pixels, so that the first so many are a fair sample.

    Attributes:
        train: int64 [N].
        test: int64 [M].
    """

    train: np.ndarray
    test: np.ndarray


def choose(source: Source, taken: Taken, tests: Sequence[bool] | None, rules: Rules) -> Chosen:
    """Drop images that are there already, and hold some out.

    Raises:
        UserError: Nothing would be left on one side.
    """
    rows = _distinct(source, taken)  # sorted by the hash
    if tests is not None:
        is_test = np.array([tests[index] for index in taken.picture[rows]], bool)
        if is_test.all() or not is_test.any():
            side = "train" if is_test.all() else "test"
            raise UserError(f"no images are left for {side}: those there are bad or duplicates")
        return Chosen(rows[~is_test], rows[is_test])
    count = gather.held_out_count(rules.test_share * len(rows))
    if not rules.group_by:
        return Chosen(rows[count:], rows[:count])
    held_out = _of_groups(_groups(source, taken.picture[rows], rules), count)
    if held_out.all() or not held_out.any():
        raise UserError(
            f"--group-by: no group is small enough to be held out; expected several groups of at "
            f"most {count:,} images ({rules.test_share:g} of them), got {rules.group_by!r}"
        )
    return Chosen(rows[~held_out], rows[held_out])


def _distinct(source: Source, taken: Taken) -> np.ndarray:
    """Return the first row of each image, sorted by digest; the others are skipped."""
    _, first, inverse = np.unique(taken.digest, return_index=True, return_inverse=True)
    again = np.flatnonzero(first[inverse] != np.arange(len(inverse)))
    for row in again.tolist():
        same = source.names[taken.picture[first[inverse[row]]]]
        source.skipped.add(source.names[taken.picture[row]], f"duplicate: the same image as {same}")
    return first


def _groups(source: Source, indices: np.ndarray, rules: Rules) -> np.ndarray:
    """Return the digest of each image's group."""
    keys = (rules.group(source.names[index]) for index in indices.tolist())
    digests = b"".join(
        hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=16).digest()
        for key in keys
    )
    return np.frombuffer(digests, "S16")


def _of_groups(groups: np.ndarray, count: int) -> np.ndarray:
    """Return which images belong to the first groups that together are at most ``count`` images."""
    _, inverse, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    held_out, left = np.zeros(len(sizes), bool), count
    for group, size in enumerate(sizes.tolist()):
        if size <= left:
            held_out[group] = True
            left -= size
    chosen: np.ndarray = held_out[inverse]
    return chosen
