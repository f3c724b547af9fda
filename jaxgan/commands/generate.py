"""``jaxgan generate``: draw images. The C++ program takes the same options.

jaxgan generate --model generator.tflite --seed 7 --count 80 --out digits.png
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, NoReturn

from jaxgan.commands import cli
from jaxgan.config import MAX_COUNT, MAX_THREADS, require
from jaxgan.console import output
from jaxgan.errors import UserError
from jaxgan.io import png
from jaxgan.io.files import read_regular, write_stdout, write_whole
from jaxgan.version import __version__

if TYPE_CHECKING:
    import numpy as np

    from jaxgan.drawing.drawable import Drawable
    from jaxgan.drawing.model import Model
    from jaxgan.drawing.sampling import Sample

_MAX_PNG_BYTES = 1 << 30  # of a PNG to describe, as the C++ program has it


@dataclass(frozen=True)
class GenerateConfig:
    """Draw images with a trained generator.

    Image i depends on the seed, i and its label alone; the C++ program draws the same pixels.
    """

    model: Path = Path("generator.tflite")
    """A .tflite file of convert_tflite.py, or a run directory of train.py."""

    seed: cli.OptionalStr = None
    """Seed of the latent vectors (0 to 4294967295); 0 if not given."""

    count: cli.OptionalStr = None
    """Number of images (1 to 1000000); 64 if not given."""

    seeds: cli.OptionalStr = None
    """Image 0 of each of these seeds, such as 0-35 or 1,5,9-12, instead of --seed and --count."""

    latents: cli.OptionalStr = None
    """.npy file of the latent vectors to draw, float32 [N, latent size], instead of seeds."""

    label: cli.OptionalStr = None
    """Class, or classes such as 3,1,4 or cat,dog that images take in turn; every class in turn if
    none."""

    truncation: cli.OptionalStr = None
    """Bound on the latent vectors' entries (above 0, up to 10), such as 0.7: images more usual,
    less varied."""

    interpolate: cli.OptionalStr = None
    """Images from each one to the next, both included (2 to 1000); each such row is one of the
    grid."""

    out: str = "digits.png"
    """NAME.png: a grid; NAME_%04d.png: a file per image; NAME.npy: an array uint8 [N, H, W, C];
    NAME.gif, NAME.apng: an animation; -: the grid, as PNG on stdout."""

    columns: cli.OptionalInt = None
    """Images in a row of the grid; 10 if not given, with --interpolate as many as it says."""

    save_latents: cli.OptionalStr = None
    """.npy file to write the images' latent vectors to; --latents reads it."""

    threads: int = 1
    """Threads that run a .tflite file (1 to 1024)."""

    describe: cli.OptionalPath = None
    """Print how a PNG file of this program was drawn, and leave."""

    def __post_init__(self) -> None:
        fits = self.columns is None or 1 <= self.columns <= MAX_COUNT
        require(self, "columns", fits, f"1 to {MAX_COUNT}")
        require(self, "threads", 1 <= self.threads <= MAX_THREADS, f"1 to {MAX_THREADS}")
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
        self._check_save_latents()

    def _check_save_latents(self) -> None:
        if self.save_latents is None:
            return
        if not self.save_latents.endswith(".npy"):
            raise UserError(
                f"--save-latents: expected a name that ends in .npy, got {self.save_latents!r}"
            )
        # Not Path.resolve, which raises RuntimeError for a link that leads to itself.
        if os.path.realpath(self.save_latents) == os.path.realpath(self.out):
            raise UserError("--save-latents and --out name the same file; change one")

    def draws_grid(self) -> bool:
        """Return whether the images come as one grid."""
        return self.out == "-" or (self.out.endswith(".png") and "%" not in self.out)


class _Drawn(NamedTuple):
    """Images: levels uint8 [N, H, W, C], the shape of one, their sample, the generator's name."""

    levels: bytes | bytearray
    shape: tuple[int, int, int]
    sample: Sample
    name: str


def command(program: str = "jaxgan generate") -> NoReturn:
    """Run the command line."""
    cli.run(main, GenerateConfig, program, once=True)


def main(config: GenerateConfig) -> None:
    """Draw as the options say."""
    if config.describe is not None:
        for keyword, text in _describe(config.describe):
            output.show(f"{keyword}: {text}")
        return
    drawn = _draw_run(config) if os.path.isdir(config.model) else _draw_file(config)
    _write(config, drawn)
    if config.save_latents is not None:
        write_whole(Path(config.save_latents), _npy(drawn.sample.latents))


def _choose(config: GenerateConfig, generator: Model | Drawable) -> Sample:
    from jaxgan.drawing.sampling import Sampling, choose

    options = Sampling(**{one.name: getattr(config, one.name) for one in fields(Sampling)})
    sample = choose(options, generator.latent_size, generator.classes, generator.class_names)
    if config.draws_grid():  # before anything is drawn
        png.check_grid(generator.image_shape, sample.count, _columns(config, sample))
    return sample


def _columns(config: GenerateConfig, sample: Sample) -> int:
    return min(config.columns or sample.columns, sample.count)


def _draw_file(config: GenerateConfig) -> _Drawn:
    """Draw from a .tflite file. Neither NumPy nor JAX is loaded, which takes longer than this."""
    from jaxgan.drawing.model import Model

    with output.captured_stderr():  # LiteRT announces itself
        model = Model(config.model, threads=config.threads)
        sample = _choose(config, model)
        return _Drawn(model.draw_sample(sample), model.image_shape, sample, model.sha256())


def _draw_run(config: GenerateConfig) -> _Drawn:
    """Draw from a run directory, by JAX."""
    from jaxgan.drawing.open import open_generator

    generator = open_generator(config.model)
    sample = _choose(config, generator)
    levels = generator.draw_sample(sample).tobytes()
    return _Drawn(levels, generator.image_shape, sample, generator.name)


def _write(config: GenerateConfig, drawn: _Drawn) -> None:
    levels, shape, sample, name = drawn
    text = {"Software": f"jaxgan {__version__}", "jaxgan.model": name, **sample.texts}
    if config.draws_grid():
        content = png.encode(png.grid(levels, shape, _columns(config, sample)), text)
        if config.out == "-":
            write_stdout(content)
            return
        write_whole(Path(config.out), content)
    elif "%" in config.out:
        size = shape[0] * shape[1] * shape[2]
        for index in range(sample.count):
            picture = png.Picture(levels[index * size : (index + 1) * size], *shape)
            own = {**text, "jaxgan.image": str(index)}
            write_whole(Path(config.out % index), png.encode(picture, own))
    else:
        _write_array(config.out, drawn, text)
    output.show(f"{config.out}: {sample.count} images")


def _write_array(out: str, drawn: _Drawn, text: dict[str, str]) -> None:
    """Write an array or an animation."""
    import numpy as np

    from jaxgan.io.images import encode_animation

    images = np.frombuffer(drawn.levels, np.uint8).reshape(-1, *drawn.shape)
    if out.endswith(".npy"):
        content = _npy(images)
    else:
        content = encode_animation(images, "GIF" if out.endswith(".gif") else "PNG", text)
    write_whole(Path(out), content)


def _npy(array: np.ndarray) -> bytes:
    import io

    import numpy as np

    content = io.BytesIO()
    np.save(content, array, allow_pickle=False)
    return content.getvalue()


def _describe(path: Path) -> list[tuple[str, str]]:
    """Return what a PNG file says of itself.

    Raises:
        UserError: The file cannot be read, is no PNG, is damaged, or names no jaxgan model.
    """
    try:
        texts = png.read_texts(read_regular(path, _MAX_PNG_BYTES))
    except OSError as error:
        raise UserError(f"--describe: cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise UserError(f"--describe: {path} is {error}") from error
    if not any(keyword.startswith("jaxgan.") for keyword, _ in texts):
        raise UserError(
            f"--describe: {path} names no jaxgan model; expected a PNG of jaxgan generate"
        )
    return texts
