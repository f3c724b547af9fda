"""Images as people and files hold them: uint8, grids, PNG with text, animations."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from jaxgan.io import png
from jaxgan.io.files import write_whole

_FRAME = 50  # milliseconds


def to_uint8(images: np.ndarray) -> np.ndarray:
    """Return float images in [-1, 1] as uint8, rounded to the nearest of 256 levels.

    Values outside are clipped, not-a-number is black. The C++ library does the same (``to_level``).
    """
    finite = np.clip(np.nan_to_num(images, nan=-1.0), -1.0, 1.0)
    levels: np.ndarray = np.rint((finite + 1.0) * 127.5).astype(np.uint8)
    return levels


def grid(images: np.ndarray, columns: int) -> np.ndarray:
    """Return images uint8 [N, H, W, C] as one, row by row, [rows*H, columns*W, C].

    Places that are left over in the last row stay 0 (black).
    """
    height, width, channels = images.shape[1:]
    picture = png.grid(images.tobytes(), (height, width, channels), columns)
    return np.frombuffer(picture.levels, np.uint8).reshape(picture.height, -1, channels)


def encode_png(image: np.ndarray, text: Mapping[str, str] | None = None) -> bytes:
    """Return a uint8 image [H, W, 1 or 3] as the bytes of a PNG file.

    Args:
        image: The image.
        text: Keyword → text in Latin-1, written in this order as tEXt chunks right after IHDR.
    """
    height, width, channels = image.shape
    return png.encode(png.Picture(image.tobytes(), height, width, channels), text or {})


def write_png(path: Path, image: np.ndarray, text: Mapping[str, str] | None = None) -> None:
    """Write what ``encode_png`` returns, whole or not at all.

    Raises:
        OutputError: The file cannot be written.
    """
    write_whole(path, encode_png(image, text))


def encode_animation(frames: np.ndarray, kind: str, text: Mapping[str, str]) -> bytes:
    """Return images as an endless animation of 20 a second.

    Equal frames that follow each other are stored as one that stays for longer.

    Args:
        frames: uint8 [N, H, W, 1 or 3].
        kind: ``GIF``, whose frames have at most 256 colours each, or ``PNG`` (APNG).
        text: As for ``encode_png``; a GIF has none.
    """
    from PIL import Image, PngImagePlugin  # takes 50 ms, and a PNG needs none

    pictures = [Image.fromarray(one[..., 0] if one.shape[-1] == 1 else one) for one in frames]
    more: dict[str, Any] = {}
    if kind == "PNG":
        chunks = more["pnginfo"] = PngImagePlugin.PngInfo()
        for keyword, value in text.items():
            chunks.add_text(keyword, value)
    content = io.BytesIO()
    pictures[0].save(
        content, kind, save_all=True, append_images=pictures[1:], duration=_FRAME, loop=0, **more
    )
    return content.getvalue()
