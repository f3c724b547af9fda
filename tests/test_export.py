"""Conversion: what is in the file, what is known of it, and that no wrong file is ever written."""

import copy
import dataclasses
import functools
import hashlib
import json
import logging
import os
import shutil
import subprocess
from typing import get_args

import conftest
import jax
import numpy as np
import optax
import pytest
from conftest import ROOT, python, refused, shared

from jaxgan import Generator
from jaxgan.commands import convert as command
from jaxgan.config import BATCH_SIZES, ImageSpec, Quantization, TrainConfig, resolved
from jaxgan.data import dataset
from jaxgan.drawing.generator import to_levels
from jaxgan.drawing.run_generator import RunGenerator
from jaxgan.errors import ModelError, OutputError, UserError
from jaxgan.export import checks, convert, converter, graph, report
from jaxgan.export.convert import Conversion
from jaxgan.export.signatures import probe
from jaxgan.gan.latents import latents
from jaxgan.gan.networks import ACTIVATIONS, GeneratorNetwork
from jaxgan.gan.step import make_gan
from jaxgan.metrics import features, fid, imagenet
from jaxgan.metrics.reference import Scores
from jaxgan.runs.run import Run, Snapshot
from jaxgan.version import __version__

KINDS = get_args(Quantization)
# Weights, zeros included, of the last two layers as LiteRT runs them: 16 pixels of one channel at a
# time, and 4 pixels of 8.
BLOCKS = 4 * 4 * 8 * 16 + 3 * 3 * 16 * 32
PIXELS = ("RESHAPE", "TRANSPOSE", "RESHAPE")  # of blocks, moved to their places


@pytest.fixture(scope="module")
def snapshot(run_dir):
    return Run.open(run_dir).snapshot()


@pytest.fixture(scope="module")
def real(snapshot, data_dir):
    return checks.find_reference(snapshot, str(data_dir))


@pytest.fixture(scope="module")
def conversion(snapshot, real):
    """A conversion in this process, to write from."""
    with Conversion(snapshot, BATCH_SIZES, real) as made:
        yield made


@pytest.fixture(scope="module")
def every(run_dir, data_dir, tmp_path_factory):
    """A folder with a file of each kind, and what was printed."""

    def make(folder):
        done = python(
            "convert_tflite.py", "--checkpoint", run_dir, "--out", folder / "files" / "g.tflite",
            "--data-dir", data_dir, "--quantize", "all",
        )  # fmt: skip
        assert (done.returncode, done.stderr) == (0, "")
        (folder / "printed").write_text(done.stdout)

    folder = shared(tmp_path_factory, "every", make)
    return folder / "files", (folder / "printed").read_text()


@pytest.fixture
def converted_before(monkeypatch, conversion):
    """TensorFlow is not asked again: what it made before is what it makes."""
    monkeypatch.setattr(converter, "save", lambda *_: None)
    monkeypatch.setattr(converter, "flatbuffer", lambda *_: conversion._float.content)


@pytest.fixture
def call():
    """Return what calls the program in this process."""
    return functools.partial(conftest.call, command.command, "convert_tflite.py")


def of_kind(folder, kind):
    """Return the path of a kind's file in a folder, and the facts beside it."""
    path = folder / ("g.tflite" if kind == "none" else f"g-{kind}.tflite")
    return path, json.loads(path.with_suffix(".json").read_text())


def test_the_file_draws_what_jax_draws(snapshot, model):
    latent, label = np.asarray(latents(3, range(100), 64)), np.arange(100, dtype=np.int32) % 10
    expected = RunGenerator(snapshot).draw_values(latent, label)
    with Generator(model) as generator:
        assert np.abs(generator.draw_values(latent, label) - expected).max() < 1e-5


def test_what_the_file_says_of_itself(model):
    info = Generator(model).info
    assert info.batch_sizes == (64, 1)
    assert info.latent_size == 64
    assert (info.image_shape, info.classes) == ((28, 28, 1), 10)
    metadata = dict(info.metadata)
    assert metadata.pop("revision") and metadata.pop("report")
    assert metadata == {
        "version": __version__, "dataset": "mnist", "seed": "0", "step": "40", "latent_size": "64",
        "classes": "10", "image_shape": "28,28,1", "quantization": "none",
    }  # fmt: skip


def test_the_graph_is_small(model):
    assert graph.operations(model.read_bytes()) == [
        "EMBEDDING_LOOKUP", "FULLY_CONNECTED", "ADD", "LEAKY_RELU", "RESHAPE",
        "CONV_2D", *PIXELS, "LEAKY_RELU", "CONV_2D", "TANH", *PIXELS,
    ]  # fmt: skip


@pytest.mark.slow
def test_the_graph_of_the_default_network_is_smaller_yet(tmp_path):
    # Its inner map has as many channels as XNNPACK computes at a time.
    spec = ImageSpec((28, 28, 1), 10)
    config = resolved(TrainConfig(), spec)
    made = Snapshot(config, spec, make_gan(config, spec).init().ema, 0)
    (path,) = converted(made, tmp_path, {"none": 110})
    assert graph.operations(path.read_bytes()) == [
        "EMBEDDING_LOOKUP", "FULLY_CONNECTED", "ADD", "LEAKY_RELU", "RESHAPE", "TRANSPOSE_CONV",
        "LEAKY_RELU", "CONV_2D", "TANH", *PIXELS,
    ]  # fmt: skip


def test_signatures_share_their_weights(snapshot, model):
    weights = 4 * (BLOCKS + sum(leaf.size for leaf in jax.tree.leaves(snapshot.params)))
    assert weights < model.stat().st_size < weights + 25_000  # of three signatures


def test_conversion_is_deterministic(conversion, model, every, tmp_path):
    # The others differ from these in no way that could change.
    conversion.write(tmp_path / "again.tflite", "int8")
    assert (tmp_path / "again.tflite").read_bytes() == of_kind(every[0], "int8")[0].read_bytes()
    # Training converts in the same way.
    assert model.read_bytes() == of_kind(every[0], "none")[0].read_bytes()


def test_the_command_line(call, run_dir, tmp_path):
    out = tmp_path / "new" / "g.tflite"
    done = call(
        "--checkpoint", run_dir, "--out", out, "--batch-sizes", "1", "5",
        "--step", "20", "--saved-model", tmp_path / "saved", "--data-dir", tmp_path / "none",
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    words = (
        "generate_1, generate_5", "EMBEDDING_LOOKUP", f"{out.stat().st_size:,} bytes",
        "no FID, no label agreement", "not prepared", "jaxgan data prepare mnist",
    )  # fmt: skip
    for word in words:
        assert word in done.stdout
    facts = json.loads((tmp_path / "new" / "g.json").read_text())
    assert facts["metrics"] is None
    assert facts["run"]["step"] == 20 and facts["run"]["images_seen"] == 20 * 50
    with Generator(out) as generator:
        assert generator.info.metadata["step"] == "20"
        assert generator.info.batch_sizes == (5, 1)
    assert (tmp_path / "saved" / "saved_model.pb").exists()


@pytest.mark.parametrize("wrong", ("values", "shape", "nothing"))
@pytest.mark.parametrize("method", ("draw_values", "draw_values_between"))
def test_a_wrong_conversion_writes_no_file(
    snapshot, converted_before, tmp_path, monkeypatch, method, wrong
):
    right = getattr(Generator, method)

    def draw(self, *inputs):
        image = right(self, *inputs)
        return {"values": image + 2e-4, "shape": image[:, :14], "nothing": image * np.nan}[wrong]

    monkeypatch.setattr(Generator, method, draw)
    with pytest.raises(ModelError, match="the conversion is wrong") as caught:
        convert.convert(snapshot, tmp_path / "g.tflite", force=True, data_dir=str(tmp_path))
    assert caught.value.exit_code == 3
    assert list(tmp_path.iterdir()) == []


def test_a_plain_gan(plain_model):
    generator = Generator(plain_model)
    assert generator.classes == 0
    assert graph.operations(plain_model.read_bytes()) == [
        "FULLY_CONNECTED", "SLICE", "MUL", "SOFTMAX", "FULLY_CONNECTED", "ADD", "LEAKY_RELU",
        "RESHAPE", "CONV_2D", *PIXELS, "LEAKY_RELU", "CONV_2D", "TANH", *PIXELS,
    ]  # fmt: skip
    assert generator.draw_values(np.zeros((3, 64)), None).shape == (3, 28, 28, 1)


def delegates(path) -> dict[str, int]:
    """Return in how many pieces XNNPACK runs the graph of each signature."""
    from ai_edge_litert import interpreter
    from ai_edge_litert import schema_py_generated as schema

    def read():
        return schema.ModelT.InitFromPackedBuf(path.read_bytes(), 0)

    def pieces(number: int) -> tuple[str, int]:
        # The interpreter tells the operations of a file's first graph alone.
        alone = read()
        signature = alone.signatureDefs[number]
        alone.subgraphs = [alone.subgraphs[signature.subgraphIndex]]
        signature.subgraphIndex, alone.signatureDefs = 0, [signature]
        runtime = interpreter.Interpreter(model_content=graph.pack(alone))
        runtime.allocate_tensors()
        # Those that a delegate took over are told beside it.
        names = [one["op_name"] for one in runtime._get_ops_details()]
        return signature.signatureKey.decode(), names.count("DELEGATE")

    return dict(map(pieces, range(len(read().signatureDefs))))


def test_one_delegate_runs_each_graph(model, plain_model):
    assert delegates(model) == {"between_1": 1, "generate_1": 1, "generate_64": 1}
    assert delegates(plain_model) == {"generate_1": 1, "generate_64": 1}


@pytest.mark.slow
@pytest.mark.parametrize("shape", [(32, 32, 3), (16, 16, 1), (60, 60, 3), (20, 24, 1), (64, 64, 1)])
def test_other_image_shapes_convert(tmp_path, shape):
    config, spec = TrainConfig(width=4, latent_size=16), ImageSpec(shape, 3)
    made = Snapshot(config, spec, make_gan(config, spec).init().ema, 0)
    for path in converted(made, tmp_path, {"none": 110, "int8": 25}):
        assert Generator(path).image_shape == shape


def converted(snapshot, folder, least):
    """Return a file of each kind that is named, with the least PSNR (dB) that it may have."""
    with Conversion(snapshot) as conversion:
        reports = [conversion.write(folder / f"{kind}.tflite", kind) for kind in least]
    for one, psnr_db in zip(reports, least.values(), strict=True):
        assert one.facts["difference"]["psnr_db"] > psnr_db
    return [one.path for one in reports]


@pytest.mark.slow
def test_residual_layers_convert(tmp_path):
    config, spec = TrainConfig(width=8, latent_size=16, residuals=1), ImageSpec((28, 28, 1), 3)
    noise = np.random.default_rng(0)  # as the converter drops layers of zeros
    params = jax.tree.map(
        lambda leaf: leaf + noise.normal(0, 0.05, leaf.shape).astype(np.float32),
        make_gan(config, spec).init().ema,
    )
    least = {"none": 110, "float16": 60, "dynamic": 30, "int8": 25}
    for path in converted(Snapshot(config, spec, params, 0), tmp_path, least):
        words = " ".join(graph.operations(path.read_bytes()))
        assert words.count("CONV_2D LEAKY_RELU ADD") == 2
    assert set(delegates(tmp_path / "none.tflite").values()) == {1}


@pytest.mark.slow
@pytest.mark.parametrize("shape, names", [((64, 64, 4), ()), ((128, 96, 3), ("a cat", "dog", "é"))])
def test_larger_images_convert_to_one_piece_a_graph_and_a_small_file(tmp_path, shape, names):
    spec = ImageSpec(shape, len(names), names)
    config, noise = resolved(TrainConfig(), spec), np.random.default_rng(0)
    params = jax.tree.map(  # as the converter drops layers of zeros, which residual ones begin as
        lambda leaf: leaf + noise.normal(0, 0.01, leaf.shape).astype(np.float32),
        make_gan(config, spec).init().ema,
    )
    made = Snapshot(config, spec, params, 0)
    (path,) = converted(made, tmp_path, {"none": 110})
    assert path.stat().st_size <= 6_000_000
    signatures = {"generate_1", "generate_64"} | ({"between_1"} if names else set())
    assert delegates(path) == dict.fromkeys(signatures, 1)
    latent = np.asarray(latents(3, range(65), 64))
    label = np.arange(65, dtype=np.int32) % 3 if names else None
    with Generator(path) as generator:  # by the C++ library
        drawn = generator.draw_values(latent, label)
        assert generator.class_names == names
    assert (b"jaxgan.class_names" in path.read_bytes()) == bool(names)
    assert "\n".join(names).encode() in path.read_bytes()
    assert drawn.std() > 0.01
    assert np.abs(drawn - RunGenerator(made).draw_values(latent, label)).max() < 1e-4


@pytest.mark.parametrize(
    "arguments, words",
    [
        (("--checkpoint", "{tmp}/no"), ("no", "train.py")),
        (("--step", "21"), ("--step", "20, 40", "21")),
        (("--batch-sizes", "0"), ("--batch-sizes", "1 to 4096", "0")),
        (("--batch-sizes", "4097"), ("--batch-sizes", "4096")),
        (("--batch-sizes", "x"), ("--batch-sizes", "x")),
        (("--quantise",), ("--quantise",)),
        (("--quantize", "int4"), ("--quantize", "int8", "int4")),
        (("--quantize",), ("--quantize",)),
        (("--forced",), ("--forced",)),
    ],
)
def test_wrong_options(call, run_dir, tmp_path, arguments, words):
    arguments = [part.format(tmp=tmp_path) for part in arguments]
    given = () if "--checkpoint" in arguments else ("--checkpoint", run_dir)
    refused(call(*given, "--out", tmp_path / "g.tflite", *arguments), 2, *words)
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_conversion_ends_the_program_with_exit_3(
    call, run_dir, tmp_path, converted_before, monkeypatch
):
    right = Generator.draw_values
    monkeypatch.setattr(Generator, "draw_values", lambda *inputs: right(*inputs) + 1e-3)
    done = call("--checkpoint", run_dir, "--out", tmp_path / "g", "--data-dir", tmp_path)
    refused(done, 3, "the conversion is wrong", "nothing was written")
    assert list(tmp_path.iterdir()) == []


def test_a_saved_model_does_not_replace_another_folder(call, run_dir, tmp_path, converted_before):
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "file").write_text("kept")
    done = call(
        "--checkpoint", run_dir, "--out", tmp_path / "g.tflite", "--data-dir", tmp_path / "none",
        "--saved-model", tmp_path / "precious",
    )  # fmt: skip
    refused(done, 5, "precious", "no SavedModel")
    assert [path.name for path in tmp_path.iterdir()] == ["precious"]
    assert (tmp_path / "precious" / "file").read_text() == "kept"


def test_json_does_not_stand_where_the_file_should(call, run_dir, tmp_path):
    done = call("--checkpoint", run_dir, "--out", tmp_path / "g.json")
    refused(done, 2, "--out", "generator.tflite", "g.json")
    assert list(tmp_path.iterdir()) == []


def test_each_kind_is_smaller_than_the_one_before(every, snapshot):
    folder, printed = every
    parameters = sum(leaf.size for leaf in jax.tree.leaves(snapshot.params))
    assert len(list(folder.iterdir())) == 2 * len(KINDS)
    for kind, bytes_each in zip(KINDS, (4, 2, 1, 1), strict=True):
        path, facts = of_kind(folder, kind)
        assert facts["file"] == path.name and facts["quantization"] == kind
        assert facts["bytes"] == path.stat().st_size
        # Biases keep 4 bytes, a kernel of less than 1,024 weights stays float. In int8 the 32
        # channels of a layer in blocks have a scale and a zero point in each of three signatures.
        assert path.stat().st_size < bytes_each * (parameters + BLOCKS) + 28_000
        assert f"{path.name}: {path.stat().st_size:,} bytes" in printed


def test_inputs_and_outputs_stay_float(every):
    for kind in KINDS:
        path, facts = of_kind(every[0], kind)
        info = Generator(path).info
        assert facts["signatures"] == [report._signature(one) for one in info.signatures]
        assert [one["name"] for one in facts["signatures"]] == [
            "between_1", "generate_1", "generate_64",
        ]  # fmt: skip
        for signature in facts["signatures"]:
            rows = int(signature["name"].split("_")[1])
            floats, ints = ({"dtype": name, "shape": [rows]} for name in ("float32", "int32"))
            expected = {"latent": {"dtype": "float32", "shape": [rows, 64]}, "label": ints}
            if signature["name"] == "between_1":
                expected |= {"target_label": ints, "weight": floats}
            assert signature["inputs"] == expected
            assert signature["outputs"] == {
                "image": {"dtype": "float32", "shape": [rows, 28, 28, 1]}
            }


def test_what_has_8_bits(every):
    from ai_edge_litert import schema_py_generated as schema

    def of(kind):
        """Return the types of large constants, and the operations."""
        content = of_kind(every[0], kind)[0].read_bytes()
        model = schema.ModelT.InitFromPackedBuf(content, 0)
        types = {
            tensor.type
            for tensor in model.subgraphs[-1].tensors
            if np.prod(tensor.shape) > 1024 and model.buffers[tensor.buffer].data is not None
        }
        return types, graph.operations(content)

    types, (_, plain) = schema.TensorType, of("none")
    assert of("none")[0] == {types.FLOAT32}
    assert of("float16")[0] == {types.FLOAT16}
    assert of("dynamic") == ({types.INT8}, plain)
    kinds, operations = of("int8")
    assert kinds == {types.INT8}
    assert operations[0] == "QUANTIZE" and operations[-1] == "DEQUANTIZE"
    assert operations.count("QUANTIZE") == operations.count("DEQUANTIZE") == 1
    assert set(plain) < set(operations)


def test_int8_leaves_rare_values_out(every, snapshot):
    from ai_edge_litert import schema_py_generated as schema

    content = of_kind(every[0], "int8")[0].read_bytes()
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    order = graph.operations(content)
    largest = model.subgraphs[-1]  # generate_64
    assert len(largest.operators) == len(order)

    def reach(operation, which):
        """Return what the 256 levels of an operation's output span."""
        at = [index for index, name in enumerate(order) if name == operation][which]
        return 255 * largest.tensors[largest.operators[at].outputs[0]].quantization.scale[0]

    inputs = probe(snapshot, 1_000_000, 512)
    _, kept = GeneratorNetwork(snapshot.spec, 8, "xla").apply(
        {"params": snapshot.params}, inputs["latent"], inputs["label"], mutable=[ACTIVATIONS]
    )
    hidden = np.asarray(kept[ACTIVATIONS]["up_1"]["activation"])
    assert reach("LEAKY_RELU", -1) == pytest.approx((hidden.max() - hidden.min()) / 2, rel=1e-3)
    before_tanh = order[order.index("TANH") - 1]
    assert reach(before_tanh, -1) <= 10.01


@pytest.mark.parametrize("kind", KINDS)
def test_the_facts_are_what_an_own_computation_finds(every, snapshot, data_dir, kind):
    path, facts = of_kind(every[0], kind)
    generator, of_run = Generator(path), RunGenerator(snapshot)
    assert facts["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()

    index = np.arange(256)
    latent, label = np.asarray(latents(0, index, 64)), (index % 10).astype(np.int32)
    target, weight = (index // 10 % 10).astype(np.int32), (index % 11 / 10).astype(np.float32)
    mix = latent, label, target, weight
    errors = [
        generator.draw_values(latent, label) - of_run.draw_values(latent, label),
        generator.draw_values_between(*mix) - of_run.draw_values_between(*mix),
    ]
    largest = max(np.abs(error).max() for error in errors)
    mean = np.abs(errors[0]).mean() * 2 / 3 + np.abs(errors[1]).mean() / 3  # of three signatures
    noise = np.square(errors[0]).mean() * 2 / 3 + np.square(errors[1]).mean() / 3
    close = {"rel": 0.3 if kind == "none" else 0.01}  # float differs by rounding alone
    assert facts["difference"]["max"] == pytest.approx(largest, **close)
    assert facts["difference"]["mean"] == pytest.approx(mean, **close)
    assert facts["difference"]["psnr_db"] == pytest.approx(10 * np.log10(4 / noise), rel=0.02)
    assert facts["difference"]["latents"] == 256

    index, label = np.arange(10_000), dataset.load("mnist", str(data_dir)).label
    label = np.resize(np.random.default_rng(0).permutation(label), 10_000)
    drawn = to_levels(generator.draw_values(np.asarray(latents(0, index, 64)), label))
    weights = features.load("mnist")
    seen = features.see(weights, drawn)
    test = features.see(weights, dataset.load("mnist", str(data_dir), "test").image)
    metrics = facts["metrics"]
    assert metrics["images"] == 10_000
    assert metrics["fid"] == pytest.approx(fid.fid(seen.feature, test.feature), rel=1e-3)
    assert metrics["agreement"] == pytest.approx(np.mean(seen.label == label), abs=1e-3)
    _, of_float = of_kind(every[0], "none")
    assert metrics["float_fid"] == of_float["metrics"]["fid"]
    assert metrics["float_agreement"] == of_float["metrics"]["agreement"]

    speed = facts["latency_ms"]
    assert set(speed) == {"generate_1", "generate_64", "method"} and "median" in speed["method"]
    assert 0 < speed["generate_1"] < speed["generate_64"]


def test_the_facts_inside_are_those_beside(every):
    for kind in KINDS:
        path, beside = of_kind(every[0], kind)
        metadata = Generator(path).info.metadata
        inside = json.loads(metadata["report"])
        assert metadata["quantization"] == kind
        assert set(beside) - set(inside) == {"file", "bytes", "sha256", "latency_ms"}
        assert inside == {name: beside[name] for name in inside}
        assert list(beside)[-len(inside) :] == list(inside)


def test_the_facts_name_the_run_and_its_tools(every, conversion, data_dir):
    _, facts = of_kind(every[0], "dynamic")
    given = {"batch_size": 50, "width": 8, "learning_rate": 1e-3}
    assert facts["run"] == {
        "dataset": "mnist", "seed": 0, "step": 40, "images_seen": 2000,
        "options": {**given, "augment": "adaptive"},  # as for any set of a thousand images
    }  # fmt: skip
    assert facts["revision"] == report.revision()
    assert set(facts["versions"]) == {"jaxgan", "jax", "flax", "tensorflow", "ai-edge-litert"}
    assert facts["versions"]["jax"] == jax.__version__
    made = conversion._make("dynamic").content
    assert facts["graph_sha256"] == hashlib.sha256(made).hexdigest()


@pytest.fixture(scope="module")
def spoilt(snapshot, data_dir, real):
    """A conversion of each class's mean digit. Huge values of one class are too much for int8."""
    digits, gan = dataset.load("mnist", str(data_dir)), make_gan(snapshot.config, snapshot.spec)
    label, adam = np.arange(10), optax.adam(1e-2)
    mean = np.stack([digits.image[digits.label == one].mean(0) for one in label]) / 127.5 - 1

    @jax.jit
    def step(params, moments, latent):
        def loss(params):
            return ((gan.sample(params, latent, label) - mean) ** 2).mean()

        updates, moments = adam.update(jax.grad(loss)(params), moments)
        return optax.apply_updates(params, updates), moments

    params, moments = snapshot.params, adam.init(snapshot.params)
    for index in range(300):
        latent = latents(0, np.arange(10 * index, 10 * index + 10), 64)
        params, moments = step(params, moments, latent)
    params = jax.tree.map(np.array, params)
    params["classes"]["table"][9] *= 1000
    with Conversion(snapshot._replace(params=params), BATCH_SIZES, real) as made:
        made._make = functools.cache(made._make)
        yield made


def test_a_poor_file_is_refused(spoilt, tmp_path):
    path = tmp_path / "g.tflite"
    words = r"g.tflite was not written: .*label agreement falls from \d+.\d% to \d+.\d%.*--force"
    with pytest.raises(ModelError, match=words) as caught:
        spoilt.write(path, "int8")
    assert caught.value.exit_code == 3
    assert list(tmp_path.iterdir()) == []
    written = spoilt.write(path, "int8", force=True)
    assert "because of --force: its label agreement falls" in written.text()
    assert Generator(path).info.metadata["quantization"] == "int8"
    metrics = json.loads((tmp_path / "g.json").read_text())["metrics"]
    assert metrics["agreement"] < metrics["float_agreement"] - 0.01


def test_a_poor_file_does_not_keep_the_others_away(spoilt, tmp_path, monkeypatch, caplog):
    unmeasured = copy.copy(spoilt)  # with nothing to compare with but JAX
    difference = spoilt._float.checked.difference
    unmeasured._real = None
    unmeasured._float = spoilt._float._replace(checked=checks.Checked(difference, None))
    monkeypatch.setattr(Conversion, "__exit__", lambda *_: None)
    monkeypatch.setattr(convert, "Conversion", lambda *_: unmeasured)
    caplog.set_level(logging.INFO, "jaxgan")
    with pytest.raises(ModelError, match=r"g-int8.tflite was not written.* dB.*--force") as caught:
        convert.convert_all(spoilt._snapshot, tmp_path / "g.tflite", data_dir=str(tmp_path))
    assert "\n" not in str(caught.value)
    for kind in ("none", "float16", "dynamic"):
        path, facts = of_kind(tmp_path, kind)
        assert facts["metrics"] is None
        assert f"{path}: {path.stat().st_size:,} bytes" in caplog.text
    assert not list(tmp_path.glob("*int8*"))


def measured(fid_, agreement, psnr=60.0):
    scores = None if fid_ is None else Scores(fid_, agreement)
    return checks.Checked(checks.Difference(0.1, 0.1, psnr, 256), scores)


@pytest.mark.parametrize(
    "kind, quantised, float_, words",
    [
        ("int8", (1.0, 0.98), (0.5, 0.99), ()),
        ("int8", (1.001, 0.98), (0.5, 0.99), ("FID", "0.5", "twice")),
        ("int8", (1.0, 0.979), (0.5, 0.99), ("label agreement", "99.0%", "97.9%", "1 point")),
        ("int8", (9.0, 0.1), (0.5, 0.99), ("label agreement", " and its FID")),
        ("int8", (float("nan"), 0.99), (0.5, 0.99), ("FID", "nan")),
        ("int8", (1.0, None), (0.5, None), ()),
        ("int8", (1.1, None), (0.5, None), ("FID",)),
        ("float16", (None, None, 50.0), (None, None), ()),
        ("float16", (None, None, 49.9), (None, None), ("49.9 dB", "50")),
        ("dynamic", (None, None, 20.0), (None, None), ()),
        ("dynamic", (None, None, 19.9), (None, None), ("19.9 dB", "20")),
        ("int8", (None, None, 19.9), (None, None), ("19.9 dB", "20")),
        ("none", (9.0, 0.1), (9.0, 0.1), ()),
    ],
)
def test_what_is_too_poor(kind, quantised, float_, words):
    reason = checks.refusal(kind, measured(*quantised), measured(*float_))
    assert (reason is None) == (not words)
    for word in words:
        assert word in reason


@pytest.fixture
def log(caplog):
    caplog.set_level(logging.INFO, "jaxgan")
    return caplog


def test_datasets_that_nobody_can_score(snapshot, data_dir, log, monkeypatch):
    monkeypatch.setattr(imagenet, "is_installed", lambda: False)
    for name, word in (("kmnist", "no feature network"), ("stacked_mnist", "modes")):
        config = dataclasses.replace(snapshot.config, dataset=name)
        assert checks.find_reference(snapshot._replace(config=config), str(data_dir)) is None
        assert word in log.text
    spec = dataclasses.replace(snapshot.spec, shape=(32, 32, 1))
    assert checks.find_reference(snapshot._replace(spec=spec), str(data_dir)) is None
    assert "images of 32x32x1, expected 28x28x1" in log.text
    spec = dataclasses.replace(snapshot.spec, classes=3, names=())
    assert checks.find_reference(snapshot._replace(spec=spec), str(data_dir)) is None
    assert "3 classes, expected 10" in log.text


def test_a_missing_dataset_leaves_the_comparison_with_jax(snapshot, tmp_path, log):
    assert checks.find_reference(snapshot, str(tmp_path)) is None
    assert "not prepared" in log.text and "jaxgan data prepare mnist" in log.text
    assert checks.find_reference(snapshot, None) is None


def test_a_damaged_dataset_is_no_missing_one(snapshot, data_dir, tmp_path, log):
    folder = shutil.copytree(data_dir, tmp_path / "data")
    for path in folder.rglob("*"):
        if path.is_file() and path.suffix != ".json":
            path.write_bytes(b"damaged")
    with pytest.raises(UserError, match=r"damaged.*--data-dir.*--force"):
        convert.convert(snapshot, tmp_path / "g.tflite", quantize="int8", data_dir=str(folder))
    assert not (tmp_path / "g.tflite").exists()
    assert checks.find_reference(snapshot, str(folder), force=True) is None
    assert "no FID, no label agreement" in log.text and "damaged" in log.text


def test_a_run_without_evaluation_is_compared_with_jax_alone(snapshot, monkeypatch):
    wanted = []
    monkeypatch.setattr(checks, "find_reference", lambda _, folder, force: wanted.append(folder))
    for every, given in ((0, None), (1, None), (0, "other")):
        config = dataclasses.replace(snapshot.config, evaluate_every=every, data_dir="of run")
        convert._reference(snapshot._replace(config=config), given, force=False)
    assert wanted == [None, "of run", "other"]


def test_a_run_ends_with_the_same_facts(every, run_dir, plain_model):
    _, expected = of_kind(every[0], "none")
    found = json.loads((run_dir / "generator.json").read_text())
    changing = {"file", "latency_ms"}
    for name in set(expected) - changing:
        assert found[name] == expected[name]
    plain = json.loads(plain_model.with_suffix(".json").read_text())
    assert plain["metrics"] is None  # it was trained with --evaluate-every 0
    assert [one["name"] for one in plain["signatures"]] == ["generate_1", "generate_64"]


def test_between_two_classes(snapshot, model):
    generator, of_run = Generator(model), RunGenerator(snapshot)
    latent, label = np.asarray(latents(5, range(30), 64)), np.arange(30, dtype=np.int32) % 10
    target, weight = label * 7 % 10, np.linspace(0, 1, 30, dtype=np.float32)
    drawn = generator.draw_values_between(latent, label, target, weight)
    expected = of_run.draw_values_between(latent, label, target, weight)
    assert np.abs(drawn - expected).max() < 1e-5
    still = generator.draw_values_between(latent, label, target, np.zeros(30))
    assert np.abs(still - generator.draw_values(latent, label)).max() < 1e-5
    there = generator.draw_values_between(latent, label, target, np.ones(30))
    assert np.abs(there - generator.draw_values(latent, target)).max() < 1e-5
    assert np.abs(there - still)[label != target].max() > 0.1


def test_another_json_file_is_left_alone(snapshot, tmp_path):
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(OutputError, match="--out"):
        convert.convert(snapshot, tmp_path / "config.tflite")
    assert [path.name for path in tmp_path.iterdir()] == ["config.json"]


def test_wrong_arguments_of_the_function(snapshot, tmp_path):
    for arguments, words in (
        ({"batch_sizes": ()}, "--batch-sizes: .* got none"),
        ({"batch_sizes": (0, 4097)}, "--batch-sizes: .* got 0 4097"),
        ({"step": 20}, "step: expected 40, the snapshot's, got 20"),
    ):
        with pytest.raises(UserError, match=words):
            convert.convert(snapshot, tmp_path / "g", data_dir=str(tmp_path), **arguments)
    with pytest.raises(UserError, match="holds no run"):
        convert.convert(tmp_path / "no", tmp_path / "g")


def git(folder, *arguments):
    command = ["git", "-c", "user.name=x", "-c", "user.email=x@y", *arguments]
    done = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.mark.slow
def test_the_revision_is_that_of_the_checkout(monkeypatch, tmp_path):
    expected = git(ROOT, "describe", "--always", "--dirty", "--abbrev=12")
    assert report.revision() == expected
    monkeypatch.setenv("GIT_DIR", str(tmp_path))  # as in a hook of another repository
    assert report.revision() == expected


@pytest.mark.slow
def test_the_revision_is_never_that_of_another_repository(tmp_path):
    package = tmp_path / "their" / "lib" / "jaxgan"
    package.mkdir(parents=True)
    assert report.revision(package) == "unknown"  # no repository
    root = tmp_path / "their"
    (root / "file").write_text("theirs")
    git(root, "init", "-q")
    git(root, "add", "file")
    git(root, "commit", "-q", "-m", "theirs")
    (root / "jaxgan").mkdir()
    for folder in (package, root / "jaxgan"):
        assert report.revision(folder) == "unknown"
    (package / "_revision.txt").write_text("0123456789ab\n")
    assert report.revision(package) == "0123456789ab"


@pytest.mark.slow
def test_without_git_the_revision_is_unknown(monkeypatch):
    monkeypatch.setenv("PATH", os.devnull)
    assert report.revision() == "unknown"
