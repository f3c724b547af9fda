"""Options of all benchmarks."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from jaxgan.config import require
from jaxgan.errors import UserError


@dataclass(frozen=True)
class Options:
    """How long to measure, and where to write; each benchmark adds its own."""

    rounds: int = 7
    """Rounds; in each, every side works for about a second. Figures are medians of them."""

    out: Path = Path("benchmarks/results")
    """Folder for the table and the plot."""

    json: Path | None = None
    """File for every figure, with the machine and the versions."""

    def __post_init__(self) -> None:
        require(self, "rounds", self.rounds >= 1, "at least 1")
        if self.json and self.json.is_dir():
            raise UserError(f"--json: expected the name of a file, got the folder {self.json}")


def check_numbers(name: str, values: tuple[int, ...], maximum: int) -> None:
    """Raise ``UserError`` unless an option has numbers, all from 1 to ``maximum``."""
    if not values or not all(1 <= value <= maximum for value in values):
        got = " ".join(map(str, values)) or "none"
        raise UserError(f"--{name}: expected numbers from 1 to {maximum}, got {got}")
