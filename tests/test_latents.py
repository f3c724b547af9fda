"""The contract of seeds, indices and labels, as JAX and the C++ library keep it."""

import jax
import numpy as np
import pytest
import scipy.stats
from latent_vectors import FILE, lines

from jaxgan.drawing.generator import draw_latents
from jaxgan.drawing.sampling import Sampling, choose
from jaxgan.errors import UserError
from jaxgan.gan.latents import latents

BOTH = pytest.mark.parametrize("drawn", [latents, draw_latents], ids=["jax", "c++"])


def test_latents_are_what_jax_draws():
    expected = jax.random.normal(jax.random.fold_in(jax.random.key(7), 41), (64,))
    np.testing.assert_array_equal(latents(7, [40, 41], 64)[1], expected)


@BOTH
def test_an_image_depends_on_its_index_alone(drawn):
    np.testing.assert_array_equal(drawn(1, range(9), 8)[5], drawn(1, [5], 8)[0])
    assert not np.array_equal(drawn(1, [5], 8), drawn(2, [5], 8))


def test_the_largest_seed_and_index():
    largest = 2**32 - 1
    key = jax.random.fold_in(jax.random.key(largest), largest)
    np.testing.assert_array_equal(latents(largest, [largest], 8)[0], jax.random.normal(key, (8,)))


@BOTH
def test_a_seed_an_image(drawn):
    seeds = [7, 2**32 - 1, 7]
    each = np.concatenate([drawn(seed, [0], 8) for seed in seeds])
    np.testing.assert_array_equal(drawn(seeds, [0, 0, 0], 8), each)


@BOTH
def test_truncation_that_keeps_all_gives_the_same_bits(drawn):
    np.testing.assert_array_equal(drawn(3, range(500), 64, 10.0), drawn(3, range(500), 64))


@pytest.mark.parametrize("bound", [0.1, 0.7, 2.0])
@BOTH
def test_truncated_latents_have_the_truncated_distribution(drawn, bound):
    values = np.asarray(drawn(0, range(2000), 64, bound)).ravel()
    assert np.abs(values).max() <= bound * (1 + 1e-6)
    chance = 2.2 / np.sqrt(values.size)  # exceeded by one sample in ten thousand
    for other, fits in ((bound, True), (0.8 * bound, False), (1.2 * bound, False)):
        cdf = scipy.stats.truncnorm(-other, other).cdf
        assert (scipy.stats.kstest(values, cdf).statistic < chance) == fits


@BOTH
def test_truncation_moves_latents_continuously_and_keeps_their_order(drawn):
    ordinary = np.asarray(drawn(1, range(50), 64)).ravel()
    here, there = (np.asarray(drawn(1, range(50), 64, t)).ravel() for t in (1.0, 1.001))
    assert 0 < np.abs(there - here).max() < 2e-3
    # The tail is squeezed more than the middle, but nothing overtakes another.
    assert np.all(np.diff(here[np.argsort(ordinary)]) >= 0)
    assert np.all(np.abs(here) <= np.abs(ordinary))


def test_the_vectors_of_the_cpp_tests_are_jaxs_own():
    # tflite_cpp/tests/latents.txt changes only if JAX changes its random numbers; then files
    # drawn before differ from files drawn after, and that is a new version of the contract.
    # Compared to 1e-6, since a processor may round the last digit in another way.
    for stored, now in zip(FILE.read_text().splitlines(), lines(), strict=True):
        np.testing.assert_allclose(
            np.array(stored.split(), float), np.array(now.split(), float), rtol=0, atol=1e-6
        )


@BOTH
def test_those_vectors_are_drawn(drawn):
    for stored in FILE.read_text().splitlines():
        seed, index, *values = stored.split()
        got = np.asarray(drawn(int(seed), [int(index)], len(values)))[0]
        np.testing.assert_allclose(got, np.array(values, float), rtol=0, atol=3e-6)


@pytest.mark.parametrize("truncation", [None, 0.5])
def test_jax_and_the_library_draw_the_same(truncation):
    seeds, indices = np.arange(200) * 21_474_836, np.arange(200) * 1_000_003 % 2**32
    expected = np.asarray(latents(seeds, indices, 64, truncation))
    got = draw_latents(seeds, indices, 64, truncation)
    np.testing.assert_allclose(got, expected, rtol=0, atol=3e-6)


def chosen(classes=10, size=8, **options):
    """Return what options choose."""
    return choose(Sampling(**options), size, classes)


def test_labels():
    def labels(count, classes=10, **options):
        return chosen(classes, count=count, **options).labels.tolist()

    assert labels("2", label="3") == [3, 3]
    assert labels("5", label="3,1,4") == [3, 1, 4, 3, 1]
    assert labels("4", classes=3) == [0, 1, 2, 0]
    plain = chosen(0, count="4")
    assert plain.labels is plain.target_labels is plain.weights is None
    some = chosen(count="3")
    np.testing.assert_array_equal(some.labels, some.target_labels)
    np.testing.assert_array_equal(some.weights, [0, 0, 0])
    assert not some.labels.flags.writeable


@pytest.mark.parametrize("text", ["10", "-1", "3,", ",3", "3;1", "x", "", "9" * 5000, "٣"])
def test_wrong_labels(text):
    with pytest.raises(UserError, match="--label: expected classes from 0 to 9"):
        chosen(label=text)


def test_labels_for_a_plain_gan():
    with pytest.raises(UserError, match="has no classes"):
        chosen(0, label="0")


def test_arrays_outlive_their_sample():
    latent = chosen(count="3").latents
    np.testing.assert_array_equal(latent, draw_latents(0, range(3), 8))


@pytest.mark.parametrize(
    "text, seeds",
    [
        ("7", [7]),
        ("1,5,9-12,7,7,3-3", [1, 5, 9, 10, 11, 12, 7, 7, 3]),
        ("4294967294-4294967295", [2**32 - 2, 2**32 - 1]),
        ("1-1000000", range(1, 1_000_001)),
    ],
)
def test_seeds(text, seeds):
    expected = draw_latents(seeds, np.zeros(len(seeds), int), 1)
    np.testing.assert_array_equal(chosen(seeds=text, size=1).latents, expected)


@pytest.mark.parametrize(
    "text",
    [
        "", "1,", "-1", "1-2-3", "1, 2", "1_0", "٣", "1\n", "4294967296", "9" * 5000,
        "0-4294967296", "5-4", "0-1000000", "0-4294967295,0-4294967295",
    ],
)  # fmt: skip
def test_wrong_seeds(text):
    words = "--seeds: expected seeds and ranges such as 1,5,9-12, each .* at most 1000000 in all"
    with pytest.raises(UserError, match=words):
        chosen(seeds=text)


@pytest.mark.parametrize("text", ["0.7", ".7", "10", "010.0", "0.70"])
def test_truncation_as_text(text):
    expected = draw_latents(0, range(3), 8, float(text))
    np.testing.assert_array_equal(chosen(count="3", truncation=text).latents, expected)


@pytest.mark.parametrize(
    "text",
    ["", "0", "0.0", "-1", "10.1", "nan", "inf", "1e0", "0x1", "1_0", "1.", " 1", "1,5", "٣"],
)
def test_wrong_truncation(text):
    with pytest.raises(UserError, match="--truncation: expected a decimal number above 0"):
        chosen(truncation=text)


def test_what_excludes_what():
    for options, names in (
        ({"seeds": "1", "seed": "0"}, "--seeds and --seed"),
        ({"seeds": "1", "count": "64"}, "--seeds and --count"),
        ({"latents": "z.npy", "seeds": "1"}, "--latents and --seeds"),
        ({"latents": "z.npy", "truncation": "1"}, "--latents and --truncation"),
    ):
        with pytest.raises(UserError, match=f"{names} are mutually exclusive"):
            chosen(**options)


def test_a_zero_byte_ends_no_option_early():
    with pytest.raises(UserError, match="--label: expected no zero byte"):
        chosen(label="3\0x")


def test_frames_between_images():
    # At both ends of a way a frame is one of the images, not a mixture with nothing of the other.
    frames = chosen(count="3", interpolate="5")
    assert (frames.count, frames.columns) == (10, 5)
    np.testing.assert_array_equal(frames.labels, [0, 0, 0, 0, 1, 1, 1, 1, 1, 2])
    np.testing.assert_array_equal(frames.target_labels, [0, 1, 1, 1, 1, 1, 2, 2, 2, 2])
    np.testing.assert_array_equal(frames.weights, [0, 0.25, 0.5, 0.75, 1] * 2)
    np.testing.assert_array_equal(frames.latents[[0, 4, 5, 9]], draw_latents(0, [0, 1, 1, 2], 8))


def test_frames_that_cannot_be():
    with pytest.raises(UserError, match=r"--interpolate: expected at least 2 .*--count.*--seeds"):
        chosen(count="1", interpolate="8")
    assert chosen(count="1001", interpolate="1000", size=1).count == 1_000_000
    with pytest.raises(UserError, match="1001000 images, expected at most 1000000"):
        chosen(count="1002", interpolate="1000", size=1)


@pytest.fixture
def along(tmp_path):
    """Return what is between two vectors, in so many steps, both included."""

    def way(a, b, steps):
        np.save(tmp_path / "ends.npy", np.float32([a, b]))
        ends = {"latents": str(tmp_path / "ends.npy"), "interpolate": str(steps)}
        return chosen(0, size=len(a), **ends).latents

    return way


def test_half_way_between_orthogonal_vectors(along):
    root = np.sqrt(0.5)
    np.testing.assert_allclose(along([1, 0], [0, 1], 3)[1], [root, root], rtol=1e-7)
    np.testing.assert_allclose(along([2, 0], [0, 1], 3)[1], [2 * root, root], rtol=1e-7)
    third = [np.cos(np.pi / 6), np.sin(np.pi / 6)]  # a third of a quarter turn
    np.testing.assert_allclose(along([1, 0], [0, 1], 4)[1], third, rtol=1e-7)


def test_vectors_without_one_way_between_them_are_mixed_linearly(along):
    np.testing.assert_array_equal(along([1, 2], [1, 2], 4), [[1, 2]] * 4)
    np.testing.assert_array_equal(along([1, 2], [3, 6], 3)[1], [2, 4])
    np.testing.assert_array_equal(along([1, 2], [-1, -2], 5)[1:3], [[0.5, 1], [0, 0]])
    np.testing.assert_array_equal(along([0, 0], [1, 2], 3)[1], [0.5, 1])
    np.testing.assert_array_equal(along([1e-30, 0], [0, 0], 3)[1], np.float32([0.5e-30, 0]))


def test_the_way_between_latents_keeps_their_length_and_their_ends(along):
    a, b = np.asarray(latents(0, [0, 1], 64))
    b = b * (np.linalg.norm(a) / np.linalg.norm(b))
    way = along(a, b, 11)[[0, 1, 5, 9, 10]]
    assert way.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(way, axis=1), np.linalg.norm(a), rtol=1e-6)
    np.testing.assert_array_equal(way[[0, -1]], [a, b])
    linear = 0.5 * (a + b)
    assert np.linalg.norm(linear) < 0.9 * np.linalg.norm(way[2])
