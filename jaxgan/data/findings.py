"""What an import found: refusals, warnings that save a day, and what a person is told."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from jaxgan.config import ImageSpec
from jaxgan.data.holdout import Chosen
from jaxgan.data.intake import COLOURED, CONSTANT, SMALL, TRANSPARENT, Taken
from jaxgan.data.labels import Plan
from jaxgan.data.rules import Rules
from jaxgan.data.sources import Skipped, Source, kind_of
from jaxgan.errors import UserError

MIN_IMAGES = 100  # to train on and to measure with, together
MAX_BAD = 0.1  # share of the pictures that may be damaged
FEW = 20  # images of a class that are too few to learn it from
MOST = 0.8  # share of the images in one class that makes the others hardly seen
DARK = 31  # brightest level of a set up to which its levels look like something else
NO_LABEL = "no label"  # why sound pictures are skipped where others have one
_SHOWN = 3  # names in a message


class Imported(NamedTuple):
    """What an import did.

    Attributes:
        name: Of the dataset.
        spec: Shape and classes.
        source: Folder or file that it was imported from.
        found: Files that are pictures, or should be.
        train: Images to train on, mirrored ones included.
        test: Images to measure with.
        skipped: (reason, files, first names) of what was not used, most frequent first.
        classes: (name, images to train on, images to measure with) of each class.
        notes: What was decided, as sentences.
        warnings: What may be wrong, as sentences.
        repeated: Whether it was imported before, and nothing was done.
    """

    name: str
    spec: ImageSpec
    source: str
    found: int
    train: int
    test: int
    skipped: tuple[tuple[str, int, tuple[str, ...]], ...]
    classes: tuple[tuple[str, int, int], ...]
    notes: tuple[str, ...]
    warnings: tuple[str, ...]
    repeated: bool = False


def refuse_bad(source: Source, taken: Taken, place: object) -> None:
    """Raise ``UserError`` where more than ``MAX_BAD`` of the pictures could not be read."""
    bad = len(source.names) - len(taken.picture) - source.skipped.counts[NO_LABEL]
    tried = bad + len(taken.picture)
    if bad > MAX_BAD * tried:
        names = frozenset(source.names)
        files = [(name, why) for name, why in source.skipped.files if name in names]
        bad_ones = [f"{name} ({why})" for name, why in files if kind_of(why) != NO_LABEL]
        raise UserError(
            f"{place}: {bad:,} of {tried:,} pictures cannot be used, expected at most "
            f"{MAX_BAD:.0%}: {'; '.join(bad_ones[:_SHOWN])}; move them away or mend them"
        )


def refuse_few(source: Source, chosen: Chosen, place: object) -> None:
    """Raise ``UserError`` where fewer than ``MIN_IMAGES`` are left."""
    left = len(chosen.train) + len(chosen.test)
    if left < MIN_IMAGES:
        skipped = ", ".join(
            f"{count:,} {why}" for why, count in source.skipped.counts.most_common()
        )
        raise UserError(
            f"{place}: expected at least {MIN_IMAGES} different pictures, got {left}"
            + (f" (skipped: {skipped})" if skipped else "")
        )


def channels(taken: Taken, rows: np.ndarray, rules: Rules) -> int:
    """Return how many channels a set needs: 1 if all of it is grey, 4 if alpha is kept, else 3."""
    flags = taken.flags[rows]
    if rules.keep_alpha and bool((flags & TRANSPARENT).any()):
        return 4
    return 3 if bool((flags & COLOURED).any()) else 1


def notes(taken: Taken, rows: np.ndarray, rules: Rules, plan: Plan) -> tuple[str, ...]:
    """Return what was decided, as sentences."""
    clear = int(np.count_nonzero(taken.flags[rows] & TRANSPARENT))
    kind = {1: "grey", 3: "in colour", 4: "in colour with alpha"}[channels(taken, rows, rules)]
    found = [f"the images are {kind}"]
    if clear and rules.keep_alpha:
        found.append(f"{clear:,} images have transparency, which is kept")
    elif clear:
        found.append(
            f"{clear:,} images have transparency, laid on {rules.alpha}; --alpha keep trains four "
            "channels"
        )
    elif rules.keep_alpha:
        found.append("no image has transparency to keep, so there is no alpha channel")
    if plan.classes:
        found.append(f"{len(plan.classes):,} classes by {plan.origin}")
    else:
        found.append("no labels")
    return tuple(found)


def warnings(
    taken: Taken, rows: np.ndarray, rules: Rules, classes: Sequence[tuple[str, int, int]]
) -> tuple[str, ...]:
    """Return what may be wrong with the images in some rows, as sentences."""
    found, flags = [], taken.flags[rows]
    if taken.brightest <= DARK:
        scaled = "were they scaled to 0..1?" if taken.brightest <= 1 else "are they class numbers?"
        found.append(f"the brightest pixel of all is {taken.brightest} of 255: {scaled}")
    small = int(np.count_nonzero(flags & SMALL))
    if small:
        found.append(f"{small:,} images are smaller than --size {rules.size} and were enlarged")
    constant = int(np.count_nonzero(flags & CONSTANT))
    if constant:
        found.append(f"{constant:,} images are of one colour, or nearly")
    few = [(name, train + test) for name, train, test in classes if train + test < FEW]
    if few:
        shown = ", ".join(f"{name} ({count})" for name, count in few[:_SHOWN])
        more = ", …" if len(few) > _SHOWN else ""
        found.append(f"{len(few):,} classes have fewer than {FEW} images: {shown}{more}")
    total = sum(train + test for _, train, test in classes)
    for name, train, test in classes:
        if train + test >= MOST * total:
            found.append(f"{(train + test) / total:.0%} of the images are of the class {name}")
    return tuple(found)


def table(skipped: Skipped) -> tuple[tuple[str, int, tuple[str, ...]], ...]:
    """Return (reason, files, first names), most frequent first."""
    kinds = sorted(skipped.counts.items(), key=lambda pair: (-pair[1], pair[0]))
    return tuple((kind, count, tuple(skipped.first(kind, _SHOWN))) for kind, count in kinds)
