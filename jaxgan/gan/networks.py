"""Generator and discriminator: pure linen modules without normalisation, params the whole model.

A DCGAN (Radford et al. 2016) without BatchNorm, of any size: feature maps shrink from the image to
a smallest one of 4 to 7 pixels a side, or as far as sides stay even. Channels double inwards, so
that every map costs about the same (see ``maps``).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxgan.config import ImageSpec, TrainConfig
from jaxgan.gan import convolution

STEM_SIDE = 128  # from here on, the layer beside the image has a stride of 4
SMALLEST = 7  # pixels of a map's shorter side from which it is halved no further
SLOPE = 0.2  # of leaky ReLU, Radford et al. 2016
SHARPNESS = 1000.0  # a choice also among truncated numbers, which lie close together
ACTIVATIONS = "activations"  # linen collection of what leaky layers gave


class Map(NamedTuple):
    """A feature map of both networks.

    Attributes:
        stride: Its sides are those of the map before it, or of the image, divided by this.
        channels: Its channels.
    """

    stride: int
    channels: int


def maps(height: int, width: int, base: int) -> list[Map]:
    """Return the feature maps from the image inwards.

    A map has half the sides of the one before it, the first of a large image a quarter: there, maps
    of few channels would leave the vector units idle. The channels double inwards from ``base`` to
    4 ``base``, or from half of that where there are more than three maps.

    Examples:
        28x28 at base 32: 14x14x32, 7x7x64.
        64x64: 32x32x16, 16x16x32, 8x8x64, 4x4x128. 128x128: the same, but for the first stride.

    Args:
        height: Of the image, a multiple of 4.
        width: Of the image, a multiple of 4.
        base: ``TrainConfig.width``.
    """
    strides = [4 if min(height, width) >= STEM_SIDE else 2]
    height, width = height // strides[0], width // strides[0]
    while height % 2 == 0 and width % 2 == 0 and min(height, width) > SMALLEST:
        height, width = height // 2, width // 2
        strides.append(2)
    first = base if len(strides) <= 3 else max(1, base // 2)
    return [
        Map(stride, min(first << level, max(first, 4 * base)))
        for level, stride in enumerate(strides)
    ]


class Resample(nn.Module):
    """A strided convolution, or a transposed one, with bias.

    The kernel is stored as the convolution's, [2s, 2s, channels of the large map, of the small].

    Attributes:
        features: Channels of the output.
        doubles: Whether to multiply the sides by the stride s instead of dividing them.
        backend: Which backend of the convolution family runs (see ``gan.convolution``).
        leaky: Whether leaky ReLU follows.
        stride: s.
    """

    features: int
    doubles: bool
    backend: str
    leaky: bool = True
    stride: int = 2

    @nn.compact
    def __call__(self, x: jax.Array, bias_scale: jax.Array | None = None) -> jax.Array:
        """Return y [B, h/s, w/s, features] of x [B, h, w, C], or y [B, sh, sw, features].

        With a bias_scale, see ``DiscriminatorNetwork``.
        """
        inputs, outputs, size = x.shape[-1], self.features, 2 * self.stride
        # Each output of a convolution sums k*k*inputs products, of a transposed one a part of them.
        if self.doubles:
            shape, fan_in = (outputs, inputs), size * size * inputs // self.stride**2
        else:
            shape, fan_in = (inputs, outputs), size * size * inputs
        kernel = self.param("kernel", nn.initializers.normal(fan_in**-0.5), (size, size, *shape))
        bias = self.param("bias", nn.initializers.zeros_init(), (outputs,))
        if bias_scale is not None:
            around: jax.Array = self.get_variable(ACTIVATIONS, "activation")
            return convolution.linearized(
                x, kernel, bias, bias_scale, around, self.stride, SLOPE, self.backend
            )
        if self.leaky:
            y = convolution.layer(x, kernel, bias, self.doubles, self.stride, SLOPE, self.backend)
            return _keep(self, y)
        return convolution.affine(x, kernel, bias, self.doubles, self.stride, self.backend)


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
        levels = maps(height, width, self.width)
        shrunk = math.prod(level.stride for level in levels)
        small = (height // shrunk, width // shrunk, levels[-1].channels)
        size = math.prod(small)
        looked_up = self._classes(size, label, target_label, weight) if self.spec.classes else None
        x = nn.Dense(size, name="project")(latent)
        if self.components:  # no argmax, as XNNPACK runs none, and nobody needs gradients here
            choice = jax.nn.softmax(SHARPNESS * latent[:, : self.components])
            x += Embedding(size, name="components")(choice)
        if looked_up is not None:
            x += looked_up
        x = nn.leaky_relu(x, SLOPE).reshape(-1, *small)
        for number in range(len(levels), 0, -1):
            for place in range(self.residuals):
                x = Residual(self.backend, name=f"residual_{number}_{place}")(x)
            if number > 1:
                features, stride = levels[number - 2].channels, levels[number - 1].stride
                up = Resample(features, True, self.backend, True, stride, name=f"up_{number - 1}")
                x = up(x)
        image = Resample(colours, True, self.backend, False, levels[0].stride, name="image")
        return jnp.tanh(image(x))

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
        for number, level in enumerate(maps(*self.spec.shape[:2], self.width), 1):
            down = Resample(
                level.channels, False, self.backend, True, level.stride, name=f"down_{number}"
            )
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
    return GeneratorNetwork(
        spec, config.width, backend, config.components or 0, config.residuals or 0
    )


def make_networks(
    config: TrainConfig, spec: ImageSpec, backend: str
) -> tuple[GeneratorNetwork, DiscriminatorNetwork]:
    """Return the generator and the discriminator of a resolved configuration."""
    return generator(config, spec, backend), DiscriminatorNetwork(spec, config.width, backend)


def step_bytes(config: TrainConfig, spec: ImageSpec) -> int:
    """Return roughly how many bytes the temporaries of a training step take.

    Numbers in the feature maps, in the image and in the smallest map, times how often each is held:
    fitted to what XLA says of images from 28 to 128, within a fifth.

    Args:
        config: Resolved.
        spec: Of the images.
    """
    height, width, channels = spec.shape
    image = height * width * channels
    all_maps = smallest = 0
    for level in maps(height, width, config.width):
        height, width = height // level.stride, width // level.stride
        smallest = height * width * level.channels
        all_maps += smallest
    held = (5 + 2 * (config.residuals or 0)) * all_maps + 5 * image + 7 * smallest
    return 4 * (config.batch_size * held + 4 * config.width * smallest)


def count(params: object) -> int:
    """Return the number of parameters in a tree."""
    return sum(leaf.size for leaf in jax.tree.leaves(params))
