"""Images of any size → one size: the middle of the right aspect, antialiased."""

from __future__ import annotations

import numpy as np

from jaxgan.config import CHANNELS

_MODES = dict(zip(CHANNELS, ("L", "RGB", "RGBa"), strict=True))  # of Pillow; a: premultiplied


def resized(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return the middle of an image at a size.

    Args:
        image: uint8 [H, W, C], premultiplied where C is 4.
        size: Height and width.

    Returns:
        uint8 [height, width, C].
    """
    from PIL import Image  # takes 50 ms, which most datasets need not

    from jaxgan.data.pictures import fit

    (height, width), (rows, columns, channels) = size, image.shape
    if (height, width) == (rows, columns):
        return image
    box, _ = fit((columns, rows), (width, height), "crop")
    picture = Image.frombytes(_MODES[channels], (columns, rows), image.tobytes())
    made = np.array(picture.resize((width, height), Image.Resampling.LANCZOS, box))
    made = made.reshape(height, width, channels)
    if channels == 4:
        made[..., :3] = np.minimum(made[..., :3], made[..., 3:])  # the filter rings beyond it
    return made
