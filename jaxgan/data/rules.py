"""How pictures of any kind become images of one shape: the options of an import.

Standard library only, so that ``--help`` answers at once.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from jaxgan.config import MAX_SIDE, MIN_SIDE, require
from jaxgan.errors import UserError

MAX_TEST_SHARE = 0.5
COLOURS = {"white": (255, 255, 255), "black": (0, 0, 0)}


@dataclass(frozen=True)
class Rules:
    """Rules of an import."""

    size: str = "64"
    """Size of the images in pixels: 64 for a square, or WIDTHxHEIGHT such as 96x64. Sides are
    multiples of 4 from 16 to 256."""

    fit: Literal["crop", "pad", "stretch"] = "crop"
    """What to do with pictures of another shape: crop keeps the middle, pad adds borders (of the
    colour of --alpha, or transparent), stretch distorts."""

    alpha: str = "white"
    """What to do with transparency: white, black or a colour such as #3366cc is laid below it; keep
    trains four channels."""

    labels: Literal["auto", "none"] = "auto"
    """auto: labels from metadata.csv, metadata.jsonl or dataset.json, else from the folders' names;
    none: no labels."""

    group_by: str = ""
    """Regular expression on the name of a picture. Those for which its groups (or, without any, the
    whole match) are the same text are held out together; for bursts and variants."""

    mirror: bool = False
    """Train on the mirrored images, too. Not for anything with text, or a left and a right."""

    test_share: float = 0.1
    """Share of the images that is held out to measure with, at most 10,000 images. Has no effect
    where there are folders train and test."""

    def __post_init__(self) -> None:
        _check_size(self.size)
        require(self, "fit", self.fit in ("crop", "pad", "stretch"), "crop, pad or stretch")
        require(self, "labels", self.labels in ("auto", "none"), "auto or none")
        known = self.alpha == "keep" or self.alpha in COLOURS
        known = known or bool(re.fullmatch("#[0-9a-fA-F]{6}", self.alpha))
        require(self, "alpha", known, "white, black, keep or a colour such as #3366cc")
        fits = 0 < self.test_share <= MAX_TEST_SHARE
        require(self, "test_share", fits, f"a number above 0, at most {MAX_TEST_SHARE}")
        try:
            re.compile(self.group_by)
        except (re.error, RecursionError, OverflowError) as error:
            raise UserError(f"--group-by: expected a regular expression, got {error}") from error

    @property
    def sides(self) -> tuple[int, int]:
        """Width and height of an image, in Pillow's order."""
        width, _, height = self.size.partition("x")
        return int(width), int(height or width)

    @property
    def keep_alpha(self) -> bool:
        """Whether transparency is kept."""
        return self.alpha == "keep"

    @property
    def background(self) -> tuple[int, int, int]:
        """Red, green and blue that are laid below transparency; white where it is kept.

        That is what pads the images of a set that has no transparency to keep.
        """
        if self.alpha.startswith("#"):
            red, green, blue = bytes.fromhex(self.alpha[1:])
            return red, green, blue
        return COLOURS.get(self.alpha, COLOURS["white"])

    def group(self, name: str) -> str:
        """Return the key of a picture: those of the same key are held out together."""
        found = re.search(self.group_by, name) if self.group_by else None
        if not found:
            return name
        return "".join(part or "" for part in found.groups()) if found.re.groups else found[0]


def _check_size(size: str) -> None:
    """Raise ``UserError`` unless a size is one that the networks fit; it names the nearest."""
    expected = f"--size: expected sides that are multiples of 4 from {MIN_SIDE} to {MAX_SIDE}"
    found = re.fullmatch("([0-9]{1,9})(?:x([0-9]{1,9}))?", size)
    if not found:
        raise UserError(f"{expected}, such as 64 or 96x64 (WIDTHxHEIGHT), got {size!r}")
    sides = [int(side) for side in found.groups() if side is not None]
    options = [_nearest(side) for side in sides]
    if any(side not in near for side, near in zip(sides, options, strict=True)):
        pairs = zip(options[0], options[-1], strict=False) if len(sides) == 2 else None
        near = [f"{a}x{b}" for a, b in pairs] if pairs else [str(side) for side in options[0]]
        if len(sides) == 2 and len(options[0]) != len(options[1]):  # one side is right already
            near = [f"{a}x{b}" for a in options[0] for b in options[1]]
        verb = "the nearest are" if len(near) > 1 else "the nearest is"
        raise UserError(f"{expected}, got {size}; {verb} {' and '.join(near)}")


def _nearest(side: int) -> list[int]:
    """Return the one or two admissible sides nearest to a side."""
    low = min(max(side // 4 * 4, MIN_SIDE), MAX_SIDE)
    high = min(max(-(-side // 4) * 4, MIN_SIDE), MAX_SIDE)
    return [low] if low == high else [low, high]


def name_of(source: Path) -> str:
    """Return the name of the dataset that a source becomes, made of the last part of its path."""
    path = source.resolve()
    stem = path.name if path.is_dir() else path.stem
    kept = re.sub("[^A-Za-z0-9._-]+", "_", stem)[:64].strip("._-")
    return kept or "images"
