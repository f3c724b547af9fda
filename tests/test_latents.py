"""The contract of seeds, indices and labels."""

import jax
import numpy as np
import pytest
from latent_vectors import FILE, lines

from jaxgan.errors import UserError
from jaxgan.latents import cycle, latents, parse_labels


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
