"""InceptionV3 with the weights of the original FID, from a file that a person has.

Szegedy et al. 2015, as in the TensorFlow graph of Heusel et al. 2017 and its port pytorch-fid:
average pools that leave their margin out, a max pool in the last block. FIDs by it can be compared
with published ones, where the resize and the numbers of images are the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Literal, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from jaxgan.errors import UserError
from jaxgan.io.files import read_regular
from jaxgan.metrics import frozen, torch_file

Weights: TypeAlias = Mapping[str, np.ndarray]
Resize: TypeAlias = Literal["clean", "legacy"]

FILE = "pt_inception-2015-12-05-6726825d.pth"
_METHODS = {"clean": "cubic", "legacy": "linear"}
_SIDE = 299  # pixels that the network was made for
_BATCH = 20  # images at a time
_MAX_BYTES = 1 << 28
_LAYERS = 94  # convolutions


def load(path: Path) -> Weights:
    """Return the weights, with every batch normalisation folded into its convolution.

    Args:
        path: The file of pytorch-fid, ``FILE``.

    Raises:
        UserError: It cannot be read, or is another.
    """
    try:
        return folded(torch_file.read(read_regular(path, _MAX_BYTES)))
    except OSError as error:
        raise UserError(f"--inception: cannot read {path}: {error.strerror or error}") from error
    except ValueError as error:
        raise UserError(
            f"--inception: expected pytorch-fid's {FILE}, got {path}: {error}"
        ) from error


def folded(saved: Mapping[str, np.ndarray]) -> Weights:
    """Return kernels [H, W, in, out] and biases [out] by the name of their layer.

    Raises:
        ValueError: It is no InceptionV3.
    """
    ends = ".conv.weight"
    names = [name[: -len(ends)] for name in saved if name.endswith(ends)]
    weights: dict[str, np.ndarray] = {}
    for name in names:
        kernel, bias = frozen.folded(saved, f"{name}.conv", f"{name}.bn")
        weights[name], weights[f"{name}_bias"] = kernel, bias
    if len(names) != _LAYERS or "Mixed_7c.branch_pool" not in weights:
        raise ValueError(f"it has {len(names)} convolutions, expected {_LAYERS}")
    return weights


def see(weights: Weights, image: np.ndarray, resize: Resize) -> np.ndarray:
    """Return features float32 [N, 2048] of images uint8 [N, H, W, 3].

    Args:
        weights: As ``load`` returns them.
        image: Of any size; they are resized to 299x299.
        resize: ``clean``: antialiased bicubic (Parmar et al. 2022); ``legacy``: bilinear without
            antialias, as pytorch-fid does. They differ in FID.
    """
    (feature,) = frozen.in_batches(lambda some: (_see(weights, some, resize),), image, _BATCH)
    return feature


@partial(jax.jit, static_argnames="resize")
def _see(weights: Weights, image: jax.Array, resize: Resize) -> jax.Array:
    shape, clean = (len(image), _SIDE, _SIDE, 3), resize == "clean"
    pixels = image.astype(jnp.float32)
    pixels = jnp.clip(jax.image.resize(pixels, shape, _METHODS[resize], antialias=clean), 0, 255)
    with jax.default_matmul_precision("highest"):  # a GPU would round to 10 bits
        return apply(weights, pixels / 127.5 - 1)


def apply(weights: Weights, image: jax.Array) -> jax.Array:
    """Return features [B, 2048] of images float32 [B, 299, 299, 3] in [-1, 1]."""
    layer = partial(_convolved, weights)
    x = layer("Conv2d_1a_3x3", image, 2)
    x = layer("Conv2d_2b_3x3", layer("Conv2d_2a_3x3", x, padding="VALID"))
    x = _max_pool(x, 2)
    x = layer("Conv2d_4a_3x3", layer("Conv2d_3b_1x1", x), padding="VALID")
    x = _max_pool(x, 2)
    for name in ("Mixed_5b", "Mixed_5c", "Mixed_5d"):
        x = _mixed(layer, name, x, _A)
    x = _reduced(
        layer, "Mixed_6a", x, ("branch3x3", "branch3x3dbl_1 branch3x3dbl_2 branch3x3dbl_3")
    )
    for name in ("Mixed_6b", "Mixed_6c", "Mixed_6d", "Mixed_6e"):
        x = _mixed(layer, name, x, _C)
    x = _reduced(layer, "Mixed_7a", x, (
        "branch3x3_1 branch3x3_2", "branch7x7x3_1 branch7x7x3_2 branch7x7x3_3 branch7x7x3_4",
    ))  # fmt: skip
    x = _mixed(layer, "Mixed_7b", x, _E)
    x = _mixed(layer, "Mixed_7c", x, _E, last=True)
    return jnp.mean(x, (1, 2))


# Branches of a block: layers one after another; those joined by + stand side by side.
_A = ("branch1x1", "branch5x5_1 branch5x5_2", "branch3x3dbl_1 branch3x3dbl_2 branch3x3dbl_3")
_C = (
    "branch1x1",
    "branch7x7_1 branch7x7_2 branch7x7_3",
    "branch7x7dbl_1 branch7x7dbl_2 branch7x7dbl_3 branch7x7dbl_4 branch7x7dbl_5",
)
_E = (
    "branch1x1",
    "branch3x3_1 branch3x3_2a+branch3x3_2b",
    "branch3x3dbl_1 branch3x3dbl_2 branch3x3dbl_3a+branch3x3dbl_3b",
)


def _mixed(
    layer: partial[jax.Array],
    name: str,
    x: jax.Array,
    branches: tuple[str, ...],
    last: bool = False,
) -> jax.Array:
    """Return the outputs of a block's branches, and of a pool, as channels of the same maps."""
    found = []
    for branch in branches:
        y = x
        for step in branch.split():
            y = jnp.concatenate([layer(f"{name}.{one}", y) for one in step.split("+")], -1)
        found.append(y)
    pooled = _max_pool(x, 1) if last else _mean_pool(x)
    return jnp.concatenate([*found, layer(f"{name}.branch_pool", pooled)], -1)


def _reduced(
    layer: partial[jax.Array], name: str, x: jax.Array, branches: tuple[str, ...]
) -> jax.Array:
    """Return a block's maps of half the side: the last layer of each branch has stride 2."""
    found = []
    for branch in branches:
        *before, last = branch.split()
        y = x
        for one in before:
            y = layer(f"{name}.{one}", y)
        found.append(layer(f"{name}.{last}", y, 2))
    return jnp.concatenate([*found, _max_pool(x, 2)], -1)


def _convolved(
    weights: Weights, name: str, x: jax.Array, stride: int = 1, padding: str = "SAME"
) -> jax.Array:
    kernel = jnp.asarray(weights[name])
    y = jax.lax.conv_general_dilated(
        x, kernel, (stride,) * 2, padding if stride == 1 else "VALID",
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )  # fmt: skip
    return jax.nn.relu(y + weights[f"{name}_bias"])


def _max_pool(x: jax.Array, stride: int) -> jax.Array:
    padding = "VALID" if stride > 1 else "SAME"
    window, strides = (1, 3, 3, 1), (1, stride, stride, 1)
    return jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, window, strides, padding)


def _mean_pool(x: jax.Array) -> jax.Array:
    def total(y: jax.Array) -> jax.Array:
        return jax.lax.reduce_window(y, 0.0, jax.lax.add, (1, 3, 3, 1), (1, 1, 1, 1), "SAME")

    return total(x) / total(jnp.ones_like(x[:1, :, :, :1]))
