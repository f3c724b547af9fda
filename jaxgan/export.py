"""Generator params → one .tflite file, run and held against JAX before it is written."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxgan import __version__, checkpoint, latents, models, progress, tflite
from jaxgan import tf as lazy_tensorflow
from jaxgan.config import BATCH_SIZES, ImageSpec, TrainConfig
from jaxgan.errors import ModelError, OutputError, UserError
from jaxgan.files import write_whole

TOLERANCE = 1e-4  # of an image value in [-1, 1]; rounding alone gives 1e-6
_CHECKED = 256  # latents


class Source(NamedTuple):
    """What is converted.

    Attributes:
        config: Settings of the run that trained it.
        spec: Image shape and classes.
        params: Generator params (the weight average).
        step: Step of the run.
    """

    config: TrainConfig
    spec: ImageSpec
    params: Any
    step: int


class Report(NamedTuple):
    """What was written.

    Attributes:
        path: The file.
        size: Its bytes.
        operations: Names of the operations of one signature.
        signatures: Names of the signatures.
        difference: Largest difference from JAX over 256 latents, of values in [-1, 1].
        seconds: Time that it took.
    """

    path: Path
    size: int
    operations: list[str]
    signatures: list[str]
    difference: float
    seconds: float

    def text(self) -> str:
        """Return the report as lines for a person."""
        return (
            f"{self.path}: {self.size:,} bytes in {self.seconds:.1f}s\n"
            f"  signatures: {', '.join(self.signatures)}\n"
            f"  operations: {len(self.operations)}: {', '.join(self.operations)}\n"
            f"  largest difference from JAX on {_CHECKED} latents: {self.difference:.1e}"
        )


def from_run(run_dir: Path, step: int | None = None) -> Source:
    """Return the generator of a run directory's checkpoint, the newest if no step is given.

    Raises:
        UserError: The directory holds no run, or no such readable checkpoint.
    """
    known = checkpoint.read_config(run_dir)
    if known is None:
        raise UserError(f"{run_dir} holds no run (no config.json); train one with: python train.py")
    step, state = checkpoint.load(run_dir, step)
    return Source(*known, state["average"], step)


def export(
    source: Source,
    path: Path,
    batch_sizes: Sequence[int] = BATCH_SIZES,
    saved_model: Path | None = None,
) -> Report:
    """Convert a generator, check it against JAX, write it.

    Args:
        source: The generator.
        path: The .tflite file to write.
        batch_sizes: One signature ``generate_N`` each; they share the weights.
        saved_model: Folder for a TensorFlow SavedModel, if one is wanted too.

    Raises:
        ModelError: The converted file does not draw what JAX draws. Nothing was written.
        OutputError: The file cannot be written.
    """
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as scratch:
        content = _convert(source, sorted(set(batch_sizes)), Path(scratch) / "model")
        content = tflite.add_metadata(content, _metadata(source))
        difference = _largest_difference(source, content)
        if saved_model is not None:
            _place(Path(scratch) / "model", saved_model)
        write_whole(path, content)
    signatures = [tflite.SIGNATURE.format(size) for size in sorted(set(batch_sizes))]
    seconds = time.perf_counter() - started
    return Report(path, len(content), tflite.operations(content), signatures, difference, seconds)


def _place(folder: Path, target: Path) -> None:
    """Put a copy of a SavedModel folder where the target is, over an older SavedModel."""
    if target.exists() and not (target.is_dir() and (target / "saved_model.pb").exists()):
        raise OutputError(f"cannot write {target}: it is there already, and is no SavedModel")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".jaxgan.", dir=target.parent) as beside:
        copy = shutil.copytree(folder, Path(beside) / "new")
        if target.exists():
            target.rename(Path(beside) / "old")
        copy.rename(target)


def _generator(source: Source) -> models.Generator:
    # No custom call can be converted.
    return models.Generator(source.spec, source.config.width, "litert")


def _convert(source: Source, batch_sizes: list[int], folder: Path) -> bytes:
    """Write a SavedModel into the folder and return it as a flatbuffer."""
    tensorflow = lazy_tensorflow.load()
    from jax.experimental import jax2tf

    generator = _generator(source)
    convert = jax2tf.convert(
        lambda params, latent, label: generator.apply({"params": params}, latent, label),
        with_gradient=False,
        native_serialization_platforms=["cpu"],
    )
    # Variables, not constants, so that the signatures share one copy of the weights.
    module = tensorflow.Module()
    module.params = jax.tree.map(lambda leaf: tensorflow.Variable(np.asarray(leaf)), source.params)
    signatures = {}
    for size in batch_sizes:
        inputs = [tensorflow.TensorSpec((size, source.config.latent_size), name="latent")]
        if source.spec.classes:
            inputs.append(tensorflow.TensorSpec((size,), tensorflow.int32, name="label"))

        @tensorflow.function(autograph=False, input_signature=inputs)
        def generate(latent, label=None):
            return {"image": convert(module.params, latent, label)}

        signatures[tflite.SIGNATURE.format(size)] = generate
    with progress.quiet_stderr():
        tensorflow.saved_model.save(module, str(folder), signatures=signatures)
        converter = tensorflow.lite.TFLiteConverter.from_saved_model(
            str(folder), signature_keys=list(signatures)
        )
        return converter.convert()


def _metadata(source: Source) -> dict[str, str]:
    return {
        "version": __version__,
        "revision": revision(),
        "dataset": source.config.dataset,
        "seed": str(source.config.seed),
        "step": str(source.step),
        "latent_size": str(source.config.latent_size),
        "classes": str(source.spec.classes),
        "image_shape": ",".join(map(str, source.spec.shape)),
    }


def revision() -> str:
    """Return the source's git revision, marked where files were changed since; or ``unknown``."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        folder = Path(__file__).parent
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    except OSError:
        return "unknown"
    return done.stdout.strip() or "unknown"


def _largest_difference(source: Source, content: bytes) -> float:
    """Run every signature on at least 256 latents; raise ``ModelError`` where JAX differs."""
    runtime = tflite.Generator(content)
    count = max(_CHECKED, *runtime.batch_sizes)
    latent = latents.latents(source.config.seed, np.arange(count), source.config.latent_size)
    label = np.arange(count, dtype=np.int32) % source.spec.classes if source.spec.classes else None
    expected = np.asarray(_generator(source).apply({"params": source.params}, latent, label))
    latent, differences = np.asarray(latent), []
    for size in runtime.batch_sizes:
        for start in range(0, count - size + 1, size):
            rows = slice(start, start + size)
            image = runtime.draw_batch(size, latent[rows], label if label is None else label[rows])
            if image.shape != expected[rows].shape:
                raise ModelError(
                    f"the conversion is wrong: {tflite.SIGNATURE.format(size)} gives images of "
                    f"shape {image.shape}, JAX {expected[rows].shape}; nothing was written"
                )
            differences.append(np.abs(image - expected[rows]).max())
    largest = float(np.max(differences))  # not a number if any is not
    if not largest <= TOLERANCE:
        raise ModelError(
            f"the conversion is wrong: its images differ from JAX's by up to {largest:.1e}, "
            f"expected at most {TOLERANCE:.0e}; nothing was written"
        )
    return largest
