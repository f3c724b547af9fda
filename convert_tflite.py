"""Convert a run's generator: python convert_tflite.py --checkpoint checkpoints/mnist"""

from jaxgan.commands.convert import command

if __name__ == "__main__":
    command("convert_tflite.py")
