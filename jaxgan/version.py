"""The version of this package. It stands in tflite_cpp/CMakeLists.txt alone."""

from __future__ import annotations

import re
from pathlib import Path

_SOURCE = Path(__file__).parent.parent / "tflite_cpp" / "CMakeLists.txt"


def _version() -> str:
    if _SOURCE.exists():  # a checkout, whether installed or not
        found = re.search(r"^project\(jaxgan VERSION ([0-9.]+)", _SOURCE.read_text(), re.MULTILINE)
        if found:
            return found[1]
    from importlib.metadata import version  # takes 20 ms

    return version("jaxgan")


__version__ = _version()
