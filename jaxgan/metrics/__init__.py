"""Measures of generated images, one file each. They see images and labels, never a generator."""
