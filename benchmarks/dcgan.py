"""The network and the update that every side of ``benchmarks.train_step`` trains.

A DCGAN (Radford et al. 2016) for grey images of 28x28, without labels and without BatchNorm:

    G: Dense 100 → 7x7x128, transposed convolution → 14x14x64, another → 28x28x1, tanh
    D: convolution → 14x14x64, convolution → 7x7x128, Dense → 1 logit

Convolutions are 4x4 with stride 2, hidden layers end in leaky ReLU of slope 0.2, all of them have a
bias. A step draws images, updates D on as many real ones and these (binary cross-entropy), then
updates G against the new D on the same images; Adam for both; float32.
"""

from __future__ import annotations

import numpy as np

LATENT, SMALL, WIDE, NARROW = 100, 7, 128, 64
KERNEL, STRIDE, SLOPE = 4, 2, 0.2
LEARNING_RATE, BETA1, BETA2 = 2e-4, 0.5, 0.999


def gflop(batch: int) -> float:
    """Return the 10^9 multiplications and additions that one step of this update cannot avoid.

    Counted are the products of the layers: each forward, and its gradients where somebody needs
    them. D's pass over real and generated images needs no gradient in the images, G's pass through
    D none in D's weights.
    """
    inner = 2 * SMALL**2 * WIDE * NARROW * KERNEL**2  # 14x14x64 ↔ 7x7x128
    outer = 2 * (2 * SMALL) ** 2 * NARROW * KERNEL**2  # 28x28x1 ↔ 14x14x64
    project, classify = 2 * LATENT * SMALL**2 * WIDE, 2 * SMALL**2 * WIDE
    forward_g, forward_d = project + inner + outer, classify + inner + outer
    update_d = 2 * (forward_d + forward_d + (classify + inner))  # on twice the images
    update_g = forward_d + forward_d + forward_g + (inner + outer)
    return batch * (forward_g + update_d + update_g) / 1e9


def images(batch: int) -> np.ndarray:
    """Return what stands for real images: uint8 [batch, 28, 28, 1]."""
    return np.random.default_rng(0).integers(0, 256, (batch, 28, 28, 1), np.uint8)


def scaled_images(batch: int) -> np.ndarray:
    """Return the same as float32 in [-1, 1]."""
    return images(batch).astype(np.float32) / 127.5 - 1
