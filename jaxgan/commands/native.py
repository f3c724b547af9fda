"""Build the oneDNN convolutions: jaxgan native"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from jaxgan.commands import cli
from jaxgan.errors import UserError


@dataclass(frozen=True)
class NativeConfig:
    """Build the oneDNN convolutions, with which training on an x86-64 CPU is 1.5 times as fast.

    Needs a C++17 compiler, cmake and oneDNN's headers; names what is missing. An installed package
    keeps what is built in the user's cache folder.
    """

    required: bool = False
    """End with an error where they cannot be built; else training goes on without them."""


def main(config: NativeConfig) -> int:
    """Build for this Python and its JAX."""
    script = Path(__file__).parent.parent / "gan" / "native" / "build.sh"
    if not script.exists():
        raise UserError(f"{script} is missing; install jaxgan again")
    from jaxgan.gan import native  # after parsing: --help answers at once

    arguments = ["sh", str(script), *(["required"] if config.required else [])]
    environment = {
        **os.environ,
        "JAXGAN_NATIVE_PYTHON": sys.executable,
        "JAXGAN_NATIVE_BUILD": str(native.build_folder()),
    }
    return subprocess.run(arguments, check=False, env=environment).returncode


def command(program: str = "jaxgan native") -> NoReturn:
    """Run the command line."""
    cli.run(main, NativeConfig, program)
