"""The frozen classifiers whose features and verdicts the metrics compare.

One small CNN a dataset, trained by ``train_features`` on the training images alone and used for
nothing but measuring. Numbers measured by different networks cannot be compared, so a network's
weights are fixed by their SHA-256.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxgan import convolution
from jaxgan.errors import UserError
from jaxgan.gan import normalize

Weights = Mapping[str, jax.Array | np.ndarray]

SIZE, CLASSES = 128, 10  # of the feature vector, which is the layer before the logits
_FOLDER = Path(__file__).parent / "weights"
_SHA256 = {
    "mnist": "fd6f3122f3ae968a503557c203a5bdf87ab23c63f0ba53b1a232ac4890258f3b",
    "fashion_mnist": "e556ad1f7669182217e145e15d3fad3fa0b688e751af78e1073f78399fb09939",
}
_BORROWED = {"stacked_mnist": "mnist"}  # which looks at one channel at a time
_BATCH = 500  # images at a time
# name, kernel size, stride, channels: 28x28 → 14x14 → 7x7
_LAYERS = (("a", 3, 1, 16), ("b", 4, 2, 32), ("c", 3, 1, 64), ("d", 4, 2, 64), ("e", 3, 1, 64))
_NARROW = 16  # channels that a 1x1 convolution leaves for the dense layer
_SLOPE = 0.01  # of leaky ReLU between the convolutions


class Seen(NamedTuple):
    """What a network says of images.

    Attributes:
        feature: float32 [N, 128], at least 0.
        label: The most likely class, int32 [N].
    """

    feature: np.ndarray
    label: np.ndarray


def known() -> tuple[str, ...]:
    """Return the names of the datasets that have a network."""
    return (*_SHA256, *_BORROWED)


def init(key: jax.Array) -> Weights:
    """Return the weights of an untrained network (He et al. 2015)."""
    weights, inputs = {}, 1
    shapes = {name: (size, size, channels) for name, size, _, channels in _LAYERS}
    shapes["narrow"] = (1, 1, _NARROW)
    for name, (height, width, outputs) in shapes.items():
        weights[name] = (height, width, inputs, outputs)
        inputs = outputs
    weights |= {"feature": (7 * 7 * _NARROW, SIZE), "logits": (SIZE, CLASSES)}
    keys = jax.random.split(key, len(weights))
    values = {}
    for (name, shape), one in zip(weights.items(), keys, strict=True):
        fan_in = np.prod(shape[:-1])
        values[name] = jax.random.normal(one, shape) * (2 / fan_in) ** 0.5
        values[name + "_bias"] = jnp.zeros(shape[-1])
    return values


def apply(weights: Weights, image: jax.Array, form: str) -> tuple[jax.Array, jax.Array]:
    """Return the features [B, 128] after ReLU, and the logits [B, 10].

    Args:
        weights: As ``init`` makes them, float32.
        image: [B, 28, 28, 1] in [-1, 1].
        form: Form of the convolution family.
    """
    x = image
    for name, _, stride, _ in (*_LAYERS, ("narrow", 1, 1, _NARROW)):
        kernel, bias = weights[name], weights[name + "_bias"]
        x = convolution.layer(x, kernel, bias, False, stride, _SLOPE, form)
    x = x.reshape(len(x), -1) @ weights["feature"] + weights["feature_bias"]
    feature = jax.nn.relu(x)
    return feature, feature @ weights["logits"] + weights["logits_bias"]


def load(dataset: str) -> Weights:
    """Return the frozen weights of a dataset's network, arrays of float16 for ``see``.

    Raises:
        UserError: There is no network for the dataset, or its file is not the one that is meant.
    """
    if dataset not in known():
        raise UserError(
            f"no feature network for {dataset or 'an unnamed dataset'}; "
            f"expected a --dataset that has one: {', '.join(known())}"
        )
    name = _BORROWED.get(dataset, dataset)
    path = _FOLDER / f"{name}.npz"
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != _SHA256[name]:
        raise UserError(f"{path} is damaged: its SHA-256 is not that in features.py; restore it")
    with np.load(io.BytesIO(content), allow_pickle=False) as kept:
        return {name: kept[name] for name in kept.files}


def see(weights: Weights, image: np.ndarray) -> Seen:
    """Return features and classes of images uint8 [N, 28, 28, 1]."""
    weights = {name: jnp.asarray(value, jnp.float32) for name, value in weights.items()}
    form = convolution.choose_form()  # all forms agree to rounding
    parts = [_see(weights, image[at : at + _BATCH], form) for at in range(0, len(image), _BATCH)]
    return Seen(*(np.concatenate(pieces) for pieces in zip(*parts, strict=True)))


@partial(jax.jit, static_argnames="form")
def _see(weights: Weights, image: jax.Array, form: str) -> Seen:
    with jax.default_matmul_precision("highest"):  # a GPU would round to 10 bits
        feature, logits = apply(weights, normalize(image), form)
    return Seen(feature, jnp.argmax(logits, -1).astype(jnp.int32))
