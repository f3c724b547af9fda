"""The DCGAN of TensorFlow's tutorial (tensorflow.org/tutorials/generative/dcgan), its recipe.

G and D learn from one pass of each under ``tf.function``; batch 256, Adam 1e-4. As there, images
are drawn with BatchNorm in inference mode, and there is no EMA of weights. With labels, which
the tutorial has not, an embedding of the label joins the latent vector in G, and another one the
image as a second channel in D.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterator

import numpy as np
import tensorflow as tf
from tensorflow import keras

from benchmarks.train import EMBEDDING, LATENT, Mark, Peer, Task, timed
from jaxgan.data.dataset import Dataset, load
from jaxgan.errors import UserError

layers = keras.layers
_BATCH, _LEARNING_RATE = 256, 1e-4


def train(task: Task) -> Iterator[Mark]:
    """Train; yield what is drawn at each time.

    Raises:
        UserError: There is a GPU that this TensorFlow does not use.
    """
    if shutil.which("nvidia-smi") and not tf.config.list_physical_devices("GPU"):
        raise UserError("this TensorFlow does not use the GPU")
    keras.utils.set_random_seed(task.seed)
    dataset = load(task.dataset, task.data_dir)
    peer = _peer(dataset, dataset.spec.classes if task.labels else 0)
    return timed(peer, task, len(dataset.image))


def _generator(classes: int) -> keras.Model:
    return _network((LATENT,), (EMBEDDING,), classes, [
        layers.Dense(7 * 7 * 256, use_bias=False),
        layers.BatchNormalization(),
        layers.LeakyReLU(),
        layers.Reshape((7, 7, 256)),
        layers.Conv2DTranspose(128, 5, 1, "same", use_bias=False),
        layers.BatchNormalization(),
        layers.LeakyReLU(),
        layers.Conv2DTranspose(64, 5, 2, "same", use_bias=False),
        layers.BatchNormalization(),
        layers.LeakyReLU(),
        layers.Conv2DTranspose(1, 5, 2, "same", use_bias=False, activation="tanh"),
    ])  # fmt: skip


def _discriminator(classes: int) -> keras.Model:
    return _network((28, 28, 1), (28, 28, 1), classes, [
        layers.Conv2D(64, 5, 2, "same"),
        layers.LeakyReLU(),
        layers.Dropout(0.3),
        layers.Conv2D(128, 5, 2, "same"),
        layers.LeakyReLU(),
        layers.Dropout(0.3),
        layers.Flatten(),
        layers.Dense(1),
    ])  # fmt: skip


def _network(shape: tuple, added: tuple, classes: int, body: list) -> keras.Model:
    """Return layers on an input of some shape, and on what a label adds to its last axis."""
    inputs = [keras.Input(shape)]
    x = inputs[0]
    if classes:
        inputs.append(keras.Input((), dtype="int32"))
        # As large as the latents: by Keras's default of 0.05 both networks would long ignore it.
        normal = keras.initializers.RandomNormal(stddev=1.0)
        label = layers.Embedding(classes, math.prod(added), normal)(inputs[1])
        x = layers.Concatenate()([x, layers.Reshape(added)(label)])
    return keras.Model(inputs, keras.Sequential(body)(x))


def _peer(dataset: Dataset, classes: int) -> Peer:
    generator, discriminator = _generator(classes), _discriminator(classes)
    g_params, d_params = generator.trainable_variables, discriminator.trainable_variables
    g_optimizer, d_optimizer = (keras.optimizers.Adam(_LEARNING_RATE) for _ in range(2))
    g_optimizer.build(g_params)
    d_optimizer.build(d_params)
    images, labels = tf.constant(dataset.image), tf.constant(dataset.label)

    @tf.function
    def step(index: tf.Tensor) -> None:
        real = tf.cast(tf.gather(images, index), tf.float32) / 127.5 - 1
        label = [tf.gather(labels, index)] if classes else []
        with tf.GradientTape() as g_tape:
            fake = generator([tf.random.normal((_BATCH, LATENT)), *label], training=True)
            with tf.GradientTape() as d_tape:
                real_logit = discriminator([real, *label], training=True)
                fake_logit = discriminator([fake, *label], training=True)
                d_loss = tf.reduce_mean(tf.nn.softplus(-real_logit))
                d_loss += tf.reduce_mean(tf.nn.softplus(fake_logit))
            g_loss = tf.reduce_mean(tf.nn.softplus(-fake_logit))
        g_gradients = g_tape.gradient(g_loss, g_params)
        d_gradients = d_tape.gradient(d_loss, d_params)
        g_optimizer.apply(g_gradients, g_params)
        d_optimizer.apply(d_gradients, d_params)

    def draw(latent: np.ndarray, label: np.ndarray | None) -> np.ndarray:
        inputs = [latent] if label is None else [latent, label]
        return generator(inputs, training=False).numpy()

    device = "GPU" if tf.config.list_physical_devices("GPU") else "cpu"
    return Peer(
        _BATCH, classes, lambda index: step(tf.constant(index)), lambda: g_params[0].numpy(), draw,
        device,
    )  # fmt: skip
