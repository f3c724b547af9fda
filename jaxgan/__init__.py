"""Train an image GAN in JAX; draw the same images from one small file anywhere."""

import importlib.util
import sys

__version__ = "0.1.0"

if not all(map(importlib.util.find_spec, ("jax", "tyro"))):
    sys.stderr.write(
        f"error: {sys.executable} lacks the packages of requirements.txt; "
        "run: make setup && source .venv/bin/activate\n"
    )
    sys.exit(2)
