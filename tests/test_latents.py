"""The contract of seeds, indices and labels."""

import jax
import numpy as np
import pytest
import scipy.stats
from latent_vectors import FILE, lines

from jaxgan.errors import UserError
from jaxgan.latents import (
    cycle,
    frames,
    latents,
    parse_labels,
    parse_seeds,
    parse_truncation,
    slerp,
)


def test_latents_are_what_jax_draws():
    expected = jax.random.normal(jax.random.fold_in(jax.random.key(7), 41), (64,))
    np.testing.assert_array_equal(latents(7, [40, 41], 64)[1], expected)


def test_an_image_depends_on_its_index_alone():
    np.testing.assert_array_equal(latents(1, range(9), 8)[5], latents(1, [5], 8)[0])
    assert not np.array_equal(latents(1, [5], 8), latents(2, [5], 8))


def test_the_largest_seed_and_index():
    largest = 2**32 - 1
    key = jax.random.fold_in(jax.random.key(largest), largest)
    np.testing.assert_array_equal(latents(largest, [largest], 8)[0], jax.random.normal(key, (8,)))


def test_a_seed_an_image():
    seeds = [7, 2**32 - 1, 7]
    each = np.concatenate([latents(seed, [0], 8) for seed in seeds])
    np.testing.assert_array_equal(latents(seeds, [0, 0, 0], 8), each)


def test_truncation_that_keeps_all_gives_the_same_bits():
    np.testing.assert_array_equal(latents(3, range(500), 64, 10.0), latents(3, range(500), 64))


@pytest.mark.parametrize("bound", [0.1, 0.7, 2.0])
def test_truncated_latents_have_the_truncated_distribution(bound):
    drawn = np.asarray(latents(0, range(2000), 64, bound)).ravel()
    assert np.abs(drawn).max() <= bound * (1 + 1e-6)
    chance = 2.2 / np.sqrt(drawn.size)  # exceeded by one sample in ten thousand
    for other, fits in ((bound, True), (0.8 * bound, False), (1.2 * bound, False)):
        cdf = scipy.stats.truncnorm(-other, other).cdf
        assert (scipy.stats.kstest(drawn, cdf).statistic < chance) == fits


def test_truncation_moves_latents_continuously_and_keeps_their_order():
    ordinary = np.asarray(latents(1, range(50), 64)).ravel()
    here, there = (np.asarray(latents(1, range(50), 64, t)).ravel() for t in (1.0, 1.001))
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


def test_labels():
    assert parse_labels("3", 10) == [3]
    assert parse_labels("3,1,4", 10) == [3, 1, 4]
    assert parse_labels(None, 3) == [0, 1, 2]
    assert parse_labels(None, 0) == []
    np.testing.assert_array_equal(cycle([3, 1], np.arange(5)), [3, 1, 3, 1, 3])
    assert cycle([], np.arange(5)) is None


@pytest.mark.parametrize("text", ["10", "-1", "3,", ",3", "3;1", "x", ""])
def test_wrong_labels(text):
    with pytest.raises(UserError, match="--label: expected classes from 0 to 9"):
        parse_labels(text, 10)


def test_labels_for_a_plain_gan():
    with pytest.raises(UserError, match="has no classes"):
        parse_labels("0", 0)


def test_seeds():
    np.testing.assert_array_equal(parse_seeds("7"), [7])
    np.testing.assert_array_equal(parse_seeds("1,5,9-12,7,7,3-3"), [1, 5, 9, 10, 11, 12, 7, 7, 3])
    largest = 2**32 - 1
    np.testing.assert_array_equal(parse_seeds(f"{largest - 1}-{largest}"), [largest - 1, largest])
    assert len(parse_seeds("1-1000000")) == 1_000_000


@pytest.mark.parametrize(
    "text, words",
    [
        ("", "such as 1,5,9-12"),
        ("1,", "such as 1,5,9-12"),
        ("-1", "such as 1,5,9-12"),
        ("1-2-3", "such as 1,5,9-12"),
        ("1, 2", "such as 1,5,9-12"),
        ("1_0", "such as 1,5,9-12"),
        ("٣", "such as 1,5,9-12"),
        ("1\n", "such as 1,5,9-12"),
        ("4294967296", "0 to 4294967295"),
        ("9" * 5000, "0 to 4294967295"),
        ("0-4294967296", "0 to 4294967295"),
        ("5-4", "ascend"),
        ("0-1000000", "at most 1000000 seeds, got 1000001"),
        ("0-4294967295,0-4294967295", "at most 1000000 seeds, got 8589934592"),
    ],
)
def test_wrong_seeds(text, words):
    with pytest.raises(UserError, match=f"--seeds: .*{words}"):
        parse_seeds(text)


def test_truncation_as_text():
    assert parse_truncation(None) is None
    assert [parse_truncation(text) for text in ("0.7", ".7", "10", "010.0")] == [0.7, 0.7, 10, 10]


@pytest.mark.parametrize(
    "text",
    ["", "0", "0.0", "-1", "10.1", "nan", "inf", "1e0", "0x1", "1_0", "1.", " 1", "1,5", "٣"],
)
def test_wrong_truncation(text):
    with pytest.raises(UserError, match="--truncation: expected a decimal number above 0"):
        parse_truncation(text)


def test_frames_without_interpolation_are_the_keys():
    start, end, share = frames(3, None)
    np.testing.assert_array_equal(start, [0, 1, 2])
    np.testing.assert_array_equal(end, start)
    np.testing.assert_array_equal(share, [0, 0, 0])


def test_frames_between_keys():
    # At both ends of a way a frame is a key, not a mixture with nothing of the other.
    start, end, share = frames(3, 5)
    np.testing.assert_array_equal(start, [0, 0, 0, 0, 1, 1, 1, 1, 1, 2])
    np.testing.assert_array_equal(end, [0, 1, 1, 1, 1, 1, 2, 2, 2, 2])
    np.testing.assert_array_equal(share, [0, 0.25, 0.5, 0.75, 1] * 2)


def test_frames_that_cannot_be():
    with pytest.raises(UserError, match=r"--interpolate: expected at least 2 .*--count.*--seeds"):
        frames(1, 8)
    assert len(frames(1001, 1000).share) == 1_000_000
    with pytest.raises(UserError, match="1001000, expected at most 1000000"):
        frames(1002, 1000)


def along(a, b, *shares):
    """Return what is between two vectors at some shares."""
    a, b = (np.tile(np.float32(vector), (len(shares), 1)) for vector in (a, b))
    return slerp(a, b, np.float64(shares))


def test_half_way_between_orthogonal_vectors():
    root = np.sqrt(0.5)
    np.testing.assert_allclose(along([1, 0], [0, 1], 0.5), [[root, root]], rtol=1e-7)
    np.testing.assert_allclose(along([2, 0], [0, 1], 0.5), [[2 * root, root]], rtol=1e-7)
    third = [np.cos(np.pi / 6), np.sin(np.pi / 6)]  # a third of a quarter turn
    np.testing.assert_allclose(along([1, 0], [0, 1], 1 / 3), [third], rtol=1e-7)


def test_vectors_without_one_way_between_them_are_mixed_linearly():
    np.testing.assert_array_equal(along([1, 2], [1, 2], 0, 0.3, 1), [[1, 2]] * 3)
    np.testing.assert_array_equal(along([1, 2], [3, 6], 0.5), [[2, 4]])
    np.testing.assert_array_equal(along([1, 2], [-1, -2], 0.25, 0.5), [[0.5, 1], [0, 0]])
    np.testing.assert_array_equal(along([0, 0], [1, 2], 0.5), [[0.5, 1]])
    np.testing.assert_array_equal(along([1e-30, 0], [0, 0], 0.5), np.float32([[0.5e-30, 0]]))


def test_the_way_between_latents_keeps_their_length_and_their_ends():
    a, b = np.asarray(latents(0, [0, 1], 64))
    b = b * (np.linalg.norm(a) / np.linalg.norm(b))
    way = along(a, b, 0, 0.1, 0.5, 0.9, 1)
    assert way.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(way, axis=1), np.linalg.norm(a), rtol=1e-6)
    np.testing.assert_array_equal(way[[0, -1]], [a, b])
    linear = 0.5 * (a + b)
    assert np.linalg.norm(linear) < 0.9 * np.linalg.norm(way[2])
