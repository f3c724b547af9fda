"""Train an image GAN in JAX; draw the same images from one small file anywhere.

Nothing happens at import, and nothing but the standard library is needed for it: each public name
is loaded when it is first asked for.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jaxgan.config import TrainConfig as TrainConfig
    from jaxgan.drawing.evaluation import evaluate as evaluate
    from jaxgan.drawing.generator import Generator as Generator
    from jaxgan.errors import JaxganError as JaxganError
    from jaxgan.export.convert import convert as convert
    from jaxgan.export.report import Report as Report
    from jaxgan.runs.run import Run as Run
    from jaxgan.training.train import train as train
    from jaxgan.version import __version__ as __version__

_MODULES = {
    "Generator": "drawing.generator",
    "JaxganError": "errors",
    "Report": "export.report",
    "Run": "runs.run",
    "TrainConfig": "config",
    "__version__": "version",
    "convert": "export.convert",
    "evaluate": "drawing.evaluation",
    "train": "training.train",
}
__all__ = [
    "Generator",
    "JaxganError",
    "Report",
    "Run",
    "TrainConfig",
    "__version__",
    "convert",
    "evaluate",
    "train",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'jaxgan' has no attribute {name!r}")
    try:
        value = getattr(importlib.import_module(f"jaxgan.{_MODULES[name]}"), name)
    except ModuleNotFoundError as error:
        from jaxgan.errors import missing_extra

        raise missing_extra(error) from error
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
