"""The pages of README.md and docs/ as tests read them: their text, and the code in it."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from scripts.tables.__main__ import PAGES as PAGES

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PROGRAM = "tflite_cpp/build/release/jaxgan-generate"
# Commands of jaxgan, and other programs, with the dataclass of their options.
COMMANDS = {
    "train": "TrainConfig", "convert": "ConvertConfig", "generate": "GenerateConfig",
    "evaluate": "EvaluateConfig", "inspect": "InspectConfig", "native": "NativeConfig",
}  # fmt: skip
OTHERS = {
    "benchmarks.quality": "Options", "benchmarks.train_step": "Options",
    "benchmarks.generate": "Options", "benchmarks.scaling": "Options",
    "scripts.train_features": "FeaturesConfig",
}  # fmt: skip


@cache
def text(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def prose(page: Path) -> str:
    """Return a page without its code."""
    return FENCE.sub("", text(page))


def blocks(page: Path, language: str) -> list[str]:
    """Return the code of a page in a language."""
    return [block for kind, block in FENCE.findall(text(page)) if kind == language]
