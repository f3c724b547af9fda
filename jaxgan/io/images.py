"""Images as people and files hold them: uint8, grids, PNG with text, animations."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxgan.io import png
from jaxgan.io.files import write_whole

_FRAME = 50  # milliseconds
_LETTER, _GAP, _MAX_MARGIN = 11, 4, 152  # pixels: of captions
_SQUARE = 8  # pixels a side, of a checkerboard
_SQUARES = 255, 204  # its levels, as image editors have them


def to_uint8(images: np.ndarray) -> np.ndarray:
    """Return float images in [-1, 1] as uint8, rounded to the nearest of 256 levels.

    Values outside are clipped, not-a-number is black. Of 4 channels, the colours are divided by
    their alpha before they are rounded, once; a pixel whose alpha is 0 is black. The C++ library
    gives the same bits (``to_levels``).

    Args:
        images: [..., C]; C = 4 are red, green and blue premultiplied by the alpha that follows.

    Returns:
        uint8 [..., C]; C = 4 are straight RGBA, as a PNG has them.
    """
    floats = np.nan_to_num(np.asarray(images, np.float32), nan=-1.0)
    shares = np.clip(floats, -1.0, 1.0) + 1  # 0 to 2
    levels: np.ndarray = np.rint(shares * 127.5).astype(np.uint8)
    if images.shape[-1] != 4:
        return levels
    alpha, colours = shares[..., 3:], shares[..., :3]
    visible = levels[..., 3:] > 0
    straight = np.minimum(np.divide(colours, alpha, out=np.zeros_like(colours), where=visible), 1)
    levels[..., :3] = np.rint(straight * 255)
    return levels


def premultiply(levels: np.ndarray) -> np.ndarray:
    """Return straight RGBA, uint8 [..., 4], with colours times alpha / 255, rounded."""
    made = levels.copy()
    products = levels[..., :3].astype(np.uint16) * levels[..., 3:]
    made[..., :3] = (products + 127) // 255
    return made


def over(premultiplied: np.ndarray, background: int | np.ndarray) -> np.ndarray:
    """Return premultiplied images on a background.

    Args:
        premultiplied: uint8 [..., H, W, 4].
        background: Grey level 0 to 255, or uint8 levels that broadcast to [..., H, W, 3].

    Returns:
        uint8 [..., H, W, 3].
    """
    rest = (255 - premultiplied[..., 3:]).astype(np.uint16)
    seen = premultiplied[..., :3] + (rest * np.asarray(background, np.uint8) + 127) // 255
    return np.minimum(seen, 255).astype(np.uint8)


def checkerboard(premultiplied: np.ndarray) -> np.ndarray:
    """Return premultiplied images [..., H, W, 4] on squares of two greys, uint8 [..., H, W, 3]."""
    row, column = np.indices(premultiplied.shape[-3:-1]) // _SQUARE
    squares = np.where((row + column) % 2 == 0, *_SQUARES).astype(np.uint8)
    return over(premultiplied, squares[..., None])


def grid(images: np.ndarray, columns: int) -> np.ndarray:
    """Return images uint8 [N, H, W, C] as one, row by row, [rows*H, columns*W, C].

    Places that are left over in the last row stay 0: black, or transparent.
    """
    height, width, channels = images.shape[1:]
    picture = png.grid(images.tobytes(), (height, width, channels), columns)
    return np.frombuffer(picture.levels, np.uint8).reshape(picture.height, -1, channels)


def captioned(sheet: np.ndarray, names: Sequence[str]) -> np.ndarray:
    """Return a sheet with a name to the left of each of its rows, in white on black.

    Args:
        sheet: uint8 [rows*H, W, 1 or 3].
        names: One a row; what a margin of 160 pixels cannot hold is cut.

    Returns:
        uint8 [rows*H, W + margin, 1 or 3].
    """
    from PIL import Image, ImageDraw, ImageFont  # takes 50 ms, and most sheets need none

    height, mode = len(sheet) // len(names), "L" if sheet.shape[-1] == 1 else "RGB"
    font = ImageFont.load_default(_LETTER)
    margin = 2 * _GAP + min(_MAX_MARGIN, round(max(map(font.getlength, names))))
    picture = Image.new(mode, (margin, len(sheet)))
    draw = ImageDraw.Draw(picture)
    for row, name in enumerate(names):
        middle = row * height + height // 2
        draw.text((_GAP, middle), name, fill="white", font=font, anchor="lm")
    left = np.asarray(picture).reshape(len(sheet), margin, -1)
    return np.concatenate([left, sheet], 1)


def encode_png(image: np.ndarray, text: Mapping[str, str] | None = None) -> bytes:
    """Return a uint8 image [H, W, 1, 3 or 4] as the bytes of a PNG file.

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

    Equal frames that follow each other are stored as one that stays for longer. An APNG keeps
    alpha. A GIF has none but on and off, so its images stand on white.

    Args:
        frames: uint8 [N, H, W, 1, 3 or 4].
        kind: ``GIF``, whose frames have at most 256 colours each, or ``PNG`` (APNG).
        text: As for ``encode_png``; a GIF has none.
    """
    from PIL import Image, PngImagePlugin  # takes 50 ms, and a PNG needs none

    if kind == "GIF" and frames.shape[-1] == 4:
        frames = over(premultiply(frames), 255)
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
