"""What to draw: options as text → latent vectors and labels. The C++ library reads the options."""

from __future__ import annotations

import ctypes
import functools
import weakref
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from jaxgan.drawing import library

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Sampling:
    """The options of ``jaxgan generate`` of the same names, as text; None where not given."""

    seed: str | None = None
    count: str | None = None
    seeds: str | None = None
    label: str | None = None
    latents: str | None = None
    truncation: str | None = None
    interpolate: str | None = None


class _Memory:
    """A sample of the C++ library, freed when neither a ``Sample`` nor an array needs it."""

    def __init__(self, handle: int) -> None:
        self.handle = handle
        weakref.finalize(self, library.load().jaxgan_free, handle).atexit = False


class Sample:
    """Images to draw: their latent vectors, labels, and how they were chosen.

    Attributes:
        count: N, number of images.
        columns: Images in a row of their grid, unless an option says another number.
        texts: Keyword → text for their PNG: how they were chosen.
        latent_size: Z, length of a latent vector.
    """

    def __init__(self, handle: int, latent_size: int) -> None:
        """Take over a sample of the C++ library."""
        self._memory, self.latent_size = _Memory(handle), latent_size
        self._view = library.load().jaxgan_view(handle)
        self.count: int = self._view.count
        self.columns: int = self._view.columns
        self.texts: dict[str, str] = {
            library.decoded(self._view.keywords[index]): library.decoded(self._view.texts[index])
            for index in range(self._view.text_count)
        }

    @property
    def handle(self) -> int:
        """Of the C++ library."""
        return self._memory.handle

    @functools.cached_property
    def latents(self) -> np.ndarray:
        """Latent vectors, float32 [N, Z], read-only."""
        values = self._array(self._view.latents, ctypes.c_float, self.count * self.latent_size)
        return values.reshape(self.count, self.latent_size)

    @functools.cached_property
    def labels(self) -> np.ndarray | None:
        """Classes int32 [N], read-only; None for a model without classes."""
        return self._optional(self._view.labels, ctypes.c_int32)

    @functools.cached_property
    def target_labels(self) -> np.ndarray | None:
        """Classes to mix in int32 [N], those of ``labels`` where nothing is mixed; or None."""
        return self._optional(self._view.target_labels, ctypes.c_int32)

    @functools.cached_property
    def weights(self) -> np.ndarray | None:
        """Weights of ``target_labels``, float32 [N] from 0 to 1; or None."""
        return self._optional(self._view.weights, ctypes.c_float)

    def _optional(self, address: int | None, kind: Any) -> np.ndarray | None:
        return None if address is None else self._array(address, kind, self.count)

    def _array(self, address: int, kind: Any, size: int) -> np.ndarray:
        import numpy as np  # drawing to a PNG needs none

        place = (kind * size).from_address(address)
        place.owner = self._memory  # an array keeps its memory alive
        array = np.frombuffer(place, kind)
        array.flags.writeable = False
        return array


def choose(options: Sampling, latent_size: int, classes: int, names: Sequence[str] = ()) -> Sample:
    """Return what options choose.

    Args:
        options: What was asked for.
        latent_size: Z of the generator, 1 to 65,536.
        classes: How many it has; 0 for a plain GAN.
        names: Of the classes; () where they have numbers alone.

    Raises:
        UserError: An option is wrong, contradicts another, or does not fit the generator.
        MemoryError: There is not enough memory.
    """
    texts = [
        None if text is None else library.encoded(text, f"--{name}")
        for name, text in ((one.name, getattr(options, one.name)) for one in fields(options))
    ]
    handle = ctypes.c_void_p()
    library.call(
        library.load().jaxgan_choose,
        ctypes.byref(library.Sampling(*texts)), latent_size, classes, library.lines(names),
        ctypes.byref(handle),
    )  # fmt: skip
    assert handle.value is not None
    return Sample(handle.value, latent_size)


def find_class(text: str, classes: int, names: Sequence[str] = ()) -> int:
    """Return the class that a person means.

    Args:
        text: Its name, with another case where that is one class alone, or its number.
        classes: How many there are.
        names: Of the classes; () where they have numbers alone.

    Raises:
        UserError: It is none; the message has the name that it is closest to.
    """
    label = ctypes.c_int32()
    library.call(
        library.load().jaxgan_find_class,
        library.encoded(text, "the name of a class"), classes, library.lines(names),
        ctypes.byref(label),
    )  # fmt: skip
    return label.value
