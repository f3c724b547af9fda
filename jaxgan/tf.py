"""TensorFlow, quiet and without the GPU that JAX needs."""

from __future__ import annotations

import logging
import os
from types import ModuleType


def load() -> ModuleType:
    """Import TensorFlow without its start-up lines, hide GPUs from it, return the module."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")  # else it announces oneDNN on stderr
    logging.getLogger("absl").setLevel(logging.ERROR)
    import tensorflow

    tensorflow.config.set_visible_devices([], "GPU")
    return tensorflow


def converter_passes() -> ModuleType:
    """Return the passes of TensorFlow Lite's converter, to be run one by one."""
    load()
    from tensorflow.lite.python import convert

    return convert
