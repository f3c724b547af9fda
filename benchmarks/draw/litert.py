"""LiteRT in Python: the .tflite file of this batch size, by its signature."""

from __future__ import annotations

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from benchmarks.draw import Draw, Task
from jaxgan.export.signatures import SIGNATURE


def start(task: Task) -> Draw:
    """Return what draws a batch."""
    interpreter = Interpreter(model_path=str(task.model(".tflite")), num_threads=task.threads)
    runner = interpreter.get_signature_runner(SIGNATURE.format(task.batch))

    def draw(latent: np.ndarray, label: np.ndarray | None) -> np.ndarray:
        inputs = {"latent": latent} if label is None else {"latent": latent, "label": label}
        return runner(**inputs)["image"]

    return draw
