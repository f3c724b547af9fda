"""Conversion: what is in the file, what is told of it, and that no wrong file is ever written."""

import dataclasses
import hashlib
import json
import tempfile
from pathlib import Path
from typing import get_args

import jax
import numpy as np
import optax
import pytest
from conftest import python, refused

from jaxgan import convert, data, export, images, models, scores, tflite
from jaxgan.config import ImageSpec, Quantization, TrainConfig
from jaxgan.errors import ModelError, OutputError
from jaxgan.gan import make_gan
from jaxgan.latents import latents
from jaxgan.metrics import features, fid, table

KINDS = get_args(Quantization)
BLOCKS = 4 * 4 * 8 * 16  # weights, zeros included, of the last layer as LiteRT runs it


@pytest.fixture(scope="module")
def source(run_dir):
    return export.from_run(run_dir)


@pytest.fixture(scope="module")
def real(source, data_dir):
    return scores.reference(source, str(data_dir))


@pytest.fixture(scope="module")
def every(run_dir, data_dir, tmp_path_factory):
    """A folder with a file of each kind, and what was said."""
    folder = tmp_path_factory.mktemp("every")
    done = python(
        "convert_tflite.py", "--checkpoint", run_dir, "--out", folder / "g.tflite",
        "--data-dir", data_dir, "--quantize", "all",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return folder, done.stdout


def of_kind(folder, kind):
    """Return the path of a kind's file in a folder, and the facts beside it."""
    path = folder / ("g.tflite" if kind == "none" else f"g-{kind}.tflite")
    return path, json.loads(path.with_suffix(".json").read_text())


def test_the_file_draws_what_jax_draws(run_dir, model):
    source = export.from_run(run_dir)
    generator = tflite.Generator.read(model)
    latent, label = np.asarray(latents(3, range(100), 64)), np.arange(100, dtype=np.int32) % 10
    expected = make_gan(source.config, source.spec).sample(source.params, latent, label)
    assert np.abs(generator.draw(latent, label) - expected).max() < 1e-5


def test_what_the_file_says_of_itself(model):
    generator = tflite.Generator.read(model)
    assert generator.batch_sizes == [64, 1]
    assert generator.latent_size == 64
    assert (generator.image_shape, generator.classes) == ((28, 28, 1), 10)
    metadata = dict(generator.metadata)
    assert metadata.pop("revision") and metadata.pop("report")
    assert metadata == {
        "version": "0.1.0", "dataset": "mnist", "seed": "0", "step": "40", "latent_size": "64",
        "classes": "10", "image_shape": "28,28,1", "quantization": "none",
    }  # fmt: skip


def test_the_graph_is_small(model):
    assert tflite.operations(model.read_bytes()) == [
        "EMBEDDING_LOOKUP", "FULLY_CONNECTED", "ADD", "LEAKY_RELU", "RESHAPE", "TRANSPOSE_CONV",
        "LEAKY_RELU", "CONV_2D", "TANH", "RESHAPE", "TRANSPOSE", "RESHAPE",
    ]  # fmt: skip


def test_signatures_share_their_weights(source, tmp_path):
    sizes = []
    for batch_sizes in ((1,), (1, 8, 64)):
        path = tmp_path / f"{len(batch_sizes)}.tflite"
        sizes.append(export.export(source, path, batch_sizes).facts["bytes"])
    weights = 4 * (BLOCKS + sum(leaf.size for leaf in jax.tree.leaves(source.params)))
    assert weights < sizes[0] < weights + 15_000
    assert sizes[1] < sizes[0] + 10_000


def test_conversion_is_deterministic(source, real, model, every, tmp_path):
    for kind in ("none", "int8"):  # the others differ from these in no way that could change
        export.export(source, tmp_path / "again.tflite", kind=kind, real=real)
        assert (tmp_path / "again.tflite").read_bytes() == of_kind(every[0], kind)[0].read_bytes()
    # Training converts in the same way.
    assert model.read_bytes() == of_kind(every[0], "none")[0].read_bytes()


def test_the_command_line(run_dir, tmp_path):
    out = tmp_path / "new" / "g.tflite"
    done = python(
        "convert_tflite.py", "--checkpoint", run_dir, "--out", out, "--batch-sizes", "1", "5",
        "--step", "20", "--saved-model", tmp_path / "saved", "--data-dir", tmp_path / "none",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    words = (
        "generate_1, generate_5", "TRANSPOSE_CONV", f"{out.stat().st_size:,} bytes",
        "no FID, no label agreement", "not prepared", "jaxgan.data prepare mnist",
    )  # fmt: skip
    for word in words:
        assert word in done.stdout
    facts = json.loads((tmp_path / "new" / "g.json").read_text())
    assert facts["scores"] is None
    assert facts["run"]["step"] == 20 and facts["run"]["images_seen"] == 20 * 50
    assert tflite.Generator.read(out).metadata["step"] == "20"
    assert (tmp_path / "saved" / "saved_model.pb").exists()


@pytest.mark.parametrize("wrong", ("values", "shape", "nothing"))
@pytest.mark.parametrize("signature", ("generate_1", "between_1"))
def test_a_wrong_conversion_writes_no_file(source, tmp_path, monkeypatch, signature, wrong):
    right = tflite.Generator.run

    def run(self, name, inputs):
        image = right(self, name, inputs)
        if name != signature:
            return image
        return {"values": image + 2e-4, "shape": image[:, :14], "nothing": image * np.nan}[wrong]

    monkeypatch.setattr(tflite.Generator, "run", run)
    with pytest.raises(ModelError, match="the conversion is wrong") as caught:
        export.export(source, tmp_path / "g.tflite", force=True)
    assert caught.value.exit_code == 3
    assert list(tmp_path.iterdir()) == []


def test_a_plain_gan(plain_model):
    generator = tflite.Generator.read(plain_model)
    assert generator.classes == 0
    assert tflite.operations(plain_model.read_bytes()) == [
        "FULLY_CONNECTED", "SLICE", "MUL", "SOFTMAX", "FULLY_CONNECTED", "ADD", "LEAKY_RELU",
        "RESHAPE", "TRANSPOSE_CONV", "LEAKY_RELU", "CONV_2D", "TANH", "RESHAPE", "TRANSPOSE",
        "RESHAPE",
    ]  # fmt: skip
    assert generator.draw(np.zeros((3, 64), np.float32), None).shape == (3, 28, 28, 1)


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
        runtime = interpreter.Interpreter(model_content=tflite._packed(alone))
        runtime.allocate_tensors()
        # Those that a delegate took over are told beside it.
        names = [one["op_name"] for one in runtime._get_ops_details()]
        return signature.signatureKey.decode(), names.count("DELEGATE")

    return dict(map(pieces, range(len(read().signatureDefs))))


def test_one_delegate_runs_each_graph(model, plain_model):
    assert delegates(model) == {"between_1": 1, "generate_1": 1, "generate_64": 1}
    assert delegates(plain_model) == {"generate_1": 1, "generate_64": 1}


@pytest.mark.parametrize("shape", [(32, 32, 3), (16, 16, 1), (60, 60, 3), (20, 24, 1), (64, 64, 1)])
def test_other_image_shapes_convert(tmp_path, shape):
    config, spec = TrainConfig(width=4, latent_size=16), ImageSpec(shape, 3)
    source = export.Source(config, spec, make_gan(config, spec).init().average, 0)
    for path in converted(source, tmp_path, {"none": 110, "int8": 25}):
        assert tflite.Generator.read(path).image_shape == shape


def converted(source, folder, least):
    """Return a file of each kind that is named, with the least PSNR (dB) that it may have."""
    with tempfile.TemporaryDirectory() as scratch:
        conversion = export.Conversion(source, Path(scratch))
        reports = [conversion.write(folder / f"{kind}.tflite", kind) for kind in least]
    for report, psnr_db in zip(reports, least.values(), strict=True):
        assert report.facts["difference"]["psnr_db"] > psnr_db
    return [report.path for report in reports]


def test_residual_layers_convert(tmp_path):
    config, spec = TrainConfig(width=8, latent_size=16, residuals=1), ImageSpec((28, 28, 1), 3)
    noise = np.random.default_rng(0)  # as the converter drops layers of zeros
    params = jax.tree.map(
        lambda leaf: leaf + noise.normal(0, 0.05, leaf.shape).astype(np.float32),
        make_gan(config, spec).init().average,
    )
    least = {"none": 110, "float16": 60, "dynamic": 30, "int8": 25}
    for path in converted(export.Source(config, spec, params, 0), tmp_path, least):
        words = " ".join(tflite.operations(path.read_bytes()))
        assert words.count("CONV_2D LEAKY_RELU ADD") == 2
    assert set(delegates(tmp_path / "none.tflite").values()) == {1}


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
def test_wrong_options(run_dir, tmp_path, arguments, words):
    arguments = [part.format(tmp=tmp_path) for part in arguments]
    done = python(
        "convert_tflite.py", "--checkpoint", run_dir, "--out", tmp_path / "g.tflite", *arguments
    )  # fmt: skip
    refused(done, 2, *words)
    assert list(tmp_path.iterdir()) == []


def test_the_config_is_json_for_people(run_dir):
    content = json.loads((run_dir / "config.json").read_text())
    assert content["version"] and content["settings"]["dataset"] == "mnist"
    assert content["images"] == {"shape": [28, 28, 1], "classes": 10, "count": 1000}


def test_a_wrong_conversion_ends_the_program_with_exit_3(run_dir, tmp_path):
    code = (
        "import runpy, sys; from jaxgan import tflite\n"
        "right = tflite.Generator.run\n"
        "tflite.Generator.run = lambda *rest: right(*rest) + 1e-3\n"
        f"sys.argv = ['x', '--checkpoint', {str(run_dir)!r}, '--out', {str(tmp_path / 'g')!r}]\n"
        "runpy.run_path('convert_tflite.py', run_name='__main__')\n"
    )
    refused(python("-c", code), 3, "the conversion is wrong", "nothing was written")
    assert list(tmp_path.iterdir()) == []


def test_a_saved_model_does_not_replace_another_folder(run_dir, tmp_path):
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "file").write_text("kept")
    done = python(
        "convert_tflite.py", "--checkpoint", run_dir, "--out", tmp_path / "g.tflite",
        "--saved-model", tmp_path / "precious",
    )  # fmt: skip
    refused(done, 5, "precious", "no SavedModel")
    assert [path.name for path in tmp_path.iterdir()] == ["precious"]
    assert (tmp_path / "precious" / "file").read_text() == "kept"


def test_json_does_not_stand_where_the_file_should(run_dir, tmp_path):
    done = python("convert_tflite.py", "--checkpoint", run_dir, "--out", tmp_path / "g.json")
    refused(done, 2, "--out", "generator.tflite", "g.json")
    assert list(tmp_path.iterdir()) == []


def test_each_kind_is_smaller_than_the_one_before(every, source):
    folder, said = every
    parameters = sum(leaf.size for leaf in jax.tree.leaves(source.params))
    assert len(list(folder.iterdir())) == 2 * len(KINDS)
    for kind, bytes_each in zip(KINDS, (4, 2, 1, 1), strict=True):
        path, facts = of_kind(folder, kind)
        assert facts["file"] == path.name and facts["quantization"] == kind
        assert facts["bytes"] == path.stat().st_size
        # Biases keep 4 bytes, a kernel of less than 1,024 weights stays float.
        assert path.stat().st_size < bytes_each * (parameters + BLOCKS) + 25_000
        assert f"{path}: {path.stat().st_size:,} bytes" in said


def test_inputs_and_outputs_stay_float(every):
    for kind in KINDS:
        path, facts = of_kind(every[0], kind)
        assert facts["signatures"] == tflite.Generator.read(path).signatures()
        assert [one["name"] for one in facts["signatures"]] == [
            "between_1", "generate_1", "generate_64",
        ]  # fmt: skip
        for signature in facts["signatures"]:
            rows = int(signature["name"].split("_")[1])
            floats, ints = ({"dtype": name, "shape": [rows]} for name in ("float32", "int32"))
            expected = {"latent": {"dtype": "float32", "shape": [rows, 64]}, "label": ints}
            if signature["name"] == "between_1":
                expected |= {"toward": ints, "share": floats}
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
        return types, tflite.operations(content)

    types, (_, plain) = schema.TensorType, of("none")
    assert of("none")[0] == {types.FLOAT32}
    assert of("float16")[0] == {types.FLOAT16}
    assert of("dynamic") == ({types.INT8}, plain)
    kinds, operations = of("int8")
    assert kinds == {types.INT8}
    assert operations[0] == "QUANTIZE" and operations[-1] == "DEQUANTIZE"
    assert operations.count("QUANTIZE") == operations.count("DEQUANTIZE") == 1
    assert set(plain) < set(operations)


def test_int8_leaves_rare_values_out(every, source):
    from ai_edge_litert import schema_py_generated as schema

    content = of_kind(every[0], "int8")[0].read_bytes()
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    order = tflite.operations(content)
    graph = model.subgraphs[-1]  # generate_64
    assert len(graph.operators) == len(order)

    def reach(operation, which):
        """Return what the 256 levels of an operation's output span."""
        at = [index for index, name in enumerate(order) if name == operation][which]
        return 255 * graph.tensors[graph.operators[at].outputs[0]].quantization.scale[0]

    inputs = convert.probe(source, 1_000_000, 512)
    _, kept = models.Generator(source.spec, 8, "xla").apply(
        {"params": source.params}, inputs["latent"], inputs["label"], mutable=[models.RESULTS]
    )
    hidden = np.asarray(kept[models.RESULTS]["up_1"]["result"])
    assert reach("LEAKY_RELU", -1) == pytest.approx((hidden.max() - hidden.min()) / 2, rel=1e-3)
    before_tanh = order[order.index("TANH") - 1]
    assert reach(before_tanh, -1) <= 10.01


@pytest.mark.parametrize("kind", KINDS)
def test_the_facts_are_what_an_own_computation_finds(every, source, data_dir, kind):
    path, facts = of_kind(every[0], kind)
    generator, gan = tflite.Generator.read(path), make_gan(source.config, source.spec)
    assert facts["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()

    index = np.arange(256)
    latent, label = np.asarray(latents(0, index, 64)), (index % 10).astype(np.int32)
    toward, share = (index // 10 % 10).astype(np.int32), (index % 11 / 10).astype(np.float32)
    between = gan.sample(source.params, latent, label, toward, share)
    errors = [
        generator.draw(latent, label) - gan.sample(source.params, latent, label),
        generator.between(latent, label, toward, share) - between,
    ]
    largest = max(np.abs(error).max() for error in errors)
    mean = np.abs(errors[0]).mean() * 2 / 3 + np.abs(errors[1]).mean() / 3  # of three signatures
    noise = np.square(errors[0]).mean() * 2 / 3 + np.square(errors[1]).mean() / 3
    close = {"rel": 0.3 if kind == "none" else 0.01}  # float differs by rounding alone
    assert facts["difference"]["largest"] == pytest.approx(largest, **close)
    assert facts["difference"]["mean"] == pytest.approx(mean, **close)
    assert facts["difference"]["psnr_db"] == pytest.approx(10 * np.log10(4 / noise), rel=0.02)
    assert facts["difference"]["latents"] == 256

    index, label = np.arange(10_000), data.load("mnist", str(data_dir)).label
    label = np.resize(np.random.default_rng(0).permutation(label), 10_000)
    drawn = images.to_uint8(generator.draw(np.asarray(latents(0, index, 64)), label))
    weights = features.load("mnist")
    seen = features.see(weights, drawn)
    test = features.see(weights, data.load("mnist", str(data_dir), "test").image)
    assert facts["scores"]["images"] == 10_000
    assert facts["scores"]["fid"] == pytest.approx(fid.fid(seen.feature, test.feature), rel=1e-3)
    assert facts["scores"]["agreement"] == pytest.approx(np.mean(seen.label == label), abs=1e-3)
    _, of_float = of_kind(every[0], "none")
    assert facts["scores"]["float_fid"] == of_float["scores"]["fid"]
    assert facts["scores"]["float_agreement"] == of_float["scores"]["agreement"]

    speed = facts["latency_ms"]
    assert set(speed) == {"generate_1", "generate_64", "method"} and "median" in speed["method"]
    assert 0 < speed["generate_1"] < speed["generate_64"]


def test_the_facts_inside_are_those_beside(every):
    for kind in KINDS:
        path, beside = of_kind(every[0], kind)
        metadata = tflite.Generator.read(path).metadata
        inside = json.loads(metadata["report"])
        assert metadata["quantization"] == kind
        assert set(beside) - set(inside) == {"file", "bytes", "sha256", "latency_ms"}
        assert inside == {name: beside[name] for name in inside}
        assert list(beside)[-len(inside) :] == list(inside)


def test_the_facts_name_the_run_and_its_tools(every, source, tmp_path):
    _, facts = of_kind(every[0], "dynamic")
    assert facts["run"] == {
        "dataset": "mnist", "seed": 0, "step": 40, "images_seen": 2000,
        "options": {"batch_size": 50, "width": 8, "learning_rate": 1e-3},
    }  # fmt: skip
    assert facts["revision"] == export.revision()
    assert set(facts["versions"]) == {"jaxgan", "jax", "flax", "tensorflow", "ai-edge-litert"}
    assert facts["versions"]["jax"] == jax.__version__
    wanted = convert.signatures(source, (64, 1))
    convert.save(source, wanted, tmp_path)
    graph = convert.flatbuffer(source, wanted, tmp_path, "dynamic")
    assert facts["graph_sha256"] == hashlib.sha256(graph).hexdigest()


@pytest.fixture(scope="module")
def spoilt(source, data_dir):
    """A generator of each class's mean digit. Huge values of one class are too much for int8."""
    digits, gan = data.load("mnist", str(data_dir)), make_gan(source.config, source.spec)
    label, adam = np.arange(10), optax.adam(1e-2)
    mean = np.stack([digits.image[digits.label == one].mean(0) for one in label]) / 127.5 - 1

    @jax.jit
    def step(params, moments, latent):
        def loss(params):
            return ((gan.sample(params, latent, label) - mean) ** 2).mean()

        updates, moments = adam.update(jax.grad(loss)(params), moments)
        return optax.apply_updates(params, updates), moments

    params, moments = source.params, adam.init(source.params)
    for index in range(300):
        latent = latents(0, np.arange(10 * index, 10 * index + 10), 64)
        params, moments = step(params, moments, latent)
    params = jax.tree.map(np.array, params)
    params["classes"]["table"][9] *= 1000
    return source._replace(params=params)


def test_a_poor_file_is_refused(spoilt, real, tmp_path):
    path = tmp_path / "g.tflite"
    words = r"g.tflite was not written: .*label agreement falls from \d+.\d% to \d+.\d%.*--force"
    with pytest.raises(ModelError, match=words) as caught:
        export.export(spoilt, path, kind="int8", real=real)
    assert caught.value.exit_code == 3
    assert list(tmp_path.iterdir()) == []
    written = export.export(spoilt, path, kind="int8", real=real, force=True)
    assert "because of --force: its label agreement falls" in written.text()
    assert tflite.Generator.read(path).metadata["quantization"] == "int8"
    score = json.loads((tmp_path / "g.json").read_text())["scores"]
    assert score["agreement"] < score["float_agreement"] - 0.01


def test_a_poor_file_does_not_keep_the_others_away(spoilt, tmp_path, capsys):
    with pytest.raises(ModelError, match=r"g-int8.tflite was not written.* dB.*--force") as caught:
        export.export_all(spoilt, tmp_path / "g.tflite")
    assert "\n" not in str(caught.value)
    said = capsys.readouterr().out
    for kind in ("none", "float16", "dynamic"):
        path, facts = of_kind(tmp_path, kind)
        assert facts["scores"] is None
        assert str(path) in said
    assert not list(tmp_path.glob("*int8*"))


def measured(fid_, agreement, psnr=60.0):
    score = None if fid_ is None else table.Score(fid_, agreement)
    return scores.Measured(scores.Difference(0.1, 0.1, psnr, 256), score)


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
    reason = scores.refusal(kind, measured(*quantised), measured(*float_))
    assert (reason is None) == (not words)
    for word in words:
        assert word in reason


def test_datasets_that_nobody_can_score(source, data_dir, capsys):
    for dataset, word in (("kmnist", "no feature network"), ("stacked_mnist", "modes")):
        config = dataclasses.replace(source.config, dataset=dataset)
        assert scores.reference(source._replace(config=config), str(data_dir)) is None
        assert word in capsys.readouterr().out
    spec = dataclasses.replace(source.spec, shape=(32, 32, 1))
    assert scores.reference(source._replace(spec=spec), str(data_dir)) is None
    assert "images of 32x32x1, expected 28x28x1" in capsys.readouterr().out
    spec = dataclasses.replace(source.spec, classes=3)
    assert scores.reference(source._replace(spec=spec), str(data_dir)) is None
    assert "3 classes, expected 10" in capsys.readouterr().out


def test_a_run_ends_with_the_same_facts(every, run_dir, plain_model):
    _, expected = of_kind(every[0], "none")
    found = json.loads((run_dir / "generator.json").read_text())
    changing = {"file", "latency_ms"}
    for name in set(expected) - changing:
        assert found[name] == expected[name]
    plain = json.loads(plain_model.with_suffix(".json").read_text())
    assert plain["scores"] is None  # it was trained with --evaluate-every 0
    assert [one["name"] for one in plain["signatures"]] == ["generate_1", "generate_64"]


def test_between_two_classes(source, model):
    generator = tflite.Generator.read(model)
    latent, label = np.asarray(latents(5, range(30), 64)), np.arange(30) % 10
    toward, share = np.arange(30) * 7 % 10, np.linspace(0, 1, 30)
    drawn = generator.between(latent, label, toward, share)
    gan = make_gan(source.config, source.spec)
    share = share.astype(np.float32)
    assert np.abs(drawn - gan.sample(source.params, latent, label, toward, share)).max() < 1e-5
    still = generator.between(latent, label, toward, np.zeros(30))
    assert np.abs(still - generator.draw(latent, label)).max() < 1e-5
    there = generator.between(latent, label, toward, np.ones(30))
    assert np.abs(there - generator.draw(latent, toward)).max() < 1e-5
    assert np.abs(there - still)[label != toward].max() > 0.1


def test_nothing_between(model, plain_model):
    latent, zeros = np.zeros((1, 64), np.float32), np.zeros(1)
    with pytest.raises(ModelError, match="no classes"):
        tflite.Generator.read(plain_model).between(latent, zeros, zeros, zeros)
    older = tflite.Generator(model.read_bytes().replace(b"between_1", b"bEtWeEn_1"))
    assert older.draw(latent, zeros).shape == (1, 28, 28, 1)
    with pytest.raises(ModelError, match="convert it again"):
        older.between(latent, zeros, zeros, zeros)


def test_another_json_file_is_left_alone(source, tmp_path):
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(OutputError, match="--out"):
        export.export(source, tmp_path / "config.tflite", (1,))
    assert [path.name for path in tmp_path.iterdir()] == ["config.json"]
