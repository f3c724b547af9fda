"""TensorFlow and Keras under ``tf.function``."""

from __future__ import annotations

import shutil
from collections.abc import Callable

import tensorflow as tf
from tensorflow import keras

from benchmarks import dcgan
from jaxgan.errors import UserError


def start(batch: int, jit_compile: bool = False) -> Callable[[int], None]:
    """Return a trainer; ``jit_compile`` has XLA compile the step.

    Raises:
        UserError: There is a GPU that this TensorFlow does not use.
    """
    if shutil.which("nvidia-smi") and not tf.config.list_physical_devices("GPU"):
        raise UserError("this TensorFlow does not use the GPU")
    layers = keras.layers
    generator = keras.Sequential([
        keras.Input((dcgan.LATENT,)),
        layers.Dense(dcgan.SMALL * dcgan.SMALL * dcgan.WIDE),
        layers.LeakyReLU(dcgan.SLOPE),
        layers.Reshape((dcgan.SMALL, dcgan.SMALL, dcgan.WIDE)),
        layers.Conv2DTranspose(dcgan.NARROW, dcgan.KERNEL, dcgan.STRIDE, "same"),
        layers.LeakyReLU(dcgan.SLOPE),
        layers.Conv2DTranspose(1, dcgan.KERNEL, dcgan.STRIDE, "same", activation="tanh"),
    ])  # fmt: skip
    discriminator = keras.Sequential([
        keras.Input((4 * dcgan.SMALL, 4 * dcgan.SMALL, 1)),
        layers.Conv2D(dcgan.NARROW, dcgan.KERNEL, dcgan.STRIDE, "same"),
        layers.LeakyReLU(dcgan.SLOPE),
        layers.Conv2D(dcgan.WIDE, dcgan.KERNEL, dcgan.STRIDE, "same"),
        layers.LeakyReLU(dcgan.SLOPE),
        layers.Flatten(),
        layers.Dense(1),
    ])  # fmt: skip
    g_optimizer, d_optimizer = (
        keras.optimizers.Adam(dcgan.LEARNING_RATE, beta_1=dcgan.BETA1, beta_2=dcgan.BETA2)
        for _ in range(2)
    )
    g_params, d_params = generator.trainable_variables, discriminator.trainable_variables
    g_optimizer.build(g_params)
    d_optimizer.build(d_params)
    real = tf.constant(dcgan.scaled_images(batch))

    @tf.function(jit_compile=jit_compile)
    def step() -> None:
        with tf.GradientTape() as g_tape:
            fake = generator(tf.random.normal((batch, dcgan.LATENT)), training=True)
            with g_tape.stop_recording():
                with tf.GradientTape() as d_tape:
                    logits = discriminator(tf.concat([real, fake], 0), training=True)
                    real_logit, fake_logit = tf.split(logits, 2)
                    d_loss = tf.reduce_mean(tf.nn.softplus(-real_logit))
                    d_loss += tf.reduce_mean(tf.nn.softplus(fake_logit))
                d_optimizer.apply(d_tape.gradient(d_loss, d_params), d_params)
            g_loss = tf.reduce_mean(tf.nn.softplus(-discriminator(fake, training=True)))
        g_optimizer.apply(g_tape.gradient(g_loss, g_params), g_params)

    def run(steps: int) -> None:
        for _ in range(steps):
            step()
        g_params[0].numpy()  # waits, where there is anything to wait for

    return run
