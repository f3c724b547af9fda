"""The pure core: the state of a GAN, and the functions that initialise, train and sample it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxgan.config import ImageSpec, TrainConfig, resolved
from jaxgan.gan import convolution, networks, schedules
from jaxgan.gan.augment import Adaptive, adapted, augment, averaged, lecam
from jaxgan.gan.gradients import Gradients, alternating, with_penalties
from jaxgan.gan.losses import OBJECTIVES

Params = Any
NetworkFactory = Callable[[TrainConfig, ImageSpec, str], tuple[Any, Any]]
_TRAINING = 2**32 - 1  # the last index that an image can have


class Pair(NamedTuple):
    """One thing for each of the two networks."""

    generator: Any
    discriminator: Any


class State(NamedTuple):
    """All that training changes.

    Attributes:
        params: Weights of both networks.
        optimizer: Adam's moments of both networks.
        ema: Exponential moving average of the generator's weights: what samples and export use.
        adaptive: Probability of augmentations, averages of logits.
        step: Steps taken, int32.
    """

    params: Pair
    optimizer: Pair
    ema: Params
    adaptive: Adaptive
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
    augmentation: jax.Array  # its probability


class GAN(NamedTuple):
    """Pure functions of one GAN.

    Attributes:
        init: () → State at step 0.
        step: (State, Batch) → (State, Metrics), compiled; the given state's buffers are reused.
        steps: The same for K steps in one call: Batch and Metrics have a leading axis K.
        sample: (generator params, latent [B, Z], label [B] or None), optionally followed by
            (target label [B], weight [B]), see ``networks.GeneratorNetwork`` → images [B, H, W, C]
            in [-1, 1], compiled.
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
    backend: str = "auto",
    make_networks: NetworkFactory = networks.make_networks,
) -> GAN:
    """Return the functions of the GAN that a configuration describes.

    A step shows D as many generated images as real ones, and G's gradient is taken on the same
    generated images (see ``gradients``). Its randomness is a function of (seed, step), so a state
    is all it needs.

    Args:
        config: Configuration of the run.
        spec: Shape and classes of the images; 0 classes for a plain GAN.
        backend: Backend of the convolutions (see ``convolution.choose_backend``).
        make_networks: (config, spec, backend) → generator and discriminator, linen modules.

    Raises:
        UserError: The backend cannot be had here.
    """
    config = resolved(config, spec)
    modules = Pair(*make_networks(config, spec, convolution.choose_backend(backend)))
    # Keys of their own, so that no sample (see latents.py) repeats a latent of training.
    key = jax.random.fold_in(jax.random.key(config.seed), _TRAINING)
    init_key, step_key = jax.random.split(key)

    def sample(params: Params, latent: jax.Array, *classes: jax.Array | None) -> jax.Array:
        return modules.generator.apply({"params": params}, latent, *classes)

    step = _make_step(config, modules, sample, step_key)

    def steps(state: State, batches: Batch) -> tuple[State, Metrics]:
        if len(batches.label) > 1:
            return jax.lax.scan(step, state, batches)
        state, metrics = step(state, jax.tree.map(lambda array: array[0], batches))
        return state, jax.tree.map(lambda value: value[None], metrics)

    one, several = (jax.jit(function, donate_argnums=0) for function in (step, steps))
    init = jax.jit(partial(_init, config, spec, modules, init_key))
    return GAN(init, one, several, jax.jit(sample))


def state_shape(config: TrainConfig, spec: ImageSpec) -> State:
    """Return the names, shapes and dtypes of a state as a tree of ``jax.ShapeDtypeStruct``.

    Nothing is computed or compiled, so that reading a checkpoint needs no training step.
    """
    config = resolved(config, spec)
    modules = Pair(*networks.make_networks(config, spec, "xla"))
    return jax.eval_shape(partial(_init, config, spec, modules, jax.random.key(0)))


def _init(config: TrainConfig, spec: ImageSpec, modules: Pair, key: jax.Array) -> State:
    for_generator, for_discriminator = jax.random.split(key)
    label = jnp.zeros(1, jnp.int32)
    latent, image = jnp.zeros((1, config.latent_size)), jnp.zeros((1, *spec.shape))
    params = Pair(
        modules.generator.init(for_generator, latent, label)["params"],
        modules.discriminator.init(for_discriminator, image, label)["params"],
    )
    ema = jax.tree.map(jnp.copy, params.generator)
    adam = optax.scale_by_adam()
    fixed = config.augment_probability if config.augment == "fixed" else 0.0
    adaptive = Adaptive(jnp.float32(fixed), jnp.zeros(2))
    return State(params, Pair(*map(adam.init, params)), ema, adaptive, jnp.int32(0))


def _make_step(
    config: TrainConfig, modules: Pair, sample: Callable[..., jax.Array], key: jax.Array
) -> Callable[[State, Batch], tuple[State, Metrics]]:
    """Return the training step. Its latents are drawn with ``fold_in(key, step)``."""
    assert config.loss is not None  # resolved
    discriminator, plain = modules.discriminator, OBJECTIVES[config.loss]
    augments = config.augment != "none"

    def update(
        gradient: Params, optimizer: Any, params: Params, seen: jax.Array
    ) -> tuple[Params, Any]:
        adam = optax.scale_by_adam(config.beta1, schedules.beta2(config, seen))
        updates, optimizer = adam.update(gradient, optimizer)
        rate = schedules.learning_rate(config, seen)
        return optax.apply_updates(params, optax.tree.scale(-rate, updates)), optimizer

    def gradients_of(state: State, real: jax.Array, fake: jax.Array, label, seen) -> Gradients:
        params, objective = state.params.discriminator, plain
        if config.lecam:
            objective = lecam(plain, config.lecam, state.adaptive.logits)
        if not (config.r1 or config.r2):
            return alternating(discriminator, objective, params, real, fake, label)
        weights = schedules.penalties(config, seen)
        return with_penalties(discriminator, objective, params, real, fake, label, weights)

    def seen_by_d(image: jax.Array, key: jax.Array, state: State) -> jax.Array:
        return augment(image, key, state.adaptive.probability) if augments else image

    def step(state: State, batch: Batch) -> tuple[State, Metrics]:
        (g_params, d_params), label = state.params, batch.label
        size = label.shape[0]
        seen = (state.step + 1).astype(jnp.float32) * size
        once = jax.random.fold_in(key, state.step)
        latent = jax.random.normal(once, (size, config.latent_size))
        for_real, for_fake = jax.random.split(jax.random.fold_in(once, 1))
        real = seen_by_d(normalize(batch.image), for_real, state)
        fake, pull_back = jax.vjp(
            lambda params: seen_by_d(sample(params, latent, label), for_fake, state), g_params
        )

        found = gradients_of(state, real, fake, label, seen)
        d_params, d_optimizer = update(
            found.gradient, state.optimizer.discriminator, d_params, seen
        )
        g_loss, image_gradient = found.for_generator(d_params)
        (g_gradient,) = pull_back(image_gradient)
        g_params, g_optimizer = update(g_gradient, state.optimizer.generator, g_params, seen)

        decay = schedules.ema_decay(config, seen, size)
        ema = optax.incremental_update(g_params, state.ema, 1.0 - decay)
        params, optimizer = Pair(g_params, d_params), Pair(g_optimizer, d_optimizer)
        real_logit, fake_logit = map(jnp.mean, found.logits)
        probability = state.adaptive.probability
        metrics = Metrics(found.loss, g_loss, real_logit, fake_logit, found.penalty, probability)
        if config.augment == "adaptive":
            probability = adapted(probability, found.logits, config.augment_probability)
        adaptive = Adaptive(probability, averaged(state.adaptive.logits, found.logits))
        return State(params, optimizer, ema, adaptive, state.step + 1), metrics

    return step
