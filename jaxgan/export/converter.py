"""A generator → flatbuffers: all that TensorFlow's converter is used for, and how."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxgan.config import MAX_COUNT, Quantization
from jaxgan.export import graph
from jaxgan.export.signatures import Signature, probe
from jaxgan.gan import networks
from jaxgan.io.tensorflow import converter_passes, load_tensorflow
from jaxgan.runs.run import Snapshot

_CALIBRATION_IMAGES = 512
# What int8 keeps of ranges. The largest values are rare, and tanh is flat beyond 5: with all kept,
# FID on Fashion-MNIST rises by 75 % instead of 20 %.
_HIDDEN, _TANH = 0.5, 5.0


def save(snapshot: Snapshot, wanted: Mapping[str, Signature], folder: Path) -> None:
    """Write a TensorFlow SavedModel with some signatures into a folder."""
    tensorflow = load_tensorflow()
    from jax.experimental import jax2tf

    # No custom call can be converted.
    generator = networks.generator(snapshot.config, snapshot.spec, "litert")
    convert = jax2tf.convert(
        lambda params, *inputs: generator.apply({"params": params}, *inputs),
        with_gradient=False,
        native_serialization_platforms=["cpu"],
    )
    # Variables, not constants, so that the signatures share one copy of the weights.
    module = tensorflow.Module()
    module.params = jax.tree.map(
        lambda leaf: tensorflow.Variable(np.asarray(leaf)), snapshot.params
    )
    functions = {}
    for name, signature in wanted.items():
        example = signature.pick(probe(snapshot, 0, signature.rows), 0)

        @tensorflow.function(  # type: ignore[untyped-decorator]
            autograph=False,
            input_signature=[
                tensorflow.TensorSpec(part.shape, part.dtype, key) for key, part in example.items()
            ],
        )
        def function(*inputs: Any) -> dict[str, Any]:
            return {"image": convert(module.params, *inputs)}

        functions[name] = function
    tensorflow.saved_model.save(module, str(folder), signatures=functions)


def flatbuffer(
    snapshot: Snapshot, wanted: Mapping[str, Signature], folder: Path, kind: Quantization = "none"
) -> bytes:
    """Convert the SavedModel in a folder. Inputs and outputs stay float32 and int32.

    Args:
        snapshot: The generator, which int8 is calibrated on.
        wanted: The signatures that were saved.
        folder: The SavedModel.
        kind: ``float16``: weights of 16 bits. ``dynamic``: weights of 8 bits, and activations in
            the operations that gain from it, by their range in each call. ``int8``: all of 8 bits,
            activations by their range over 512 images.
    """
    tensorflow = load_tensorflow()
    with warnings.catch_warnings():
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
            converter.representative_dataset = lambda: _calibration(snapshot, wanted)
            converter._experimental_calibrate_only = True
            return _quantized(graph.narrow(converter.convert(), _HIDDEN, _TANH))
        return bytes(converter.convert())


def _quantized(calibrated: bytes) -> bytes:
    """Do what the converter does after calibration."""
    passes = converter_passes()
    quantized = passes.mlir_quantize(calibrated, disable_per_channel_for_dense_layers=True)
    return bytes(passes.deduplicate_readonly_buffers(quantized))


def _calibration(
    snapshot: Snapshot, wanted: Mapping[str, Signature]
) -> Iterator[tuple[str, dict[str, np.ndarray]]]:
    """Yield calls. Each signature sees the same images, so that all get the same scales."""
    count = max(_CALIBRATION_IMAGES, *(signature.rows for signature in wanted.values()))
    inputs = probe(snapshot, MAX_COUNT, count)  # images that nobody draws, or measures
    for name, signature in wanted.items():
        for start in signature.starts(count):
            yield name, signature.pick(inputs, start)
