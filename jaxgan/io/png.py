"""Levels → the bytes of a PNG file with text, and its text back. The standard library alone."""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from jaxgan.errors import UserError

MAX_SIDE = 1_000_000  # pixels; libpng's own bound
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_COLOURS = {1: 0, 3: 2, 4: 6}  # PNG's colour types: grey, red-green-blue, those with alpha


class Picture(NamedTuple):
    """An image in memory.

    Attributes:
        levels: uint8 [height, width, channels].
        height: In pixels.
        width: In pixels.
        channels: 1 for grey, 3 for red-green-blue, 4 for those and straight alpha.
    """

    levels: bytes | bytearray
    height: int
    width: int
    channels: int


def grid(levels: bytes | bytearray, shape: tuple[int, int, int], columns: int) -> Picture:
    """Return images as one picture, row by row; places left over in the last row are 0.

    Args:
        levels: uint8 [N, H, W, C].
        shape: H, W and C.
        columns: Images in a row.

    Raises:
        UserError: The picture would be larger than a PNG can be.
    """
    height, width, channels = shape
    line, size = width * channels, height * width * channels
    count = len(levels) // size
    rows = -(-count // columns)
    check_grid(shape, count, columns)
    sheet = bytearray(rows * columns * size)
    for index in range(count):
        row, column = divmod(index, columns)
        for y in range(height):
            start = ((row * height + y) * columns + column) * line
            source = index * size + y * line
            sheet[start : start + line] = levels[source : source + line]
    return Picture(sheet, rows * height, columns * width, channels)


def check_grid(shape: tuple[int, int, int], count: int, columns: int) -> None:
    """Raise ``UserError`` where the grid of so many images is larger than a PNG can be."""
    rows = -(-count // columns)
    height, width = rows * shape[0], columns * shape[1]
    if max(height, width) > MAX_SIDE:
        raise UserError(
            f"--columns: {count} images in {columns} columns make a picture of {width}x{height} "
            f"pixels, expected at most {MAX_SIDE} a side"
        )


def encode(picture: Picture, text: Mapping[str, str]) -> bytes:
    """Return a picture as the bytes of a PNG file.

    Args:
        picture: The picture.
        text: Keyword → text in Latin-1, written in this order as tEXt chunks right after IHDR.
    """
    levels, height, width, channels = picture
    line = width * channels
    rows = memoryview(levels)
    packer = zlib.compressobj()
    packed: list[bytes] = []
    for y in range(height):
        packed += packer.compress(b"\0"), packer.compress(rows[y * line : (y + 1) * line])
    packed.append(packer.flush())
    head = struct.pack(">2I5B", width, height, 8, _COLOURS[channels], 0, 0, 0)
    chunks = [_chunk(b"IHDR", head)]
    chunks += [
        _chunk(b"tEXt", f"{keyword}\0{value}".encode("latin-1", "replace"))
        for keyword, value in text.items()
    ]
    chunks += [_chunk(b"IDAT", b"".join(packed)), _chunk(b"IEND", b"")]
    return _SIGNATURE + b"".join(chunks)


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def read_texts(content: bytes) -> list[tuple[str, str]]:
    """Return the keywords and texts of a PNG file's tEXt chunks, in order.

    Bytes that are no printable ASCII are given as ``\\x1b``, so that a line stays one. Compressed
    text is left alone, and no pixel is unpacked.

    Raises:
        ValueError: It is no PNG file, or damaged.
    """
    if not content.startswith(_SIGNATURE):
        raise ValueError("no PNG file")
    texts = [body.partition(b"\0") for kind, body in _read_chunks(content) if kind == b"tEXt"]
    return [(_printable(keyword), _printable(text)) for keyword, _, text in texts]


def _read_chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield (type, data) of each chunk up to IEND; ``ValueError`` where one is not as written."""
    at, kind = len(_SIGNATURE), b""
    while kind != b"IEND":
        length = int.from_bytes(content[at : at + 4], "big")
        body, end = content[at + 4 : at + 8 + length], at + 12 + length
        if end > len(content):
            raise ValueError("damaged: it ends too early")
        if zlib.crc32(body) != int.from_bytes(content[end - 4 : end], "big"):
            raise ValueError(f"damaged: the checksum of a chunk at byte {at} is wrong")
        at, kind = end, body[:4]
        yield kind, body[4:]


def _printable(text: bytes) -> str:
    return re.sub(rb"[^ -~]", lambda byte: b"\\x%02x" % byte[0][0], text).decode("ascii")
