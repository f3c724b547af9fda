"""Every option of a training run, once: default, unit, bounds, help, and what it may change.

Standard library only, as ``import jaxgan`` is to need nothing else.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, TypeAlias

from jaxgan.errors import UserError

# Bounds of what the C++ library reads: the same numbers as in tflite_cpp/src/bounds.h.
MAX_BATCH, MAX_LATENT, MAX_COUNT, MAX_THREADS = 4096, 65536, 1_000_000, 1024
MAX_CLASS_NAME, MAX_CLASS_NAMES = 200, 2**20  # bytes of UTF-8: of one, of all with line ends
MAX_SEED = 2**32 - 1
MAX_MODEL_BYTES = 2**31 - 1  # offsets in a flatbuffer reach no further
MAX_RESIDUALS = 4  # on each of four maps they make 135 tensors in a graph that may have 256
MAX_STEPS = 2**31 - 1  # what the state's counter holds
FEW_IMAGES, MANY_IMAGES, LARGE_SET = 1_000, 30_000, 2**31
DEEP_SIDE = 32  # from here on there are three feature maps or more
COMPONENTS = 32  # of the latent mixture where grey images come without labels

MIN_SIDE, MAX_SIDE = 16, 256  # pixels of an image; both sides are multiples of 4
CHANNELS = (1, 3, 4)  # grey, red-green-blue, the same premultiplied and with alpha

BATCH_SIZES = (1, 64)  # of an exported file's signatures: one image, and many at a time
Quantization: TypeAlias = Literal["none", "float16", "dynamic", "int8"]


@dataclass(frozen=True)
class ImageSpec:
    """What the networks must know of a dataset.

    Attributes:
        shape: Height, width and channels of an image; 1 channel is grey, 3 are red-green-blue, 4
            those premultiplied by the alpha that follows them.
        classes: Number of classes; 0 for a plain GAN without labels.
        names: Of the classes; () where they have none but their numbers.
    """

    shape: tuple[int, int, int]
    classes: int
    names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        height, width, channels = self.shape
        sizes_fit = all(size % 4 == 0 and MIN_SIDE <= size <= MAX_SIDE for size in (height, width))
        if not sizes_fit or channels not in CHANNELS:
            raise UserError(
                f"expected images with sides that are multiples of 4 from {MIN_SIDE} to {MAX_SIDE} "
                f"and with 1, 3 or 4 channels, got {height}x{width}x{channels}; choose another "
                "--dataset, or import the images with another --size"
            )
        if len(self.names) not in (0, self.classes):
            raise ValueError(f"names: expected {self.classes} or none, got {len(self.names)}")
        _check_names(self.names)

    @property
    def own_names(self) -> tuple[str, ...]:
        """Names of the classes; () where they say no more than the numbers."""
        return () if self.names == tuple(map(str, range(self.classes))) else self.names

    def name(self, label: int) -> str:
        """Return the name of a class: its number where it has no other."""
        return self.names[label] if self.names else str(label)

    def unlabelled(self) -> ImageSpec:
        """Return the same without classes."""
        return ImageSpec(self.shape, 0)


def _check_names(names: tuple[str, ...]) -> None:
    """Raise ``UserError`` where names of classes could not be stored, shown or told apart."""
    sizes = [len(name.encode(errors="ignore")) for name in names]
    for name, size in zip(names, sizes, strict=True):
        odd = re.search(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]", name)
        if odd or not 1 <= size <= MAX_CLASS_NAME:
            raise UserError(
                f"class name {name[:MAX_CLASS_NAME]!a}: expected 1 to {MAX_CLASS_NAME} bytes of "
                "UTF-8 without control characters; rename that class"
            )
    if len(set(names)) < len(names):
        twice = next(name for index, name in enumerate(names) if name in names[:index])
        raise UserError(f"two classes are called {twice!a}; rename one")
    if sum(sizes) + len(names) - 1 > MAX_CLASS_NAMES:
        raise UserError(
            f"class names: expected at most {MAX_CLASS_NAMES} bytes in all; choose shorter names"
        )


class Setting(NamedTuple):
    """What is known of an option besides its type and default.

    Attributes:
        help: What it is and what raising it does, with its unit.
        group: Heading under which ``--help`` lists it.
        minimum: Smallest value; None for no bound.
        maximum: Largest value; None for no bound.
        above: Bound that the value has to exceed; None for no bound.
        below: Bound that the value must not reach; None for no bound.
        may_change: Whether a resumed run may have another value: it changes no result but for
            rounding, or only when something is reported, kept or ended.
        shapes_network: Whether it changes the names or shapes of the weights.
        neutral: What a run that is older than the option did, in place of the default; for runs
            whose config.json lacks it.
    """

    help: str
    group: str
    minimum: float | None = None
    maximum: float | None = None
    above: float | None = None
    below: float | None = None
    may_change: bool = False
    shapes_network: bool = False
    neutral: Any = dataclasses.MISSING


def setting(default: Any, help: str, *, group: str, **known: Any) -> Any:
    """Return a dataclass field with a default and a ``Setting``."""
    entry = Setting(" ".join(help.split()), group, **known)
    return dataclasses.field(default=default, metadata={"setting": entry})


DATA, NETWORK, OBJECTIVE = "data", "network", "objective"
SCHEDULE, RUN, REPORTS = "schedule", "run", "reports"
GROUPS = {
    DATA: "Which images are trained on.",
    NETWORK: "Size and kind of the generator (G) and the discriminator (D).",
    OBJECTIVE: "What both networks minimise.",
    SCHEDULE: "How fast they are updated, and how that changes with the images seen.",
    RUN: "How long training goes on, and what is kept.",
    REPORTS: "What is measured and written on the way.",
}


@dataclass(frozen=True)
class TrainConfig:
    """Train a GAN on a dataset. Run the same command again to continue from the newest checkpoint.

    Ctrl-C saves a checkpoint and leaves.
    """

    dataset: str = setting(
        "mnist",
        """Name of a prepared dataset (see: jaxgan data --help), or stacked_mnist, which is made of
        mnist.""",
        group=DATA,
    )
    data_dir: str = setting(
        "data", "Folder of prepared datasets (see: jaxgan data --help).", group=DATA,
        may_change=True,
    )  # fmt: skip
    train_images: int | None = setting(
        None, "Use only the first N training images. None: all of them.", group=DATA, minimum=1
    )
    conditional: bool = setting(
        True, "Condition both networks on class labels; --no-conditional trains a plain GAN.",
        group=DATA, shapes_network=True,
    )  # fmt: skip

    latent_size: int = setting(
        64,
        "Dimension of the latent vector, standard normal. Larger: more weights in the first layer.",
        group=NETWORK, minimum=1, maximum=MAX_LATENT, shapes_network=True,
    )  # fmt: skip
    components: int | None = setting(
        None,
        """Number of mixture components K; argmax over the first K latent entries selects one of K
        learned embeddings; 0 disables. None: 32 for grey images without labels, 0 for others.""",
        group=NETWORK, minimum=0, shapes_network=True, neutral=0,
    )  # fmt: skip
    width: int = setting(
        32,
        """Channels of the feature map next to the image, which double inwards; half as many where
        there are more than three maps. Twice the width takes about three times as long.""",
        group=NETWORK, minimum=1, shapes_network=True,
    )  # fmt: skip
    residuals: int | None = setting(
        None,
        """Residual 1x1 convolution layers on each feature map of G. Two gain 15 to 20 % of the FID
        on Fashion-MNIST and take 1.24 times as long. None: 2 where there are three maps or more
        (sides from 32 on), else 0.""",
        group=NETWORK, minimum=0, maximum=MAX_RESIDUALS, shapes_network=True, neutral=0,
    )  # fmt: skip
    convolution: Literal["auto", "onednn", "gemm", "xla"] = setting(
        "auto",
        """Backend of the convolutions; backends agree to rounding. auto: the fastest that can be
        had here.""",
        group=NETWORK, may_change=True,
    )  # fmt: skip

    loss: Literal["bce", "hinge", "rpgan"] | None = setting(
        None,
        """Binary cross-entropy (non-saturating), hinge, or relativistic pairing. None: bce with
        labels, and rpgan without, where bce drops modes.""",
        group=OBJECTIVE,
    )  # fmt: skip
    r1: float | None = setting(
        None,
        """Weight of the gradient penalty on real images (R1); 0 disables. Larger: more stable, less
        detail. None: pixels / 2048, at least 1.""",
        group=OBJECTIVE, minimum=0,
    )  # fmt: skip
    r2: float | None = setting(
        None, "Weight of the gradient penalty on generated images (R2); 0 disables. None: as R1.",
        group=OBJECTIVE, minimum=0,
    )  # fmt: skip
    penalty_final: float = setting(
        1.0, "Factor on both penalty weights that is reached after --anneal-images.",
        group=OBJECTIVE, minimum=0, neutral=1.0,
    )  # fmt: skip
    augment: Literal["auto", "none", "fixed", "adaptive"] = setting(
        "auto",
        """Augmentation of what D sees: shifts, colours, cutout. fixed: each with
        --augment-probability. adaptive: as likely as keeps D from telling real images by heart.
        auto: fixed below 1,000 images, adaptive below 30,000, else none.""",
        group=OBJECTIVE, neutral="none",
    )  # fmt: skip
    augment_probability: float = setting(
        1.0, "Probability of each augmentation if fixed, the highest one if adaptive.",
        group=OBJECTIVE, minimum=0, maximum=1, neutral=1.0,
    )  # fmt: skip
    lecam: float | None = setting(
        None,
        """Weight of LeCam's penalty, which keeps D's logits near their moving averages. Larger: D
        overfits a small set less. None: 0.1 below 1,000 images, else 0.""",
        group=OBJECTIVE, minimum=0, neutral=0.0,
    )  # fmt: skip

    batch_size: int = setting(
        64,
        """Real images per step; D sees as many generated ones beside them. Larger: steadier
        gradients, more memory, fewer steps per epoch.""",
        group=SCHEDULE, minimum=1,
    )  # fmt: skip
    learning_rate: float | None = setting(
        None,
        """Adam's step size for both networks, at the start. Too large: losses diverge. None: 0.0012
        where there are three maps or more (sides from 32 on), else 0.0024.""",
        group=SCHEDULE, above=0,
    )  # fmt: skip
    learning_rate_images: float = setting(
        250_000.0,
        """Images after which the learning rate has fallen to 1/sqrt(2); it falls on as
        1/sqrt(images). Larger: it stays high for longer.""",
        group=SCHEDULE, above=0,
    )  # fmt: skip
    warmup_images: float | None = setting(
        None,
        """Images over which the learning rate rises linearly from 0; 0 disables. None: 20000 with
        --residuals, else 0.""",
        group=SCHEDULE, minimum=0, neutral=0.0,
    )  # fmt: skip
    beta1: float = setting(
        0.0, "Adam's decay rate of the first moment, per step.", group=SCHEDULE, minimum=0, below=1
    )
    beta2: float = setting(
        0.99, "Adam's decay rate of the second moment, per step, at the start.",
        group=SCHEDULE, minimum=0, below=1,
    )  # fmt: skip
    beta2_final: float | None = setting(
        None, "The same after --anneal-images. None: as at the start.",
        group=SCHEDULE, minimum=0, below=1, neutral=None,
    )  # fmt: skip
    anneal_images: float = setting(
        4e6, "Images over which --penalty-final and --beta2-final are approached (half cosine).",
        group=SCHEDULE, above=0,
    )  # fmt: skip
    ema_half_life: float = setting(  # and at most 5 % of the images seen: StyleGAN2-ADA
        500_000.0,
        """Half-life, in images, of the exponential moving average of G's weights; shorter while a
        run is young. Larger: smoother, slower to follow.""",
        group=SCHEDULE, above=0,
    )  # fmt: skip

    epochs: int | None = setting(
        None,
        """Passes over the training images; a finished run continues when this is raised. None: 30,
        or as many as show about 1.8 million images.""",
        group=RUN, minimum=1, may_change=True, neutral=None,
    )  # fmt: skip
    minutes: float | None = setting(
        None,
        """Train for so many minutes instead of --epochs. Compiling, samples, evaluation and saving
        do not count. None: by --epochs.""",
        group=RUN, above=0, may_change=True,
    )  # fmt: skip
    seed: int = setting(
        0, "Seed of initial weights, latents and data order (0 to 4294967295).",
        group=RUN, minimum=0, maximum=MAX_SEED,
    )  # fmt: skip
    run_dir: str = setting(
        "checkpoints/{dataset}",
        """Folder of the run: config, metrics, samples, checkpoints, the finished generator.
        {dataset} stands for the name of the dataset.""",
        group=RUN, may_change=True,
    )  # fmt: skip
    fork: str | None = setting(
        None,
        """Folder of a new run that starts from the newest checkpoint in --run-dir, which stays as
        it is; other options may then differ.""",
        group=RUN, may_change=True,
    )  # fmt: skip
    checkpoint_every: int | None = setting(
        None,
        """Epochs between checkpoints; the last step is always saved. None: 10, or as many as show
        300,000 images. Where an epoch has more than 240,000 images, 60,000 count as one.""",
        group=RUN, minimum=1, may_change=True, neutral=None,
    )  # fmt: skip
    checkpoint_minutes: float = setting(
        5.0, "Minutes after which a checkpoint is due as well, if epochs are long.",
        group=RUN, above=0, may_change=True,
    )  # fmt: skip
    keep_checkpoints: int = setting(
        3,
        "Keep the N most recent checkpoints, plus the best by FID (by KL for stacked_mnist).",
        group=RUN, minimum=1, may_change=True,
    )  # fmt: skip
    compilation_cache: bool = setting(
        True, "Keep compiled programs in the user's cache folder, so that the next start is quick.",
        group=RUN, may_change=True,
    )  # fmt: skip

    report_every: int = setting(
        100, "Steps between lines in metrics.jsonl.", group=REPORTS, minimum=1, may_change=True
    )
    evaluate_every: int | None = setting(
        None,
        """Epochs, counted as for --checkpoint-every, between evaluations on a few thousand images;
        a run's end and the checkpoints of --checkpoint-every are evaluated, too. 0 disables. None:
        5, or as many as show 150,000 images.""",
        group=REPORTS, minimum=0, may_change=True, neutral=None,
    )  # fmt: skip
    convert: bool = setting(
        True, "Write generator.tflite at the end; --no-convert leaves it to convert_tflite.py.",
        group=REPORTS, may_change=True,
    )  # fmt: skip
    saved_model: bool = setting(
        False, "Write a TensorFlow SavedModel folder as well.", group=REPORTS, may_change=True
    )

    def __post_init__(self) -> None:
        folder = self.run_dir.replace("{dataset}", self.dataset.replace("/", "-"))
        object.__setattr__(self, "run_dir", folder)
        known = settings(type(self))
        for field in dataclasses.fields(self):
            _check_bounds(field.name, getattr(self, field.name), known[field.name])
        if self.components is not None and self.components > self.latent_size:
            expected = f"0 to --latent-size, {self.latent_size}"
            require(self, "components", False, expected)
        require(self, "dataset", self.dataset != "", "the name of a dataset")
        for name in ("data_dir", "run_dir", "fork"):
            require(self, name, getattr(self, name) != "", "the name of a folder")
        fits = self.convert or not self.saved_model
        require(self, "saved_model", fits, "no --no-convert with it")


def settings(config: type[Any] = TrainConfig) -> dict[str, Setting]:
    """Return what is known of each option of a configuration, by its name."""
    return {field.name: field.metadata["setting"] for field in dataclasses.fields(config)}


def _check_bounds(name: str, value: Any, known: Setting) -> None:
    """Raise ``UserError`` where a number is out of its bounds, or is none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return
    wrong = (
        not math.isfinite(value)
        or (known.minimum is not None and value < known.minimum)
        or (known.maximum is not None and value > known.maximum)
        or (known.above is not None and value <= known.above)
        or (known.below is not None and value >= known.below)
    )
    if wrong:
        raise UserError(f"{option(name)}: expected {_in_words(known)}, got {value}")


def _in_words(known: Setting) -> str:
    """Return bounds as ``0 to 4``, ``at least 1``, ``above 0`` or ``from 0 to below 1``."""
    if known.below is not None:
        return f"a number from {known.minimum:g} to below {known.below:g}"
    if known.above is not None:
        return f"a number above {known.above:g}"
    if known.minimum is not None and known.maximum is not None:
        return f"{known.minimum} to {known.maximum}"
    return "a finite number" if known.minimum is None else f"at least {known.minimum}"


def require(config: object, name: str, holds: bool, expected: str) -> None:
    """Raise ``UserError`` that names an option, what was expected and what came, if it is wrong."""
    if not holds:
        raise UserError(f"{option(name)}: expected {expected}, got {getattr(config, name)}")


def option(name: str) -> str:
    """Return the command-line option of a setting: ``batch_size`` → ``--batch-size``."""
    return "--" + name.replace("_", "-")


def options(names: Iterable[str]) -> str:
    """Return options in a row: ``--width, --latent-size``."""
    return ", ".join(map(option, names))


def resolved(config: TrainConfig, spec: ImageSpec, count: int = LARGE_SET) -> TrainConfig:
    """Return a configuration whose defaults that depend on the data are filled in.

    It is what a run writes to its config.json; a resumed run takes them from there.

    Args:
        config: The configuration.
        spec: Shape and classes of the images.
        count: Number of training images.
    """
    height, width, channels = spec.shape
    several = min(height, width) >= DEEP_SIDE
    # Colour channels may each show something of their own, as Stacked MNIST's do: far more kinds
    # than components, which then make some of them more frequent than others.
    mixed = not spec.classes and channels == 1
    small = count < FEW_IMAGES
    by_size = "fixed" if small else "adaptive" if count < MANY_IMAGES else "none"
    residuals = 2 * several if config.residuals is None else config.residuals
    penalty = max(1.0, height * width / 2048)  # StyleGAN3 has weights in proportion to the pixels
    defaults: dict[str, Any] = {
        "loss": "bce" if spec.classes else "rpgan",
        "components": min(COMPONENTS, config.latent_size) if mixed else 0,
        "residuals": residuals,
        "warmup_images": 20_000.0 if residuals else 0.0,
        "learning_rate": 1.2e-3 if several else 2.4e-3,
        "r1": penalty,
        "r2": penalty,
        "lecam": 0.1 if small else 0.0,
    }
    taken = {name: value for name, value in defaults.items() if getattr(config, name) is None}
    if config.augment == "auto":
        taken["augment"] = by_size
    return dataclasses.replace(config, **taken)


# What ``resolved`` fills in, and what stands for "not said" there.
DEPENDS_ON_DATA = {
    **dict.fromkeys(
        ("loss", "components", "residuals", "warmup_images", "learning_rate", "r1", "r2", "lecam")
    ),
    "augment": "auto",
}


def resumed(config: TrainConfig, known: TrainConfig) -> TrainConfig:
    """Return a configuration with defaults that depend on the data taken from a known run."""
    taken = {
        name: getattr(known, name)
        for name, unsaid in DEPENDS_ON_DATA.items()
        if getattr(config, name) == unsaid
    }
    return dataclasses.replace(config, **taken)


def changes(old: TrainConfig, new: TrainConfig) -> list[tuple[str, Any, Any]]:
    """Return (name, old, new) of each option that differs."""
    before, after = dataclasses.asdict(old), dataclasses.asdict(new)
    return [(name, before[name], after[name]) for name in before if before[name] != after[name]]


def differences(old: TrainConfig, new: TrainConfig) -> list[tuple[str, Any, Any]]:
    """Return those of the ``changes`` that a resumed run may not have."""
    known = settings()
    return [change for change in changes(old, new) if not known[change[0]].may_change]


DEFAULT_RUN_DIR = TrainConfig().run_dir  # what commands look at where none is named
