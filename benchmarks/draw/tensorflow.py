"""TensorFlow under ``tf.function``."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from benchmarks.draw import SLOPE, STRIDE, Draw, Network, Task


def start(task: Task, jit_compile: bool = False) -> Draw:
    """Return what draws a batch; ``jit_compile`` has XLA compile it."""
    tf.config.threading.set_intra_op_parallelism_threads(task.threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    network = task.network()
    call = tf.function(_graph(network), jit_compile=jit_compile)

    def draw(latent: np.ndarray, label: np.ndarray | None) -> np.ndarray:
        labels = None if label is None else tf.constant(label)
        return call(tf.constant(latent), labels).numpy()

    return draw


def _graph(network: Network):
    """Return latent, label → image as TensorFlow's operations."""

    def graph(latent: tf.Tensor, label: tf.Tensor | None) -> tf.Tensor:
        x = tf.nn.bias_add(latent @ network.project.kernel, network.project.bias)
        if network.table is not None:
            x += tf.gather(network.table, label)
        x = tf.reshape(x, (-1, *network.small))
        for kernel, bias in network.ups:
            x = tf.nn.leaky_relu(x, SLOPE)
            batch, height, width, _ = x.shape
            shape = (batch, STRIDE * height, STRIDE * width, kernel.shape[2])
            x = tf.nn.bias_add(tf.nn.conv2d_transpose(x, kernel, shape, STRIDE, "SAME"), bias)
        return tf.tanh(x)

    return graph
