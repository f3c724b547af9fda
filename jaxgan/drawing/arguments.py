"""Arguments of ``Generator`` → options of the C++ library, checked so that messages name them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from jaxgan.config import MAX_COUNT, MAX_SEED
from jaxgan.drawing.sampling import Sampling, find_class
from jaxgan.errors import UserError

Seeds: TypeAlias = "Sequence[int] | np.ndarray | None"
Labels: TypeAlias = "int | str | Sequence[int | str] | np.ndarray | None"

_MAX_TRUNCATION = 10.0


class Classes(NamedTuple):
    """Classes of a generator: how many, and their names, () where they have numbers alone."""

    number: int
    names: tuple[str, ...]


def options(
    seed: int, count: int, seeds: Seeds, labels: Labels, truncation: float | None, classes: Classes
) -> Sampling:
    """Return arguments of ``Generator.draw`` as options, with numbers for names of classes.

    Raises:
        UserError: One is out of range.
    """
    require("seed", seed, 0, MAX_SEED)
    require("count", count, 1, MAX_COUNT)
    found = Sampling(seed=str(int(seed)), count=str(int(count)))
    if seeds is not None:
        require("the number of seeds", len(seeds), 1, MAX_COUNT)
        for one in seeds:
            require("seeds", one, 0, MAX_SEED)
        found = Sampling(seeds=_joined(seeds))
    if labels is not None:
        found = dataclasses.replace(found, label=_joined(_checked(labels, classes)))
    if truncation is not None:
        if not 0 < truncation <= _MAX_TRUNCATION:
            raise UserError(
                f"truncation: expected a number above 0 and at most 10, got {truncation}"
            )
        text = np.format_float_positional(float(truncation), trim="-")  # of the same number
        found = dataclasses.replace(found, truncation=text)
    return found


def latents(
    given: np.ndarray, latent_size: int, seeds: Seeds, truncation: float | None
) -> np.ndarray:
    """Return latent vectors as float32 [N, Z] in C order.

    Raises:
        UserError: They are of another shape, not finite, or given with what excludes them.
    """
    for name, other in (("seeds", seeds), ("truncation", truncation)):
        if other is not None:
            raise UserError(f"latents and {name} are mutually exclusive; leave one out")
    found = np.ascontiguousarray(given, np.float32)
    if found.ndim != 2 or found.shape[1] != latent_size:
        raise UserError(f"latents: expected float32 [N, {latent_size}], got {list(found.shape)}")
    require("the number of latents", len(found), 1, MAX_COUNT)
    if not np.isfinite(found).all():
        raise UserError("latents: expected finite numbers, got others")
    return found


def in_turn(labels: Labels, classes: Classes, count: int) -> np.ndarray | None:
    """Return the label of each image, int32 [count]; None for a plain GAN.

    Raises:
        UserError: One is no class.
    """
    taken = list(range(classes.number)) if labels is None else _checked(labels, classes)
    return np.resize(np.asarray(taken, np.int32), count) if taken else None


def require(name: str, value: float, minimum: int, maximum: int) -> None:
    """Raise ``UserError`` unless a value is a whole number within bounds."""
    if not minimum <= value <= maximum or int(value) != value:
        raise UserError(f"{name}: expected {minimum} to {maximum}, got {value}")


def _checked(labels: Labels, classes: Classes) -> list[int]:
    if not classes.number:
        raise UserError("labels: this model has no classes; leave the argument out")
    given = [labels] if isinstance(labels, str) else np.atleast_1d(np.asarray(labels, object))
    if not len(given):
        raise UserError(f"labels: expected classes from 0 to {classes.number - 1}, got none")
    return [_label(one, classes) for one in given]


def _label(given: Any, classes: Classes) -> int:
    if not isinstance(given, str):
        require("labels", given, 0, classes.number - 1)
        return int(given)
    try:
        return find_class(given, *classes)
    except UserError as error:
        raise UserError(f"labels: {error}") from error


def _joined(numbers: Sequence[int] | np.ndarray) -> str:
    return ",".join(str(int(number)) for number in numbers)
