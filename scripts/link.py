"""Make this checkout importable in the active virtual environment: python scripts/link.py

It puts the command ``jaxgan`` there, too. An editable install would do the same, but compile the
C++ library a second time and keep that copy beside the one of ``make library``.
"""

import sys
import sysconfig
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
_COMMAND = """#!{python}
from jaxgan.commands.main import main

main()
"""


def main() -> None:
    """Write the two files."""
    if sys.prefix == sys.base_prefix:
        sys.exit("error: expected the Python of a virtual environment; run: make setup")
    Path(sysconfig.get_path("purelib"), "jaxgan-checkout.pth").write_text(f"{ROOT}\n")
    command = Path(sysconfig.get_path("scripts"), "jaxgan")
    command.write_text(_COMMAND.format(python=sys.executable))
    command.chmod(0o755)


if __name__ == "__main__":
    main()
