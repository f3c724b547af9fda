"""The pure core: a state of two players, and the functions that make, train and sample it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxgan import convolution, schedules
from jaxgan.config import ImageSpec, TrainConfig
from jaxgan.lessons import Lesson, in_turn, penalised
from jaxgan.losses import OBJECTIVES
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
    """What a step measured, float32 scalars on the device; the penalty is part of no loss."""

    discriminator_loss: jax.Array
    generator_loss: jax.Array
    real_logit: jax.Array
    fake_logit: jax.Array
    penalty: jax.Array


class GAN(NamedTuple):
    """Pure functions of one GAN.

    Attributes:
        init: () → State at step 0.
        step: (State, Batch) → (State, Metrics), compiled; the given state's buffers are reused.
        steps: The same for K steps in one call: Batch and Metrics have a leading axis K.
        sample: (generator params, latent [B, Z], label [B] or None), optionally followed by
            (toward [B], share [B]), see ``models.Generator`` → images [B, H, W, C] in [-1, 1],
            compiled.
    """

    init: Callable[[], State]
    step: Callable[[State, Batch], tuple[State, Metrics]]
    steps: Callable[[State, Batch], tuple[State, Metrics]]
    sample: Callable[..., jax.Array]


def normalize(image: jax.Array) -> jax.Array:
    """Return uint8 images as float32 in [-1, 1]."""
    return image.astype(jnp.float32) / 127.5 - 1.0


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
    players: Callable[[TrainConfig, ImageSpec, str], tuple[Any, Any]] = default_players,
) -> GAN:
    """Return the functions of the GAN that some settings describe.

    A step shows D as many generated images as real ones, and G learns from the same generated
    images (see ``lessons``). Its randomness is a function of (seed, step), so a state is all
    it needs.

    Args:
        config: Settings of the run.
        spec: Shape and classes of the images; 0 classes for a plain GAN.
        form: Form of the convolution family (see ``convolution.choose_form``).
        players: (config, spec, form) → generator and discriminator, linen modules.

    Raises:
        UserError: The form cannot be had here.
    """
    generator, discriminator = players(config, spec, convolution.choose_form(form))
    objective = OBJECTIVES[config.loss or ("bce" if spec.classes else "rpgan")]
    # Keys of their own, so that no sample (see latents.py) repeats a latent of training.
    key = jax.random.fold_in(jax.random.key(config.seed), _TRAINING)
    init_key, step_key = jax.random.split(key)

    def draw(params: Params, latent: jax.Array, *classes: jax.Array | None) -> jax.Array:
        return generator.apply({"params": params}, latent, *classes)

    def init() -> State:
        for_generator, for_discriminator = jax.random.split(init_key)
        label = jnp.zeros(1, jnp.int32)
        latent, image = jnp.zeros((1, config.latent_size)), jnp.zeros((1, *spec.shape))
        params = Pair(
            generator.init(for_generator, latent, label)["params"],
            discriminator.init(for_discriminator, image, label)["params"],
        )
        average = jax.tree.map(jnp.copy, params.generator)
        adam = optax.scale_by_adam()
        return State(params, Pair(*map(adam.init, params)), average, jnp.int32(0))

    def update(gradient: Params, optimizer: Any, params: Params, seen: jax.Array):
        adam = optax.scale_by_adam(config.beta1, schedules.beta2(config, seen))
        updates, optimizer = adam.update(gradient, optimizer)
        rate = schedules.learning_rate(config, seen)
        return optax.apply_updates(params, optax.tree.scale(-rate, updates)), optimizer

    def teach(params: Params, real: jax.Array, fake: jax.Array, label, seen) -> Lesson:
        if not (config.r1 or config.r2):
            return in_turn(discriminator, objective, params, real, fake, label)
        weights = schedules.penalties(config, seen)
        return penalised(discriminator, objective, params, real, fake, label, weights)

    def step(state: State, batch: Batch) -> tuple[State, Metrics]:
        (g_params, d_params), label = state.params, batch.label
        size = label.shape[0]
        seen = (state.step + 1).astype(jnp.float32) * size
        latent = jax.random.normal(
            jax.random.fold_in(step_key, state.step), (size, config.latent_size)
        )
        fake, pull_back = jax.vjp(lambda params: draw(params, latent, label), g_params)

        lesson = teach(d_params, normalize(batch.image), fake, label, seen)
        d_params, d_optimizer = update(
            lesson.gradient, state.optimizer.discriminator, d_params, seen
        )
        g_loss, image_gradient = lesson.for_generator(d_params)
        (g_gradient,) = pull_back(image_gradient)
        g_params, g_optimizer = update(g_gradient, state.optimizer.generator, g_params, seen)

        decay = schedules.average_decay(config, seen, size)
        average = optax.incremental_update(g_params, state.average, 1.0 - decay)
        state = State(
            Pair(g_params, d_params), Pair(g_optimizer, d_optimizer), average, state.step + 1
        )
        logits = map(jnp.mean, lesson.logits)
        return state, Metrics(lesson.loss, g_loss, *logits, lesson.penalty)

    def steps(state: State, batches: Batch) -> tuple[State, Metrics]:
        if len(batches.label) > 1:
            return jax.lax.scan(step, state, batches)
        state, metrics = step(state, jax.tree.map(lambda array: array[0], batches))
        return state, jax.tree.map(lambda value: value[None], metrics)

    one, several = (jax.jit(function, donate_argnums=0) for function in (step, steps))
    return GAN(jax.jit(init), one, several, jax.jit(draw))
