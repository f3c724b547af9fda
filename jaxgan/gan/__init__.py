"""The pure core: networks, losses, gradients, the training step. No disk, no clock."""
