"""Odd files that folders of pictures hold, written by script, with what an import makes of each.

The picture of most of them shows four quarters, so that a pixel of each tells whether it was read
rightly: ``QUARTERS``, left to right, top to bottom.
"""

from __future__ import annotations

import contextlib
import io
import os
import socket
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, ImageCms

SIDE = 32  # pixels of a zoo's picture
RED, GREEN, BLUE, GREY = (200, 30, 30), (30, 180, 30), (30, 30, 220), (128, 128, 128)
QUARTERS = (RED, GREEN, BLUE, GREY)
WHITE, BLACK = (255, 255, 255), (0, 0, 0)

# What EXIF's orientations say of row 0 and column 0 (EXIF 2.32, 4.6.4): which quarters of the
# picture as seen are stored top left, top right, bottom left, bottom right.
STORED = {
    1: (0, 1, 2, 3), 2: (1, 0, 3, 2), 3: (3, 2, 1, 0), 4: (2, 3, 0, 1),
    5: (0, 2, 1, 3), 6: (1, 3, 0, 2), 7: (3, 1, 2, 0), 8: (2, 0, 3, 1),
}  # fmt: skip


class Animal(NamedTuple):
    """A file of the zoo.

    Attributes:
        content: Its bytes.
        outcome: The colours of its quarters, or of all of it; or a word of the reason for which it
            is skipped.
        tolerance: Levels by which the colours may differ: JPEG's.
    """

    content: bytes
    outcome: Any
    tolerance: int = 1


def quarters(*colours: Any, mode: str = "RGB", side: int = SIDE) -> Image.Image:
    """Return a picture of four colours."""
    image = Image.new(mode, (side, side))
    for index, colour in enumerate(colours):
        top, left = divmod(index, 2)
        half = side // 2
        image.paste(colour, (left * half, top * half, (left + 1) * half, (top + 1) * half))
    return image


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    content = io.BytesIO()
    image.save(content, kind, **options)
    return content.getvalue()


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width: int, height: int, bits: int, colour: int, rows: bytes, interlaced: int = 0) -> bytes:
    """Return a PNG file of kinds that Pillow does not write."""
    head = struct.pack(">2I5B", width, height, bits, colour, 0, 0, interlaced)
    parts = chunk(b"IHDR", head), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def interlaced_png(image: np.ndarray) -> bytes:
    """Return a picture uint8 [H, W, 3] as an interlaced PNG file (Adam7)."""
    rows = b""
    starts = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2))
    for top, left, down, across in (*starts, (1, 0, 2, 1)):
        for row in image[top::down, left::across]:
            rows += b"\0" + row.tobytes()
    return png(image.shape[1], image.shape[0], 8, 2, rows, interlaced=1)


def swapped_profile() -> bytes:
    """Return a profile whose red is sRGB's blue and whose blue is its red."""
    known = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    name = "sRGB".encode("utf-16-be")
    count = struct.unpack(">I", known[128:132])[0]
    table, rest = known[132 : 132 + 12 * count], known[132 + 12 * count :]
    table = table.replace(b"rXYZ", b"????").replace(b"bXYZ", b"rXYZ").replace(b"????", b"bXYZ")
    return known[:132] + table + rest.replace(name, "swap".encode("utf-16-be"))


def animated(kind: str) -> bytes:
    first, second = quarters(*QUARTERS), quarters(*QUARTERS[::-1])
    lossless = {"lossless": True} if kind == "WEBP" else {}
    return encoded(first, kind, save_all=True, append_images=[second], duration=100, **lossless)


def turned(orientation: int) -> Image.Image:
    return quarters(*(QUARTERS[index] for index in STORED[orientation]))


def exif(orientation: int) -> Image.Exif:
    known = Image.Exif()
    known[0x0112] = orientation
    return known


def of_16_bits() -> np.ndarray:
    levels = np.full((SIDE, SIDE), 0x80FF, np.uint16)
    levels[: SIDE // 2] = 0x10FF
    return levels


def plain() -> dict[str, Animal]:
    """Return pictures of each format and name."""
    image = quarters(*QUARTERS)
    jpeg = encoded(image, "JPEG", quality=95)
    found = {
        "plain.png": Animal(encoded(image, "PNG"), QUARTERS),
        "plain.jpg": Animal(jpeg, QUARTERS, 6),
        "plain.webp": Animal(encoded(image, "WEBP", lossless=True), QUARTERS),
        "lossy.webp": Animal(encoded(image, "WEBP", quality=90), QUARTERS, 12),
        "plain.bmp": Animal(encoded(image, "BMP"), QUARTERS),
        "plain.gif": Animal(encoded(image, "GIF"), QUARTERS),
        "plain.tif": Animal(encoded(image, "TIFF"), QUARTERS),
        "lzw.tiff": Animal(encoded(image, "TIFF", compression="tiff_lzw"), QUARTERS),
        "progressive.jpg": Animal(
            encoded(image, "JPEG", progressive=True, quality=95), QUARTERS, 6
        ),
        "large.jpg": Animal(encoded(quarters(*QUARTERS, side=512), "JPEG"), QUARTERS, 6),
        "large.png": Animal(encoded(quarters(*QUARTERS, side=2560), "PNG"), QUARTERS),
        "interlaced.png": Animal(interlaced_png(np.asarray(image)), QUARTERS),
        "grey.jpg": Animal(encoded(Image.new("L", (20, 20), 77), "JPEG"), (77, 77, 77)),
        "png-named.jpg": Animal(encoded(image, "PNG"), QUARTERS),
        "webp-named.png": Animal(encoded(image, "WEBP", lossless=True), QUARTERS),
        "jpeg-named.txt": Animal(jpeg, QUARTERS, 6),
        "no-extension": Animal(encoded(image, "GIF"), QUARTERS),
        "UPPER.PNG": Animal(encoded(image, "PNG"), QUARTERS),
        "trailing.jpg": Animal(jpeg + b"\0" * 999 + b"rubbish", QUARTERS, 6),
        "-dash.png": Animal(encoded(image, "PNG"), QUARTERS),
        "картинка 画像 🙂.png": Animal(encoded(image, "PNG"), QUARTERS),
        "two\nlines.png": Animal(encoded(image, "PNG"), QUARTERS),
        "\u202egnp.exe.png": Animal(encoded(image, "PNG"), QUARTERS),
        os.fsdecode(b"no-utf8-\xff\xfe.png"): Animal(encoded(image, "PNG"), QUARTERS),
        f"{'long' * 60}.png": Animal(encoded(image, "PNG"), QUARTERS),
    }
    for number in STORED:
        known = {"exif": exif(number)}
        jpeg = encoded(turned(number), "JPEG", quality=95, **known)
        found[f"exif-{number}.jpg"] = Animal(jpeg, QUARTERS, 6)
    six = turned(6)
    found["exif-6.png"] = Animal(encoded(six, "PNG", exif=exif(6)), QUARTERS)
    found["exif-6.webp"] = Animal(encoded(six, "WEBP", lossless=True, exif=exif(6)), QUARTERS)
    found["exif-6.tif"] = Animal(encoded(six, "TIFF", tiffinfo={274: 6}), QUARTERS)
    bad = encoded(image, "JPEG", quality=95, exif=b"Exif\0\0II*\0\xff\xff\xff\x7f")
    found["exif-damaged.jpg"] = Animal(bad, QUARTERS, 6)
    return found


def modes() -> dict[str, Animal]:
    """Return pictures of each kind of pixel."""
    image, deep = quarters(*QUARTERS), of_16_bits()
    dark_and_grey = ((16, 16, 16), (16, 16, 16), GREY, GREY)
    with_alpha = (
        (*colour, alpha) for colour, alpha in zip(QUARTERS, (255, 0, 255, 0), strict=True)
    )
    clear = quarters(*with_alpha, mode="RGBA")
    on_white, but_green = (RED, WHITE, BLUE, WHITE), (RED, WHITE, BLUE, GREY)
    half = Image.new("RGBA", (SIDE, SIDE), (*RED, 128))
    colours = b"".join(
        b"\0" + struct.pack(">3H", 0xC8FF, 0x1E00, 0x1E80) * SIDE for _ in range(SIDE)
    )
    palette = image.convert("P", palette=Image.Palette.ADAPTIVE)
    at_green = palette.getpixel((SIDE - 1, 0))
    cmyk = Image.new("CMYK", (SIDE, SIDE), (0, 255, 255, 0))
    ycck = bytearray(encoded(cmyk, "JPEG", quality=95))
    ycck[ycck.index(b"Adobe") + 11] = 2
    swapped = {"icc_profile": swapped_profile()}
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    blue_first = tuple(colour[::-1] for colour in QUARTERS)
    bits, two = quarters(255, 0, 0, 255, mode="1"), (WHITE, BLACK, BLACK, WHITE)
    return {
        "16-bit-grey.png": Animal(encoded(Image.fromarray(deep), "PNG"), dark_and_grey),
        "16-bit-grey.tif": Animal(encoded(Image.fromarray(deep), "TIFF"), dark_and_grey),
        "16-bit-big-endian.tif": Animal(big_endian_tiff(deep), dark_and_grey),
        "16-bit-colour.png": Animal(png(SIDE, SIDE, 16, 2, colours), RED),
        "palette.png": Animal(encoded(palette, "PNG"), QUARTERS),
        "palette-clear.png": Animal(
            encoded(palette, "PNG", transparency=at_green), but_green
        ),
        "palette-clear.gif": Animal(
            encoded(palette, "GIF", transparency=at_green), but_green
        ),
        "colour-key.png": Animal(encoded(image, "PNG", transparency=GREEN), but_green),
        "grey-key.png": Animal(
            encoded(quarters(10, 20, 30, 40, mode="L"), "PNG", transparency=20),
            ((10, 10, 10), WHITE, (30, 30, 30), (40, 40, 40)),
        ),
        "grey-alpha.png": Animal(
            encoded(quarters((9, 255), (9, 0), (99, 255), (99, 0), mode="LA"), "PNG"),
            ((9, 9, 9), WHITE, (99, 99, 99), WHITE),
        ),
        "alpha.png": Animal(encoded(clear, "PNG"), on_white),
        "alpha.webp": Animal(encoded(clear, "WEBP", lossless=True), on_white),
        "alpha.tif": Animal(encoded(clear, "TIFF"), on_white),
        "half.png": Animal(encoded(half, "PNG"), (227, 142, 142)),  # means of red and white
        "cmyk.jpg": Animal(encoded(cmyk, "JPEG", quality=95), (254, 0, 0), 3),
        "cmyk.tif": Animal(encoded(cmyk, "TIFF"), (255, 0, 0)),
        "ycck.jpg": Animal(bytes(ycck), None),
        "ycbcr.tif": Animal(encoded(image.convert("YCbCr"), "TIFF"), QUARTERS, 3),
        "lab.tif": Animal(encoded(Image.new("LAB", (9, 9)), "TIFF"), "colours of mode LAB"),
        "1-bit.png": Animal(encoded(bits, "PNG"), two),
        "1-bit.tif": Animal(encoded(bits, "TIFF", compression="group4"), two),
        "1-bit.bmp": Animal(encoded(bits, "BMP"), two),
        "float.tif": Animal(encoded(Image.new("F", (9, 9), 0.5), "TIFF"), "floating-point"),
        "integer.tif": Animal(encoded(Image.new("I", (9, 9), 70_000), "TIFF"), "32-bit integers"),
        "swapped.png": Animal(encoded(image, "PNG", **swapped), blue_first, 3),
        "swapped.jpg": Animal(encoded(image, "JPEG", quality=95, **swapped), blue_first, 9),
        "swapped-palette.png": Animal(encoded(palette, "PNG", **swapped), blue_first, 3),
        "srgb.png": Animal(encoded(image, "PNG", icc_profile=srgb), QUARTERS),
        "grey-of-colour-profile.png": Animal(
            encoded(Image.new("L", (9, 9), 50), "PNG", icc_profile=srgb), (50, 50, 50)
        ),
        "bad-profile.png": Animal(encoded(image, "PNG", icc_profile=b"x" * 500), QUARTERS),
        "animated.gif": Animal(animated("GIF"), QUARTERS),
        "animated.webp": Animal(animated("WEBP"), QUARTERS),
        "animated.png": Animal(animated("PNG"), QUARTERS),
        "pages.tif": Animal(animated("TIFF"), QUARTERS),
        "1x1.png": Animal(encoded(Image.new("RGB", (1, 1), RED), "PNG"), RED),
        "20000x1.png": Animal(encoded(Image.new("RGB", (20_000, 1), RED), "PNG"), RED),
        "1x20000.jpg": Animal(encoded(Image.new("RGB", (1, 20_000), RED), "JPEG"), RED, 4),
    }  # fmt: skip


def big_endian_tiff(levels: np.ndarray, size: tuple[int, int] | None = None) -> bytes:
    """Return 16-bit grey levels as a TIFF file of the other byte order; it may claim a size."""
    height, width = size or levels.shape
    data = levels.astype(">u2").tobytes()
    tags = (
        (256, 4, width), (257, 4, height), (258, 3, 16 << 16), (259, 3, 1 << 16), (262, 3, 1 << 16),
        (273, 4, 8), (277, 3, 1 << 16), (278, 4, height), (279, 4, len(data)),
    )  # fmt: skip
    entries = b"".join(struct.pack(">HHII", tag, kind, 1, value) for tag, kind, value in tags)
    start = struct.pack(">2sHI", b"MM", 42, 8 + len(data))
    return start + data + struct.pack(">H", len(tags)) + entries + bytes(4)


def bombs() -> dict[str, Animal]:
    """Return files that claim or unpack to far more than they have."""
    image = quarters(*QUARTERS)
    bmp = bytearray(encoded(image, "BMP"))
    bmp[18:26] = struct.pack("<2i", 60_000, 60_000)
    gif = bytearray(encoded(image, "GIF"))
    gif[6:10] = struct.pack("<2H", 65_535, 65_535)
    tiff = big_endian_tiff(of_16_bits(), (40_000, 40_000))
    webp = b"VP8X" + struct.pack("<I", 10) + bytes(4) + (16_382).to_bytes(3, "little") * 2
    webp = b"RIFF" + struct.pack("<I", 4 + len(webp) + 8) + b"WEBP" + webp
    frame = b"ANIM" + struct.pack("<I", 6) + bytes(6)
    text = chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(200_000_000)))
    whole = encoded(image, "PNG")
    return {
        "bomb-header.png": Animal(png(30_000, 30_000, 8, 2, b"\0"), "too large"),
        "bomb-just.png": Animal(png(10_001, 10_001, 8, 2, b"\0"), "too large"),
        "bomb-long.png": Animal(png(90_000_000, 1, 8, 0, b"\0"), "too large"),
        "bomb.bmp": Animal(bytes(bmp), "too large"),
        "bomb.gif": Animal(bytes(gif), "too large"),
        "bomb.tif": Animal(tiff, "too large"),
        "bomb.webp": Animal(webp + frame, ""),
        "bomb-text.png": Animal(whole[:33] + text + whole[33:], ""),
    }


def damaged() -> dict[str, Animal]:
    """Return what is no picture any more, or never was."""
    noise = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), np.uint8)
    image = Image.fromarray(noise)
    kinds = {"png": "PNG", "jpg": "JPEG", "webp": "WEBP", "bmp": "BMP", "gif": "GIF", "tif": "TIFF"}
    found = {}
    for suffix, kind in kinds.items():
        content = encoded(image, kind)
        found[f"truncated.{suffix}"] = Animal(content[: len(content) // 2], "damaged")
        found[f"start.{suffix}"] = Animal(content[:20], "")
    whole = bytearray(encoded(image, "PNG"))
    whole[60] ^= 255
    found |= {
        "checksum.png": Animal(bytes(whole), "damaged"),
        "empty.png": Animal(b"", "empty file"),
        "text.jpg": Animal(b"Dear diary,\n", "not a picture"),
        "page.png": Animal(b"<!DOCTYPE html><title>404</title>", "not a picture"),
        "drawing.png": Animal(b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not a picture"),
        "noise.png": Animal(noise.tobytes(), "not a picture"),
        "vector.webp": Animal(b"RIFF\x10\0\0\0WAVEfmt ", "not a picture"),
        "zero.bmp": Animal(b"BM" + bytes(200), "not a picture"),
    }
    return found


def junk() -> dict[str, Animal]:
    """Return files that lie beside pictures, most of them hidden."""
    image = encoded(quarters(*QUARTERS), "PNG")
    hidden = (
        "._plain.png", ".DS_Store", ".hidden/plain.png", "__MACOSX/plain.png",
        ".ipynb_checkpoints/plain-checkpoint.png",
    )  # fmt: skip
    found = {name: Animal(image, "hidden") for name in hidden}
    found |= {
        "Thumbs.db": Animal(b"\xd0\xcf\x11\xe0", "not a picture"),
        "notes.txt": Animal(b"BMW, Audi, and so on, and so on, and so on", "not a picture"),
        "film.mp4": Animal(bytes(4) + b"ftypisom" + bytes(1000), "not a picture"),
        "picture.avif": Animal(bytes(4) + b"ftypavif" + bytes(100), "not a picture"),
    }
    return found


def all_files() -> dict[str, Animal]:
    """Return every animal that is a plain file, by its name."""
    return {**plain(), **modes(), **bombs(), **damaged(), **junk()}


def write(folder: Path) -> None:
    """Write every plain file into a folder."""
    for name, animal in all_files().items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(animal.content)


@contextlib.contextmanager
def odd_entries(folder: Path) -> Iterator[dict[str, str]]:
    """Write links, pipes, sockets and folders beside the files; give why each is skipped.

    "" is for what is used.
    """
    (folder / "folder.png").mkdir()
    (folder / "folder.png" / "inner.png").write_bytes(
        encoded(Image.new("RGB", (9, 9), GREEN), "PNG")
    )
    (folder / "empty folder").mkdir()
    os.symlink("plain.png", folder / "link.png")
    os.symlink("nowhere.png", folder / "broken.png")
    os.symlink("itself.png", folder / "itself.png")
    os.symlink(".", folder / "circle")
    os.symlink("../..", folder / "folder.png" / "up")
    os.symlink("/dev/zero", folder / "zero.png")
    os.mkfifo(folder / "pipe.png")
    os.mkfifo(folder / "pipe")
    (folder / "unreadable.png").write_bytes(encoded(Image.new("RGB", (9, 9), BLUE), "PNG"))
    (folder / "unreadable.png").chmod(0)
    # A socket's name may have a hundred bytes only, so it is given by a relative one.
    before = os.getcwd()
    with socket.socket(socket.AF_UNIX) as listener:
        os.chdir(folder)
        try:
            listener.bind("socket.png")
        finally:
            os.chdir(before)
        reads_all = os.access(folder / "unreadable.png", os.R_OK)  # root does
        yield {
            "folder.png/inner.png": "",
            "link.png": "",
            "broken.png": "broken link",
            "itself.png": "broken link",
            "circle": "link to a folder",
            "folder.png/up": "link to a folder",
            "zero.png": "no regular file",
            "pipe.png": "no regular file",
            "pipe": "no regular file",
            "socket.png": "no regular file",
            "unreadable.png": "" if reads_all else "unreadable",
        }
    (folder / "unreadable.png").chmod(0o600)
