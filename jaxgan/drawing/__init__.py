"""A .tflite file or a run directory, opened and drawn with."""
