"""The plain port: Flax as its examples write it, one loss and one ``jax.grad`` a network."""

from __future__ import annotations

from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from benchmarks import dcgan

_WINDOW, _STRIDES = (dcgan.KERNEL, dcgan.KERNEL), (dcgan.STRIDE, dcgan.STRIDE)


class Generator(nn.Module):
    """Latent vectors [B, 100] → images [B, 28, 28, 1]."""

    @nn.compact
    def __call__(self, latent: jax.Array) -> jax.Array:
        """Draw images."""
        x = nn.leaky_relu(nn.Dense(dcgan.SMALL * dcgan.SMALL * dcgan.WIDE)(latent), dcgan.SLOPE)
        x = x.reshape(-1, dcgan.SMALL, dcgan.SMALL, dcgan.WIDE)
        x = nn.leaky_relu(nn.ConvTranspose(dcgan.NARROW, _WINDOW, _STRIDES)(x), dcgan.SLOPE)
        return jnp.tanh(nn.ConvTranspose(1, _WINDOW, _STRIDES)(x))


class Discriminator(nn.Module):
    """Images [B, 28, 28, 1] → logits [B, 1]."""

    @nn.compact
    def __call__(self, image: jax.Array) -> jax.Array:
        """Return logits."""
        x = nn.leaky_relu(nn.Conv(dcgan.NARROW, _WINDOW, _STRIDES)(image), dcgan.SLOPE)
        x = nn.leaky_relu(nn.Conv(dcgan.WIDE, _WINDOW, _STRIDES)(x), dcgan.SLOPE)
        return nn.Dense(1)(x.reshape(x.shape[0], -1))


def start(batch: int) -> Callable[[int], None]:
    """Return a trainer."""
    generator, discriminator = Generator(), Discriminator()
    adam = optax.adam(dcgan.LEARNING_RATE, dcgan.BETA1, dcgan.BETA2)
    real = jnp.asarray(dcgan.scaled_images(batch))
    g_params = generator.init(jax.random.key(0), jnp.zeros((1, dcgan.LATENT)))
    d_params = discriminator.init(jax.random.key(1), real[:1])
    state = g_params, d_params, adam.init(g_params), adam.init(d_params)

    def d_loss(d_params, fake, real):
        real_logit = discriminator.apply(d_params, real)
        fake_logit = discriminator.apply(d_params, fake)
        return jnp.mean(nn.softplus(-real_logit)) + jnp.mean(nn.softplus(fake_logit))

    def g_loss(g_params, d_params, latent):
        fake_logit = discriminator.apply(d_params, generator.apply(g_params, latent))
        return jnp.mean(nn.softplus(-fake_logit))

    @jax.jit
    def step(state, key, real):
        g_params, d_params, g_optimizer, d_optimizer = state
        latent = jax.random.normal(key, (batch, dcgan.LATENT))
        gradient = jax.grad(d_loss)(d_params, generator.apply(g_params, latent), real)
        updates, d_optimizer = adam.update(gradient, d_optimizer)
        d_params = optax.apply_updates(d_params, updates)
        gradient = jax.grad(g_loss)(g_params, d_params, latent)
        updates, g_optimizer = adam.update(gradient, g_optimizer)
        g_params = optax.apply_updates(g_params, updates)
        return g_params, d_params, g_optimizer, d_optimizer

    def run(steps: int) -> None:
        nonlocal state
        for number in range(steps):
            state = step(state, jax.random.key(number), real)
        jax.block_until_ready(state)

    return run
