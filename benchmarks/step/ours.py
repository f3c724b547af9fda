"""This project's own step: ``jaxgan.gan`` with the layers of ``benchmarks.dcgan``."""

from __future__ import annotations

from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import dcgan
from jaxgan import runtime
from jaxgan.config import ImageSpec, TrainConfig
from jaxgan.gan import (
    GAN,
    Batch,
    make_gan,
    steps_per_call,
)
from jaxgan.models import Scaled, step_bytes

_SPEC = ImageSpec((28, 28, 1), 0)


class Generator(nn.Module):
    """Latent vectors [B, 100] → images [B, 28, 28, 1]."""

    form: str

    @nn.compact
    def __call__(self, latent: jax.Array, label: None = None) -> jax.Array:
        """Draw images."""
        x = nn.leaky_relu(nn.Dense(dcgan.SMALL * dcgan.SMALL * dcgan.WIDE)(latent), dcgan.SLOPE)
        x = Scaled(dcgan.NARROW, True, self.form)(
            x.reshape(-1, dcgan.SMALL, dcgan.SMALL, dcgan.WIDE)
        )
        return jnp.tanh(Scaled(1, True, self.form, leaky=False)(x))


class Discriminator(nn.Module):
    """Images [B, 28, 28, 1] → logits [B]."""

    form: str

    @nn.compact
    def __call__(self, image: jax.Array, label: None = None) -> jax.Array:
        """Judge images."""
        x = Scaled(dcgan.NARROW, False, self.form)(image)
        x = Scaled(dcgan.WIDE, False, self.form)(x)
        return nn.Dense(1)(x.reshape(x.shape[0], -1))[:, 0]


def players(_config: TrainConfig, _spec: ImageSpec, form: str) -> tuple[nn.Module, nn.Module]:
    """Return both players."""
    return Generator(form), Discriminator(form)


def config(batch: int) -> TrainConfig:
    """Return the settings of a run."""
    return TrainConfig(
        loss="bce",
        batch_size=batch,
        latent_size=dcgan.LATENT,
        learning_rate=dcgan.LEARNING_RATE,
        beta1=dcgan.BETA1,
        beta2=dcgan.BETA2,
        learning_rate_images=1e12,
        r1=0.0,
        r2=0.0,
    )


def start(batch: int, form: str = "auto") -> Callable[[int], None]:
    """Return a trainer.

    Args:
        batch: Real images a step.
        form: Form of the convolution family.
    """
    runtime.keep_memory(step_bytes(_SPEC, dcgan.NARROW, batch))
    gan = make_gan(config(batch), _SPEC, form, players)
    real = Batch(dcgan.images(batch), np.zeros(batch, np.int32))
    return _runner(gan, real)


def default(
    batch: int = TrainConfig.batch_size,
    width: int = TrainConfig.width,
    size: int = 28,
    channels: int = 1,
) -> Callable[[int], None]:
    """Return a trainer of the project's own networks on square images of a size."""
    spec = ImageSpec((size, size, channels), 10)
    runtime.keep_memory(step_bytes(spec, width, batch))
    gan = make_gan(TrainConfig(batch_size=batch, width=width), spec)
    image = np.random.default_rng(0).integers(0, 256, (batch, size, size, channels), np.uint8)
    return _runner(gan, Batch(image, np.arange(batch, dtype=np.int32) % 10))


def _runner(gan: GAN, real: Batch) -> Callable[[int], None]:
    """Return what takes steps as training takes them: several a call where that is faster."""
    state, most = gan.init(), steps_per_call()
    real = jax.device_put(real)
    several = jax.tree.map(lambda array: jnp.broadcast_to(array, (most, *array.shape)), real)
    if most > 1:
        state, _ = gan.steps(state, several)  # compiles

    def run(steps: int) -> None:
        nonlocal state
        calls, rest = divmod(steps, most) if most > 1 else (0, steps)
        for _ in range(calls):
            state, metrics = gan.steps(state, several)
        for _ in range(rest):
            state, metrics = gan.step(state, real)
        jax.block_until_ready((state, metrics))

    return run
