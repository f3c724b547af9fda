"""Train a GAN: python train.py --epochs 30 --dataset mnist --run-dir checkpoints/mnist"""

from jaxgan import cli
from jaxgan.config import TrainConfig


def main(config: TrainConfig) -> int:
    """Train as the settings say."""
    from jaxgan.training import train  # after parsing: --help answers at once

    return train(config)


if __name__ == "__main__":
    cli.run(main, TrainConfig, "train.py")
