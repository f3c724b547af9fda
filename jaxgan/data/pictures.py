"""One picture's bytes → one image of the set's size, or the reason why not. Pillow only.

A picture's way: sniffed by its content → size → decoding → first frame → mode → ICC profile to sRGB
→ alpha premultiplied → crop, pad or stretch, antialiased → EXIF's orientation → background.
"""

from __future__ import annotations

import contextlib
import functools
import io
import math
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from PIL import Image, ImageCms, UnidentifiedImageError

from jaxgan.data.rules import Rules
from jaxgan.errors import first_line
from jaxgan.io.images import over

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF")
MAX_PIXELS = 100_000_000  # of a picture; refused before it is decoded
MAX_LENGTH = 65_535  # pixels of a side: a JPEG's longest
MAX_DECODED = 800_000_000  # bytes that decoding may take
GREY_LEVELS = 2  # between the channels, up to which an image is grey
CONSTANT_LEVELS = 4  # between the darkest and the brightest, up to which it is near constant

# Bytes a pixel that the decoders take at most, their own buffers included: measured with pictures
# of 50 and 100 megapixels. WebP's animation decoder holds four copies.
_BYTES_A_PIXEL = {"WEBP": 16}
_OTHER_BYTES_A_PIXEL = 8
_LARGE = 1 << 22  # pixels of a picture that is prepared in bands
_BAND = 1 << 20  # pixels of a band
_MAX_PROFILE = 1 << 22  # bytes; a printer's has two million
_GAP = 2  # a decoder or a band's mean leaves so many pixels at least for one of the image

_BMP_HEADERS = {12, 40, 52, 56, 64, 108, 124}
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM, 5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE, 8: Image.Transpose.ROTATE_90,
}  # fmt: skip
_SWAPPING = {_TURNS[number] for number in (5, 6, 7, 8)}  # width and height
_ORIENTATION = 0x0112  # EXIF's tag

_Box: TypeAlias = tuple[float, float, float, float]  # left, top, right, bottom
Room: TypeAlias = Callable[[int], AbstractContextManager[Any]]  # entered with a number of bytes


class BadPicture(ValueError):
    """A picture cannot be used; the text is the reason."""


class Picture(NamedTuple):
    """An image of the set's size.

    Attributes:
        image: uint8 [H, W, 3], or premultiplied [H, W, 4] where alpha is kept.
        transparent: Whether some of the picture is.
        grey: Whether red, green and blue of ``image`` are the same, within ``GREY_LEVELS``.
        small: Whether the picture had fewer pixels than the image.
        brightest: The largest level of the picture, nothing laid below it.
        constant: Whether ``image`` shows nothing: its levels differ by ``CONSTANT_LEVELS`` at most.
    """

    image: np.ndarray
    transparent: bool
    grey: bool
    small: bool
    brightest: int
    constant: bool


def is_picture(start: bytes) -> bool:
    """Return whether a file that begins so is of one of the ``FORMATS``; 32 bytes are enough."""
    if start[:2] == b"BM":
        return int.from_bytes(start[14:18], "little") in _BMP_HEADERS
    if start[:4] == b"RIFF":
        return start[8:12] == b"WEBP"
    begins = (
        b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF87a", b"GIF89a",
        b"II*\0", b"MM\0*", b"II+\0", b"MM\0+",
    )  # fmt: skip
    return start.startswith(begins)


def read(content: bytes, rules: Rules, room: Room = contextlib.nullcontext) -> Picture:
    """Return the image of a picture's bytes.

    Args:
        content: The file.
        rules: Size, fit and alpha.
        room: Is entered with the bytes that decoding may take, and left afterwards.

    Raises:
        BadPicture: It is none, damaged, too large, or of a kind whose levels are not known.
    """
    if not content:
        raise BadPicture("empty file")
    if not is_picture(content[:32]):
        raise BadPicture("not a picture: no PNG, JPEG, WebP, BMP, GIF or TIFF")
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            check_size(*image.size, image.format)
            with room(_decoded_bytes(*image.size, image.format)):
                return _read(image, rules)
    except BadPicture:
        raise
    except Image.DecompressionBombError as error:
        raise BadPicture(f"too large: more than {MAX_PIXELS:,} pixels") from error
    except UnidentifiedImageError as error:
        raise BadPicture("damaged: its header cannot be read") from error
    except MemoryError as error:
        raise BadPicture("too large: out of memory") from error
    except Exception as error:  # whatever a decoder raises at a damaged file
        raise BadPicture(f"damaged: {first_line(error)}") from error


def from_array(pixels: np.ndarray, rules: Rules) -> Picture:
    """Return the image of an array uint8 [H, W] or [H, W, 1, 2, 3 or 4], alpha last and straight.

    Raises:
        BadPicture: It is too large.
    """
    check_size(pixels.shape[1], pixels.shape[0])
    plain = pixels[..., 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels
    return _read(Image.fromarray(np.ascontiguousarray(plain)), rules)


def check_size(width: int, height: int, format_: str | None = None) -> None:
    """Raise ``BadPicture`` where a picture is too large to be decoded."""
    most = min(MAX_PIXELS, MAX_DECODED // _BYTES_A_PIXEL.get(format_ or "", _OTHER_BYTES_A_PIXEL))
    if width * height > most:
        raise BadPicture(f"too large: {width}x{height}, more than {most:,} pixels")
    if max(width, height) > MAX_LENGTH:
        raise BadPicture(f"too large: {width}x{height}, a side above {MAX_LENGTH:,} pixels")
    if min(width, height) < 1:
        raise BadPicture(f"damaged: its size is {width}x{height}")


def _decoded_bytes(width: int, height: int, format_: str | None) -> int:
    return width * height * _BYTES_A_PIXEL.get(format_ or "", _OTHER_BYTES_A_PIXEL)


def _read(image: Image.Image, rules: Rules) -> Picture:
    """Return the image of a picture that is opened, and not decoded yet."""
    original = image.size
    profile = image.info.get("icc_profile") or b""
    if image.format in ("JPEG", "MPO"):  # decoded at a half, quarter or eighth of its size
        longest = _GAP * max(rules.sides)
        image.draft(None, (longest, longest))  # None keeps the mode
    image.load()
    turn = _turn(image)
    target = rules.sides[::-1] if turn in _SWAPPING else rules.sides
    box, shown = fit(image.size, target, rules.fit)
    ready, box = _shrunk(image, box, shown, functools.partial(_ready, profile=profile))
    content = ready.resize(shown, Image.Resampling.LANCZOS, box)
    if turn is not None:
        content = content.transpose(turn)
    picture = _finished(np.asarray(content), rules)
    (left, top, right, bottom), shown = fit(original, target, rules.fit)
    is_small = right - left < shown[0] or bottom - top < shown[1]
    return picture._replace(small=is_small)


def _turn(image: Image.Image) -> Image.Transpose | None:
    """Return how EXIF says that a decoded picture is to be turned; damaged EXIF says nothing."""
    try:
        return _TURNS.get(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # noqa: BLE001  whatever Pillow raises at damaged EXIF
        return None


def fit(size: tuple[int, int], target: tuple[int, int], fit: str) -> tuple[_Box, tuple[int, int]]:
    """Return which part of a picture is shown, and in how many pixels of the image."""
    (width, height), (across, down) = size, target
    scales = width / across, height / down
    if fit == "crop":
        shown_width, shown_height = across * min(scales), down * min(scales)
        left, top = (width - shown_width) / 2, (height - shown_height) / 2
        return (left, top, left + shown_width, top + shown_height), target
    if fit == "pad":
        scale = max(scales)
        shown = max(1, round(width / scale)), max(1, round(height / scale))
        return (0, 0, width, height), shown
    return (0, 0, width, height), target


def _shrunk(
    image: Image.Image,
    box: _Box,
    shown: tuple[int, int],
    ready: Callable[[Image.Image], Image.Image],
) -> tuple[Image.Image, _Box]:
    """Return a picture that is ``ready`` to be resized, and where ``box`` is in it.

    A large one is made ready and averaged over whole pixels band by band, so that it is in memory
    once only.
    """
    if image.width * image.height > _LARGE:
        left, top = math.floor(box[0]), math.floor(box[1])
        right, bottom = math.ceil(box[2]), math.ceil(box[3])
        across = max(1, (right - left) // (_GAP * shown[0]))
        down = max(1, (bottom - top) // (_GAP * shown[1]))
        rows = down * max(1, _BAND // (right - left) // down)
        bands = (
            ready(image.crop((left, y, right, min(y + rows, bottom)))).reduce((across, down))
            for y in range(top, bottom, rows)
        )
        for index, band in enumerate(bands):
            if index == 0:
                size = band.width, -(-(bottom - top) // down)
                whole = Image.new(band.mode, size)
            whole.paste(band, (0, index * rows // down))
        image = whole
        box = (
            (box[0] - left) / across, (box[1] - top) / down,
            (box[2] - left) / across, (box[3] - top) / down,
        )  # fmt: skip
    else:
        image = ready(image)
    # What is left of rounding must not lie outside.
    return image, (
        max(box[0], 0), max(box[1], 0), min(box[2], image.width), min(box[3], image.height)
    )  # fmt: skip


def _ready(image: Image.Image, profile: bytes) -> Image.Image:
    """Return a decoded picture as L, RGB or premultiplied RGBa, in sRGB."""
    image, alpha = _plain(image)
    fits = 0 < len(profile) <= _MAX_PROFILE
    transform = _to_srgb(profile, image.mode) if fits else None
    if transform is not None:
        image = ImageCms.applyTransform(image, transform) or image
    elif image.mode not in ("L", "RGB"):
        image = image.convert("RGB")
    if alpha is None:
        return image
    image = image.convert("RGB")
    image.putalpha(alpha)
    return image.convert("RGBa")


def _plain(image: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    """Return a decoded picture as L, RGB or CMYK, and its alpha, an L; None where it has none."""
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PNG"):
        return _of_16_bits(image)
    if image.mode in ("I", "F"):
        kind = "32-bit integers" if image.mode == "I" else "floating-point numbers"
        raise BadPicture(
            f"{kind}: which of them are black and white is not known; save it with 8 bits a channel"
        )
    if image.mode in ("RGBa", "La"):  # associated alpha of TIFF
        image = image.convert("RGBA" if image.mode == "RGBa" else "LA")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        return image.convert("RGB"), image.getchannel("A")
    if image.mode == "1":
        return image.convert("L"), None
    if image.mode in ("P", "PA", "RGBX", "YCbCr"):
        return image.convert("RGB"), None
    if image.mode not in ("L", "RGB", "CMYK"):
        raise BadPicture(f"colours of mode {image.mode}; save it as red-green-blue")
    return image, None


def _of_16_bits(image: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    """Return the high bytes of grey levels; Pillow's own conversion clips them to white."""
    levels = np.asarray(image)
    grey = Image.fromarray((levels >> 8).astype(np.uint8))
    clear = image.info.get("transparency")
    if not isinstance(clear, int):
        return grey, None
    return grey, Image.fromarray(np.where(levels == clear, 0, 255).astype(np.uint8))


@functools.lru_cache(maxsize=8)  # photographs of a set share a profile or two
def _to_srgb(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """Return what turns colours of a profile into sRGB; None where they are, or it does not fit."""
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if "srgb" in ImageCms.getProfileDescription(source).lower() and mode != "CMYK":
            return None
        return ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), mode, "RGB")
    except Exception:  # noqa: BLE001  damaged, or of other channels: the levels count as sRGB
        return None


def _finished(content: np.ndarray, rules: Rules) -> Picture:
    """Return the image of what is shown, uint8 [h, w] or [h, w, 3 or 4], at most the set's size."""
    if content.ndim == 2:
        content = np.repeat(content[..., None], 3, axis=2)
    colour, transparent = content[..., :3], False
    alpha = np.full((*content.shape[:2], 1), 255, np.uint8)
    if content.shape[2] == 4:
        alpha = content[..., 3:]
        colour = np.minimum(colour, alpha)  # the filter rings beyond it
        transparent = bool(alpha.min() < 255)
    brightest = int(colour.max())
    content = colour
    if rules.keep_alpha or transparent:
        content = np.concatenate([colour, alpha], axis=2)
    if not rules.keep_alpha and transparent:
        content = over(content, np.array(rules.background, np.uint8))
    planes = [content[..., channel] for channel in range(content.shape[2])]
    constant = all(int(plane.max()) - int(plane.min()) <= CONSTANT_LEVELS for plane in planes)
    image = _padded(content, rules)
    return Picture(image, transparent, _is_grey(image), False, brightest, constant)


def _padded(content: np.ndarray, rules: Rules) -> np.ndarray:
    """Return content in the middle of an image of the set's size; borders as the rules say."""
    width, height = rules.sides
    down, across, channels = content.shape
    if (down, across) == (height, width):
        return np.ascontiguousarray(content)
    image = np.zeros((height, width, channels), np.uint8)
    if not rules.keep_alpha:
        image[:] = rules.background
    top, left = (height - down) // 2, (width - across) // 2
    image[top : top + down, left : left + across] = content
    return image


def _is_grey(image: np.ndarray) -> bool:
    # By whole planes: NumPy is ten times slower over an axis of three.
    red, green, blue = (image[..., channel] for channel in range(3))
    most = np.maximum(np.maximum(red, green), blue)
    least = np.minimum(np.minimum(red, green), blue)
    return bool((most - least).max() <= GREY_LEVELS)
