"""This project's own step: ``jaxgan.gan.step`` with the layers of ``benchmarks.dcgan``."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import dcgan
from jaxgan.config import ImageSpec, TrainConfig
from jaxgan.gan.networks import Resample
from jaxgan.gan.step import GAN, Batch, make_gan, steps_per_call
from jaxgan.training import memory

_SPEC = ImageSpec((28, 28, 1), 0)


class Generator(nn.Module):
    """Latent vectors [B, 100] → images [B, 28, 28, 1]."""

    backend: str

    @nn.compact
    def __call__(self, latent: jax.Array, label: None = None) -> jax.Array:
        """Draw images."""
        x = nn.leaky_relu(nn.Dense(dcgan.SMALL * dcgan.SMALL * dcgan.WIDE)(latent), dcgan.SLOPE)
        x = Resample(dcgan.NARROW, True, self.backend)(
            x.reshape(-1, dcgan.SMALL, dcgan.SMALL, dcgan.WIDE)
        )
        return jnp.tanh(Resample(1, True, self.backend, leaky=False)(x))


class Discriminator(nn.Module):
    """Images [B, 28, 28, 1] → logits [B]."""

    backend: str

    @nn.compact
    def __call__(self, image: jax.Array, label: None = None) -> jax.Array:
        """Return logits."""
        x = Resample(dcgan.NARROW, False, self.backend)(image)
        x = Resample(dcgan.WIDE, False, self.backend)(x)
        return nn.Dense(1)(x.reshape(x.shape[0], -1))[:, 0]


def make_networks(
    _config: TrainConfig, _spec: ImageSpec, backend: str
) -> tuple[nn.Module, nn.Module]:
    """Return generator and discriminator."""
    return Generator(backend), Discriminator(backend)


def config(batch: int) -> TrainConfig:
    """Return the configuration of a run."""
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


def start(batch: int, backend: str = "auto") -> Callable[[int], None]:
    """Return a trainer.

    Args:
        batch: Real images a step.
        backend: Backend of the convolution family.
    """
    memory.tune_malloc()
    known = dataclasses.replace(config(batch), width=dcgan.NARROW)
    memory.reuse(memory.step_bytes(known, _SPEC))
    gan = make_gan(config(batch), _SPEC, backend, make_networks)
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
    known = TrainConfig(batch_size=batch, width=width)
    memory.tune_malloc()
    memory.reuse(memory.step_bytes(known, spec))
    gan = make_gan(known, spec)
    image = np.random.default_rng(0).integers(0, 256, (batch, size, size, channels), np.uint8)
    return _runner(gan, Batch(image, np.arange(batch, dtype=np.int32) % 10))


def _runner(gan: GAN, real: Batch) -> Callable[[int], None]:
    """Return what takes steps as training takes them: several a call where that is faster."""
    state, in_a_call = gan.init(), steps_per_call()
    real = jax.device_put(real)
    several = jax.tree.map(lambda array: jnp.broadcast_to(array, (in_a_call, *array.shape)), real)
    if in_a_call > 1:
        state, _ = gan.steps(state, several)  # compiles

    def run(steps: int) -> None:
        nonlocal state
        calls, rest = divmod(steps, in_a_call) if in_a_call > 1 else (0, steps)
        for _ in range(calls):
            state, metrics = gan.steps(state, several)
        for _ in range(rest):
            state, metrics = gan.step(state, real)
        jax.block_until_ready((state, metrics))

    return run
