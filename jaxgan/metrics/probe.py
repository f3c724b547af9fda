"""A linear probe: which class an image shows, by a linear function of frozen features."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from scipy.optimize import minimize

_DECAY = 1e-3  # of the squared weights
_ROUNDS = 1_000  # of the optimiser at one class; fewer where there are more, by what they cost
_MIN_ROUNDS, _MAX_ROUNDS = 20, 100


class Probe(NamedTuple):
    """Multinomial logistic regression on standardised features.

    Attributes:
        mean: Of the features that it was fitted to, float32 [D].
        scale: Their standard deviation, float32 [D].
        weights: float32 [D + 1, K], the last row is the bias.
    """

    mean: np.ndarray
    scale: np.ndarray
    weights: np.ndarray

    def label(self, feature: np.ndarray) -> np.ndarray:
        """Return the most likely class of features float32 [N, D], int32 [N]."""
        logits = (feature - self.mean) / self.scale @ self.weights[:-1] + self.weights[-1]
        return np.argmax(logits, -1).astype(np.int32)


def fit(feature: np.ndarray, label: np.ndarray, classes: int) -> Probe:
    """Fit a probe; the same features give the same probe.

    It minimises mean cross-entropy + 1e-3 / 2 · |W|² by L-BFGS, from 0, for at most 100 rounds:
    seconds for 10,000 images.

    Args:
        feature: float32 [N, D].
        label: int [N], each 0 to classes - 1.
        classes: Number of classes K.
    """
    mean, scale = feature.mean(0), feature.std(0) + np.float32(1e-6)
    inputs = jnp.asarray((feature - mean) / scale)
    targets, shape = jnp.asarray(label), (feature.shape[1] + 1, classes)

    def slope(flat: np.ndarray) -> tuple[float, np.ndarray]:
        loss, gradient = _loss(flat.astype(np.float32).reshape(shape), inputs, targets)
        return float(loss), np.asarray(gradient, np.float64).ravel()

    rounds = int(np.clip(_ROUNDS // classes, _MIN_ROUNDS, _MAX_ROUNDS))
    found = minimize(
        slope, np.zeros(shape[0] * classes), jac=True, method="L-BFGS-B",
        options={"maxiter": rounds},
    )  # fmt: skip
    return Probe(mean, scale, found.x.astype(np.float32).reshape(shape))


@jax.jit
@jax.value_and_grad
def _loss(weights: jax.Array, inputs: jax.Array, targets: jax.Array) -> jax.Array:
    logits = jax.nn.log_softmax(inputs @ weights[:-1] + weights[-1])
    fit = -jnp.mean(jnp.take_along_axis(logits, targets[:, None], 1))
    return fit + _DECAY / 2 * jnp.sum(weights[:-1] ** 2)
