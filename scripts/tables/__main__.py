"""Write the tables of README.md and docs/ that follow from code or from measurements.

    python -m scripts.tables

A table stands between ``<!-- table: NAME -->`` and ``<!-- end -->`` and is replaced as a whole.
``tests/test_docs.py`` compares what stands there with what this file makes, so figures are quoted
from ``benchmarks/results/`` and never retyped.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from scripts.tables import quality, speed
from scripts.tables.markdown import ROOT
from scripts.tables.options import options

PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
MARKED = re.compile(r"(<!-- table: ([a-z-]+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)
TABLES: dict[str, Callable[[], str]] = {"options": options, **quality.TABLES, **speed.TABLES}


def main() -> None:
    """Replace the tables of all pages; name the pages that changed."""
    for page in PAGES:
        before = page.read_text(encoding="utf-8")
        after = MARKED.sub(lambda found: f"{found[1]}{TABLES[found[2]]()}{found[4]}", before)
        if after != before:
            page.write_text(after, encoding="utf-8")
            sys.stdout.write(f"{page.relative_to(ROOT)}\n")


def marked(page: Path) -> Iterator[tuple[str, str]]:
    """Yield the name and the text of each marked table of a page."""
    for found in MARKED.finditer(page.read_text(encoding="utf-8")):
        yield found[2], found[3]


if __name__ == "__main__":
    main()
