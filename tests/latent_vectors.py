"""Latent vectors that JAX draws, as text for the C++ unit tests: a line "seed index values…".

python tests/latent_vectors.py > tflite_cpp/tests/latents.txt
"""

from pathlib import Path

import jax

FILE = Path(__file__).parent.parent / "tflite_cpp" / "tests" / "latents.txt"
CASES = [(seed, index) for seed in (0, 7, 2**32 - 1) for index in (0, 1, 999, 2**32 - 1)]
SIZE = 64


def lines() -> list[str]:
    """Return the lines, straight from jax.random and not through jaxgan.latents."""
    result = []
    for seed, index in CASES:
        key = jax.random.fold_in(jax.random.key(seed), index)
        values = jax.random.normal(key, (SIZE,))
        result.append(" ".join([str(seed), str(index), *(f"{value:.9g}" for value in values)]))
    return result


if __name__ == "__main__":
    print("\n".join(lines()))
