"""The pure core: a state of two players, and the functions that make, train and sample it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxgan import convolution
from jaxgan.config import ImageSpec, TrainConfig
from jaxgan.losses import discriminator_loss, generator_loss
from jaxgan.models import players as default_players

Params = Any
_TRAINING = 2**32 - 1  # the last index that an image can have


class Pair(NamedTuple):
    """One thing of each player."""

    generator: Any
    discriminator: Any


class State(NamedTuple):
    """All that training changes.

    Attributes:
        params: Weights of both players.
        optimizer: Adam's moments of both players.
        average: Exponential moving average of the generator's weights: samples, export.
        step: Steps taken, int32.
    """

    params: Pair
    optimizer: Pair
    average: Params
    step: jax.Array


class Batch(NamedTuple):
    """Real images and their classes.

    Attributes:
        image: uint8 [B, H, W, C].
        label: int32 [B]; unused by a plain GAN.
    """

    image: jax.Array
    label: jax.Array


class Metrics(NamedTuple):
    """What a step measured, float32 scalars on the device."""

    discriminator_loss: jax.Array
    generator_loss: jax.Array
    real_logit: jax.Array
    fake_logit: jax.Array


class GAN(NamedTuple):
    """Pure functions of one GAN.

    Attributes:
        init: () → State at step 0.
        step: (State, Batch) → (State, Metrics), compiled; the given state's buffers are reused.
        steps: The same for K steps in one call: Batch and Metrics have a leading axis K.
        sample: (generator params, latent [B, Z], label [B] or None) → images [B, H, W, C] in
            [-1, 1], compiled.
    """

    init: Callable[[], State]
    step: Callable[[State, Batch], tuple[State, Metrics]]
    steps: Callable[[State, Batch], tuple[State, Metrics]]
    sample: Callable[[Params, jax.Array, jax.Array | None], jax.Array]


def normalize(image: jax.Array) -> jax.Array:
    """Return uint8 images as float32 in [-1, 1]."""
    return image.astype(jnp.float32) / 127.5 - 1.0


def average_decay(step: jax.Array, batch_size: int, half_life: float) -> jax.Array:
    """Return the decay of the weight average at a step.

    0.5 ** (batch / min(half_life, 0.05 * images seen)): Karras et al. 2020, StyleGAN2's code.
    """
    seen = (step + 1).astype(jnp.float32) * batch_size
    return 0.5 ** (batch_size / jnp.minimum(half_life, 0.05 * seen))


def steps_per_call() -> int:
    """Return how many steps are best taken in one call on JAX's default backend.

    On a GPU the start of a call costs more than a step on small images. On a CPU, XLA runs
    convolutions inside a loop fifteen times slower than outside.
    """
    return 1 if jax.default_backend() == "cpu" else 50


def make_gan(
    config: TrainConfig,
    spec: ImageSpec,
    form: str = "auto",
    players: Callable[[ImageSpec, int, str], tuple[Any, Any]] = default_players,
) -> GAN:
    """Return the functions of the GAN that some settings describe.

    A step updates D on half real and half generated images, then G against the new D on the same
    generated images. Its randomness is a function of (seed, step), so a state is all it needs.

    Args:
        config: Settings of the run.
        spec: Shape and classes of the images; 0 classes for a plain GAN.
        form: Form of the convolution family (see ``convolution.choose_form``).
        players: (spec, width, form) → generator and discriminator, linen modules.

    Raises:
        UserError: The form cannot be had here.
    """
    generator, discriminator = players(spec, config.width, convolution.choose_form(form))
    adam = optax.adam(config.learning_rate, config.beta1, config.beta2)
    # Keys of their own, so that no sample (see latents.py) repeats a latent of training.
    key = jax.random.fold_in(jax.random.key(config.seed), _TRAINING)
    init_key, step_key = jax.random.split(key)

    def judge(params: Params, image: jax.Array, label: jax.Array | None) -> jax.Array:
        return discriminator.apply({"params": params}, image, label)

    def draw(params: Params, latent: jax.Array, label: jax.Array | None) -> jax.Array:
        return generator.apply({"params": params}, latent, label)

    def init() -> State:
        for_generator, for_discriminator = jax.random.split(init_key)
        label = jnp.zeros(1, jnp.int32)
        latent, image = jnp.zeros((1, config.latent_size)), jnp.zeros((1, *spec.shape))
        params = Pair(
            generator.init(for_generator, latent, label)["params"],
            discriminator.init(for_discriminator, image, label)["params"],
        )
        average = jax.tree.map(jnp.copy, params.generator)
        return State(params, Pair(*map(adam.init, params)), average, jnp.int32(0))

    def step(state: State, batch: Batch) -> tuple[State, Metrics]:
        (g_params, d_params), label = state.params, batch.label
        size = label.shape[0]
        latent = jax.random.normal(
            jax.random.fold_in(step_key, state.step), (size, config.latent_size)
        )
        fake, pull_back = jax.vjp(lambda params: draw(params, latent, label), g_params)

        def d_objective(params: Params) -> tuple[jax.Array, Pair]:
            images = jnp.concatenate([normalize(batch.image), fake])
            real_logit, fake_logit = jnp.split(judge(params, images, jnp.tile(label, 2)), 2)
            return discriminator_loss(real_logit, fake_logit), (real_logit, fake_logit)

        (d_loss, logits), d_gradient = jax.value_and_grad(d_objective, has_aux=True)(d_params)
        d_params, d_optimizer = _update(adam, d_gradient, state.optimizer.discriminator, d_params)

        g_loss, image_gradient = jax.value_and_grad(
            lambda image: generator_loss(judge(d_params, image, label))
        )(fake)
        (g_gradient,) = pull_back(image_gradient)
        g_params, g_optimizer = _update(adam, g_gradient, state.optimizer.generator, g_params)

        decay = average_decay(state.step, size, config.ema_half_life)
        average = optax.incremental_update(g_params, state.average, 1.0 - decay)
        state = State(
            Pair(g_params, d_params), Pair(g_optimizer, d_optimizer), average, state.step + 1
        )
        return state, Metrics(d_loss, g_loss, *map(jnp.mean, logits))

    def steps(state: State, batches: Batch) -> tuple[State, Metrics]:
        if len(batches.label) > 1:
            return jax.lax.scan(step, state, batches)
        state, metrics = step(state, jax.tree.map(lambda array: array[0], batches))
        return state, jax.tree.map(lambda value: value[None], metrics)

    one, several = (jax.jit(function, donate_argnums=0) for function in (step, steps))
    return GAN(jax.jit(init), one, several, jax.jit(draw))


def _update(adam: optax.GradientTransformation, gradient: Params, optimizer: Any, params: Params):
    updates, optimizer = adam.update(gradient, optimizer, params)
    return optax.apply_updates(params, updates), optimizer
