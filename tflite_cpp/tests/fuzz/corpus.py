"""Writes the sound files that the fuzz tests damage, into corpus/ beside this file.

They are as small as the exporter makes them, and hold every operation that it emits. Run it in the
repository's root after the exporter has changed: python tflite_cpp/tests/fuzz/corpus.py
"""

import io
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np

ROOT = Path(__file__).parents[3]
sys.path.insert(0, str(ROOT))

from jaxgan.config import ImageSpec, TrainConfig, resolved  # noqa: E402
from jaxgan.export.convert import convert  # noqa: E402
from jaxgan.gan.step import make_gan  # noqa: E402
from jaxgan.runs.run import Snapshot  # noqa: E402

CORPUS = Path(__file__).parent / "corpus"
PROGRAM = ROOT / "tflite_cpp" / "build" / "release" / "jaxgan-generate"
MODELS = (
    ("digits", ImageSpec((16, 16, 1), 3), {"width": 5, "latent_size": 8, "residuals": 1}, (1, 3),
     ("none", "float16", "dynamic", "int8")),
    ("one-class", ImageSpec((16, 20, 1), 1), {"width": 1, "latent_size": 1}, (2,), ("none",)),
    ("named", ImageSpec((16, 16, 4), 3, ("cat", "Hot dog", "é")), {"width": 1, "latent_size": 2},
     (1,), ("none",)),
    ("colour", ImageSpec((16, 16, 3), 0), {"width": 1, "latent_size": 3}, (1,), ("int8",)),
    ("plain", ImageSpec((16, 16, 1), 0), {"width": 1, "latent_size": 5, "components": 4}, (2,),
     ("none", "int8")),
)  # fmt: skip


def snapshot(spec: ImageSpec, options: dict[str, int]) -> Snapshot:
    """Return a generator with weights of noise: with no bias of 0, which the converter drops."""
    config = resolved(TrainConfig(**options, evaluate_every=0), spec)
    noise = np.random.default_rng(0)
    params = jax.tree.map(
        lambda leaf: leaf + noise.normal(0, 0.05, leaf.shape).astype(np.float32),
        make_gan(config, spec).init().ema,
    )
    return Snapshot(config, spec, params, 0)


def write_models() -> None:
    """Write each model in each kind."""
    for name, spec, options, batch_sizes, kinds in MODELS:
        for kind in kinds:
            path = CORPUS / "tflite" / f"{name}-{kind}.tflite"
            convert(
                snapshot(spec, options), path, batch_sizes=batch_sizes, quantize=kind, force=True
            )
            path.with_suffix(".json").unlink()


def write_arrays() -> None:
    """Write latents of 8 numbers in both versions of .npy."""
    latents = np.random.default_rng(0).normal(size=(3, 8)).astype("<f4")
    for version in (1, 2):
        content = io.BytesIO()
        np.lib.format.write_array(content, latents[:version], version=(version, 0))
        (CORPUS / "npy" / f"version{version}.npy").write_bytes(content.getvalue())


def write_pictures() -> None:
    """Write what the C++ program draws: a grid, and an image with all texts that there are."""
    model = CORPUS / "tflite" / "digits-none.tflite"
    for options in (
        ("--count", "2", "--truncation", "0.5", "--out", CORPUS / "png" / "grid.png"),
        ("--seeds", "5", "--label", "2,1", "--out", CORPUS / "png" / "image%d.png"),
    ):
        subprocess.run([PROGRAM, "--model", model, *options], check=True)


if __name__ == "__main__":
    for kind in ("tflite", "npy", "png"):
        (CORPUS / kind).mkdir(parents=True, exist_ok=True)
    write_models()
    write_arrays()
    write_pictures()
