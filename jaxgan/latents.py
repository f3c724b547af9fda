"""(seed, index) → latent vector, (choice, index) → label. The contract that C++ repeats."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from jaxgan.errors import UserError


@partial(jax.jit, static_argnames="size")
def _draw(key: jax.Array, indices: jax.Array, size: int) -> jax.Array:
    keys = jax.vmap(jax.random.fold_in, (None, 0))(key, indices)
    return jax.vmap(lambda k: jax.random.normal(k, (size,)))(keys)


def latents(seed: int, indices: Sequence[int] | np.ndarray, size: int) -> jax.Array:
    """Return the latent vectors of some images of a seed.

    Image i has ``jax.random.normal(fold_in(key(seed), i), (size,))`` (Threefry), so it depends on
    its seed and index alone, not on how many are drawn at once.

    Args:
        seed: 0 to 2**32 - 1.
        indices: Numbers of the images, each 0 to 2**32 - 1.
        size: Length of a latent vector.

    Returns:
        Standard normal float32 [len(indices), size].
    """
    key = jax.random.key(np.uint32(seed), impl="threefry2x32")
    return _draw(key, jnp.asarray(indices, jnp.uint32), size)


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
    labels = [int(part) for part in text.split(",")] if fits else []
    if not fits or max(labels) >= classes:
        raise UserError(
            f"--label: expected classes from 0 to {classes - 1}, separated by commas, got {text!r}"
        )
    return labels


def cycle(labels: Sequence[int], indices: np.ndarray) -> np.ndarray | None:
    """Return the label of each image, int32 [len(indices)]: image i takes ``labels[i % len]``.

    None where there are no labels: a plain GAN.
    """
    return np.asarray(labels, np.int32)[indices % len(labels)] if len(labels) else None
