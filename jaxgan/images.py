"""Images as people and files hold them: uint8, grids, PNG with text, animations."""

from __future__ import annotations

import io
import re
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from jaxgan.errors import UserError
from jaxgan.files import read_regular, write_whole

_MOST_PIXELS = 1_000_000  # a side; libpng's own bound
_MOST_BYTES = 1 << 30  # of a PNG to describe, as C++ has it
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_FRAME = 50  # milliseconds


def to_uint8(images: np.ndarray) -> np.ndarray:
    """Return float images in [-1, 1] as uint8, rounded to the nearest of 256 levels.

    Values outside are clipped, not-a-number is black. C++ repeats this (``to_level``).
    """
    finite = np.nan_to_num(images, nan=-1.0)
    return np.rint((np.clip(finite, -1.0, 1.0) + 1.0) * 127.5).astype(np.uint8)


def grid(images: np.ndarray, columns: int) -> np.ndarray:
    """Return images [N, H, W, C] as one, row by row, [rows*H, columns*W, C].

    Places that are left over in the last row stay 0 (black).
    """
    count, height, width, channels = images.shape
    rows = -(-count // columns)
    sheet = np.zeros((rows * columns, height, width, channels), images.dtype)
    sheet[:count] = images
    sheet = sheet.reshape(rows, columns, height, width, channels).transpose(0, 2, 1, 3, 4)
    return sheet.reshape(rows * height, columns * width, channels)


def check_grid(shape: tuple[int, ...], count: int, columns: int) -> None:
    """Raise ``UserError`` where a grid would be larger than a PNG can be, as C++ does."""
    rows = -(-count // columns)
    height, width = rows * shape[0], columns * shape[1]
    if max(height, width) > _MOST_PIXELS:
        raise UserError(
            f"--columns: {count} images in {columns} columns make a picture of {width}x{height} "
            f"pixels, expected at most {_MOST_PIXELS} a side"
        )


def encode_png(image: np.ndarray, text: Mapping[str, str] | None = None) -> bytes:
    """Return a uint8 image [H, W, 1 or 3] as the bytes of a PNG file.

    Args:
        image: The image.
        text: Keyword → text in Latin-1, written in this order as tEXt chunks right after IHDR.
    """
    content = io.BytesIO()
    _picture(image).save(content, "PNG", pnginfo=_chunks(text or {}))
    return content.getvalue()


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
    first, *others = map(_picture, frames)
    content = io.BytesIO()
    more = {"pnginfo": _chunks(text)} if kind == "PNG" else {}
    first.save(content, kind, save_all=True, append_images=others, duration=_FRAME, loop=0, **more)
    return content.getvalue()


def _picture(image: np.ndarray) -> Image.Image:
    return Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)


def _chunks(text: Mapping[str, str]) -> PngInfo:
    chunks = PngInfo()
    for keyword, value in text.items():
        chunks.add_text(keyword, value)
    return chunks


def read_text(path: Path) -> list[tuple[str, str]]:
    """Return the keywords and texts of a PNG file's tEXt chunks, in order.

    Bytes that are no printable ASCII are given as ``\\x1b``, so that a line stays one.

    Raises:
        UserError: The file cannot be read, is no PNG, is damaged, or names no jaxgan model.
    """
    try:
        content = read_regular(path, _MOST_BYTES)
    except OSError as error:
        raise UserError(f"--describe: cannot read {path}: {error.strerror}") from error
    if not content.startswith(_SIGNATURE):
        raise UserError(f"--describe: {path} is no PNG file")
    try:
        text = [data.partition(b"\0") for kind, data in _read_chunks(content) if kind == b"tEXt"]
    except ValueError as error:
        raise UserError(f"--describe: {path} is damaged: {error}") from error
    shown = [(_printable(keyword), _printable(value)) for keyword, _, value in text]
    if not any(keyword.startswith("jaxgan.") for keyword, _ in shown):
        raise UserError(
            f"--describe: {path} names no jaxgan model; expected a PNG of jaxgan's generate"
        )
    return shown


def _read_chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield (type, data) of each chunk up to IEND; ``ValueError`` where one is not as written."""
    at, kind = len(_SIGNATURE), b""
    while kind != b"IEND":
        length = int.from_bytes(content[at : at + 4], "big")
        body, end = content[at + 4 : at + 8 + length], at + 12 + length
        if end > len(content):
            raise ValueError("it ends too early")
        if zlib.crc32(body) != int.from_bytes(content[end - 4 : end], "big"):
            raise ValueError(f"the check sum of a chunk at byte {at} is wrong")
        at, kind = end, body[:4]
        yield kind, body[4:]


def _printable(text: bytes) -> str:
    return re.sub(rb"[^ -~]", lambda byte: b"\\x%02x" % byte[0][0], text).decode("ascii")
