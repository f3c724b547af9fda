"""TensorFlow, quiet and without the GPU that JAX needs."""

from __future__ import annotations

import contextlib
import logging
import os
from types import ModuleType

from jaxgan.errors import UserError, missing_extra


def load_tensorflow() -> ModuleType:
    """Import TensorFlow without its start-up lines, hide GPUs from it, return the module.

    Raises:
        UserError: It is not installed, does not fit into memory, or is damaged.
    """
    # Read when its libraries are loaded; without them it announces oneDNN and more on stderr.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
    logging.getLogger("absl").setLevel(logging.ERROR)
    try:
        import tensorflow
    except ModuleNotFoundError as error:
        raise missing_extra(error) from error
    except ImportError as error:
        reason = (str(error).strip().splitlines() or ["no reason given"])[-1]
        raise UserError(f"TensorFlow cannot be loaded: {reason[:200]}") from error

    # Where a program of the user's has started it already, its devices cannot be changed any more.
    with contextlib.suppress(RuntimeError):
        tensorflow.config.set_visible_devices([], "GPU")
    module: ModuleType = tensorflow
    return module


def converter_passes() -> ModuleType:
    """Return the passes of TensorFlow Lite's converter, to be run one by one."""
    load_tensorflow()
    from tensorflow.lite.python import convert

    module: ModuleType = convert
    return module
