"""JAX: this project's own compiled sampler."""

from __future__ import annotations

import json

import jax
import numpy as np
from flax.traverse_util import unflatten_dict

from benchmarks.draw import Draw, Task
from jaxgan.config import ImageSpec, TrainConfig
from jaxgan.gan.step import make_gan


def start(task: Task) -> Draw:
    """Return what draws a batch."""
    config, spec = json.loads((task.folder / "run.json").read_text())
    spec = ImageSpec(tuple(spec["shape"]), spec["classes"], tuple(spec["names"]))
    sample = make_gan(TrainConfig(**config), spec).sample
    params = jax.device_put(unflatten_dict(task.weights(), sep="/"))

    def draw(latent: np.ndarray, label: np.ndarray | None) -> np.ndarray:
        return np.asarray(sample(params, latent, label))

    return draw
