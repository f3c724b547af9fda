"""Train the network that metrics see with: ``python -m scripts.train_features``.

It is trained on the training images alone, with small random moves. Its weights are averaged over
the steps and stored as float16. A distance of features has no unit of its own, so features are
scaled until real training images have a Fréchet distance of 0.29 to the test images: other
distances are then read beside that number.
"""

from __future__ import annotations

import hashlib
import io
import logging
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxgan.commands import cli
from jaxgan.config import require
from jaxgan.data import dataset
from jaxgan.data.order import batch_indices
from jaxgan.errors import TrainingError, UserError
from jaxgan.gan import convolution
from jaxgan.gan.step import normalize
from jaxgan.io.files import write_whole
from jaxgan.metrics import features, fid

_log = logging.getLogger("jaxgan.scripts.train_features")

_SMOOTHING = 0.1  # of the labels: Szegedy et al. 2016
_WEIGHT_DECAY = 1e-2  # decoupled: Loshchilov and Hutter 2019
_UNIT, _COUNT = 0.29, 10_000  # FID of so many training images, after scaling
_DROPPED = 0.3  # of the features, in training


@dataclass(frozen=True)
class FeaturesConfig:
    """Train a feature network and write its weights; their SHA-256 belongs into features.py."""

    dataset: str = "mnist"
    """Dataset: mnist or fashion_mnist."""

    data_dir: str = "data"
    """Folder of prepared datasets."""

    out: str = "features.npz"
    """File of weights to write."""

    epochs: int = 20
    """Passes over the training images."""

    batch_size: int = 128
    """Images per step."""

    learning_rate: float = 2e-3
    """AdamW's step size at its highest; a cosine brings it to 0."""

    turn: float = 10.0
    """Images are turned by up to so many degrees, and scaled and shifted by up to a tenth."""

    seed: int = 0
    """Seed of weights, order and moves."""

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size"):
            require(self, name, getattr(self, name) >= 1, "at least 1")
        for name in ("learning_rate", "turn"):
            require(self, name, 0 <= getattr(self, name) < math.inf, "0 or more")
        require(self, "seed", 0 <= self.seed < 2**32, "0 to 4294967295")


def main(config: FeaturesConfig) -> None:
    """Train, test, write."""
    train, test = (
        dataset.load(config.dataset, config.data_dir, split) for split in ("train", "test")
    )
    if train.spec.shape != features.IMAGE_SHAPE or not train.spec.classes:
        raise UserError(
            f"--dataset: expected labelled images of {features.IMAGE_SHAPE}, got {train.spec}"
        )
    count = len(train.image)
    if config.batch_size > count:
        raise UserError(f"--batch-size: expected {count:,} at most, got {config.batch_size:,}")
    for epoch, loss, weights in _epochs(config, train):
        if not math.isfinite(loss):
            raise TrainingError(f"epoch {epoch}: the loss is {loss}; lower --learning-rate")
        right = accuracy(_rounded(weights), test)
        _log.info("epoch %d: loss %.3f, test accuracy %.2f%%", epoch, loss, 100 * right)
    content = io.BytesIO()
    arrays: dict[str, Any] = _rounded(scaled(weights, train.image, test.image))
    np.savez(content, **arrays)
    write_whole(Path(config.out), content.getvalue())
    digest = hashlib.sha256(content.getvalue()).hexdigest()
    _log.info("%s: %s bytes, SHA-256 %s", config.out, f"{len(content.getvalue()):,}", digest)


def _epochs(
    config: FeaturesConfig, train: dataset.Dataset
) -> Iterator[tuple[int, float, features.Weights]]:
    """Train; yield each epoch's number, the loss of its last step, and the averaged weights."""
    steps_per_epoch = len(train.image) // config.batch_size
    steps = config.epochs * steps_per_epoch
    rise = min(steps_per_epoch, steps // 2)
    rate = optax.warmup_cosine_decay_schedule(0.0, config.learning_rate, rise, steps)
    adam = optax.adamw(rate, weight_decay=_WEIGHT_DECAY)
    key, init_key = jax.random.split(jax.random.key(config.seed))
    step = _make_step(config, adam, key, train.spec.classes)
    weights = ema = features.init(init_key, train.spec.classes)
    optimizer = adam.init(weights)
    for number in range(steps):
        index = batch_indices(config.seed, number, config.batch_size, len(train.image))
        weights, optimizer, ema, loss = step(
            number, weights, optimizer, ema, train.image[index], train.label[index]
        )
        if (number + 1) % steps_per_epoch == 0:
            yield (number + 1) // steps_per_epoch, float(loss), ema


def _make_step(
    config: FeaturesConfig, adam: optax.GradientTransformation, key: jax.Array, classes: int
) -> Callable[..., Any]:
    """Return (number, weights, optimizer, ema, image, label) → the next of them, and a loss."""
    backend = convolution.choose_backend()

    def loss_of(
        weights: Mapping[str, jax.Array], image: jax.Array, label: jax.Array, key: jax.Array
    ) -> jax.Array:
        feature, _ = features.apply(weights, image, backend)
        kept = jax.random.bernoulli(key, 1 - _DROPPED, feature.shape) / (1 - _DROPPED)
        logits = (feature * kept) @ weights["logits"] + weights["logits_bias"]
        target = optax.smooth_labels(jax.nn.one_hot(label, classes), _SMOOTHING)
        loss: jax.Array = optax.softmax_cross_entropy(logits, target).mean()
        return loss

    @jax.jit
    def step(number, weights, optimizer, ema, image, label):  # type: ignore[no-untyped-def]
        move_key, drop_key = jax.random.split(jax.random.fold_in(key, number))
        image = move(move_key, normalize(image), config.turn)
        loss, gradient = jax.value_and_grad(loss_of)(weights, image, label, drop_key)
        updates, optimizer = adam.update(gradient, optimizer, weights)
        weights = optax.apply_updates(weights, updates)
        decay = jnp.minimum(0.998, number / (number + 10))
        return weights, optimizer, optax.incremental_update(weights, ema, 1 - decay), loss

    return step


def scaled(weights: features.Weights, train: np.ndarray, test: np.ndarray) -> features.Weights:
    """Return the same network with features scaled by a constant and classes unchanged.

    Args:
        weights: The network.
        train: Training images uint8 [N, 28, 28, 1]; the first 10,000 define the constant.
        test: Test images uint8 [M, 28, 28, 1].
    """
    real, other = (features.see(weights, image).feature for image in (train[:_COUNT], test))
    scale = (_UNIT / fid.fid(real, other)) ** 0.5
    factors = {"feature": scale, "feature_bias": scale, "logits": 1 / scale}
    return {name: value * factors.get(name, 1.0) for name, value in weights.items()}


def _rounded(weights: features.Weights) -> dict[str, np.ndarray]:
    return {name: np.asarray(value, np.float16) for name, value in weights.items()}


def accuracy(weights: features.Weights, test: dataset.Dataset) -> float:
    """Return the fraction of images that the network classifies correctly."""
    return float(np.mean(features.see(weights, test.image).label == test.label))


def move(key: jax.Array, image: jax.Array, turn: float) -> jax.Array:
    """Return images turned, scaled and shifted at random, with bilinear sampling.

    Args:
        key: Key of the random moves.
        image: float32 [B, H, W, 1] in [-1, 1]; outside of it all is -1.
        turn: Largest angle in degrees, either way.
    """
    batch, height, width, _ = image.shape
    angle, tall, wide, down, right = jax.random.uniform(key, (5, batch, 1, 1), minval=-1.0)
    angle = angle * turn * jnp.pi / 180
    row, column = jnp.mgrid[0:height, 0:width].astype(jnp.float32)
    row, column = row - (height - 1) / 2, column - (width - 1) / 2
    from_row = (1 + 0.1 * tall) * (jnp.cos(angle) * row - jnp.sin(angle) * column)
    from_column = (1 + 0.1 * wide) * (jnp.sin(angle) * row + jnp.cos(angle) * column)
    from_row += (height - 1) / 2 + 0.1 * height * down
    from_column += (width - 1) / 2 + 0.1 * width * right
    sample = jax.vmap(
        lambda one, rows, columns: jax.scipy.ndimage.map_coordinates(
            one, (rows, columns), order=1, mode="constant", cval=-1.0
        )
    )
    moved: jax.Array = sample(image[..., 0], from_row, from_column)[..., None]
    return moved


if __name__ == "__main__":
    cli.run(main, FeaturesConfig, "python -m scripts.train_features")
