"""Metrics against hand-worked cases, closed forms and other people's implementations."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import prdc
import pytest
import scipy.linalg
from conftest import FIXTURE
from scipy.stats import entropy
from sklearn.metrics import accuracy_score
from sklearn.metrics.pairwise import polynomial_kernel
from sklearn.neighbors import NearestNeighbors

from jaxgan.config import ImageSpec
from jaxgan.data.dataset import Dataset
from jaxgan.data.idx import read_idx
from jaxgan.errors import TrainingError, UserError
from jaxgan.gan.step import normalize
from jaxgan.metrics import features, histogram, imagenet, neighbours
from jaxgan.metrics.agreement import agreement
from jaxgan.metrics.collapse import collapse
from jaxgan.metrics.density_coverage import density_coverage
from jaxgan.metrics.fid import Moments, distance, fid, moments
from jaxgan.metrics.general import GeneralReference
from jaxgan.metrics.kid import kid, within
from jaxgan.metrics.modes import modes
from jaxgan.metrics.nearest import nearest
from jaxgan.metrics.precision_recall import precision, recall
from jaxgan.metrics.reference import Reference, Triples, reference
from jaxgan.metrics.requested import requested_labels, sampling_order
from scripts import train_features


def some(seed: int, count: int, size: int = 16, scale: float = 1.0) -> np.ndarray:
    """Features like those of a network: none below 0, many at it."""
    normal = np.random.default_rng(seed).normal(size=(count, size))
    return np.maximum(scale * normal, 0).astype(np.float32)


def column(*values: float) -> np.ndarray:
    return np.array(values, np.float32)[:, None]


def split(name: str) -> Dataset:
    image = read_idx(FIXTURE / f"{name}-images-idx3-ubyte.gz")[..., None]
    label = read_idx(FIXTURE / f"{name}-labels-idx1-ubyte.gz").astype(np.int32)
    return Dataset(ImageSpec((28, 28, 1), 10), image, label)


@pytest.fixture(scope="module")
def digits() -> tuple[Dataset, Dataset]:
    return split("train"), split("t10k")


# Fréchet distance


def test_fid_in_one_dimension_by_hand():
    # Means 1 and 3, variances 2 and 8: (3 - 1)² + (√8 - √2)² = 4 + 2.
    assert fid(column(0, 2), column(1, 5)) == pytest.approx(6, abs=1e-12)


def test_fid_of_gaussians_with_the_same_axes():
    # For covariances that commute it is |Δm|² + Σ (√u - √v)².
    u, v = np.array([1.0, 4, 9, 0]), np.array([4.0, 4, 1, 1])
    axes = scipy.linalg.qr(np.random.default_rng(0).normal(size=(4, 4)))[0]
    one = Moments(np.zeros(4), (axes * u) @ axes.T)
    two = Moments(np.array([0, 3.0, 4, 0]), (axes * v) @ axes.T)
    assert distance(one, two) == pytest.approx(25 + 1 + 0 + 4 + 1, abs=1e-6)


def test_fid_of_samples_approaches_that_of_their_gaussians():
    normal = np.random.default_rng(0).normal(size=(2, 20_000, 4)).astype(np.float32)
    assert fid(normal[0], 3 * normal[1] + 1) == pytest.approx(4 * 1 + 4 * 2**2, rel=0.02)


def test_fid_agrees_with_scipy():
    a, b = some(0, 700, 32), some(1, 300, 32, 1.5) @ some(2, 32, 32)
    (m, c), (n, d) = ((x.astype(float).mean(0), np.cov(x.astype(float).T)) for x in (a, b))
    expected = np.sum((m - n) ** 2) + np.trace(c + d - 2 * scipy.linalg.sqrtm(c @ d).real)
    assert fid(a, b) == pytest.approx(expected, rel=1e-9)
    assert fid(b, a) == pytest.approx(expected, rel=1e-9)


def test_fid_of_a_set_against_itself_is_zero_even_with_dead_features():
    feature = some(0, 300)
    feature[:, 3:9] = 0
    assert fid(feature, feature) < 1e-6
    assert fid(feature, np.roll(feature, 7, 0)) < 1e-6


def test_float64_stays_within_the_metrics():
    assert moments(some(0, 9)).covariance.dtype == np.float64
    assert jnp.ones(3).dtype == jnp.float32


def test_one_feature_has_no_covariance():
    with pytest.raises(ValueError, match="2 features or more, got 1"):
        moments(some(0, 1))


def test_what_is_no_number_is_not_taken_for_perfect():
    broken = some(0, 20)
    broken[3, 3] = np.nan
    assert np.isnan(fid(some(1, 20), broken))
    assert np.isnan(kid(some(1, 20), broken))
    real = some(1, 20)
    assert not neighbours.balls_over(broken[3:4], real, neighbours.radii(real, 3)).any()


# Kernel distance


def test_kid_by_hand():
    # D = 1, k(x, y) = (xy + 1)³. a = 0, 1: k = 1. b = 1, 2: k = 27. Across: 1, 1, 8, 27.
    assert kid(column(0, 1), column(1, 2)) == pytest.approx(1 + 27 - 2 * 37 / 4)


def test_kid_agrees_with_scikit_learn():
    a, b = some(0, 1203), some(1, 700, scale=1.1)  # more than two blocks, and a remainder
    kernel = [polynomial_kernel(x.astype(float), y, 3) for x, y in ((a, a), (b, b), (a, b))]
    own = [(k.sum() - np.trace(k)) / (len(k) * (len(k) - 1)) for k in kernel[:2]]
    expected = own[0] + own[1] - 2 * kernel[2].mean()
    assert kid(a, b) == pytest.approx(expected, rel=1e-9)
    assert kid(a, b, within(b)) == kid(a, b)


def test_kid_of_one_distribution_is_zero_on_average():
    values = [kid(some(2 * i, 40), some(2 * i + 1, 60)) for i in range(40)]
    assert abs(np.mean(values)) < 3 * np.std(values) / 40**0.5
    assert min(values) < 0 < max(values)


# Neighbours


@pytest.mark.parametrize("offset", [0, 100])
def test_radii_agree_with_scikit_learn(offset):
    feature = some(0, 1203) + np.float32(offset)
    tree = NearestNeighbors(algorithm="kd_tree").fit(feature.astype(float))
    for k in (1, 3, 5):
        expected = tree.kneighbors(n_neighbors=k)[0][:, -1]
        np.testing.assert_allclose(neighbours.radii(feature, k), expected, rtol=1e-6)


def test_equal_features_are_at_exactly_zero():
    feature = np.tile(some(0, 30, 128, 50), (4, 1))
    assert not neighbours.radii(feature, 3).any()
    assert neighbours.radii(feature, 4).all()
    assert not neighbours.reach(feature[:5], feature).any()


def test_radii_need_neighbours():
    with pytest.raises(ValueError, match="more than 3 features"):
        neighbours.radii(some(0, 3), 3)


def test_precision_recall_density_coverage_by_hand():
    real, fake = column(0, 1, 3, 7), column(0.5, 5, 20, 21)
    np.testing.assert_array_equal(neighbours.radii(real, 1), [1, 1, 2, 4])
    # 0.5 is in the balls of 0 and 1; 5 in that of 7, and on the surface of that of 3.
    np.testing.assert_array_equal(
        neighbours.balls_over(fake, real, neighbours.radii(real, 1)), [2, 1, 0, 0]
    )
    # The fakes 0.5 and 5 have radii of 4.5 and so reach all that is real.
    assert (precision(real, fake, 1), recall(real, fake, 1)) == (0.5, 1.0)
    assert density_coverage(real, fake, 1) == (0.75, 0.75)


@pytest.mark.parametrize("k", [3, 5])
@pytest.mark.parametrize("repeats", [1, 10])
@pytest.mark.parametrize("size", [4, 128])
def test_precision_recall_density_coverage_agree_with_prdc(k, repeats, size):
    real, fake = some(0, 700, size), np.tile(some(1, 600 // repeats, size, 0.9), (repeats, 1))
    expected = prdc.compute_prdc(real, fake, k)
    got = {"precision": precision(real, fake, k), "recall": recall(real, fake, k)}
    assert got | density_coverage(real, fake, k)._asdict() == pytest.approx(expected, rel=1e-12)
    radius = neighbours.radii(real, k)
    assert density_coverage(real, fake, k, radius) == density_coverage(real, fake, k)


def test_a_set_against_itself_is_perfect():
    feature = some(0, 500)
    assert precision(feature, feature[::-1]) == recall(feature, feature[::-1]) == 1
    assert density_coverage(feature, feature[::-1]) == (1, 1)


def test_repeating_a_few_keeps_precision_and_loses_recall_and_coverage():
    real, few, many = some(0, 500), np.tile(some(1, 50), (10, 1)), some(1, 500)
    assert precision(real, few) > 0.5
    assert recall(real, few) == 0  # copies have no radius
    moved = few + np.random.default_rng(0).normal(0, 0.5, few.shape).astype(np.float32)
    assert recall(real, moved) > 0.5  # they have one once they differ: it sees copies alone
    assert density_coverage(real, few).coverage < density_coverage(real, many).coverage / 2


# Labels and modes


def test_agreement_is_a_fraction():
    assert agreement(np.array([1, 2, 3, 4]), np.array([1, 2, 0, 4])) == 0.75


def test_histogram_by_hand():
    label = np.array([0, 0, 1, 3], np.int32)
    np.testing.assert_array_equal(histogram.frequencies(label, 5), [0.5, 0.25, 0, 0.25, 0])
    # 1/2 log(5/2) + 2 · 1/4 log(5/4)
    assert histogram.kl(label, 5) == pytest.approx(0.5697172, abs=1e-7)


def test_histogram_kl_at_its_ends():
    assert histogram.kl(np.arange(30) % 10, 10) == pytest.approx(0, abs=1e-15)
    assert histogram.kl(np.full(30, 7), 10) == pytest.approx(np.log(10))


def test_labels_are_requested_as_often_as_training_images_have_them():
    label = np.array([7, 2, 7, 7, 5], np.int32)
    requested = requested_labels(label, 12)
    assert sorted(requested[:5]) == sorted(label)
    assert requested.tolist() == [*requested[:5], *requested[:5], *requested[:2]]
    some = requested_labels(np.arange(1000), 100)
    assert len(set(some)) == 100 and some.max() > 900  # from all over the dataset


def test_labels_and_modes_agree_with_other_libraries():
    random = np.random.default_rng(0)
    seen, requested = random.integers(0, 10, (2, 500)) ** 2 // 10
    assert agreement(requested, seen) == pytest.approx(accuracy_score(requested, seen))
    counts = np.bincount(seen, minlength=10)
    assert histogram.kl(seen, 10) == pytest.approx(entropy(counts, np.full(10, 0.1)))
    triples = random.integers(0, 10, (700, 3)) ** 2 // 10
    found, often = np.unique(triples, axis=0, return_counts=True)
    counts = np.pad(often, (0, 1000 - len(often)))
    assert modes(triples, 10) == (len(found), pytest.approx(entropy(counts, np.full(1000, 1e-3))))


def test_modes_at_their_ends():
    every = np.array(list(itertools.product(range(10), repeat=3)))
    assert modes(every, 10) == (1000, pytest.approx(0, abs=1e-12))
    assert modes(np.tile([[1, 2, 3]], (50, 1)), 10) == (1, pytest.approx(np.log(1000)))
    # The order counts: 1, 2, 3 and 3, 2, 1 are two modes.
    assert modes(np.array([[1, 2, 3], [3, 2, 1]]), 10) == (2, pytest.approx(np.log(500)))


def test_modes_of_a_uniform_generator():
    # What 26,000 samples leave of the plug-in KL: 999 / 52,000 and a little, 0.0194 ± 0.0009.
    drawn = np.random.default_rng(0).integers(0, 10, (26_000, 3))
    count, kl = modes(drawn, 10)
    assert count == 1000 and kl == pytest.approx(0.0194, abs=0.003)


# Nearest training image


def test_nearest_by_hand():
    black, white = np.zeros((1, 28, 28, 1), np.uint8), np.full((1, 28, 28, 1), 255, np.uint8)
    dot = black.copy()
    dot[0, 5, 5] = 51
    np.testing.assert_allclose(nearest(white, black), [28])  # √784
    np.testing.assert_allclose(nearest(dot, np.concatenate([white, black])), [0.2])


@pytest.mark.slow
@pytest.mark.parametrize("shape", [(28, 28, 1), (28, 28, 3)])
def test_nearest_agrees_with_scikit_learn_to_the_last_digit(shape):
    draw = np.random.default_rng(0)
    image = draw.integers(0, 256, (301, *shape), np.uint8)
    other = np.concatenate([draw.integers(0, 256, (99, *shape), np.uint8), image[:3]])
    image[1:3] //= 128  # nearly black
    flat = [x.reshape(len(x), -1).astype(float) for x in (image, other)]
    expected = NearestNeighbors(n_neighbors=1, algorithm="brute").fit(flat[1]).kneighbors(flat[0])
    expected = np.sqrt(np.round(expected[0][:, 0] ** 2)) / 255
    np.testing.assert_allclose(nearest(image, other), expected, rtol=2e-7)
    assert nearest(image, other)[0] == 0


def test_nearest_of_bright_images_is_exact():
    # Their squares exceed what float32 counts without gaps; one step of one pixel is still seen.
    other = np.random.default_rng(0).integers(200, 256, (5, 28, 28, 1), np.uint8)
    image = other.copy()
    image[1:, 0, 0] ^= 1
    expected = np.array([0, 1, 1, 1, 1], np.float32) / 255
    np.testing.assert_allclose(nearest(image, other), expected, rtol=1e-6)


# The feature network


def test_the_network_knows_digits_that_it_never_saw(digits):
    feature, label = features.see(features.load("mnist"), digits[1].image)
    assert feature.shape == (300, 128) and feature.dtype == np.float32
    assert feature.min() == 0
    assert label.dtype == np.int32
    assert np.mean(label == digits[1].label) >= 0.99


def test_features_do_not_depend_on_the_other_images(digits):
    weights, image = features.load("mnist"), digits[0].image
    whole, part = features.see(weights, image), features.see(weights, image[350:650])
    np.testing.assert_allclose(whole.feature[350:650], part.feature, atol=1e-5)


def test_damaged_weights_are_refused(tmp_path, monkeypatch):
    content = bytearray((features._FOLDER / "mnist.npz").read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / "mnist.npz").write_bytes(content)
    monkeypatch.setattr(features, "_FOLDER", tmp_path)
    with pytest.raises(UserError, match=r"mnist\.npz is damaged"):
        features.load("mnist")


def test_a_dataset_without_a_network_is_refused():
    with pytest.raises(UserError, match=r"no feature network for nmist.*mnist"):
        features.load("nmist")


def test_scaling_features_leaves_verdicts_alone(digits):
    weights = features.init(jax.random.key(0), 10)
    train, test = (one.image for one in digits)
    scaled = train_features.scaled(weights, train, test)
    real, other = features.see(scaled, train), features.see(scaled, test)
    assert fid(real.feature, other.feature) == pytest.approx(0.29, rel=1e-4)
    assert (other.label == features.see(weights, test).label).mean() > 0.99  # rounding may tie


def test_moved_images_keep_shape_and_range(digits):
    image = np.asarray(normalize(digits[0].image[:20]))
    moved = np.asarray(train_features.move(jax.random.key(0), image, 10.0))
    assert moved.shape == image.shape and moved.min() >= -1 and moved.max() <= 1
    assert (np.abs(moved - image).mean((1, 2, 3)) > 0.01).all()
    assert moved.mean() == pytest.approx(image.mean(), abs=0.05)  # a digit stays in sight


def trained(data_dir, path, **options) -> None:
    options = {"epochs": 1, "batch_size": 50, **options}
    train_features.main(
        train_features.FeaturesConfig(data_dir=str(data_dir), out=str(path), **options)
    )


def test_a_network_is_trained(data_dir, tmp_path, caplog):
    caplog.set_level("INFO", "jaxgan")
    trained(data_dir, tmp_path / "f.npz")
    weights = np.load(tmp_path / "f.npz", allow_pickle=False)
    assert set(weights) == set(features.init(jax.random.key(0), 10))
    assert "test accuracy" in caplog.messages[0] and "SHA-256" in caplog.messages[1]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"batch_size": 2000}, "--batch-size.*1,000.*2,000"),
        ({"dataset": "stacked_mnist"}, "--dataset.*28, 28, 3"),
    ],
)
def test_a_network_that_cannot_be_trained(data_dir, tmp_path, options, words):
    with pytest.raises(UserError, match=words):
        trained(data_dir, tmp_path / "f.npz", **options)


def test_a_training_that_diverges_is_named(data_dir, tmp_path):
    with pytest.raises(TrainingError, match=r"loss.*--learning-rate"):
        trained(data_dir, tmp_path / "f.npz", learning_rate=1e30)
    assert not (tmp_path / "f.npz").exists()


def test_a_network_has_as_many_classes_as_its_dataset(digits):
    weights = features.init(jax.random.key(0), 3)
    assert features.class_count(weights) == 3
    test = digits[1]
    row = Reference(weights, test, test).measure(test.image)
    assert len(row.histogram) == 3 and sum(row.histogram) == pytest.approx(1)
    assert row.histogram_kl == pytest.approx(entropy(row.histogram, np.full(3, 1 / 3)))
    stacked = Dataset(ImageSpec((28, 28, 3), 0), np.repeat(test.image, 3, -1), test.label)
    expected = np.repeat(features.see(weights, test.image).label[:, None], 3, 1)
    assert Triples(weights, stacked).measure(stacked.image) == modes(expected, 3)


@pytest.mark.parametrize(
    ("option", "value"), [("epochs", 0), ("batch_size", 0), ("learning_rate", -1.0), ("seed", -1)]
)
def test_wrong_options_of_its_training(option, value):
    with pytest.raises(UserError, match=f"--{option}".replace("_", "-")):
        train_features.FeaturesConfig(**{option: value})


# Rows


@pytest.fixture(scope="module")
def real(digits) -> Reference:
    return Reference(features.load("mnist"), *digits)


def test_a_row_holds_every_metric(real, digits):
    train, test = digits
    image, label = train.image[:300], np.roll(train.label[:300], 1)
    row = real.measure(image, label)
    weights = features.load("mnist")
    (fake, seen), other = features.see(weights, image), features.see(weights, test.image).feature
    assert row.fid == fid(fake, other)
    assert row.fid_train == pytest.approx(fid(fake, features.see(weights, train.image).feature))
    assert row.kid == kid(fake, other)
    assert (row.precision, row.recall) == (precision(other, fake), recall(other, fake))
    assert (row.density, row.coverage) == density_coverage(other, fake)
    assert row.agreement == agreement(label, seen)
    assert row.histogram == histogram.frequencies(seen, 10).tolist()
    assert row.histogram_kl == histogram.kl(seen, 10)
    assert row.nearest == 0
    assert real.measure(255 - image).agreement is None
    assert real.measure(255 - image).nearest == np.median(nearest(255 - image, train.image))


def test_real_images_of_the_requested_labels_score_as_real_train(real, digits):
    train, label = digits[0], real.requested_labels(300)
    chosen = sampling_order(len(train.label))[:300]
    assert (train.label[chosen] == label).all()
    assert real.measure(train.image[chosen], label) == real.controls(300)["real train"]


def test_quick_metrics_are_part_of_a_row(real, digits):
    image, label = digits[0].image[:300], digits[0].label[:300]
    row, quick = real.measure(image, label), real.quick(image, label)
    assert quick._asdict().items() <= row._asdict().items()
    assert real.quick(image).agreement is None


def test_features_of_real_images_are_computed_once(real, digits, monkeypatch):
    seen, see = [], features.see
    monkeypatch.setattr(
        features, "see", lambda weights, image: seen.append(len(image)) or see(weights, image)
    )
    train, test = digits
    fresh, image = Reference(features.load("mnist"), train, test), train.image[:200]
    fresh.quick(image)
    assert len(train.image) not in seen  # no training image for quick metrics
    fresh.measure(image)
    fresh.measure(image)
    assert seen.count(len(train.image)) == seen.count(len(test.image)) == 1


def test_the_controls_behave(real):
    controls = real.controls(300)
    assert list(controls) == ["real train", "real test", "30 train images 10 times"]
    train, test, few = controls.values()
    assert test.fid < 1e-6 and test[3:7] == (1, 1, 1, 1)
    assert train.recall > 0.5 and few.recall == 0
    assert train.fid < few.fid and train.fid_train < few.fid_train
    assert train.nearest == few.nearest == 0 < test.nearest
    assert min(row.agreement for row in (train, test, few)) > 0.97


# Which measure, and when it warns


def test_the_measure_follows_from_the_dataset_not_from_its_channels(digits):
    grey = reference("mnist", *digits)
    assert isinstance(grey, Reference) and grey.classes == 10
    colour = ImageSpec((28, 28, 3), 10)
    coloured = [Dataset(colour, np.repeat(one.image, 3, -1), one.label) for one in digits]
    assert isinstance(reference("stacked_mnist", *coloured), Triples)
    # A dataset of colour images with a network of its own is no Stacked MNIST.
    assert isinstance(reference("fashion_mnist", *coloured), Reference)


def test_a_dataset_that_cannot_be_measured_is_refused(digits):
    train, test = digits
    few = Dataset(test.spec, test.image[:9], test.label[:9])
    with pytest.raises(UserError, match="9 test images, expected at least 10"):
        reference("mnist", train, few)


def test_a_dataset_without_a_network_is_measured_by_pixels_and_the_log_says_so(
    digits, monkeypatch, caplog
):
    monkeypatch.setattr(imagenet, "is_installed", lambda: False)
    caplog.set_level("INFO", "jaxgan")
    found = reference("kmnist", *digits)
    assert isinstance(found, GeneralReference) and found.network is None
    assert "no feature network for kmnist" in caplog.text and imagenet.INSTALL in caplog.text


@pytest.mark.parametrize(
    ("quality", "word"),
    [
        ({"fid": 1.0, "recall": 0.7, "histogram_kl": 0.01}, None),
        ({"fid": 1.0, "recall": 0.01, "histogram_kl": 0.01}, "vary"),
        ({"fid": 1.0, "recall": 0.7, "histogram_kl": 0.7}, "classes"),
        ({"fid": 1.0, "recall": 0.7, "histogram_kl": np.log(10 / 9)}, "classes"),  # one is missing
        ({"fid": 1.0, "recall": 0.7, "histogram_kl": 0.0899}, None),
        ({"fid": 1.0, "recall": 0.7, "histogram_kl": 0.0901}, "classes"),
        ({"kl": 0.05, "modes": 1000}, None),
        ({"kl": 0.05, "modes": 500}, None),
        ({"kl": 3.4, "modes": 499}, "few of the 1,000 triples"),
    ],
)
def test_a_collapse_is_named(quality, word):
    found = collapse(quality, 250_000, 10)
    assert (found is None) if word is None else (word in found)
    assert collapse(quality, 249_999, 10) is None


@pytest.mark.parametrize("classes", [2, 3, 10, 30, 62])
def test_one_missing_class_of_any_number_is_a_collapse(classes):
    draw = np.random.default_rng(0)
    for count, collapsed in ((classes, False), (classes - 1, True)):
        label = draw.integers(0, count, 5_000)
        quality = {"recall": 0.7, "histogram_kl": histogram.kl(label, classes)}
        assert bool(collapse(quality, 10**6, classes)) == collapsed, quality


@pytest.mark.parametrize("classes", [100, 1000])
def test_equal_frequencies_of_many_classes_are_no_collapse(classes):
    label = np.random.default_rng(0).integers(0, classes, 5_000)
    quality = {"recall": 0.7, "histogram_kl": histogram.kl(label, classes)}
    assert collapse(quality, 10**6, classes) is None
    quality["histogram_kl"] = histogram.kl(label // 2, classes)  # half of them are missing
    assert collapse(quality, 10**6, classes)


def test_modes_that_count_as_few_follow_from_the_number_of_classes():
    assert collapse({"modes": 13}, 10**6, 3) == "few of the 27 triples are drawn"
    assert collapse({"modes": 14}, 10**6, 3) is None
    assert collapse({"histogram_kl": 0.0}, 10**6, 1) is None  # a single class is never missing
