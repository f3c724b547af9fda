"""The frozen classifiers whose features and classes the metrics compare.

One small CNN per dataset, trained by ``scripts/train_features.py`` on the training images alone and
used for nothing but measuring. Numbers from different networks cannot be compared, so a network's
weights are pinned by their SHA-256.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from jaxgan.errors import UserError
from jaxgan.gan import convolution
from jaxgan.gan.step import normalize

Weights: TypeAlias = Mapping[str, jax.Array | np.ndarray]

SIZE = 128  # of the feature vector, which is the layer before the logits
IMAGE_SHAPE = (28, 28, 1)  # of the images that a network takes
_FOLDER = Path(__file__).parent / "weights"
_BATCH = 500  # images at a time
# name, kernel size, stride, channels: 28x28 → 14x14 → 7x7
_LAYERS = (("a", 3, 1, 16), ("b", 4, 2, 32), ("c", 3, 1, 64), ("d", 4, 2, 64), ("e", 3, 1, 64))
_NARROW = 16  # channels that a 1x1 convolution leaves for the dense layer
_SLOPE = 0.01  # of leaky ReLU between the convolutions


class _Network(NamedTuple):
    """Which network a dataset's images are measured with.

    Attributes:
        file: Name of its weights, without the suffix.
        channelwise: Whether it sees each colour channel as an image of its own. What is measured
            then are the combinations of their classes.
    """

    file: str
    channelwise: bool = False


_NETWORKS = {
    "mnist": _Network("mnist"),
    "fashion_mnist": _Network("fashion_mnist"),
    "stacked_mnist": _Network("mnist", channelwise=True),
}
_SHA256 = {
    "mnist": "fd6f3122f3ae968a503557c203a5bdf87ab23c63f0ba53b1a232ac4890258f3b",
    "fashion_mnist": "e556ad1f7669182217e145e15d3fad3fa0b688e751af78e1073f78399fb09939",
}


class Seen(NamedTuple):
    """What a network computes of images.

    Attributes:
        feature: float32 [N, 128], at least 0.
        label: The most likely class, int32 [N].
    """

    feature: np.ndarray
    label: np.ndarray


def known() -> tuple[str, ...]:
    """Return the names of the datasets that have a network of their own."""
    return tuple(_NETWORKS)


def is_channelwise(dataset: str) -> bool:
    """Return whether a dataset's network sees each colour channel as an image of its own."""
    return dataset in _NETWORKS and _NETWORKS[dataset].channelwise


def network(dataset: str) -> str:
    """Return the name of a dataset's network.

    Raises:
        UserError: There is no network for the dataset.
    """
    return _network(dataset).file


def load(dataset: str) -> Weights:
    """Return the frozen weights of a dataset's network, arrays of float16 for ``see``.

    Raises:
        UserError: There is no network for the dataset, or its file is not the one that is pinned.
    """
    name = _network(dataset).file
    path = _FOLDER / f"{name}.npz"
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}; restore it") from error
    if hashlib.sha256(content).hexdigest() != _SHA256[name]:
        raise UserError(f"{path} is damaged: its SHA-256 is not that in features.py; restore it")
    with np.load(io.BytesIO(content), allow_pickle=False) as kept:
        return {name: kept[name] for name in kept.files}


def _network(dataset: str) -> _Network:
    if dataset not in _NETWORKS:
        raise UserError(
            f"no feature network for {dataset or 'an unnamed dataset'}; "
            f"expected a --dataset that has one: {', '.join(known())}"
        )
    return _NETWORKS[dataset]


def class_count(weights: Weights) -> int:
    """Return the number of classes that a network distinguishes."""
    return int(weights["logits"].shape[1])


def init(key: jax.Array, classes: int) -> dict[str, jax.Array]:
    """Return the weights of an untrained network (He et al. 2015)."""
    kernels = {name: (size, size, channels) for name, size, _, channels in _LAYERS}
    kernels["narrow"] = (1, 1, _NARROW)
    shapes: dict[str, tuple[int, ...]] = {}
    inputs = IMAGE_SHAPE[2]
    for name, (height, width, outputs) in kernels.items():
        shapes[name] = (height, width, inputs, outputs)
        inputs = outputs
    shapes |= {"feature": (7 * 7 * _NARROW, SIZE), "logits": (SIZE, classes)}
    weights = {}
    for (name, shape), one in zip(shapes.items(), jax.random.split(key, len(shapes)), strict=True):
        fan_in = np.prod(shape[:-1])
        weights[name] = jax.random.normal(one, shape) * (2 / fan_in) ** 0.5
        weights[name + "_bias"] = jnp.zeros(shape[-1])
    return weights


def apply(
    weights: Mapping[str, jax.Array], image: jax.Array, backend: str
) -> tuple[jax.Array, jax.Array]:
    """Return the features [B, 128] after ReLU, and the logits [B, K] of K classes.

    Args:
        weights: As ``init`` makes them, float32.
        image: [B, 28, 28, 1] in [-1, 1].
        backend: Backend of the convolutions.
    """
    x = image
    for name, _, stride, _ in (*_LAYERS, ("narrow", 1, 1, _NARROW)):
        kernel, bias = weights[name], weights[name + "_bias"]
        x = convolution.layer(x, kernel, bias, False, stride, _SLOPE, backend)
    x = x.reshape(len(x), -1) @ weights["feature"] + weights["feature_bias"]
    feature = jax.nn.relu(x)
    return feature, feature @ weights["logits"] + weights["logits_bias"]


def see(weights: Weights, image: np.ndarray) -> Seen:
    """Return features and classes of images uint8 [N, 28, 28, 1]."""
    arrays = {name: jnp.asarray(value, jnp.float32) for name, value in weights.items()}
    backend = convolution.choose_backend()  # all backends agree to rounding
    parts = [_see(arrays, image[at : at + _BATCH], backend) for at in range(0, len(image), _BATCH)]
    features, labels = zip(*parts, strict=True)
    return Seen(np.concatenate(features), np.concatenate(labels))


@partial(jax.jit, static_argnames="backend")
def _see(
    weights: Mapping[str, jax.Array], image: jax.Array, backend: str
) -> tuple[jax.Array, jax.Array]:
    with jax.default_matmul_precision("highest"):  # a GPU would round to 10 bits
        feature, logits = apply(weights, normalize(image), backend)
    return feature, jnp.argmax(logits, -1).astype(jnp.int32)
