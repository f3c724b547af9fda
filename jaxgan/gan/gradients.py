"""Gradients of one training step: D's in its params, and G's loss in the generated images.

Without penalties the updates alternate: G's gradient is taken through the D that was just updated.
A penalty needs D's gradients in its images, and these are all that G needs, so then both updates
share one pass of D.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxgan.gan.losses import Objective, gradient_penalty
from jaxgan.gan.networks import ACTIVATIONS, DiscriminatorNetwork

Params = Any


class Gradients(NamedTuple):
    """What a step needs of D over real and generated images.

    Attributes:
        gradient: Of D's loss, in D's params.
        for_generator: D's params after their update → (G's loss, its gradient in the generated
            images [B, H, W, C]).
        loss: D's loss, penalties left out.
        penalty: Sum of the weighted penalties.
        logits: Of the real and of the generated images, [B] each.
    """

    gradient: Params
    for_generator: Callable[[Params], tuple[jax.Array, jax.Array]]
    loss: jax.Array
    penalty: jax.Array
    logits: list[jax.Array]


def alternating(
    discriminator: Any,
    objective: Objective,
    params: Params,
    real: jax.Array,
    fake: jax.Array,
    label: jax.Array,
) -> Gradients:
    """Return the gradients without penalties. G's is taken through D as it is after its update.

    Args:
        discriminator: A linen module, (image, label) → logits [B].
        objective: What D and G minimise.
        params: D's.
        real: Images [B, H, W, C] in [-1, 1].
        fake: As many generated ones.
        label: Classes int32 [B] of both.
    """

    def d_loss(params: Params) -> tuple[jax.Array, list[jax.Array]]:
        images = jnp.concatenate([real, fake])
        logits = jnp.split(discriminator.apply({"params": params}, images, jnp.tile(label, 2)), 2)
        return objective.discriminator(*logits), logits

    (loss, logits), gradient = jax.value_and_grad(d_loss, has_aux=True)(params)

    def for_generator(params: Params) -> tuple[jax.Array, jax.Array]:
        def logits_of(image: jax.Array) -> jax.Array:
            return discriminator.apply({"params": params}, image, label)

        beside = logits_of(real) if objective.paired else logits[0]
        return jax.value_and_grad(lambda image: objective.generator(beside, logits_of(image)))(fake)

    return Gradients(gradient, for_generator, loss, jnp.zeros(()), logits)


def with_penalties(
    discriminator: DiscriminatorNetwork,
    objective: Objective,
    params: Params,
    real: jax.Array,
    fake: jax.Array,
    label: jax.Array,
    weights: jax.Array,
) -> Gradients:
    """Return the gradients with gradient penalties, for the price of one more forward pass.

    The derivative of a penalty in D's params is a second derivative. D is linear on either side of
    its leaky ReLUs' 0, so differentiating twice need not be left to the compiler, see below. Each
    image must get its logit by itself: no batch statistics.

    Args:
        discriminator: ``networks.DiscriminatorNetwork``, which can be linearized.
        objective: What D and G minimise.
        params: D's.
        real: Images [B, H, W, C] in [-1, 1].
        fake: As many generated ones.
        label: Classes int32 [B] of both.
        weights: Of the penalties on real images (R1) and on generated ones (R2), [2].
    """
    image, labels = jnp.concatenate([real, fake]), jnp.tile(label, 2)
    logit, to_image, kept = jax.vjp(
        lambda image: discriminator.apply({"params": params}, image, labels, mutable=ACTIVATIONS),
        image,
        has_aux=True,
    )
    (slope,) = to_image(jnp.ones_like(logit))  # d logit / d image, [2B, H, W, C]

    def d_loss(logit: jax.Array, slope: jax.Array) -> tuple[jax.Array, tuple]:
        loss = objective.discriminator(*jnp.split(logit, 2))
        penalty = weights @ jnp.stack([gradient_penalty(half) for half in jnp.split(slope, 2)])
        return loss + penalty, (loss, penalty)

    (by_logit, by_slope), (loss, penalty) = jax.grad(d_loss, (0, 1), has_aux=True)(logit, slope)
    # By the chain rule D's gradient is that of Σ by_logit · logit + by_slope · slope, the factors
    # held constant. Around an image D is linear, logit being its value and slope its derivative:
    # that sum is what D, linearized, gives at the point below, with biases times by_logit.
    point = by_logit[:, None, None, None] * image + by_slope

    def linearized(params: Params) -> jax.Array:
        logit: Any = discriminator.apply({"params": params, **kept}, point, labels, by_logit)
        return jnp.sum(logit)

    gradient = jax.grad(linearized)(params)

    logits, slopes = jnp.split(logit, 2), jnp.split(slope, 2)
    g_loss, by_fake = jax.value_and_grad(objective.generator, 1)(*logits)
    image_gradient = by_fake[:, None, None, None] * slopes[1]
    return Gradients(gradient, lambda _: (g_loss, image_gradient), loss, penalty, logits)
