"""Changes to a flatbuffer by its schema: metadata, ranges of calibration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from jaxgan.export.signatures import BETWEEN

_PREFIX = "jaxgan."  # of our metadata's names


def add_metadata(content: bytes, entries: Mapping[str, str]) -> bytes:
    """Return a model file with text entries added to its metadata, each under our prefix."""
    schema = _schema()
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    for name, text in entries.items():
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(text.encode(), np.uint8)
        model.buffers.append(buffer)
        entry = schema.MetadataT()
        entry.name, entry.buffer = _PREFIX + name, len(model.buffers) - 1
        model.metadata.append(entry)
    return pack(model)


def narrow(content: bytes, hidden: float, tanh: float) -> bytes:
    """Return a calibrated generator in which rare values will saturate, so that steps are finer.

    Args:
        content: A float model whose tensors carry the ranges that were seen.
        hidden: Fraction to leave of the ranges after each convolution but the last.
        tanh: Bound of the ranges from the last convolution to tanh, which is flat beyond it.
    """
    model = _schema().ModelT.InitFromPackedBuf(content, 0)
    names = _names(model)
    for graph in model.subgraphs:
        order = [names[operator.opcodeIndex] for operator in graph.operators]
        ranges = [graph.tensors[one.outputs[0]].quantization for one in graph.operators]
        convolutions = [index for index, name in enumerate(order) if "CONV" in name]
        for seen in ranges[convolutions[0] : convolutions[-1]]:
            seen.min, seen.max = hidden * seen.min, hidden * seen.max
        for seen in ranges[convolutions[-1] : order.index("TANH")]:
            seen.min, seen.max = np.maximum(seen.min, -tanh), np.minimum(seen.max, tanh)
    return pack(model)


def operations(content: bytes) -> list[str]:
    """Return the names of the operations of a generator's first ``generate_N``, in order."""
    model = _schema().ModelT.InitFromPackedBuf(content, 0)
    names = _names(model)
    graph = next(
        model.subgraphs[signature.subgraphIndex]
        for signature in model.signatureDefs
        if signature.signatureKey.decode() != BETWEEN
    )
    return [names[operator.opcodeIndex] for operator in graph.operators]


def pack(model: Any) -> bytes:
    """Return a model of the schema's object form as a file's bytes."""
    import flatbuffers

    builder = flatbuffers.Builder(4096)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def _names(model: Any) -> list[str]:
    """Return the names of a model's operator codes."""
    builtin = vars(_schema().BuiltinOperator)
    names = {value: name for name, value in builtin.items() if name.isupper()}
    return [
        names[max(code.builtinCode, code.deprecatedBuiltinCode)] for code in model.operatorCodes
    ]


def _schema() -> Any:
    from ai_edge_litert import schema_py_generated

    return schema_py_generated
