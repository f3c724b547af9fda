"""A run directory: its configuration, checkpoints and log."""
