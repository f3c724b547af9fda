"""TensorFlow, quiet and without the GPU that JAX needs."""

from __future__ import annotations

import logging
import os
from types import ModuleType

from jaxgan.errors import UserError


def load() -> ModuleType:
    """Import TensorFlow without its start-up lines, hide GPUs from it, return the module.

    Raises:
        UserError: Its libraries do not fit into memory, or are damaged.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")  # else it announces oneDNN on stderr
    logging.getLogger("absl").setLevel(logging.ERROR)
    try:
        import tensorflow
    except ImportError as error:
        reason = (str(error).strip().splitlines() or ["no reason given"])[-1]
        raise UserError(f"TensorFlow cannot be loaded: {reason[:200]}") from error

    tensorflow.config.set_visible_devices([], "GPU")
    return tensorflow


def converter_passes() -> ModuleType:
    """Return the passes of TensorFlow Lite's converter, to be run one by one."""
    load()
    from tensorflow.lite.python import convert

    return convert
