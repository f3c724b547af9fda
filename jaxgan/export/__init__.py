"""A run's generator → one .tflite file, held against JAX before it is written."""
