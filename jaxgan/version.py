"""The version of this package. It stands in tflite_cpp/CMakeLists.txt alone."""

from __future__ import annotations

import importlib.metadata
import re
from pathlib import Path

_SOURCE = Path(__file__).parent.parent / "tflite_cpp" / "CMakeLists.txt"


def _version() -> str:
    if _SOURCE.exists():  # a checkout, whether installed or not
        found = re.search(r"^project\(jaxgan VERSION ([0-9.]+)", _SOURCE.read_text(), re.MULTILINE)
        if found:
            return found[1]
    return importlib.metadata.version("jaxgan")


__version__ = _version()
