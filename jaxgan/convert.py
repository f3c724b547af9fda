"""Generator params → flatbuffers: all that is asked of TensorFlow's converter, and how."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import jax
import numpy as np

from jaxgan import latents, models, progress, tflite
from jaxgan import tf as lazy_tensorflow
from jaxgan.config import MOST_COUNT, Quantization

if TYPE_CHECKING:
    from jaxgan.export import Source

_CALIBRATED = 512  # images
# What int8 keeps of ranges. The largest values are rare, and tanh is flat beyond 5: with all kept,
# FID on Fashion-MNIST rises by 75 % instead of 20 %.
_HIDDEN, _TANH = 0.5, 5.0


class Signature(NamedTuple):
    """One function of a file.

    Attributes:
        rows: Static batch size.
        inputs: Names of its inputs, in the order that the generator takes them.
    """

    rows: int
    inputs: tuple[str, ...]

    def starts(self, count: int) -> tuple[int, ...]:
        """Return where its calls begin that take all of some rows, its own number or more.

        The last call ends at the last row, so it takes some for a second time.
        """
        last = count - self.rows
        return (*range(0, last, self.rows), last)

    def pick(self, inputs: Mapping[str, np.ndarray], start: int) -> dict[str, np.ndarray]:
        """Return its inputs of one call, from a row on."""
        return {name: inputs[name][start : start + self.rows] for name in self.inputs}


def signatures(source: Source, batch_sizes: Sequence[int]) -> dict[str, Signature]:
    """Return the signatures of a source's files by their names."""
    inputs = ("latent", "label") if source.spec.classes else ("latent",)
    sizes = sorted(set(batch_sizes))
    found = {tflite.SIGNATURE.format(size): Signature(size, inputs) for size in sizes}
    if source.spec.classes:
        found[tflite.BETWEEN] = Signature(1, (*inputs, "toward", "share"))
    return found


def probe(source: Source, first: int, count: int) -> dict[str, np.ndarray]:
    """Return inputs as at inference: the latents of the run's seed, every class in turn.

    Each class goes toward each other one, by shares of 0, 0.1, … 1.

    Args:
        source: The generator.
        first: Index of the first image.
        count: N.

    Returns:
        ``latent`` float32 [N, Z]; with classes also ``label`` and ``toward`` int32 [N], ``share``
        float32 [N].
    """
    indices = np.arange(first, first + count)
    latent = latents.latents(source.config.seed, indices, source.config.latent_size)
    inputs = {"latent": np.asarray(latent)}
    if classes := source.spec.classes:
        inputs["label"] = latents.cycle(range(classes), indices)
        inputs["toward"] = latents.cycle(range(classes), indices // classes)
        inputs["share"] = (indices % 11 / 10).astype(np.float32)
    return inputs


def draw(source: Source, inputs: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return what JAX draws for inputs of a signature, float32 [N, H, W, C] in [-1, 1]."""
    generator = _generator(source, "xla")  # shares no code with what is converted
    return np.asarray(generator.apply({"params": source.params}, *inputs.values()))


def _generator(source: Source, form: str) -> models.Generator:
    return models.generator(source.config, source.spec, form)


def save(source: Source, wanted: Mapping[str, Signature], folder: Path) -> None:
    """Write a TensorFlow SavedModel with some signatures into a folder."""
    tensorflow = lazy_tensorflow.load()
    from jax.experimental import jax2tf

    generator = _generator(source, "litert")  # no custom call can be converted
    convert = jax2tf.convert(
        lambda params, *inputs: generator.apply({"params": params}, *inputs),
        with_gradient=False,
        native_serialization_platforms=["cpu"],
    )
    # Variables, not constants, so that the signatures share one copy of the weights.
    module = tensorflow.Module()
    module.params = jax.tree.map(lambda leaf: tensorflow.Variable(np.asarray(leaf)), source.params)
    functions = {}
    for name, signature in wanted.items():
        example = signature.pick(probe(source, 0, signature.rows), 0)

        @tensorflow.function(
            autograph=False,
            input_signature=[
                tensorflow.TensorSpec(part.shape, part.dtype, key) for key, part in example.items()
            ],
        )
        def function(*inputs):
            return {"image": convert(module.params, *inputs)}

        functions[name] = function
    with progress.quiet_stderr():
        tensorflow.saved_model.save(module, str(folder), signatures=functions)


def flatbuffer(
    source: Source, wanted: Mapping[str, Signature], folder: Path, kind: Quantization = "none"
) -> bytes:
    """Convert the SavedModel in a folder. Inputs and outputs stay float32 and int32.

    Args:
        source: The generator, which int8 is calibrated on.
        wanted: The signatures that were saved.
        folder: The SavedModel.
        kind: ``float16``: weights of 16 bits. ``dynamic``: weights of 8 bits, and activations in
            the operations that gain from it, by their range in each call. ``int8``: all of 8 bits,
            activations by their range over 512 images.
    """
    tensorflow = lazy_tensorflow.load()
    with progress.quiet_stderr(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the calibrator's interpreter is deprecated
        converter = tensorflow.lite.TFLiteConverter.from_saved_model(
            str(folder), signature_keys=list(wanted)
        )
        if kind != "none":
            converter.optimizations = [tensorflow.lite.Optimize.DEFAULT]
        if kind == "float16":
            converter.target_spec.supported_types = [tensorflow.float16]
        # A scale for each of a dense layer's outputs would be stored with its zero once a
        # signature: a fifth of a dynamic file, and FID is the same. Convolutions have theirs.
        converter._experimental_disable_per_channel_quantization_for_dense_layers = True
        if kind == "int8":
            converter.target_spec.supported_ops = [tensorflow.lite.OpsSet.TFLITE_BUILTINS_INT8]
            converter.representative_dataset = lambda: _calibration(source, wanted)
            converter._experimental_calibrate_only = True
            return _quantized(tflite.narrow(converter.convert(), _HIDDEN, _TANH))
        return converter.convert()


def _quantized(calibrated: bytes) -> bytes:
    """Do what the converter does after calibration."""
    passes = lazy_tensorflow.converter_passes()
    graph = passes.mlir_quantize(calibrated, disable_per_channel_for_dense_layers=True)
    return passes.deduplicate_readonly_buffers(graph)


def _calibration(
    source: Source, wanted: Mapping[str, Signature]
) -> Iterator[tuple[str, dict[str, np.ndarray]]]:
    """Yield calls. Each signature sees the same images, so that all get the same scales."""
    count = max(_CALIBRATED, *(signature.rows for signature in wanted.values()))
    inputs = probe(source, MOST_COUNT, count)  # images that nobody draws, or measures
    for name, signature in wanted.items():
        for start in signature.starts(count):
            yield name, signature.pick(inputs, start)
