"""``python -m jaxgan``: the same as ``jaxgan``."""

from jaxgan.commands.main import main

main()
