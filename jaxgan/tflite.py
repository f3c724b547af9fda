"""A .tflite generator in Python: read, described, run by LiteRT. C++ does the same."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from jaxgan import progress, verify
from jaxgan.errors import ModelError, first_line

SIGNATURE = "generate_{}"  # one a batch size, with inputs latent, label and output image
BETWEEN = "between_1"  # with inputs toward and share as well, an image between two classes
METADATA = "jaxgan."  # prefix of our metadata keys
_MOST_CLASSES = 65536  # as in C++


class Generator:
    """A generator in a .tflite file.

    Attributes:
        metadata: Our entries, without their prefix: latent_size, classes, image_shape, ….
        batch_sizes: Static batch sizes that it has signatures for, largest first.
        latent_size: Numbers in a latent vector.
        image_shape: Height, width and channels of an image.
        classes: Number of classes; 0 for a plain GAN.
    """

    def __init__(self, content: bytes, threads: int = 1) -> None:
        """Load a model.

        Args:
            content: The file's bytes.
            threads: Threads that run it, at least 1.

        Raises:
            ModelError: It is no model, or no generator.
        """
        try:
            with progress.quiet_stderr(show=False):
                self._open(content, threads)
        except ModelError:
            raise
        except Exception as error:
            # LiteRT and flatbuffers raise many kinds for a damaged file.
            raise ModelError(f"not a TensorFlow Lite model: {first_line(error)}") from error

    def _open(self, content: bytes, threads: int) -> None:
        from ai_edge_litert.interpreter import Interpreter

        verify.verify(content)
        interpreter = Interpreter(model_content=content, num_threads=threads)
        signatures = interpreter.get_signature_list()
        names = [re.fullmatch(SIGNATURE.format("([1-9][0-9]*)"), name) for name in signatures]
        self.batch_sizes = sorted((int(name[1]) for name in names if name), reverse=True)
        if not self.batch_sizes:
            raise ModelError(
                f"not a generator: expected a signature like {SIGNATURE.format(1)}, "
                f"got {', '.join(signatures) or 'none'}"
            )
        ours = {*map(SIGNATURE.format, self.batch_sizes), BETWEEN}
        self._runners = {
            name: interpreter.get_signature_runner(name) for name in signatures if name in ours
        }
        self._ran: set[str] = set()
        runner = self._runners[SIGNATURE.format(self.batch_sizes[0])]
        inputs, outputs = runner.get_input_details(), runner.get_output_details()
        if "latent" not in inputs or "image" not in outputs:
            raise ModelError(
                "not a generator: expected latent → image, "
                f"got {', '.join(inputs)} → {', '.join(outputs)}"
            )
        self.metadata = read_metadata(content)
        self.latent_size = int(inputs["latent"]["shape"][1])
        self.classes = self._class_count() if "label" in inputs else 0
        self.image_shape = tuple(int(size) for size in outputs["image"]["shape"][1:])

    def _class_count(self) -> int:
        text = self.metadata.get("classes", "")
        if not text.isdigit() or not 1 <= int(text) <= _MOST_CLASSES:
            raise ModelError(
                "not a generator: it takes labels, but its metadata names no number of classes "
                f"from 1 to {_MOST_CLASSES}; convert it again with convert_tflite.py"
            )
        return int(text)

    @classmethod
    def read(cls, path: Path, threads: int = 1) -> Generator:
        """Load a model file; a ``ModelError`` names it."""
        try:
            with path.open("rb") as file:
                content = file.read(verify.HEAD)
                if verify.begins(content):  # what is no model may have no end, as /dev/zero
                    content += file.read(verify.MOST_BYTES)
        except OSError as error:
            raise ModelError(
                f"cannot read {path}: {error.strerror}; --model takes a file of convert_tflite.py"
            ) from error
        if not content:
            raise ModelError(f"{path} is empty; convert the model again")
        try:
            return cls(content, threads)
        except ModelError as error:
            raise ModelError(f"{path} is {error}") from error

    def signatures(self) -> list[dict[str, Any]]:
        """Return the signatures that can be run: name, inputs and outputs with dtype and shape."""
        return [
            {
                "name": name,
                "inputs": _tensors(runner.get_input_details()),
                "outputs": _tensors(runner.get_output_details()),
            }
            for name, runner in self._runners.items()
        ]

    def draw(self, latent: np.ndarray, label: np.ndarray | None) -> np.ndarray:
        """Return images float32 [N, H, W, C] in [-1, 1] of latents [N, Z] and labels [N] or None.

        The largest signature that still fits is run each time; an image does not depend on it.
        """
        images, start = [], 0
        while start < len(latent):
            left = len(latent) - start
            size = next((size for size in self.batch_sizes if size <= left), self.batch_sizes[-1])
            images.append(
                self.draw_batch(size, latent[start:], label if label is None else label[start:])
            )
            start += size
        return np.concatenate(images)

    def draw_batch(self, size: int, latent: np.ndarray, label: np.ndarray | None) -> np.ndarray:
        """Run the signature of one batch size on the first rows; fewer are filled up with zeros."""
        rows = min(size, len(latent))
        inputs = {"latent": _filled(latent[:rows], size).astype(np.float32)}
        if label is not None:
            inputs["label"] = _filled(label[:rows], size).astype(np.int32)
        return self.run(SIGNATURE.format(size), inputs)[:rows]

    def between(
        self, latent: np.ndarray, label: np.ndarray, toward: np.ndarray, share: np.ndarray
    ) -> np.ndarray:
        """Draw images between two classes, one at a time.

        Args:
            latent: float32 [N, Z].
            label: Classes int [N].
            toward: Other classes int [N].
            share: How far to go towards them, float [N] from 0 to 1.

        Returns:
            Images float32 [N, H, W, C] in [-1, 1].

        Raises:
            ModelError: The file is of a plain GAN, or was converted before there was such a way.
        """
        if not self.classes:
            raise ModelError("the model has no classes to go between")
        if BETWEEN not in self._runners:
            raise ModelError(
                f"the model has no signature {BETWEEN}; convert it again with convert_tflite.py"
            )
        inputs = {
            "latent": latent.astype(np.float32), "label": label.astype(np.int32),
            "toward": toward.astype(np.int32), "share": share.astype(np.float32),
        }  # fmt: skip
        return np.concatenate(
            [
                self.run(BETWEEN, {name: part[row : row + 1] for name, part in inputs.items()})
                for row in range(len(latent))
            ]
        )

    def run(self, name: str, inputs: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return the images of one call of a signature, its inputs given by their names.

        Raises:
            ModelError: The signature does not take them, or does not run.
        """
        announces = name not in self._ran  # at its first run it writes to stderr
        self._ran.add(name)
        try:
            with progress.quiet_stderr(show=False) if announces else contextlib.nullcontext():
                return self._runners[name](**inputs)["image"]
        except (KeyError, ValueError, RuntimeError) as error:
            raise ModelError(f"the model does not run: {first_line(error)}") from error


def _tensors(details: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: {"dtype": np.dtype(one["dtype"]).name, "shape": one["shape"].tolist()}
        for name, one in details.items()
    }


def _filled(rows: np.ndarray, size: int) -> np.ndarray:
    missing = size - len(rows)
    return np.concatenate([rows, np.zeros((missing, *rows.shape[1:]), rows.dtype)])


def read_metadata(content: bytes) -> dict[str, str]:
    """Return our metadata entries of a model file, without their prefix."""
    from ai_edge_litert import schema_py_generated as schema

    model = schema.Model.GetRootAs(content, 0)
    entries = [model.Metadata(index) for index in range(model.MetadataLength())]
    return {
        entry.Name().decode(errors="replace").removeprefix(METADATA): bytes(
            model.Buffers(entry.Buffer()).DataAsNumpy()
        ).decode(errors="replace")
        for entry in entries
        if entry.Name().startswith(METADATA.encode())
    }


def add_metadata(content: bytes, entries: Mapping[str, str]) -> bytes:
    """Return a model file with text entries added to its metadata, each under our prefix."""
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromPackedBuf(content, 0)
    for name, text in entries.items():
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(text.encode(), np.uint8)
        model.buffers.append(buffer)
        entry = schema.MetadataT()
        entry.name, entry.buffer = METADATA + name, len(model.buffers) - 1
        model.metadata.append(entry)
    return _packed(model)


def narrow(content: bytes, hidden: float, tanh: float) -> bytes:
    """Return a calibrated generator in which rare values will saturate, so that steps are finer.

    Args:
        content: A float model whose tensors carry the ranges that were seen.
        hidden: Share to leave of the ranges after each convolution but the last.
        tanh: Bound of the ranges from the last convolution to tanh, which is flat beyond it.
    """
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromPackedBuf(content, 0)
    names = _names(model)
    for graph in model.subgraphs:
        order = [names[operator.opcodeIndex] for operator in graph.operators]
        ranges = [graph.tensors[one.outputs[0]].quantization for one in graph.operators]
        convolutions = [index for index, name in enumerate(order) if "CONV" in name]
        for seen in ranges[convolutions[0] : convolutions[-1]]:
            seen.min, seen.max = hidden * seen.min, hidden * seen.max
        for seen in ranges[convolutions[-1] : order.index("TANH")]:
            seen.min, seen.max = np.maximum(seen.min, -tanh), np.minimum(seen.max, tanh)
    return _packed(model)


def _packed(model: Any) -> bytes:
    import flatbuffers

    builder = flatbuffers.Builder(4096)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def _names(model: Any) -> list[str]:
    """Return the names of a model's operator codes."""
    from ai_edge_litert import schema_py_generated as schema

    names = {value: name for name, value in vars(schema.BuiltinOperator).items() if name.isupper()}
    return [
        names[max(code.builtinCode, code.deprecatedBuiltinCode)] for code in model.operatorCodes
    ]


def operations(content: bytes) -> list[str]:
    """Return the names of the operations of a generator's first ``generate_N``, in order."""
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromPackedBuf(content, 0)
    names = _names(model)
    graph = next(
        model.subgraphs[signature.subgraphIndex]
        for signature in model.signatureDefs
        if signature.signatureKey.decode() != BETWEEN
    )
    return [names[operator.opcodeIndex] for operator in graph.operators]
