"""Generator and discriminator: pure linen modules without normalisation, params the whole model.

A DCGAN (Radford et al. 2016) without BatchNorm. Sides are halved (or doubled) by 4x4 convolutions
of stride 2 from the image down to a smallest map of 4 to 7, or as far as they stay even.
"""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxgan.config import ImageSpec, TrainConfig
from jaxgan.gan import convolution

KERNEL, STRIDE = 4, 2
SLOPE = 0.2  # of leaky ReLU, Radford et al. 2016
SHARPNESS = 1000.0  # a choice also among truncated numbers, which lie close together
ACTIVATIONS = "activations"  # linen collection of what leaky layers gave


def halvings(height: int, width: int) -> int:
    """Return how often both sides are halved: while even and above 7. 28 → 14 → 7 gives 2."""
    count = 0
    while height % 2 == 0 and width % 2 == 0 and min(height, width) > 7:
        height, width, count = height // 2, width // 2, count + 1
    return count


def channels(width: int, level: int) -> int:
    """Return the channels of feature maps ``level`` halvings below the image, level >= 1."""
    return width * 2 ** min(level - 1, 2)


class Resample(nn.Module):
    """A convolution that halves both sides, or a transposed one that doubles them, with bias.

    The kernel is stored as the convolution's, [4, 4, channels of the large map, of the small].

    Attributes:
        features: Channels of the output.
        doubles: Whether to double the sides instead of halving them.
        backend: Which backend of the convolution family runs (see ``gan.convolution``).
        leaky: Whether leaky ReLU follows.
    """

    features: int
    doubles: bool
    backend: str
    leaky: bool = True

    @nn.compact
    def __call__(self, x: jax.Array, bias_scale: jax.Array | None = None) -> jax.Array:
        """Return y [B, h/2, w/2, features] of x [B, h, w, C], or y [B, 2h, 2w, features].

        With a bias_scale, see ``DiscriminatorNetwork``.
        """
        inputs, outputs = x.shape[-1], self.features
        # Each output of a convolution sums k*k*inputs products, of a transposed one a quarter.
        if self.doubles:
            shape, fan_in = (outputs, inputs), KERNEL * KERNEL * inputs // STRIDE**2
        else:
            shape, fan_in = (inputs, outputs), KERNEL * KERNEL * inputs
        kernel = self.param(
            "kernel", nn.initializers.normal(fan_in**-0.5), (KERNEL, KERNEL, *shape)
        )
        bias = self.param("bias", nn.initializers.zeros_init(), (outputs,))
        if bias_scale is not None:
            around: jax.Array = self.get_variable(ACTIVATIONS, "activation")
            return convolution.linearized(
                x, kernel, bias, bias_scale, around, STRIDE, SLOPE, self.backend
            )
        if self.leaky:
            y = convolution.layer(x, kernel, bias, self.doubles, STRIDE, SLOPE, self.backend)
            return _keep(self, y)
        return convolution.affine(x, kernel, bias, self.doubles, STRIDE, self.backend)


class Residual(nn.Module):
    """A 1x1 convolution with bias and leaky ReLU, added to what it is given: nothing at the start.

    Attributes:
        backend: Backend of the convolution family.
    """

    backend: str

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Return y [B, h, w, C] of x [B, h, w, C]."""
        zeros, features = nn.initializers.zeros_init(), x.shape[-1]
        kernel = self.param("kernel", zeros, (1, 1, features, features))
        bias = self.param("bias", zeros, (features,))
        return x + convolution.layer(x, kernel, bias, False, 1, SLOPE, self.backend)


class GeneratorNetwork(nn.Module):
    """Latent vector and label → image.

    Images without labels are of several kinds all the same, and a network that is smooth in its
    latent vector draws what lies between two kinds, too. So the largest of the vector's first
    numbers picks a learned vector: a mixture in the latent space (Gurumurthy et al. 2017, DeLiGAN;
    Ben-Yosef and Weinshall 2018, GM-GAN), here with components that are given by the latent vector.

    Attributes:
        spec: Shape and class count of the images; 0 classes for a plain GAN.
        width: Channels of the largest feature map, next to the image.
        backend: Backend of the convolution family.
        components: Of the latent mixture, at most the latent size; 0 for none.
        residuals: Residual layers on each feature map.
    """

    spec: ImageSpec
    width: int
    backend: str
    components: int = 0
    residuals: int = 0

    @nn.compact
    def __call__(
        self,
        latent: jax.Array,
        label: jax.Array | None = None,
        target_label: jax.Array | None = None,
        weight: jax.Array | None = None,
    ) -> jax.Array:
        """Draw images.

        Args:
            latent: Standard normal float32 [B, latent size].
            label: Classes int32 [B]; None for a plain GAN.
            target_label: Other classes int32 [B] to mix in; None for those of ``label`` alone.
            weight: Weight of ``target_label``, float32 [B] from 0 to 1; None without it.

        Returns:
            Images float32 [B, H, W, C] in [-1, 1].
        """
        height, width, colours = self.spec.shape
        levels = halvings(height, width)
        small = (height >> levels, width >> levels, channels(self.width, levels))
        size = small[0] * small[1] * small[2]
        looked_up = self._classes(size, label, target_label, weight) if self.spec.classes else None
        x = nn.Dense(size, name="project")(latent)
        if self.components:  # no argmax, as XNNPACK runs none, and nobody needs gradients here
            choice = jax.nn.softmax(SHARPNESS * latent[:, : self.components])
            x += Embedding(size, name="components")(choice)
        if looked_up is not None:
            x += looked_up
        x = nn.leaky_relu(x, SLOPE).reshape(-1, *small)
        for level in range(levels, 0, -1):
            if level < levels:
                x = Resample(channels(self.width, level), True, self.backend, name=f"up_{level}")(x)
            for number in range(self.residuals):
                x = Residual(self.backend, name=f"residual_{level}_{number}")(x)
        return jnp.tanh(Resample(colours, True, self.backend, leaky=False, name="image")(x))

    def _classes(
        self,
        size: int,
        label: jax.Array | None,
        target_label: jax.Array | None,
        weight: jax.Array | None,
    ) -> jax.Array:
        """Return the classes' learned vectors, [B, size], arguments as of the call.

        Look-ups come before all else: XNNPACK runs none, and what would come before them would be
        a graph of its own.
        """
        table = Embedding(size, name="classes")

        def look_up(label: jax.Array | None) -> jax.Array:
            return table(jax.nn.one_hot(label, self.spec.classes))

        vector = look_up(label)
        if target_label is None or weight is None:
            return vector
        other, weight = look_up(target_label), weight[:, None]
        # No difference of two look-ups: the converter scales that wrongly in int8.
        return (1 - weight) * vector + weight * other


class DiscriminatorNetwork(nn.Module):
    """Image and label → logit: one logit a class, the label's own is taken.

    Attributes are the first three of ``GeneratorNetwork``.
    """

    spec: ImageSpec
    width: int
    backend: str

    @nn.compact
    def __call__(
        self, image: jax.Array, label: jax.Array | None = None, bias_scale: jax.Array | None = None
    ) -> jax.Array:
        """Return the logits of images.

        Leaky ReLU being linear on either side of 0, so is the whole network around an image. The
        activations of its layers, which tell the sides, are kept in the collection ``ACTIVATIONS``
        where that is mutable. Given them and a ``bias_scale``, the linearized network is applied to
        ``image`` instead, with biases times that scale. With scale 1 at the same image it is the
        network itself.

        Args:
            image: float32 [B, H, W, C] in [-1, 1]; of any size with a bias_scale.
            label: Classes int32 [B]; None for a plain GAN.
            bias_scale: float32 [B], or None for the network itself.

        Returns:
            Logits float32 [B]: log-odds that the image is real.
        """
        x = image
        for level in range(1, halvings(*self.spec.shape[:2]) + 1):
            down = Resample(channels(self.width, level), False, self.backend, name=f"down_{level}")
            x = down(x, bias_scale)
        x = Linear(4 * self.width, leaky=True, name="hidden")(x.reshape(len(x), -1), bias_scale)
        logits = Linear(max(self.spec.classes, 1), name="logits")(x, bias_scale)  # [B, classes]
        if self.spec.classes:
            return jnp.sum(logits * jax.nn.one_hot(label, self.spec.classes), -1)
        return logits[:, 0]


class Linear(nn.Module):
    """A dense layer with bias, its leaky ReLU if wanted; or linearized.

    Attributes:
        features: Numbers in its result.
        leaky: Whether leaky ReLU follows.
    """

    features: int
    leaky: bool = False

    @nn.compact
    def __call__(self, x: jax.Array, bias_scale: jax.Array | None = None) -> jax.Array:
        """Return y [B, features] of x [B, inputs]; for ``bias_scale`` see the discriminator."""
        shape = (x.shape[-1], self.features)
        kernel = self.param("kernel", nn.initializers.lecun_normal(), shape)
        bias = self.param("bias", nn.initializers.zeros_init(), shape[1:])
        y = x @ kernel + (bias if bias_scale is None else bias_scale[:, None] * bias)
        if not self.leaky:
            return y
        if bias_scale is None:
            return _keep(self, nn.leaky_relu(y, SLOPE))
        return convolution.gate(y, self.get_variable(ACTIVATIONS, "activation"), SLOPE)


def _keep(layer: nn.Module, result: jax.Array) -> jax.Array:
    if not layer.is_initializing():  # when all is mutable, and params alone are wanted
        layer.sow(
            ACTIVATIONS, "activation", result, reduce_fn=lambda _, new: new, init_fn=lambda: None
        )
    return result


class Embedding(nn.Module):
    """Learned vectors, [rows, features], mixed by weights.

    Labels are given as one-hot weights rather than looked up: that converts to one
    EMBEDDING_LOOKUP, where indexing converts to five operations.
    """

    features: int

    @nn.compact
    def __call__(self, weights: jax.Array) -> jax.Array:
        """Return sums of the vectors, [B, features], by weights [B, rows]."""
        shape = (weights.shape[-1], self.features)
        return weights @ self.param("table", nn.initializers.normal(1.0), shape)


def generator(config: TrainConfig, spec: ImageSpec, backend: str) -> GeneratorNetwork:
    """Return the generator of a resolved configuration, for images of a spec."""
    return GeneratorNetwork(spec, config.width, backend, config.components or 0, config.residuals)


def make_networks(
    config: TrainConfig, spec: ImageSpec, backend: str
) -> tuple[GeneratorNetwork, DiscriminatorNetwork]:
    """Return the generator and the discriminator of a resolved configuration."""
    return generator(config, spec, backend), DiscriminatorNetwork(spec, config.width, backend)


def step_bytes(spec: ImageSpec, width: int, batch: int, residuals: int = 0) -> int:
    """Return roughly how many bytes the temporaries of a training step take.

    Activations grow with the batch, the gradient of D's dense layer with the square of the width.
    It fits what XLA says within a fifth.
    """
    pixels = spec.shape[0] * spec.shape[1]
    return pixels * width * ((9 + 3 * residuals) * batch + 4 * width)


def count(params: object) -> int:
    """Return the number of parameters in a tree."""
    return sum(leaf.size for leaf in jax.tree.leaves(params))
