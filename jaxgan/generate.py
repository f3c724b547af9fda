"""Draw images from a .tflite file or a run directory. The C++ program takes the same options.

python -m jaxgan.generate --model generator.tflite --seed 7 --count 80 --out digits.png
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from jaxgan import __version__, cli, progress
from jaxgan.config import MOST_COUNT, MOST_THREADS, option
from jaxgan.errors import UserError
from jaxgan.files import sha256, write_stdout, write_whole

if TYPE_CHECKING:
    from jaxgan.drawing import Model


_COUNT, _COLUMNS = 64, 10
# Options that say the same thing in other ways.
_EXCLUDES = {"seeds": ("seed", "count"), "latents": ("seed", "seeds", "count", "truncation")}


@dataclass(frozen=True)
class GenerateConfig:
    """Draw images with a trained generator.

    Image i depends on the seed, i and its label alone; C++ draws the same pixels.
    """

    model: Path = Path("generator.tflite")
    """A .tflite file of convert_tflite.py, or a run directory of train.py."""

    seed: int | None = None
    """Seed of the latent vectors (0 to 4294967295); 0 if not given."""

    count: int | None = None
    """Number of images; 64 if not given."""

    seeds: str | None = None
    """Image 0 of each of these seeds, such as 0-35 or 1,5,9-12; in place of --seed and --count."""

    latents: Path | None = None
    """.npy file of the latent vectors to draw, float32 [N, latent size], in place of seeds."""

    label: str | None = None
    """Class, or classes such as 3,1,4 that images take in turn; every class in turn if none."""

    truncation: str | None = None
    """Bound of the latents' numbers (above 0, up to 10), as 0.7: images more usual, less varied."""

    interpolate: int | None = None
    """Images from each one to the next, both included (2 to 1000): each way a row of the grid."""

    out: str = "digits.png"
    """NAME.png: a grid; NAME_%04d.png: a file an image; NAME.npy: an array uint8 [N, H, W, C];
    NAME.gif, NAME.apng: an animation; -: the grid, as PNG on stdout."""

    columns: int | None = None
    """Images in a row of the grid; 10 if not given, with --interpolate as many as it says."""

    save_latents: Path | None = None
    """.npy file to write the latent vectors of the images to; --latents takes it back."""

    threads: int = 1
    """Threads that run a .tflite file."""

    describe: Path | None = None
    """Print how a PNG file of this program was drawn, and leave."""

    def __post_init__(self) -> None:
        bounds = {
            "seed": (0, 2**32 - 1), "count": (1, MOST_COUNT), "interpolate": (2, 1000),
            "columns": (1, MOST_COUNT), "threads": (1, MOST_THREADS),
        }  # fmt: skip
        for name, (least, most) in bounds.items():
            value = getattr(self, name)
            if value is not None and not least <= value <= most:
                raise UserError(f"{option(name)}: expected {least} to {most}, got {value}")
        for name, others in _EXCLUDES.items():
            for other in others:
                if getattr(self, name) is not None and getattr(self, other) is not None:
                    raise UserError(f"--{name} and --{other} cannot be had together; leave one out")
        if "%" in self.out and not re.fullmatch(r"[^%]*%(0[1-9])?d[^%]*\.png", self.out):
            raise UserError(
                "--out: expected one number pattern such as %04d in the name of a .png file, "
                f"got {self.out!r}"
            )
        if self.out != "-" and not self.out.endswith((".png", ".npy", ".gif", ".apng")):
            raise UserError(
                "--out: expected a name that ends in .png, .npy, .gif or .apng, or -, "
                f"got {self.out!r}"
            )
        if not str(self.save_latents or ".npy").endswith(".npy"):
            raise UserError(
                f"--save-latents: expected a name that ends in .npy, got '{self.save_latents}'"
            )
        # Not Path.resolve, which raises RuntimeError for a link that leads to itself.
        if self.save_latents and os.path.realpath(self.save_latents) == os.path.realpath(self.out):
            raise UserError("--save-latents and --out name the same file; change one")

    def draws_grid(self) -> bool:
        """Return whether the images come as one grid."""
        return self.out == "-" or (self.out.endswith(".png") and "%" not in self.out)


def main(config: GenerateConfig) -> None:
    """Draw as the options say."""
    from jaxgan import images

    if config.describe is not None:
        for keyword, value in images.read_text(config.describe):
            progress.say(f"{keyword}: {value}")
        return
    from jaxgan import drawing, latents, npy  # JAX after parsing: --help and Ctrl-C answer at once

    seeds, indices = _images(config)
    truncation = latents.parse_truncation(config.truncation)
    model = drawing.open_model(config.model, config.threads)
    labels = latents.parse_labels(config.label, model.classes)
    if config.latents is None:
        keys = np.asarray(latents.latents(seeds, indices, model.latent_size, truncation))
    else:
        keys = npy.read_latents(config.latents, model.latent_size)
    frames = latents.frames(len(keys), config.interpolate)
    columns = min(config.columns or config.interpolate or _COLUMNS, len(frames.share))
    if config.draws_grid():
        images.check_grid(model.image_shape, len(frames.share), columns)
    latent, drawn = drawing.draw(model, keys, labels, frames)
    text = _text(config, model, labels)
    _write(config, drawn, columns, text)
    if config.save_latents is not None:
        write_whole(config.save_latents, npy.encode(latent))


def _images(config: GenerateConfig) -> tuple[int | np.ndarray, np.ndarray]:
    """Return the seeds of the images and their indices."""
    from jaxgan import latents

    if config.seeds is None:
        return config.seed or 0, np.arange(config.count or _COUNT)
    seeds = latents.parse_seeds(config.seeds)
    return seeds, np.zeros(len(seeds), np.uint32)


def _text(config: GenerateConfig, model: Model, labels: list[int]) -> dict[str, str]:
    """Return what a PNG says of how it was drawn, keyword → text."""
    if config.latents is not None:
        origin = f"file {sha256(config.latents)}"
    elif config.seeds is not None:
        origin = f"seeds {config.seeds}"
    else:
        origin = f"seed {config.seed or 0}, images 0-{(config.count or _COUNT) - 1}"
    for name in ("truncation", "interpolate"):
        if getattr(config, name) is not None:
            origin += f", {name} {getattr(config, name)}"
    text = {
        "Software": f"jaxgan {__version__}",
        "jaxgan.model": model.name,
        "jaxgan.latents": origin,
    }
    return {**text, "jaxgan.labels": ",".join(map(str, labels))} if labels else text


def _write(config: GenerateConfig, drawn: np.ndarray, columns: int, text: dict[str, str]) -> None:
    from jaxgan import images, npy

    out = Path(config.out)
    if config.out == "-":
        write_stdout(images.encode_png(images.grid(drawn, columns), text))
        return
    if "%" in config.out:
        for index, picture in enumerate(drawn):
            own = {**text, "jaxgan.image": str(index)}
            images.write_png(Path(config.out % index), picture, own)
    elif config.draws_grid():
        images.write_png(out, images.grid(drawn, columns), text)
    elif config.out.endswith(".npy"):
        write_whole(out, npy.encode(drawn))
    else:
        kind = "GIF" if config.out.endswith(".gif") else "PNG"
        write_whole(out, images.encode_animation(drawn, kind, text))
    progress.say(f"{config.out}: {len(drawn)} images")


if __name__ == "__main__":
    cli.run(main, GenerateConfig, "python -m jaxgan.generate", once=True)
