"""Train a GAN: python train.py --epochs 30 --dataset mnist --run-dir checkpoints/mnist"""

from jaxgan.commands.train import command

if __name__ == "__main__":
    command("train.py")
