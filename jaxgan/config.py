"""Every setting of a training run and its default, once. Standard library only."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Literal

from jaxgan.errors import UserError

# Settings that do not change what a run computes, but for rounding; a resumed run may change them.
MAY_CHANGE = (
    "epochs", "minutes", "data_dir", "run_dir", "fork", "checkpoint_every", "checkpoint_minutes",
    "keep_checkpoints", "report_every", "evaluate_every", "convert", "saved_model", "convolution",
    "compilation_cache",
)  # fmt: skip


# Batch sizes of an exported file's signatures: one image, and many at a time.
BATCH_SIZES = (1, 64)
Quantization = Literal["none", "float16", "dynamic", "int8"]
# Bounds of what the C++ program reads.
MOST_BATCH, MOST_LATENT, MOST_COUNT, MOST_THREADS = 4096, 65536, 1_000_000, 1024
MOST_RESIDUALS = 4  # on each of four maps they make 135 tensors in a graph that may have 256
MOST_STEPS = 2**31 - 1  # what the state's counter holds


@dataclass(frozen=True)
class ImageSpec:
    """What the models must know of a dataset.

    Attributes:
        shape: Height, width and channels of an image.
        classes: Number of classes; 0 for a plain GAN without labels.
    """

    shape: tuple[int, int, int]
    classes: int

    def __post_init__(self) -> None:
        height, width, channels = self.shape
        sizes_fit = all(size % 4 == 0 and 16 <= size <= 64 for size in (height, width))
        if not sizes_fit or channels not in (1, 3):
            raise UserError(
                "expected images with sides that are multiples of 4 from 16 to 64 and with 1 or 3 "
                f"channels, got {height}x{width}x{channels}; choose another --dataset"
            )


@dataclass(frozen=True)
class TrainConfig:
    """Train a class-conditional image GAN and write its generator as one .tflite file.

    Run the same command again to continue from the newest checkpoint. Ctrl-C saves and leaves.
    """

    epochs: int = 30
    """Passes over the training images to reach; a finished run continues when this grows."""

    minutes: float | None = None
    """End by the clock of training alone (minutes) instead of by --epochs. Compiling, samples,
    evaluation and saving do not count."""

    dataset: str = "mnist"
    """Dataset: mnist, fashion_mnist, kmnist, emnist/digits, or stacked_mnist without labels."""

    data_dir: str = "data"
    """Folder of prepared TFDS datasets (see: python -m jaxgan.data prepare --help)."""

    run_dir: str = "checkpoints/mnist"
    """Folder of this run: settings, metrics, samples, checkpoints and the finished generator."""

    fork: str | None = None
    """Folder of a new run that starts from the newest state in --run-dir, which stays as it is; its
    other settings may differ. The same command, or --run-dir with this folder, continues it."""

    seed: int = 0
    """Seed of initial weights, latents and data order (0 to 4294967295)."""

    batch_size: int = 64
    """Real images a step; the discriminator sees as many generated ones beside them."""

    train_images: int | None = None
    """Use only the first N training images; all of them if not given."""

    conditional: bool = True
    """Give both players the class label; --no-conditional trains the plain GAN."""

    latent_size: int = 64
    """Numbers in a latent vector, drawn from a standard normal distribution."""

    components: int | None = None
    """Kinds of images that G keeps apart: the largest of so many first numbers of a latent vector
    picks one of as many learned vectors; 0 for none. Not given, it is 32 for grey images without
    labels, and 0 for others."""

    width: int = 32
    """Channels of both players' largest feature maps, next to the image; smaller ones have 2x as
    many, and 4x from the third level on, which images of 32 pixels a side have."""

    residuals: int = 0
    """Residual layers of G, 1x1 convolutions, on each of its feature maps; 0 is the plain DCGAN."""

    loss: Literal["bce", "hinge", "rpgan"] | None = None
    """What the players minimise: binary cross-entropy, hinge, or relativistic pairing. Not given,
    it is bce with labels, and rpgan without, where bce forgets some kinds of images."""

    r1: float = 1.0
    """Weight of the penalty on D's gradients in real images (R1); 0 for none."""

    r2: float = 1.0
    """Weight of the penalty on D's gradients in generated images (R2); 0 for none."""

    penalty_final: float = 1.0
    """Share of both penalties' weights that is left after --anneal-images."""

    learning_rate: float = 2.4e-3
    """Adam's step size for both players (per step), at the start."""

    learning_rate_images: float = 250_000.0
    """Images after which the learning rate has fallen to 1/√2; it falls on as 1/√images."""

    warmup_images: float = 0.0
    """Images over which the learning rate rises from 0, so that D does not win at once; 0 for
    none."""

    beta1: float = 0.0
    """Adam's decay of the first moment (per step)."""

    beta2: float = 0.99
    """Adam's decay of the second moment (per step), at the start."""

    beta2_final: float | None = None
    """Adam's decay of the second moment after --anneal-images; as at the start if not given."""

    anneal_images: float = 4e6
    """Images over which the penalties and Adam's decay reach their final values."""

    ema_half_life: float = 500_000.0  # and at most 5 % of the images seen: StyleGAN2-ADA
    """Half-life of the generator's weight average, in images; shorter while a run is young."""

    convolution: Literal["auto", "onednn", "gemm", "xla"] = "auto"
    """How convolutions run; they differ in speed and rounding. auto: the fastest that is there."""

    compilation_cache: bool = True
    """Keep what JAX compiles in the user's cache folder, so that the next start is quick."""

    checkpoint_every: int = 10
    """Epochs between checkpoints; the last step is always saved."""

    checkpoint_minutes: float = 5.0
    """Minutes after which a checkpoint is due, too, if epochs are long."""

    keep_checkpoints: int = 3
    """Checkpoints to keep: so many of the newest, and beside them the best by FID (by KL for
    stacked_mnist)."""

    evaluate_every: int = 5
    """Epochs between evaluations on a few thousand images, which also stand at a run's end and
    before each checkpoint of --checkpoint-every; 0 for none."""

    report_every: int = 100
    """Steps between lines in metrics.jsonl."""

    convert: bool = True
    """Write the finished generator, generator.tflite, at the end; --no-convert leaves it to
    convert_tflite.py."""

    saved_model: bool = False
    """Write a TensorFlow SavedModel folder beside generator.tflite at the end."""

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "train_images", "latent_size", "width",
                     "checkpoint_every", "keep_checkpoints", "report_every"):  # fmt: skip
            value = getattr(self, name)
            require(self, name, value is None or value >= 1, "at least 1")
        clock = self.minutes is None or 0 < self.minutes < math.inf
        require(self, "minutes", clock, "a number above 0")
        require(self, "checkpoint_minutes", self.checkpoint_minutes > 0, "a number above 0")
        require(self, "evaluate_every", self.evaluate_every >= 0, "at least 0")
        fits = self.latent_size <= MOST_LATENT
        require(self, "latent_size", fits, f"at most {MOST_LATENT}")
        fits = self.components is None or 0 <= self.components <= self.latent_size
        require(self, "components", fits, f"0 to --latent-size, {self.latent_size}")
        require(self, "residuals", 0 <= self.residuals <= MOST_RESIDUALS, f"0 to {MOST_RESIDUALS}")
        for name in ("data_dir", "run_dir", "fork"):
            require(self, name, getattr(self, name) != "", "the name of a folder")
        require(
            self, "saved_model", self.convert or not self.saved_model, "no --no-convert with it"
        )
        require(self, "seed", 0 <= self.seed < 2**32, "a whole number from 0 to 4294967295")
        for name in ("learning_rate", "learning_rate_images", "anneal_images", "ema_half_life"):
            require(self, name, 0 < getattr(self, name) < math.inf, "a number above 0")
        for name in ("r1", "r2", "penalty_final", "warmup_images"):
            require(self, name, 0 <= getattr(self, name) < math.inf, "a number of at least 0")
        for name in ("beta1", "beta2", "beta2_final"):
            value = getattr(self, name)
            require(self, name, value is None or 0 <= value < 1, "a number from 0 to below 1")


def require(config: object, name: str, holds: bool, expected: str) -> None:
    """Raise ``UserError`` that names an option, what was expected and what came, if it is wrong.

    Args:
        config: The settings.
        name: Of the one that is looked at.
        holds: Whether it is right.
        expected: What is right, in words.
    """
    if not holds:
        raise UserError(f"{option(name)}: expected {expected}, got {getattr(config, name)}")


def option(name: str) -> str:
    """Return the command-line option of a setting: ``batch_size`` → ``--batch-size``."""
    return "--" + name.replace("_", "-")


def changes(old: TrainConfig, new: TrainConfig) -> list[tuple[str, object, object]]:
    """Return (setting, old, new) for each setting that differs."""
    before, after = dataclasses.asdict(old), dataclasses.asdict(new)
    return [(name, before[name], after[name]) for name in before if before[name] != after[name]]


def differences(old: TrainConfig, new: TrainConfig) -> list[tuple[str, object, object]]:
    """Return those of the ``changes`` that may not be in a run."""
    return [change for change in changes(old, new) if change[0] not in MAY_CHANGE]
