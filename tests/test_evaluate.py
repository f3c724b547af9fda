"""Measuring a generator: the command, its table, its file."""

import json

import numpy as np
import pytest
from conftest import python, refused

from jaxgan import data, drawing, evaluate, judge
from jaxgan.errors import UserError
from jaxgan.metrics import features, table


@pytest.fixture(scope="module")
def evaluation(model, data_dir, tmp_path_factory):
    out = tmp_path_factory.mktemp("evaluation") / "evaluation.json"
    done = python(
        "-m", "jaxgan.evaluate", "--model", model, "--data-dir", data_dir, "--images", "300",
        "--out", out,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout, json.loads(out.read_text())


def test_the_table_has_the_model_and_the_control_rows(evaluation):
    shown, content = evaluation
    rows = content["rows"]
    assert next(iter(rows)) == "generator.tflite"
    assert len(rows) == 4
    for name, row in rows.items():
        line = next(line for line in shown.splitlines() if line.startswith(name))
        assert set(row) == set(table.Row._fields)
        assert {f"{row['fid']:.4g}", f"{row['nearest']:.4g}"} <= set(line.split())
    assert rows["real test"]["fid"] == 0.0
    # A generator of two epochs of a thousand digits is worse than real digits in every way.
    mine, real = rows["generator.tflite"], rows["real train"]
    assert mine["fid"] > 10 * real["fid"]
    assert mine["agreement"] < real["agreement"]


def test_a_run_is_measured_as_its_file_is(evaluation, run_dir, data_dir, tmp_path):
    out = tmp_path / "run.json"
    done = python(
        "-m", "jaxgan.evaluate", "--model", run_dir, "--data-dir", data_dir, "--images", "300",
        "--out", out,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    row = json.loads(out.read_text())["rows"][run_dir.name]
    # Rounding to grey levels may differ by one.
    assert row["fid"] == pytest.approx(evaluation[1]["rows"]["generator.tflite"]["fid"], rel=1e-3)


def test_stacked_digits_are_counted_in_triples(data_dir):
    triples = data.load("stacked_mnist", str(data_dir), "test")
    assert triples.image.shape == (26_000, 28, 28, 3)
    assert triples.spec.classes == 0
    digits = data.load("mnist", str(data_dir), "test")
    same = (digits.image[..., 0] == triples.image[0, ..., 0]).all((1, 2))
    assert triples.label[0] // 100 in digits.label[same]
    reference = table.Triples(features.load("mnist"), triples)
    (row,) = reference.controls().values()
    # The fixture's digits come in uneven shares, so their triples do, too.
    exact = np.bincount(triples.label, minlength=1000) / len(triples.label)
    exact = exact[exact > 0]
    assert row.modes == pytest.approx(len(exact), abs=20)
    assert row.kl == pytest.approx(np.sum(exact * np.log(1000 * exact)), abs=0.05)


def test_other_classes_are_refused(model, data_dir, monkeypatch):
    other = drawing.open_model(model)._replace(classes=3)
    monkeypatch.setattr(drawing, "open_model", lambda path, step: other)
    with pytest.raises(UserError, match="3 classes, expected 10"):
        evaluate.main(evaluate.EvaluateConfig(model, data_dir=str(data_dir)))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--images", "7"), ("--images", "100", "7")),
        (("--seed", "-1"), ("--seed", "4294967295")),
        (("--dataset", "kmnist"), ("kmnist", "feature network", "mnist")),
        (("--dataset", "stacked_mnist"), ("28x28x1", "28x28x3")),
    ],
)
def test_wrong_options_are_named(model, data_dir, tmp_path, options, words):
    done = python(
        "-m", "jaxgan.evaluate", "--model", model, "--data-dir", data_dir,
        "--out", tmp_path / "no.json", *options,
    )  # fmt: skip
    refused(done, 2, *words)
    assert not (tmp_path / "no.json").exists()


@pytest.mark.parametrize(
    ("quality", "word"),
    [
        ({"fid": 1.0, "recall": 0.7, "histogram_kl": 0.01}, None),
        ({"fid": 1.0, "recall": 0.01, "histogram_kl": 0.01}, "vary"),
        ({"fid": 1.0, "recall": 0.7, "histogram_kl": 0.7}, "classes"),
        ({"fid": 1.0, "recall": 0.7, "histogram_kl": np.log(10 / 9)}, "classes"),  # one is missing
        ({"kl": 0.05, "modes": 1000}, None),
        ({"kl": 3.4, "modes": 99}, "triples"),
    ],
)
def test_a_collapse_is_told(quality, word):
    said = judge.collapse(quality, 10**6)
    assert (said is None) if word is None else (word in said)
    assert judge.collapse(quality, 1000) is None


def test_every_network_has_the_weights_that_are_meant():
    assert set(features.known()) == {"mnist", "fashion_mnist", "stacked_mnist"}
    for name in features.known():
        assert sum(value.size for value in features.load(name).values()) < 500_000
    assert all(path.stat().st_size <= 1 << 20 for path in features._FOLDER.glob("*.npz"))
