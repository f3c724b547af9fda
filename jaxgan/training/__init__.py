"""The loop around the training step, and what it reports, measures and draws."""
