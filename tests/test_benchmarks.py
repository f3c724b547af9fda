"""The benchmarks count right, measure in turn and list what they leave out; no speed is tested."""

import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from functools import partial

import numpy as np
import pytest
from conftest import ROOT, call, python, refused

from benchmarks import dcgan, generate, quality, quality_report, rounds, scaling, train, train_step
from benchmarks.step import maps
from jaxgan.commands import cli
from jaxgan.data.dataset import load
from jaxgan.errors import UserError
from jaxgan.metrics.requested import requested_labels
from jaxgan.runs.lock import Lock
from jaxgan.runs.log import read_log


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


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
def test_the_program_times_its_own_calls(tmp_path):
    generate._prepare(generate._snapshot(None), (2,), tmp_path)
    sides = [
        generate._program("start_calls", tmp_path, model, 2, 1)
        for model in ("generate_2.tflite", "x")
    ]
    timing, absent = rounds.measure(sides, 2)
    row = generate._own_figures(timing, 2, 1)
    assert len(row.p50) == len(row.p95) == len(row.mean) == 2
    assert all(0 < p50 <= p95 for p50, p95 in zip(row.p50, row.p95, strict=True))
    assert "x" in absent.missing and generate._own_figures(absent, 2, 1).missing == absent.missing


def benchmark(module, *arguments):
    """Run a benchmark's command line in this process."""
    command = partial(cli.run, module.main, module.Options)
    return call(command, f"python -m {module.__name__}", *arguments)


@pytest.mark.parametrize("module", [train_step, generate, scaling])
def test_wrong_options_are_named(module, tmp_path):
    refused(benchmark(module, "--round", "3"), 2, "--round")
    refused(benchmark(module, "--rounds", "0"), 2, "--rounds", "at least 1")
    refused(benchmark(module, "--json", tmp_path), 2, "--json", "folder")


def test_the_clock_of_training_leaves_out_compiling_and_drawing():
    seen = []

    def step(index):
        time.sleep(0.01 if seen else 1.0)  # the first one compiles
        seen.append(index)

    def draw(latent, label):
        time.sleep(1.0)
        return np.zeros((len(latent), 28, 28, 1))

    task = train.Task("", "", (0.001, 0.003), 0, True, requested_labels(np.arange(7), 12), None)
    peer = train.Peer(3, 10, step, lambda: None, draw)
    early, late = train.timed(peer, task, 7)
    assert 0.06 <= early.seconds < late.seconds and 0.18 <= late.seconds < 1
    assert early.seen < late.seen == 3 * len(seen)
    assert len({*seen[0], *seen[1]}) == 6 == len({*seen[2], *seen[3]})  # two batches an epoch
    assert sorted(late.label[:7]) == list(range(7)) and (late.label[7:] == late.label[:5]).all()


def measured(data_dir, folder, *options):
    """Run the quality benchmark for 0.05 minutes; return its rows and the steps of its run."""
    done = python(
        "-m", "benchmarks.quality", "--minutes", "0.05", "--seeds", "0", *options,
        "--data-dir", data_dir, "--out", folder, "--keep", folder / "kept",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    lines = map(json.loads, (folder / "mnist.jsonl").read_text().splitlines())
    logs = [read_log(path) for path in folder.glob("kept/mnist/*/run/metrics.jsonl")]
    return [line for line in lines if "side" in line], [log[-1].step for log in logs]


@pytest.mark.slow
def test_ours_is_trained_once_and_kept_images_are_measured_again(data_dir, tmp_path):
    options = data_dir, tmp_path, "--sides", "jaxgan"
    rows, (steps,) = measured(*options)
    assert (
        len(rows) == 1
        and rows[0]["seen"] == steps * 64
        and rows[0]["seconds"] >= 3
        and rows[0]["fid"] > 0
    )
    shutil.rmtree(tmp_path / "kept" / "mnist" / "jaxgan-0" / "run")
    (tmp_path / "mnist.jsonl").unlink()
    assert measured(*options) == (rows, [])


@pytest.mark.slow
def test_ours_by_a_pace_sees_no_more_images_than_its_row_has(data_dir, tmp_path):
    rows, (steps,) = measured(data_dir, tmp_path, "--sides", "--variants", "width=8", "--pace=1300")
    assert steps == 3 * (1000 // 64)  # 3.9 epochs
    assert rows[0]["seen"] == steps * 64 and rows[0]["seconds"] == rows[0]["seen"] / 1300


@pytest.mark.slow
@pytest.mark.parametrize("labels", [False, True])
@pytest.mark.parametrize("library", ["tensorflow", "pytorch"])
def test_a_peer_trains_and_draws(library, labels, data_dir, tmp_path):
    if library == "pytorch" and importlib.util.find_spec("torch") is None:
        pytest.skip("torch is not installed")
    wanted = requested_labels(load("mnist", str(data_dir)).label, 8)
    task = train.Task("mnist", str(data_dir), (0.001, 0.002), 0, labels, wanted, tmp_path)
    for mark in train.run(library, task):
        assert mark.seen > 0 and mark.seconds >= 60 * mark.minutes
        assert mark.image.shape == (8, 28, 28, 1) and mark.image.dtype == np.uint8
        assert mark.image.std() > 0
        assert mark.label.tolist() == wanted.tolist() if labels else mark.label is None
    assert mark.minutes == task.minutes[-1]


@pytest.mark.slow
def test_a_pace_counts_minutes_in_images(data_dir, tmp_path):
    label = np.arange(8)
    task = train.Task("mnist", str(data_dir), (0.1, 0.2), 0, True, label, tmp_path, pace=200.0)
    seen = [mark.seen for mark in train.run("tensorflow", task)]
    assert seen == [1280, 2560]  # 6 and 12 s at 200 images/s: whole batches of 256


def test_quality_is_reported_from_rows_alone(tmp_path):
    metrics = dict.fromkeys(
        ("fid_train", "kid", "precision", "recall", "density", "coverage", "histogram_kl",
         "nearest"), 0.25,
    )  # fmt: skip
    common = {"minutes": 2, "seconds": 120.0, "seen": 60_000, **metrics}
    lines = [
        {"control": "real train", "fid": 0.3, "agreement": 0.99, **metrics},
        {"side": "jaxgan", "seed": 0, "fid": 3.0, "agreement": 0.98, **common},
        {"side": "jaxgan", "seed": 1, "fid": 5.0, "agreement": 0.98, **common},
        {"side": "PyTorch example", "seed": 0, "fid": 36.0, "agreement": None, **common},
        {"side": "jaxgan loss=rpgan", "seed": 0, "fid": 2.0, "agreement": 0.97, **common,
         "device": "NVIDIA", "pace": 500.0},
    ]  # fmt: skip
    rows = tmp_path / "mnist.jsonl"
    rows.write_text("".join(json.dumps(line) + "\n" for line in lines))
    done = benchmark(quality, "--report-only", "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "mnist.md").read_text()
    ours, peer = (
        next(line for line in text.splitlines() if line.startswith(f"| {name} |"))
        for name in ("jaxgan", "PyTorch example")
    )
    assert (
        "| 2 | cpu | clock | 2 ± 0 | 60,000 ± 0 | 500 ± 0 | 4 ± 1.41 |" in ours
        and "| 1 | — |" in ours
    )
    assert "| 36 |" in peer and "| 9 | — |" in peer  # 36 / 4; no side without labels
    assert "| real train | — | — | — | — | — | — | 0.3 |" in text
    assert "| jaxgan loss=rpgan | 1 | NVIDIA | images | 2 |" in text  # a variant
    assert "Not measured: jaxgan, no labels; TensorFlow tutorial" in text
    assert (tmp_path / "mnist.png").stat().st_size > 5000


def test_kept_images_have_what_their_row_has(tmp_path):
    image = np.arange(784, dtype=np.uint8).reshape(1, 28, 28, 1)
    for label, pace in ((np.array([3]), 2750.0), (None, None)):
        mark = train.Mark(2.0, 121.5, 333, image, label, "NVIDIA", pace, "4f00ba7")
        quality._keep(mark, tmp_path / "2.npz")
        kept = quality._kept(tmp_path / "2.npz")
        assert (kept.image == image).all() and kept.label == label
        assert kept._replace(image=0, label=0) == mark._replace(image=0, label=0)


@pytest.mark.slow
def test_a_killed_benchmark_ends_its_training(data_dir, tmp_path):
    options = ("--minutes", "9", "--seeds", "0", "--sides", "jaxgan", "--data-dir", str(data_dir))
    folders = ("--keep", str(tmp_path), "--out", str(tmp_path))
    run_dir = tmp_path / "mnist" / "jaxgan-0" / "run"
    running = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.quality", *options, *folders],
        cwd=ROOT, start_new_session=True, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        wait_until(lambda: (run_dir / "metrics.jsonl").exists() and is_taken(run_dir))
        running.terminate()
        assert running.wait(60) == 143
        wait_until(lambda: not is_taken(run_dir))
    except BaseException:
        os.killpg(running.pid, signal.SIGKILL)
        raise


def is_taken(run_dir):
    try:
        with Lock(run_dir):
            return False
    except UserError:
        return True


def wait_until(is_so, seconds=120):
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.1)


def test_a_variant_without_labels_is_one_without():
    assert quality_report.library_of("jaxgan no-conditional components=16") == ("ours", False)
    assert quality_report.library_of("jaxgan loss=rpgan") == ("ours", True)


def test_wrong_options_of_quality_are_named(tmp_path):
    refused(benchmark(quality, "--sides", "keras"), 2, "--sides", "keras")
    refused(benchmark(quality, "--sides"), 2, "--sides", "--variants", "got none")
    refused(benchmark(quality, "--minutes", "0"), 2, "--minutes", "above 0")
    refused(benchmark(quality, "--pace", "900"), 2, "--pace", "one of --sides")
    for taken in ("seed=5", "r1=2 run-dir=x", "no-convert"):
        wrong = ("--variants", taken)
        refused(benchmark(quality, *wrong), 2, "--variants", "set by the benchmark")
    for wrong in ("r1", "--r1=2", "no-", "r1=2 r2="):
        refused(benchmark(quality, f"--variants={wrong}"), 2, "--variants", wrong)
    refused(
        benchmark(quality, "--report-only", "--out", tmp_path), 2, "no rows"
    )  # fmt: skip
