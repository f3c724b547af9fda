"""Measuring a generator: the function, the command, its table, its file."""

import json

import numpy as np
import pytest
from conftest import call, python, refused

from jaxgan import Generator, evaluate
from jaxgan.commands import evaluate as command
from jaxgan.data import dataset
from jaxgan.drawing.evaluation import draw_requested
from jaxgan.drawing.generator import draw_latents, to_levels
from jaxgan.errors import UserError
from jaxgan.metrics import features
from jaxgan.metrics.reference import Row, Triples


@pytest.fixture(scope="module")
def evaluation(model, data_dir, tmp_path_factory):
    out = tmp_path_factory.mktemp("evaluation") / "evaluation.json"
    done = python(
        "-m", "jaxgan", "evaluate", "--model", model, "--data-dir", data_dir, "--images", "300",
        "--out", out,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout, json.loads(out.read_text())


def test_the_table_has_the_model_and_the_control_rows(evaluation):
    shown, content = evaluation
    rows = content["rows"]
    assert next(iter(rows)) == "generator.tflite"
    assert len(rows) == 4
    for name, row in rows.items():
        line = next(line for line in shown.splitlines() if line.startswith(name))
        assert set(row) == set(Row._fields)
        assert {f"{row['fid']:.4g}", f"{row['nearest']:.4g}"} <= set(line.split())
    assert rows["real test"]["fid"] == pytest.approx(0, abs=1e-9)  # but for rounding
    # A generator of two epochs of a thousand digits is worse than real digits in every way.
    mine, real = rows["generator.tflite"], rows["real train"]
    assert mine["fid"] > 10 * real["fid"]
    assert mine["agreement"] < real["agreement"]


def test_a_run_is_measured_as_its_file_is(evaluation, run_dir, data_dir):
    rows = evaluate(run_dir, data_dir=str(data_dir), images=300)
    assert next(iter(rows)) == run_dir.name
    # Rounding to grey levels may differ by one.
    expected = evaluation[1]["rows"]["generator.tflite"]["fid"]
    assert rows[run_dir.name].fid == pytest.approx(expected, rel=1e-3)


def test_the_function_gives_the_rows_of_the_command(evaluation, model, data_dir):
    with Generator(model) as generator:
        rows = evaluate(generator, data_dir=str(data_dir), images=300)
        assert next(iter(rows)) == generator.name
    expected = evaluation[1]["rows"]
    assert [row._asdict() for row in rows.values()] == list(expected.values())


def test_requested_labels_are_drawn_in_parts(model):
    labels = np.arange(2_100) % 7
    with Generator(model) as generator:
        drawn, requested = draw_requested(generator, 3, labels, first=5)
        np.testing.assert_array_equal(requested, labels)
        latents = draw_latents(3, np.arange(2_050, 2_105), 64)
        values = generator.draw_values(latents, labels[2_045:])
    assert np.abs(drawn[2_045:].astype(int) - to_levels(values)).max() <= 1


def test_stacked_digits_are_counted_in_triples(data_dir):
    triples = dataset.load("stacked_mnist", str(data_dir), "test")
    assert triples.image.shape == (26_000, 28, 28, 3)
    assert triples.spec.classes == 0
    digits = dataset.load("mnist", str(data_dir), "test")
    same = (digits.image[..., 0] == triples.image[0, ..., 0]).all((1, 2))
    assert triples.label[0] // 100 in digits.label[same]
    reference = Triples(features.load("mnist"), triples)
    (row,) = reference.controls().values()
    # The fixture's digits come in uneven shares, so their triples do, too.
    exact = np.bincount(triples.label, minlength=1000) / len(triples.label)
    exact = exact[exact > 0]
    assert row.modes == pytest.approx(len(exact), abs=20)
    assert row.kl == pytest.approx(np.sum(exact * np.log(1000 * exact)), abs=0.05)


def test_other_classes_are_refused(model, data_dir):
    with Generator(model) as generator:
        generator.classes = 3
        with pytest.raises(UserError, match="3 classes, expected 10"):
            evaluate(generator, data_dir=str(data_dir))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--images", "7"), ("--images", "100", "7")),
        (("--seed", "-1"), ("--seed", "4294967295")),
        (("--dataset", "kmnist"), ("--dataset kmnist is not prepared", "(there: mnist)")),
        (("--dataset", "stacked_mnist"), ("28x28x1", "28x28x3")),
        (("--step", "20"), ("--step", "run directory")),
    ],
)
def test_wrong_options_are_named(model, data_dir, tmp_path, options, words):
    arguments = (
        "--model", model, "--data-dir", data_dir, "--out", tmp_path / "no.json", *options,
    )  # fmt: skip
    refused(call(command.command, "jaxgan evaluate", *arguments), 2, *words)
    assert not (tmp_path / "no.json").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [({"images": 7}, "images: expected 100 to 1000000"), ({"seed": -1}, "seed: expected 0")],
)
def test_wrong_arguments_are_named(model, arguments, words):
    with pytest.raises(UserError, match=words):
        evaluate(model, **arguments)


def test_every_network_has_the_weights_that_are_meant():
    assert set(features.known()) == {"mnist", "fashion_mnist", "stacked_mnist"}
    for name in features.known():
        assert sum(value.size for value in features.load(name).values()) < 500_000
    assert all(path.stat().st_size <= 1 << 20 for path in features._FOLDER.glob("*.npz"))
