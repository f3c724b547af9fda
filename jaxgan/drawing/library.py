"""The C++ library by ctypes: where it is found, what its functions take, what its errors become.

The other side is ``tflite_cpp/include/jaxgan/c.h``. Nothing is loaded at import, and no NumPy is
needed: arrays are given as addresses.
"""

from __future__ import annotations

import ctypes
import functools
import importlib.util
import os
import sys
from collections.abc import Iterator, Sequence
from ctypes import POINTER, c_char, c_char_p, c_double, c_int32, c_size_t, c_void_p
from pathlib import Path
from typing import Any

from jaxgan.errors import JaxganError, LibraryError, ModelError, UserError

VERSION = 2  # of the C interface
_NAMES = {"darwin": "libjaxgan.dylib", "win32": "jaxgan.dll"}
_RUNTIMES = {"darwin": "libLiteRt.dylib", "win32": "libLiteRt.dll"}
_RUNTIME_PACKAGE = "ai_edge_litert"
_ERRORS: dict[int, type[JaxganError]] = {2: UserError, 3: ModelError, 4: LibraryError}
_NO_MEMORY = 5


class Error(ctypes.Structure):
    """``jaxgan_error``: one line."""

    _fields_ = [("message", c_char * 1024)]


class Options(ctypes.Structure):
    """``jaxgan_options``: how a model is run."""

    _fields_ = [("threads", c_int32), ("verbose", c_int32), ("runtime", c_char_p)]


class Info(ctypes.Structure):
    """``jaxgan_info``: what a generator takes and gives."""

    _fields_ = [
        ("height", c_int32), ("width", c_int32), ("channels", c_int32), ("latent_size", c_int32),
        ("classes", c_int32), ("bytes", c_size_t), ("load_seconds", c_double),
        ("compile_seconds", c_double),
    ]  # fmt: skip


class Tensor(ctypes.Structure):
    """``jaxgan_tensor``: an input or output of a signature."""

    _fields_ = [
        ("name", c_char_p), ("type", c_char_p), ("rank", c_size_t), ("dimensions", POINTER(c_int32))
    ]  # fmt: skip


class Signature(ctypes.Structure):
    """``jaxgan_signature``: a function of a model file."""

    _fields_ = [
        ("name", c_char_p), ("input_count", c_size_t), ("inputs", POINTER(Tensor)),
        ("output_count", c_size_t), ("outputs", POINTER(Tensor)),
    ]  # fmt: skip


class Sampling(ctypes.Structure):
    """``jaxgan_sampling``: options as text, null where one is not given."""

    _fields_ = [
        (name, c_char_p)
        for name in ("seed", "count", "seeds", "label", "latents", "truncation", "interpolate")
    ]


class SampleView(ctypes.Structure):
    """``jaxgan_sample_view``: what is drawn. Arrays are addresses, see ``sampling.Sample``."""

    _fields_ = [
        ("count", c_size_t), ("latents", c_void_p), ("labels", c_void_p),
        ("target_labels", c_void_p), ("weights", c_void_p), ("columns", c_size_t),
        ("text_count", c_size_t), ("keywords", POINTER(c_char_p)), ("texts", POINTER(c_char_p)),
    ]  # fmt: skip


_FUNCTIONS: dict[str, tuple[Any, list[Any]]] = {
    "jaxgan_verify": (c_int32, [c_void_p, c_size_t, c_char_p, c_void_p]),
    "jaxgan_open": (c_int32, [c_char_p, POINTER(Options), POINTER(c_void_p), c_void_p]),
    "jaxgan_open_content": (
        c_int32, [c_char_p, c_size_t, c_char_p, POINTER(Options), POINTER(c_void_p), c_void_p],
    ),
    "jaxgan_close": (None, [c_void_p]),
    "jaxgan_describe": (Info, [c_void_p]),
    "jaxgan_signatures": (POINTER(Signature), [c_void_p, POINTER(c_size_t)]),
    "jaxgan_metadata": (c_void_p, [c_void_p, c_char_p, POINTER(c_size_t)]),
    "jaxgan_sha256": (c_char_p, [c_void_p]),
    "jaxgan_runtime": (c_int32, [POINTER(Options), c_char_p, c_size_t, c_void_p]),
    "jaxgan_draw": (c_int32, [c_void_p, c_void_p, c_void_p, c_size_t, c_void_p, c_void_p]),
    "jaxgan_draw_between": (
        c_int32, [c_void_p, c_void_p, c_void_p, c_void_p, c_void_p, c_size_t, c_void_p, c_void_p],
    ),
    "jaxgan_to_levels": (None, [c_void_p, c_size_t, c_size_t, c_void_p]),
    "jaxgan_latents": (None, [c_void_p, c_void_p, c_size_t, c_size_t, c_double, c_void_p]),
    "jaxgan_choose": (
        c_int32,
        [POINTER(Sampling), c_size_t, c_int32, c_char_p, POINTER(c_void_p), c_void_p],
    ),
    "jaxgan_find_class": (c_int32, [c_char_p, c_int32, c_char_p, POINTER(c_int32), c_void_p]),
    "jaxgan_view": (SampleView, [c_void_p]),
    "jaxgan_free": (None, [c_void_p]),
    "jaxgan_draw_sample": (c_int32, [c_void_p, c_void_p, c_void_p, c_void_p]),
}  # fmt: skip


@functools.cache
def load() -> ctypes.CDLL:
    """Return the library, loaded once, with the types of its functions.

    Raises:
        LibraryError: It is not there, cannot be loaded, or is of another version.
    """
    path = find()
    try:
        library = ctypes.CDLL(str(path))
        library.jaxgan_c_version.restype = c_int32
        version = library.jaxgan_c_version()
        if version == VERSION:
            for name, (result, arguments) in _FUNCTIONS.items():
                function = getattr(library, name)
                function.restype, function.argtypes = result, arguments
    except (OSError, AttributeError) as error:
        raise LibraryError(f"{path} cannot be loaded: {error}; rebuild it: make library") from error
    if version != VERSION:
        raise LibraryError(
            f"{path}: expected version {VERSION} of its C interface, got {version}; "
            "rebuild it: make library"
        )
    return library


def find() -> Path:
    """Return the library's file.

    Raises:
        LibraryError: There is none.
    """
    found = next((path for path in _places() if path.is_file()), None)
    if found is None:
        raise LibraryError(
            f"the C++ library {_file()} is not built; run: make library (in a checkout), or "
            "pip install jaxgan"
        )
    return found


def _file() -> str:
    return _NAMES.get(sys.platform, "libjaxgan.so")


def _places() -> Iterator[Path]:
    """Yield where the library may be: a wheel, an editable install, a checkout."""
    here = Path(__file__).parent
    yield here / _file()
    # Not by importlib.metadata, which takes longer to import than a picture takes to draw.
    yield from (Path(folder) / "jaxgan" / "drawing" / _file() for folder in sys.path)
    yield here.parent.parent / "tflite_cpp" / "build" / "release" / _file()


def find_runtime() -> Path:
    """Return the file of LiteRT's library, which is not loaded for that, nor its package imported.

    Raises:
        LibraryError: It is not installed.
    """
    package = importlib.util.find_spec(_RUNTIME_PACKAGE)
    for folder in (package and package.submodule_search_locations) or ():
        path = Path(folder) / _RUNTIMES.get(sys.platform, "libLiteRt.so")
        if path.is_file():
            return path
    raise LibraryError("the LiteRT runtime is not installed; run: pip install ai-edge-litert")


def options(threads: int) -> Options:
    """Return the options to open a model with."""
    return Options(threads, 0, os.fsencode(find_runtime()))


def encoded(text: str, name: str) -> bytes:
    """Return a text as the library takes it: UTF-8 that ends where Python's does.

    Raises:
        UserError: There is a zero within it.
    """
    content = os.fsencode(text)
    if b"\0" in content:
        raise UserError(f"{name}: expected no zero byte, got {text!r}")
    return content


def lines(names: Sequence[str]) -> bytes | None:
    """Return names of classes as the library takes them; None where there are none."""
    return "\n".join(names).encode() if names else None


def decoded(content: bytes) -> str:
    """Return a text of the library; bytes that are no UTF-8 are shown as ``\\xff``."""
    return content.decode(errors="backslashreplace")


def call(function: Any, *arguments: Any) -> None:
    """Call a function that returns a status and takes a place for its error at the end.

    Raises:
        UserError: The arguments are wrong.
        ModelError: The file is no generator, or does not run.
        LibraryError: The runtime is missing or too old.
        MemoryError: There is not enough memory.
        JaxganError: The library has a fault.
    """
    error = Error()
    status = function(*arguments, ctypes.byref(error))
    if status == 0:
        return
    message = decoded(error.message)
    if status == _NO_MEMORY:
        raise MemoryError(message)
    raise _ERRORS.get(status, JaxganError)(message)
