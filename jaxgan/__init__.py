"""Train an image GAN in JAX; draw the same images from one small file anywhere."""

__version__ = "0.1.0"
