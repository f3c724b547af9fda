"""Files, images, and TensorFlow without its noise."""
