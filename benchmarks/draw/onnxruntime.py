"""ONNX Runtime: the network as one ONNX file, on the CPU provider."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from benchmarks.draw import PAD, SLOPE, STRIDE, Draw, Network, Task
from jaxgan.errors import UserError

_OPERATORS = 17  # version of the operator set: old enough for any ONNX Runtime of today


def start(task: Task) -> Draw:
    """Return what draws a batch."""
    import onnxruntime  # here, as writing the file needs onnx alone

    if not task.model(".onnx").exists():
        raise UserError("onnx is not installed, which writes its model")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = task.threads, 1
    session = onnxruntime.InferenceSession(
        str(task.model(".onnx")), options, providers=["CPUExecutionProvider"]
    )

    def draw(latent: np.ndarray, label: np.ndarray | None) -> np.ndarray:
        inputs = {"latent": latent} if label is None else {"latent": latent, "label": label}
        return session.run(None, inputs)[0].transpose(0, 2, 3, 1)

    return draw


def write(task: Task) -> None:
    """Write the model file of a task. Needs the onnx package."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    network = task.network().channels_first()
    label = [] if network.table is None else [("label", TensorProto.INT32, (task.batch,))]
    latent = ("latent", TensorProto.FLOAT, (task.batch, len(network.project.kernel)))
    height, width, _ = task.checked().image.shape[1:]
    image = ("image", TensorProto.FLOAT, (task.batch, len(network.ups[-1].bias), height, width))
    graph = helper.make_graph(
        list(_nodes(network)),
        "generator",
        [helper.make_tensor_value_info(*value) for value in (latent, *label)],
        [helper.make_tensor_value_info(*image)],
        [numpy_helper.from_array(array, name) for name, array in _weights(network)],
    )
    operators = [helper.make_opsetid("", _OPERATORS)]
    version = helper.find_min_ir_version_for(operators)
    model = helper.make_model(graph, opset_imports=operators, ir_version=version)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, str(task.model(".onnx")))


def _nodes(network: Network) -> Iterator[object]:
    from onnx.helper import make_node

    yield make_node("Gemm", ["latent", "project", "project_bias"], ["flat"])
    flat = "flat"
    if network.table is not None:
        yield make_node("Gather", ["table", "label"], ["class"])
        yield make_node("Add", ["flat", "class"], ["labelled"])
        flat = "labelled"
    yield make_node("Reshape", [flat, "small"], ["map"])
    x = "map"
    for number in range(len(network.ups)):
        yield make_node("LeakyRelu", [x], [f"active_{number}"], alpha=SLOPE)
        weights = [f"kernel_{number}", f"bias_{number}"]
        x = f"up_{number}"
        yield make_node(
            "ConvTranspose", [f"active_{number}", *weights], [x],
            strides=[STRIDE] * 2, pads=[PAD] * 4,
        )  # fmt: skip
    yield make_node("Tanh", [x], ["image"])


def _weights(network: Network) -> Iterator[tuple[str, np.ndarray]]:
    height, width, channels = network.small
    yield "project", network.project.kernel
    yield "project_bias", network.project.bias
    yield "small", np.array([-1, channels, height, width], np.int64)
    if network.table is not None:
        yield "table", network.table
    for number, (kernel, bias) in enumerate(network.ups):
        yield f"kernel_{number}", np.ascontiguousarray(kernel.transpose(3, 2, 0, 1))
        yield f"bias_{number}", bias
