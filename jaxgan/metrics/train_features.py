"""Train the network that metrics see with: ``python -m jaxgan.metrics.train_features``.

Trained on the training images alone, moved about a little; weights are averaged over steps and
kept as float16. A distance of features has no unit of its own, so they are scaled until real
training images have a Fréchet distance of 0.29 to the test images: other distances are then read
beside that number.
"""

from __future__ import annotations

import hashlib
import io
import math
from dataclasses import dataclass
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxgan import cli, convolution, data, models, progress, runtime
from jaxgan.config import ImageSpec, require
from jaxgan.errors import TrainingError, UserError
from jaxgan.files import write_whole
from jaxgan.gan import normalize
from jaxgan.metrics import features, fid

_SMOOTHING = 0.1  # of the labels: Szegedy et al. 2016
_WEIGHT_DECAY = 1e-2  # decoupled: Loshchilov and Hutter 2019
_UNIT, _COUNT = 0.29, 10_000  # FID of so many training images, after scaling
_DROPPED = 0.3  # of the features, in training
_SPEC = ImageSpec((28, 28, 1), features.CLASSES)  # of the images that the network can see


@dataclass(frozen=True)
class FeaturesConfig:
    """Train a feature network and write its weights; their SHA-256 belongs into features.py."""

    dataset: str = "mnist"
    """Dataset: mnist or fashion_mnist."""

    data_dir: str = "data"
    """Folder of prepared TFDS datasets."""

    out: str = "features.npz"
    """File of weights to write."""

    epochs: int = 20
    """Passes over the training images."""

    batch_size: int = 128
    """Images a step."""

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
    train, test = (data.load(config.dataset, config.data_dir, split) for split in ("train", "test"))
    if train.spec != _SPEC:
        raise UserError(f"--dataset: expected {_SPEC}, got {train.spec}")
    most = len(train.image)
    if config.batch_size > most:
        raise UserError(f"--batch-size: expected {most:,} at most, got {config.batch_size:,}")
    runtime.keep_memory(models.step_bytes(train.spec, 64, config.batch_size))
    form = convolution.choose_form()
    steps_per_epoch = len(train.image) // config.batch_size
    steps = config.epochs * steps_per_epoch
    rise = min(steps_per_epoch, steps // 2)
    rate = optax.warmup_cosine_decay_schedule(0.0, config.learning_rate, rise, steps)
    adam = optax.adamw(rate, weight_decay=_WEIGHT_DECAY)
    key, init_key = jax.random.split(jax.random.key(config.seed))

    def loss(weights, image, label, drop_key):
        feature, _ = features.apply(weights, image, form)
        kept = jax.random.bernoulli(drop_key, 1 - _DROPPED, feature.shape) / (1 - _DROPPED)
        logits = (feature * kept) @ weights["logits"] + weights["logits_bias"]
        target = optax.smooth_labels(jax.nn.one_hot(label, features.CLASSES), _SMOOTHING)
        return optax.softmax_cross_entropy(logits, target).mean()

    @jax.jit
    def step(number, weights, optimizer, average, image, label):
        move_key, drop_key = jax.random.split(jax.random.fold_in(key, number))
        image = move(move_key, normalize(image), config.turn)
        value, gradient = jax.value_and_grad(loss)(weights, image, label, drop_key)
        updates, optimizer = adam.update(gradient, optimizer, weights)
        weights = optax.apply_updates(weights, updates)
        decay = jnp.minimum(0.998, number / (number + 10))
        return weights, optimizer, optax.incremental_update(weights, average, 1 - decay), value

    weights = average = features.init(init_key)
    optimizer = adam.init(weights)
    for number in range(steps):
        index = data.batch_indices(config.seed, number, config.batch_size, len(train.image))
        weights, optimizer, average, value = step(
            number, weights, optimizer, average, train.image[index], train.label[index]
        )
        if (number + 1) % steps_per_epoch == 0:
            epoch = (number + 1) // steps_per_epoch
            if not math.isfinite(value):
                raise TrainingError(f"epoch {epoch}: the loss is {value}; lower --learning-rate")
            right = accuracy(_rounded(average), test)
            progress.say(f"epoch {epoch}: loss {float(value):.3f}, test accuracy {right:.2%}")
    content = io.BytesIO()
    np.savez(content, **_rounded(scaled(average, train.image, test.image)))
    write_whole(Path(config.out), content.getvalue())
    digest = hashlib.sha256(content.getvalue()).hexdigest()
    progress.say(f"{config.out}: {len(content.getvalue()):,} bytes, SHA-256 {digest}")


def scaled(weights: features.Weights, train: np.ndarray, test: np.ndarray) -> dict[str, jax.Array]:
    """Return the same network with features by a constant larger, verdicts unchanged.

    Args:
        weights: The network.
        train: Training images uint8 [N, 28, 28, 1]; the first 10,000 define the constant.
        test: Test images.
    """
    real, other = (features.see(weights, image).feature for image in (train[:_COUNT], test))
    scale = (_UNIT / fid.fid(real, other)) ** 0.5
    by = {"feature": scale, "feature_bias": scale, "logits": 1 / scale}
    return {name: value * by.get(name, 1.0) for name, value in weights.items()}


def _rounded(weights):
    return {name: np.asarray(value, np.float16) for name, value in weights.items()}


def accuracy(weights, dataset: data.Dataset) -> float:
    """Return the share of a dataset's images that the network names rightly."""
    return float(np.mean(features.see(weights, dataset.image).label == dataset.label))


def move(key: jax.Array, image: jax.Array, turn: float) -> jax.Array:
    """Return images turned, scaled and shifted at random, with bilinear sampling.

    Args:
        key: What decides it.
        image: float32 [B, H, W, 1] in [-1, 1]; around it all is -1.
        turn: Degrees to turn by at most, either way.
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
    return sample(image[..., 0], from_row, from_column)[..., None]


if __name__ == "__main__":
    cli.run(main, FeaturesConfig, "python -m jaxgan.metrics.train_features")
