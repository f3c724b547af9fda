"""The command ``jaxgan``: which file each of its commands is in. Help loads nothing else."""

from __future__ import annotations

import importlib
import sys
from typing import NoReturn

COMMANDS = {
    "data": "Get a dataset: prepare it by TFDS or a package, or import images of your own.",
    "train": "Train a GAN and write its generator as one .tflite file.",
    "evaluate": "Measure how good and how varied a generator's images are.",
    "convert": "Convert a run's generator to .tflite, float or quantised.",
    "generate": "Draw images with a .tflite file or a run.",
    "inspect": "Show a run's checkpoints, arrays and options.",
    "native": "Build the oneDNN convolutions, which train faster on an x86-64 CPU.",
}


def usage() -> str:
    """Return what ``jaxgan --help`` prints."""
    lines = [f"  {name:9} {what}" for name, what in COMMANDS.items()]
    return "\n".join(
        ["usage: jaxgan COMMAND [OPTIONS]", "", "Train an image GAN in JAX; draw the same images "
         "from one small file anywhere.", "", *lines, "", "jaxgan COMMAND --help lists the options "
         "of one.", "jaxgan --version prints the version."]
    )  # fmt: skip


def main() -> NoReturn:
    """Run the command that the first argument names."""
    name = sys.argv[1] if len(sys.argv) > 1 else ""
    if name in ("-h", "--help"):
        sys.stdout.write(usage() + "\n")
        sys.exit(0)
    if name == "--version":
        from jaxgan.version import __version__

        sys.stdout.write(f"jaxgan {__version__}\n")
        sys.exit(0)
    if name not in COMMANDS:
        got = ascii(name) if name else "none"
        sys.stderr.write(
            f"error: expected a command ({', '.join(COMMANDS)}), got {got} (see: jaxgan --help)\n"
        )
        sys.exit(2)
    del sys.argv[1]
    try:
        module = importlib.import_module(f"jaxgan.commands.{name}")
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("jaxgan"):
            raise
        from jaxgan.errors import missing_extra

        sys.stderr.write(f"error: {missing_extra(error)}\n")
        sys.exit(2)
    module.command(f"jaxgan {name}")
    raise AssertionError("a command exits")
