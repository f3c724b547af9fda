"""What images are drawn from: latent vectors, labels, and where an image stands between two keys.

The contract that C++ repeats. A *key* is an image that the options choose; without --interpolate
the keys are what is drawn.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxgan.config import MOST_COUNT
from jaxgan.errors import UserError

_MOST_TRUNCATION = 10  # beyond it erf is 1 in float32: nothing is cut off
_STRAIGHT = 1e-6  # below this sine of their angle two vectors are mixed linearly


@partial(jax.jit, static_argnames="size")
def _draw(seeds: jax.Array, indices: jax.Array, kept: jax.Array | None, size: int) -> jax.Array:
    def one(seed: jax.Array, index: jax.Array) -> jax.Array:
        key = jax.random.fold_in(jax.random.key(seed, impl="threefry2x32"), index)
        if kept is None:
            return jax.random.normal(key, (size,))
        lowest = jnp.nextafter(jnp.float32(-1), jnp.float32(0))
        uniform = jax.random.uniform(key, (size,), minval=lowest, maxval=1.0)
        return np.float32(np.sqrt(2)) * jax.lax.erf_inv(uniform * kept)

    return jax.vmap(one)(seeds, indices)


def latents(
    seeds: int | Sequence[int] | np.ndarray,
    indices: Sequence[int] | np.ndarray,
    size: int,
    truncation: float | None = None,
) -> jax.Array:
    """Return the latent vectors of some images.

    Image i of a seed has ``jax.random.normal(fold_in(key(seed), i), (size,))`` (Threefry), so it
    depends on its seed and index alone, not on how many are drawn at once. That is
    ``sqrt(2) * erfinv(u)`` with u uniform in (-1, 1).

    Truncated to [-T, T] (Brock et al. 2019) it is ``sqrt(2) * erfinv(u * erf(T / sqrt(2)))``, the
    inverse of the truncated distribution's CDF: a continuous function of T. Where they draw again
    what falls outside, this uses up no random number.

    Args:
        seeds: One for all images or one an image, each 0 to 2**32 - 1.
        indices: Numbers of the images, each 0 to 2**32 - 1.
        size: Length of a latent vector.
        truncation: T, above 0 and at most 10; None for the ordinary distribution.

    Returns:
        float32 [len(indices), size].
    """
    indices = np.asarray(indices, np.uint32)
    seeds = np.broadcast_to(np.asarray(seeds, np.uint32), indices.shape)
    kept = None if truncation is None else np.float32(math.erf(truncation / math.sqrt(2)))
    return _draw(seeds, indices, kept, size)


def parse_seeds(text: str) -> np.ndarray:
    """Return the seeds of a list of numbers and ranges such as ``1,5,9-12``, uint32 [N], in order.

    Raises:
        UserError: It is no such list, or names more than ``MOST_COUNT``.
    """
    if not re.fullmatch(r"[0-9]+(-[0-9]+)?(,[0-9]+(-[0-9]+)?)*", text):
        raise UserError(f"--seeds: expected numbers and ranges such as 1,5,9-12, got {text!r}")
    ends = [[_whole(end) for end in part.split("-")] for part in text.split(",")]
    if any(part[-1] >= 2**32 or part[0] > part[-1] for part in ends):
        raise UserError(
            f"--seeds: expected seeds from 0 to 4294967295 and ranges that ascend, got {text!r}"
        )
    count = sum(part[-1] - part[0] + 1 for part in ends)
    if count > MOST_COUNT:
        raise UserError(f"--seeds: expected at most {MOST_COUNT} seeds, got {count}")
    return np.concatenate([np.arange(part[0], part[-1] + 1, dtype=np.uint32) for part in ends])


def parse_truncation(text: str | None) -> float | None:
    """Return the T of a decimal number such as ``0.7``; None where there is no text.

    Raises:
        UserError: It is none, or not in (0, 10].
    """
    if text is None:
        return None
    fits = re.fullmatch(r"[0-9]*\.?[0-9]+", text)
    if not fits or not 0 < float(text) <= _MOST_TRUNCATION:
        raise UserError(
            f"--truncation: expected a decimal number above 0 and at most {_MOST_TRUNCATION}, "
            f"got {text!r}"
        )
    return float(text)


def parse_labels(text: str | None, classes: int) -> list[int]:
    """Return the labels that images take in turn: one, a list such as ``3,1,4``, or every class.

    Raises:
        UserError: A label is no class of the model.
    """
    if text is None:
        return list(range(classes))
    if classes == 0:
        raise UserError("--label: this model has no classes; leave the option out")
    fits = re.fullmatch(r"[0-9]+(,[0-9]+)*", text)
    labels = [_whole(part) for part in text.split(",")] if fits else []
    if not fits or max(labels) >= classes:
        raise UserError(
            f"--label: expected classes from 0 to {classes - 1}, separated by commas, got {text!r}"
        )
    return labels


def _whole(digits: str) -> int:
    """Return a whole number; 2**32 where it is that or more, since int() refuses 5,000 digits."""
    return int(min(float(digits), 2.0**32))


def cycle(labels: Sequence[int], indices: np.ndarray) -> np.ndarray | None:
    """Return the label of each image, int32 [len(indices)]: image i takes ``labels[i % len]``.

    None where there are no labels: a plain GAN.
    """
    return np.asarray(labels, np.int32)[indices % len(labels)] if len(labels) else None


class Frames(NamedTuple):
    """Where images stand between keys.

    Attributes:
        start: Number of the key that each comes from, int [N].
        end: Number of the key that it goes to, int [N]; that of ``start`` where it is a key itself.
        share: How far it has gone, float64 [N] from 0 to 1.
    """

    start: np.ndarray
    end: np.ndarray
    share: np.ndarray


def frames(keys: int, interpolate: int | None) -> Frames:
    """Return the frames of some keys: the keys themselves, or so many images from each to the next.

    Args:
        keys: Number of keys.
        interpolate: Images from a key to the next, both included, at least 2; None for the keys.

    Raises:
        UserError: There is no way between fewer than two keys, or there are too many images.
    """
    if interpolate is None:
        at = np.arange(keys)
        return Frames(at, at, np.zeros(keys))
    if keys < 2:
        raise UserError(
            "--interpolate: expected at least 2 images to go between, got 1; give a larger --count,"
            " more --seeds or more rows in --latents"
        )
    count = (keys - 1) * interpolate
    if count > MOST_COUNT:
        raise UserError(
            f"--interpolate: {interpolate} images between each two of {keys} are {count}, expected "
            f"at most {MOST_COUNT}; choose a smaller --interpolate or --count"
        )
    start = np.repeat(np.arange(keys - 1), interpolate)
    share = np.tile(np.arange(interpolate) / (interpolate - 1), keys - 1)
    return Frames(start + (share == 1), start + (share > 0), share)


def slerp(a: np.ndarray, b: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Interpolate spherically between latent vectors (Shoemake 1985; White 2016).

    ``(sin((1-t)w) a + sin(tw) b) / sin(w)`` with w the angle between a and b, in float64; linearly
    where that is undefined: parallel vectors, opposite ones, and 0.

    Args:
        a: float32 [B, Z].
        b: float32 [B, Z].
        share: t, float64 [B]: 0 gives a and 1 gives b, bit for bit.

    Returns:
        float32 [B, Z].
    """
    a, b, t = a.astype(np.float64), b.astype(np.float64), share[:, None]
    norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    cosine = np.sum(a * b, axis=1) / np.where(norms == 0, 1, norms)
    angle = np.arccos(np.clip(cosine, -1, 1))[:, None]
    straight = (np.sin(angle) < _STRAIGHT) | (norms == 0)[:, None]
    sine = np.where(straight, 1, np.sin(angle))
    of_a = np.where(straight, 1 - t, np.sin((1 - t) * angle) / sine)
    of_b = np.where(straight, t, np.sin(t * angle) / sine)
    return (of_a * a + of_b * b).astype(np.float32)
