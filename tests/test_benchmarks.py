"""The benchmarks count right, measure in turn and say what they leave out; no speed is tested."""

import importlib.util
import json

import pytest
from conftest import python, refused

from benchmarks import dcgan, rounds, scaling
from benchmarks.step import maps


def test_the_products_of_a_step_by_hand():
    # One image: the inner layer is 7 * 7 * 128 sums of 64 * 4 * 4 products, two operations each,
    # and runs 11 times; the outer one 14 * 14 * 64 sums of 16, 9 times. G's dense layer is 100
    # times 6,272, run twice; D's 6,272 times 1, run 8 times.
    inner, outer = 2 * 7 * 7 * 128 * 64 * 16, 2 * 14 * 14 * 64 * 16
    dense = 2 * (2 * 100 * 6272) + 8 * (2 * 6272)
    assert dcgan.gflop(1) * 1e9 == pytest.approx(11 * inner + 9 * outer + dense)
    assert dcgan.gflop(64) == pytest.approx(64 * dcgan.gflop(1))
    assert maps.gflop(2, "inner") * 1e9 == pytest.approx(2 * inner)
    assert maps.gflop(1, "outer", gradients="both") * 1e9 == pytest.approx(2 * outer)


def test_exponents_and_lines():
    assert scaling.exponent({1: 3.0, 2: 12.0, 4: 48.0}) == pytest.approx(2)
    assert scaling.line({1: 5.0, 2: 7.0, 10: 23.0}) == pytest.approx((3, 2))


def test_sides_take_turns_in_processes_of_their_own():
    sides = [
        rounds.Side("product", "benchmarks.step.sgemm:start"),
        rounds.Side("absent", "benchmarks.no_such_module:start"),
        rounds.Side("maps", "benchmarks.step.maps:start", {"batch": 3, "layer": "outer"}),
    ]
    product, absent, layer = rounds.measure(sides, 2)
    assert len(product.seconds) == len(layer.seconds) == 2
    assert min(product.seconds) > 0 and product.first > 0
    assert 10e6 < product.memory < layer.memory  # NumPy alone, and JAX
    assert "no_such_module" in absent.missing


def test_a_small_run_of_the_training_step(tmp_path):
    figures = tmp_path / "figures.json"
    done = python(
        "-m", "benchmarks.train_step",
        "--batches", "2", "--rounds", "1", "--json", figures, "--out", tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    table = (tmp_path / "train_step.md").read_text()
    found = json.loads(figures.read_text())
    assert (tmp_path / "train_step.png").stat().st_size > 5000
    assert found["machine"]["jax"]
    for name in ("jaxgan", "jaxgan without oneDNN", "plain Flax", "TensorFlow"):
        assert found["steps"]["2"][name]["seconds"][0] > 0
        assert f"| {name} |" in table
    if importlib.util.find_spec("torch") is None:
        assert "PyTorch eager was left out: torch is not installed" in table


@pytest.mark.parametrize("name", ["train_step", "generate", "scaling"])
def test_wrong_options_are_named(name, tmp_path):
    refused(python("-m", f"benchmarks.{name}", "--round", "3"), 2, "--round")
    refused(python("-m", f"benchmarks.{name}", "--rounds", "0"), 2, "--rounds", "at least 1")
    refused(python("-m", f"benchmarks.{name}", "--json", tmp_path), 2, "--json", "folder")
