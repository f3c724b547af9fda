"""oneDNN's convolutions as JAX calls on a CPU: an accelerator, never a requirement.

The library is made by ``jaxgan native`` from the C++ files beside this one. The functions have the
shapes of those in ``jaxgan.gan.convolution``, which gives them their derivatives.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import os
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

_SOURCES = Path(__file__).parent
_CHECKOUT = "tflite_cpp"  # a folder that lies beside the package in a checkout alone
_Shaped: TypeAlias = jax.Array | jax.ShapeDtypeStruct
_CALLS = ("convolve", "input_gradient", "kernel_gradient", "layer", "layer_gradient")


def build_folder() -> Path:
    """Return where the library is built: beside its sources in a checkout, else in a cache folder.

    The user's cache folder has one for each version of the sources and of JAX, as an installed
    package may be read-only, or replaced.
    """
    if (_SOURCES.parents[2] / _CHECKOUT).is_dir():
        return _SOURCES / "build"
    digest = hashlib.sha256()
    for path in sorted(_SOURCES.glob("*.*")):
        digest.update(path.read_bytes())
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    name = f"jax-{jax.__version__}-{digest.hexdigest()[:12]}"
    return Path(base) / "jaxgan" / "native" / name


@functools.cache
def missing() -> str | None:
    """Load the library; return why it cannot be used, None if it can."""
    path = build_folder() / "library" / "libjaxgan_native.so"
    if not path.exists():
        return "it is not built; run: jaxgan native"
    try:
        library = ctypes.CDLL(str(path))
        for name in _CALLS:
            call = jax.ffi.pycapsule(getattr(library, f"jaxgan_{name}"))
            jax.ffi.register_ffi_target(f"jaxgan_{name}", call, platform="cpu")
    except Exception as error:  # noqa: BLE001 of the loader, or of a JAX with another interface
        return f"it does not load ({error}); run: jaxgan native"
    return None


# The calls read memory by the shapes that they are told, so shapes are checked here, when traced.
def convolve(x: jax.Array, kernel: jax.Array, stride: int) -> jax.Array:
    """Return y [B, h, w, D] of x [B, s*h, s*w, C]."""
    return _call("convolve", _halved(x, kernel, stride), x, kernel, stride=stride)


def input_gradient(y: jax.Array, kernel: jax.Array, stride: int) -> jax.Array:
    """Return x [B, s*h, s*w, C] of y [B, h, w, D]."""
    return _call("input_gradient", _doubled(y, kernel, stride), y, kernel, stride=stride)


def kernel_gradient(x: jax.Array, y: jax.Array, size: int, stride: int) -> jax.Array:
    """Return the kernel [size, size, C, D] of x and y."""
    shape = _floats(size, size, x.shape[-1], y.shape[-1])
    _require(_halved(x, shape, stride).shape == y.shape, "x", x, "y", y)
    return _call("kernel_gradient", shape, x, y, stride=stride)


class Layer(NamedTuple):
    """What kind of layer: its map doubles images or halves them; kernel size, stride, slope."""

    doubles: bool
    size: int
    stride: int
    slope: float


def layer(x: jax.Array, kernel: jax.Array, bias: jax.Array, what: Layer) -> jax.Array:
    """Return leaky_relu(map(x, kernel) + bias)."""
    shape = (_doubled if what.doubles else _halved)(x, kernel, what.stride)
    _require(bias.shape == shape.shape[-1:], "kernel", kernel, "bias", bias)
    return _call("layer", shape, x, kernel, bias, **_attributes(what))


def layer_gradient(
    x: jax.Array | None,
    kernel: jax.Array | None,
    result: jax.Array,
    gradient: jax.Array,
    what: Layer,
) -> tuple[jax.Array | None, jax.Array | None, jax.Array]:
    """Return the gradients in a layer's x, kernel and bias, from the gradient in its result.

    Without a kernel there is none in x, without x none in the kernel.
    """
    nothing = jnp.zeros((0, 0, 0, 0))
    d_x = d_kernel = _floats(*nothing.shape)
    if kernel is not None:
        d_x = (_halved if what.doubles else _doubled)(result, kernel, what.stride)
    if x is not None:
        large, small = (result, x) if what.doubles else (x, result)
        d_kernel = _floats(what.size, what.size, large.shape[-1], small.shape[-1])
    found = _call(
        "layer_gradient", (d_x, d_kernel, _floats(result.shape[-1])),
        nothing if x is None else x, nothing if kernel is None else kernel, result, gradient,
        **_attributes(what),
    )  # fmt: skip
    return None if kernel is None else found[0], None if x is None else found[1], found[2]


def _halved(x: jax.Array, kernel: _Shaped, stride: int) -> jax.ShapeDtypeStruct:
    batch, height, width, channels = x.shape
    size, _, large, small = kernel.shape
    fits = height % stride == width % stride == (size - stride) % 2 == 0 and size >= stride
    _require(fits and channels == large, "x", x, "kernel", kernel)
    return _floats(batch, height // stride, width // stride, small)


def _doubled(y: jax.Array, kernel: jax.Array, stride: int) -> jax.ShapeDtypeStruct:
    batch, height, width, channels = y.shape
    size, _, large, small = kernel.shape
    fits = (size - stride) % 2 == 0 and size >= stride
    _require(fits and channels == small, "y", y, "kernel", kernel)
    return _floats(batch, height * stride, width * stride, large)


def _require(fits: bool, name: str, one: _Shaped, other_name: str, other: _Shaped) -> None:
    if not fits:
        raise ValueError(f"{name} {one.shape} does not fit {other_name} {other.shape}")


def _floats(*shape: int) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(shape, jnp.float32)


def _attributes(what: Layer) -> dict[str, Any]:
    return {"doubles": what.doubles, "stride": what.stride, "slope": np.float32(what.slope)}


def _call(name: str, result: Any, *arrays: jax.Array, **attributes: Any) -> Any:
    return jax.ffi.ffi_call(f"jaxgan_{name}", result)(*arrays, **attributes)
