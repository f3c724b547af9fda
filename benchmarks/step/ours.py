"""This project's own step: ``jaxgan.gan`` with the layers of ``benchmarks.dcgan``."""

from __future__ import annotations

from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

from benchmarks import dcgan
from jaxgan import runtime
from jaxgan.config import ImageSpec, TrainConfig
from jaxgan.convolution import choose_form
from jaxgan.gan import (
    GAN,
    Batch,
    Metrics,
    Pair,
    State,
    average_decay,
    make_gan,
    normalize,
    steps_per_call,
)
from jaxgan.losses import discriminator_loss, generator_loss
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


def players(spec: ImageSpec, width: int, form: str) -> tuple[nn.Module, nn.Module]:
    """Return both players."""
    return Generator(form), Discriminator(form)


def config(batch: int) -> TrainConfig:
    """Return the settings of a run."""
    return TrainConfig(
        batch_size=batch,
        latent_size=dcgan.LATENT,
        learning_rate=dcgan.LEARNING_RATE,
        beta1=dcgan.BETA1,
        beta2=dcgan.BETA2,
    )


def start(batch: int, form: str = "auto", simultaneous: bool = False) -> Callable[[int], None]:
    """Return a trainer.

    Args:
        batch: Real images a step.
        form: Form of the convolution family.
        simultaneous: Update both players from one pass of each, which is another algorithm.
    """
    runtime.keep_memory(step_bytes(_SPEC, dcgan.NARROW, batch))
    gan = make_gan(config(batch), _SPEC, form, players)
    real = Batch(dcgan.images(batch), np.zeros(batch, np.int32))
    if simultaneous:
        step = _simultaneous(config(batch), choose_form(form))
        gan = gan._replace(step=step, steps=_scanned(step))
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


def _simultaneous(settings: TrainConfig, form: str) -> Callable:
    """Return a step in which G learns from the same pass of D that D learns from.

    D treats each image by itself, so the gradient of G's loss in an image is that of D's loss
    there, scaled by what the two losses ask of its logit: -exp(-logit).
    """
    generator, discriminator = players(_SPEC, 0, form)
    adam = optax.adam(dcgan.LEARNING_RATE, dcgan.BETA1, dcgan.BETA2)

    def update(gradient, optimizer, params):
        updates, optimizer = adam.update(gradient, optimizer, params)
        return optax.apply_updates(params, updates), optimizer

    def step(state: State, batch: Batch) -> tuple[State, Metrics]:
        g_params, d_params = state.params
        size = len(batch.image)
        key = jax.random.fold_in(jax.random.key(0), state.step)
        latent = jax.random.normal(key, (size, dcgan.LATENT))
        fake, pull_back = jax.vjp(
            lambda params: generator.apply({"params": params}, latent), g_params
        )

        def d_objective(params, fake):
            images = jnp.concatenate([normalize(batch.image), fake])
            logits = jnp.split(discriminator.apply({"params": params}, images), 2)
            return discriminator_loss(*logits), logits

        (d_loss, logits), gradients = jax.value_and_grad(d_objective, (0, 1), has_aux=True)(
            d_params, fake
        )
        d_gradient, image_gradient = gradients
        scale = -jnp.exp(jnp.clip(-logits[1], -30, 30))
        (g_gradient,) = pull_back(image_gradient * scale[:, None, None, None])
        d_params, d_optimizer = update(d_gradient, state.optimizer.discriminator, d_params)
        g_params, g_optimizer = update(g_gradient, state.optimizer.generator, g_params)
        decay = average_decay(state.step, size, settings.ema_half_life)
        average = optax.incremental_update(g_params, state.average, 1.0 - decay)
        state = State(
            Pair(g_params, d_params), Pair(g_optimizer, d_optimizer), average, state.step + 1
        )
        return state, Metrics(d_loss, generator_loss(logits[1]), *map(jnp.mean, logits))

    return jax.jit(step, donate_argnums=0)


def _scanned(step: Callable) -> Callable:
    return jax.jit(lambda state, batches: jax.lax.scan(step, state, batches), donate_argnums=0)
