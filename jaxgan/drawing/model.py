"""A .tflite file opened by the C++ library, with bytes and addresses in place of arrays.

``generator.Generator`` is this with NumPy's arrays, which take longer to import than a picture
takes to draw.
"""

from __future__ import annotations

import ctypes
import os
import threading
import weakref
from typing import Any, NamedTuple

from jaxgan.config import MAX_THREADS
from jaxgan.drawing import library
from jaxgan.drawing.sampling import Sample
from jaxgan.errors import UserError

# Entries of the metadata that a conversion writes.
METADATA = (
    "version", "revision", "dataset", "seed", "step", "latent_size", "classes", "image_shape",
    "quantization", "report",
)  # fmt: skip
_MAX_TEXT = 4096  # bytes of the runtime's name and path


class TensorInfo(NamedTuple):
    """An input or output: its dtype, such as ``float32``, and its shape."""

    dtype: str
    shape: tuple[int, ...]


class SignatureInfo(NamedTuple):
    """A function of the file, such as ``generate_64``: its inputs and outputs by their names."""

    name: str
    inputs: dict[str, TensorInfo]
    outputs: dict[str, TensorInfo]


class Model:
    """A generator of the C++ library. One thread draws at a time, others wait.

    Attributes:
        image_shape: Height, width and channels of an image.
        latent_size: Length of a latent vector.
        classes: Number of classes; 0 for a plain GAN.
        class_names: Of the classes; () where they have numbers alone.
        bytes: Size of the file.
    """

    def __init__(
        self, path: str | os.PathLike[str], content: bytes | None = None, threads: int = 1
    ) -> None:
        """Open a file, or the bytes of one, for which the path stands in messages.

        Raises:
            UserError: The number of threads is none.
            ModelError: It is no generator.
            LibraryError: The C++ library or the LiteRT runtime is missing.
        """
        if not 1 <= threads <= MAX_THREADS:
            raise UserError(f"threads: expected 1 to {MAX_THREADS}, got {threads}")
        self._library, self._options = library.load(), library.options(threads)
        self._lock = threading.RLock()
        name, handle = library.encoded(os.fspath(path), "path"), ctypes.c_void_p()
        places = ctypes.byref(self._options), ctypes.byref(handle)
        if content is None:
            library.call(self._library.jaxgan_open, name, *places)
        else:
            library.call(self._library.jaxgan_open_content, content, len(content), name, *places)
        self._handle: int | None = handle.value
        self._close = weakref.finalize(self, self._library.jaxgan_close, handle.value)
        self._close.atexit = False  # the process gives the memory back by itself
        info = self._library.jaxgan_describe(self._handle)
        self.image_shape: tuple[int, int, int] = (info.height, info.width, info.channels)
        self.latent_size: int = info.latent_size
        self.classes: int = info.classes
        names = self.metadata("class_names") if self.classes else None
        self.class_names: tuple[str, ...] = tuple(names.split("\n")) if names else ()
        self.bytes: int = info.bytes

    def close(self) -> None:
        """Give the model's memory back. Drawing raises ``UserError`` from then on."""
        with self._lock:
            self._handle = None
            self._close()

    def call(self, function: str, *arguments: Any) -> None:
        """Call a function of the library that takes the generator first (see ``library.call``)."""
        with self._lock:
            library.call(getattr(self._library, function), self._open(), *arguments)

    def _open(self) -> int:
        if self._handle is None:
            raise UserError("the generator is closed; open the file again")
        return self._handle

    def draw_sample(self, sample: Sample) -> bytearray:
        """Draw a sample.

        Returns:
            Levels uint8 [N, H, W, C].

        Raises:
            UserError: It was chosen for another kind of model.
            ModelError: The model does not run, or cannot mix classes.
            MemoryError: There is not enough memory.
        """
        height, width, channels = self.image_shape
        levels = bytearray(sample.count * height * width * channels)
        place = (ctypes.c_uint8 * len(levels)).from_buffer(levels)
        self.call("jaxgan_draw_sample", sample.handle, ctypes.addressof(place))
        return levels

    def sha256(self) -> str:
        """Return the SHA-256 of the file, 64 lower-case hexadecimal digits."""
        with self._lock:
            return library.decoded(self._library.jaxgan_sha256(self._open()))

    def metadata(self, name: str) -> str | None:
        """Return an entry of the metadata; None if there is none."""
        size = ctypes.c_size_t()
        with self._lock:
            place = self._library.jaxgan_metadata(self._open(), name.encode(), ctypes.byref(size))
            return None if place is None else library.decoded(ctypes.string_at(place, size.value))

    def signatures(self) -> tuple[SignatureInfo, ...]:
        """Return the file's signatures."""
        count = ctypes.c_size_t()
        with self._lock:
            found = self._library.jaxgan_signatures(self._open(), ctypes.byref(count))
            return tuple(
                SignatureInfo(
                    library.decoded(one.name),
                    _tensors(one.inputs, one.input_count),
                    _tensors(one.outputs, one.output_count),
                )
                for one in found[: count.value]
            )

    def runtime(self) -> str:
        """Return the name and file of what runs the model: ``LiteRT, /path/libLiteRt.so``."""
        text = ctypes.create_string_buffer(_MAX_TEXT)
        library.call(self._library.jaxgan_runtime, ctypes.byref(self._options), text, _MAX_TEXT)
        return library.decoded(text.value)


def _tensors(found: Any, count: int) -> dict[str, TensorInfo]:
    return {
        library.decoded(one.name): TensorInfo(
            library.decoded(one.type), tuple(one.dimensions[: one.rank])
        )
        for one in found[:count]
    }
