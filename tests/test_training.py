"""The journey of a run: files, resume, interruption, and every way it may be refused."""

import dataclasses
import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import FIXTURE, ROOT, SMALL, call, python, refused, run, train
from PIL import Image

from jaxgan.commands.train import Options, command
from jaxgan.config import GROUPS, ImageSpec, TrainConfig, option, settings
from jaxgan.console.display import Display, duration
from jaxgan.data import dataset, idx
from jaxgan.gan.step import make_gan
from jaxgan.metrics.collapse import collapse
from jaxgan.runs import checkpoint
from jaxgan.runs.lock import Lock
from jaxgan.runs.log import Evaluation, Mark, Started, StepReport, read_log
from jaxgan.runs.run import Run
from jaxgan.runs.store import Store
from jaxgan.training import meter, samples, session
from jaxgan.training import train as training
from jaxgan.training.cadence import cadence

EPOCH = 20  # steps: 1,000 digits in batches of 50


def reports(run_dir):
    return [json.loads(line) for line in (run_dir / "metrics.jsonl").read_text().splitlines()]


@pytest.fixture
def copied(run_dir, tmp_path):
    """A copy of the run, to go on with or to spoil."""
    folder = tmp_path / "run"
    shutil.copytree(run_dir, folder)
    return folder


def same_state(one, other, at=None) -> bool:
    (step, state), (other_step, other_state) = checkpoint.load(one, at), checkpoint.load(other, at)
    equal = jax.tree.map(np.array_equal, state, other_state)
    return step == other_step and all(jax.tree.leaves(equal))


def test_a_run_leaves_the_files_that_were_promised(run_dir):
    names = {path.relative_to(run_dir).as_posix() for path in run_dir.iterdir()}
    assert names == {
        "config.json", "metrics.jsonl", "samples", "state", "loss.png",
        "generator.json", "generator.tflite", ".lock",
    }  # fmt: skip
    samples = sorted(path.name for path in (run_dir / "samples").iterdir())
    assert samples == ["epoch_001.png", "epoch_002.png", "real.png"]
    assert [entry.step for entry in checkpoint.saved(run_dir)] == [EPOCH, 2 * EPOCH]
    for name in samples:  # ten digits a row, a row a class
        with Image.open(run_dir / "samples" / name) as image:
            assert image.size == (280, 280)
    with Image.open(run_dir / "loss.png") as image:
        assert image.size[0] > 500
        assert image.size[1] == 2 * image.size[0] * 3 // 4  # losses, logits, quality, shares


def test_metrics_hold_what_they_should(run_dir):
    lines = reports(run_dir)
    assert [line["step"] for line in lines] == [7, 14, 20, 20, 21, 28, 35, 40, 40]
    assert set(lines[0]) == {
        "step", "epoch", "discriminator_loss", "generator_loss", "real_logit", "fake_logit",
        "penalty", "augmentation", "images_per_second", "seconds",
    }  # fmt: skip
    for look, entry in zip((lines[3], lines[8]), checkpoint.saved(run_dir), strict=True):
        assert entry.score == look["fid"]  # by which the best is kept
        assert set(look) == {
            "step", "epoch", "seconds", "fid", "recall", "agreement", "histogram_kl",
        }  # fmt: skip
        assert look["fid"] > 0 and 0 <= look["recall"] <= 1 and 0 <= look["agreement"] <= 1
    assert lines[2]["epoch"] == 1.0
    seconds = [line["seconds"] for line in lines]
    assert seconds == sorted(seconds) and seconds[0] > 0


def test_config_holds_options_and_images(run_dir):
    run = Run.open(run_dir)
    assert run.count == 1000 and run.origin is None
    assert run.config.width == 8 and run.config.epochs == 2
    assert run.spec.shape == (28, 28, 1) and run.spec.classes == 10


def test_real_digits_stand_a_row_a_class(run_dir, data_dir):
    digits = dataset.load("mnist", str(data_dir))
    with Image.open(run_dir / "samples" / "real.png") as image:
        sheet = np.asarray(image)
    for row in (0, 4, 9):
        first = digits.image[digits.label == row][0, ..., 0]
        np.testing.assert_array_equal(sheet[28 * row : 28 * row + 28, :28], first)


def test_resuming_ends_with_the_bits_of_an_uninterrupted_run(data_dir, run_dir, tmp_path):
    # run_dir went through two epochs at once; here they are two runs of the program.
    for epochs in ("1", "2"):
        done = train(
            "--data-dir", data_dir, "--run-dir", tmp_path / "run", "--epochs", epochs,
            "--evaluate-every", "1", convert=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
    assert "continuing" in done.stdout
    assert same_state(run_dir, tmp_path / "run")
    # One was saved while the next steps already reused the state's buffers, the other at the end.
    assert same_state(run_dir, tmp_path / "run", at=EPOCH)
    both = [
        [{**line, "images_per_second": 0, "seconds": 0} for line in reports(folder)]
        for folder in (run_dir, tmp_path / "run")
    ]
    assert both[0] == both[1]
    for name in ("epoch_001.png", "epoch_002.png", "real.png"):
        one, other = (folder / "samples" / name for folder in (run_dir, tmp_path / "run"))
        assert one.read_bytes() == other.read_bytes()
    assert (run_dir / "generator.tflite").read_bytes() == (
        tmp_path / "run" / "generator.tflite"
    ).read_bytes()


@pytest.mark.parametrize("number", (signal.SIGINT, signal.SIGTERM))
def test_interrupted_runs_save_and_continue_to_the_same_bits(data_dir, run_dir, tmp_path, number):
    folder = tmp_path / "run"
    command = [
        sys.executable, "train.py", *SMALL, "--data-dir", str(data_dir), "--run-dir", str(folder),
    ]  # fmt: skip
    # Many epochs, so that it is surely at work when the signal comes.
    running = subprocess.Popen(
        [*command, "--epochs", "100000"], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    for _ in range(600):
        time.sleep(0.1)
        if (folder / "metrics.jsonl").exists() and reports(folder):
            break
    running.send_signal(number)
    out, err = running.communicate(timeout=60)
    assert running.returncode == 128 + number, err
    assert "saving" in err and "the same command continues it" in out
    assert "Traceback" not in err
    assert not (folder / "generator.tflite").exists()
    (entry,) = checkpoint.saved(folder)
    assert entry.step > 0
    epochs = -(-entry.step // EPOCH) + 1
    done = train("--data-dir", data_dir, "--run-dir", folder, "--epochs", str(epochs))
    assert done.returncode == 0, done.stderr
    whole = tmp_path / "whole"
    done = train("--data-dir", data_dir, "--run-dir", whole, "--epochs", str(epochs))
    assert done.returncode == 0, done.stderr
    assert same_state(folder, whole)


def test_a_finished_run_has_nothing_left_to_do(data_dir, copied):
    before = (copied / "metrics.jsonl").read_text()
    done = train(
        "--data-dir", data_dir, "--run-dir", copied, "--epochs", "2", "--checkpoint-every", "1",
        "--evaluate-every", "1",
    )  # fmt: skip
    assert done.returncode == 0
    assert "nothing to train" in done.stdout
    assert (copied / "metrics.jsonl").read_text() == before


def test_parameter_counts_are_printed(data_dir, tmp_path):
    done = train("--data-dir", data_dir, "--run-dir", tmp_path / "run", "--epochs", "1", "--train-images", "100", "--saved-model", convert=True)  # fmt: skip  # noqa: E501
    assert done.returncode == 0, done.stderr
    project = 64 * 7 * 7 * 16 + 7 * 7 * 16
    generator = project + 10 * 7 * 7 * 16 + 4 * 4 * 8 * 16 + 8 + 4 * 4 * 8 + 1
    assert f"generator {generator:,}" in done.stdout
    assert "100 images" in done.stdout
    assert (tmp_path / "run" / "saved_model" / "saved_model.pb").exists()


def test_without_labels(plain_model):
    run_dir = plain_model.parent
    assert Run.open(run_dir).spec.classes == 0
    with Image.open(run_dir / "samples" / "epoch_001.png") as image:
        assert image.size == (280, 280)


def test_other_options_are_refused_with_the_difference(data_dir, copied):
    def times():
        return sorted(path.stat().st_mtime_ns for path in copied.rglob("*") if path.name != ".lock")

    before = times()
    done = train("--data-dir", data_dir, "--run-dir", copied, "--seed", "5", "--beta1", "0.9")
    assert done.returncode == 2
    assert "other options" in done.stderr and "Traceback" not in done.stderr
    rows = [line.split() for line in done.stderr.splitlines()[1:]]
    assert rows == [
        ["option", "there", "here"], ["--beta1", str(TrainConfig.beta1), "0.9"],
        ["--seed", "0", "5"],
    ]  # fmt: skip
    assert "--fork" in done.stderr
    assert "--epochs" not in done.stderr
    assert times() == before


def test_fewer_epochs_than_done_are_kept(data_dir, copied):
    done = train(
        "--data-dir", data_dir, "--run-dir", copied, "--epochs", "1", "--checkpoint-every", "1",
        "--evaluate-every", "1",
    )  # fmt: skip
    assert done.returncode == 0
    assert checkpoint.load(copied)[0] == 2 * EPOCH


def test_a_loss_that_is_not_finite_stops_the_run(data_dir, copied):
    folder = copied
    # Continue from a state whose discriminator is broken: its next loss is not a number.
    known = Run.open(folder)
    with Store(folder, keep=3) as store:
        state, mark = store.restore_newest(make_gan(known.config, known.spec).init())
        broken = jax.tree.map(lambda leaf: leaf * np.nan, state.params.discriminator)
        params = state.params._replace(discriminator=broken)
        store.save(state._replace(params=params, step=state.step + 3), mark)
    done = train("--data-dir", data_dir, "--run-dir", folder, "--epochs", "4")
    refused(done, 1, "not finite between step 43 and 44", "--learning-rate")
    # Nothing newer was saved, and the last good checkpoint is still there.
    assert [entry.step for entry in checkpoint.saved(folder)] == [20, 40, 43]
    assert np.isfinite(
        checkpoint.load(folder, 40)[1]["params"]["discriminator"]["logits"]["bias"]
    ).all()


def weights(folder, step):
    """Return the largest file of a checkpoint."""
    files = (path for path in (folder / "state" / str(step)).rglob("*") if path.is_file())
    return max(files, key=lambda path: path.stat().st_size)


def cut_short(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip_a_bit(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def remove(path):
    path.unlink()


@pytest.mark.parametrize("spoil", (cut_short, flip_a_bit, remove))
def test_a_damaged_checkpoint_is_named_and_the_one_before_it_used(data_dir, run_dir, copied, spoil):
    folder = copied
    spoil(weights(folder, 40))
    done = train("--data-dir", data_dir, "--run-dir", folder, "--epochs", "2")
    assert done.returncode == 0, done.stderr
    assert f"checkpoint {folder / 'state' / '40'} is damaged" in done.stderr
    assert "from step 20 of 40" in done.stdout
    assert same_state(run_dir, folder)
    assert (folder / "damaged" / "40").is_dir()


def test_a_run_without_a_readable_checkpoint_is_refused_and_kept(data_dir, copied):
    folder = copied
    for step in (20, 40):
        cut_short(weights(folder, step))
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    done = train("--data-dir", data_dir, "--run-dir", folder, "--epochs", "2")
    assert done.returncode == 2
    assert "none of the 2 checkpoints" in done.stderr and "Traceback" not in done.stderr
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_a_torn_line_in_the_metrics_is_left_out(data_dir, copied):
    folder = copied
    with (folder / "metrics.jsonl").open("a") as file:
        file.write('5\n{"step": 41, "epo')
    done = train("--data-dir", data_dir, "--run-dir", folder, "--epochs", "3")
    assert done.returncode == 0, done.stderr
    assert "torn last line was removed" in done.stderr
    assert [line["step"] for line in reports(folder)][-3:] == [49, 56, 60]


@pytest.mark.parametrize("content", (b"", b"{", b'{"settings": {}}', b"\xff\xfe", b"[]"))
def test_a_damaged_config_is_named(data_dir, copied, content):
    (copied / "config.json").write_bytes(content)
    refused(train("--data-dir", data_dir, "--run-dir", copied, "--epochs", "2"), 2, "config.json")


def test_other_data_are_refused(copied, tmp_path):
    few = tmp_path / "idx"
    few.mkdir()
    for path in FIXTURE.glob("*.gz"):
        name = path.name.replace("train", "x").replace("t10k", "train").replace("x-", "t10k-")
        shutil.copy(path, few / name)
    idx.import_idx("mnist", str(tmp_path / "data"), few)
    done = train("--data-dir", tmp_path / "data", "--run-dir", copied, "--epochs", "3")
    refused(done, 2, "1,000 images", "300", "--data-dir")


def test_other_images_are_refused_though_they_are_as_many(data_dir, copied, monkeypatch):
    digits = dataset.load("mnist", str(data_dir))
    other = digits.image.copy()
    other[0, 0, 0] ^= 1
    monkeypatch.setattr(training, "load", lambda *_, **__: digits._replace(image=other, sha256=""))
    done = train("--data-dir", data_dir, "--run-dir", copied, "--epochs", "3")
    refused(done, 2, "other images", "1,000", "--data-dir")


@pytest.mark.parametrize(
    "arguments, words",
    [
        (("--epochs", "0"), ("--epochs", "at least 1", "got 0")),
        (("--epochs", "two"), ("--epochs", "two")),
        (("--batch-size", "1001"), ("--batch-size", "1,000", "1001")),
        (("--train-images", "1001"), ("--train-images", "1,000", "1,001")),
        (("--batch-size", "-1"), ("--batch-size", "at least 1")),
        (("--learning-rate", "0"), ("--learning-rate", "above 0", "got 0")),
        (("--learning-rate", "nan"), ("--learning-rate", "nan")),
        (("--beta1", "1"), ("--beta1", "below 1")),
        (("--seed", "-1"), ("--seed", "4294967295")),
        (("--seed", "4294967296"), ("--seed", "4294967295")),
        (("--epoch", "3"), ("--epoch", "--epochs")),
        (("stray",), ("stray",)),
        (("--saved-model",), ("--saved-model", "--no-convert")),
        (("--data-dir", ""), ("--data-dir", "a folder")),
        (("--dataset", "minst"), ("--dataset minst", "(there: mnist)", "jaxgan data import")),
        (("--dataset", "kmnist"), ("kmnist", "jaxgan data prepare kmnist")),
    ],
)
def test_wrong_options_are_named_and_nothing_is_written(data_dir, tmp_path, arguments, words):
    done = train("--data-dir", data_dir, "--run-dir", tmp_path / "run", *arguments)
    refused(done, 2, *words)
    assert list(tmp_path.iterdir()) == []


def test_a_run_directory_that_cannot_be_written(data_dir, tmp_path):
    (tmp_path / "file").write_text("in the way")
    done = train("--data-dir", data_dir, "--run-dir", tmp_path / "file" / "run", "--epochs", "1")
    refused(done, 5, "file")


@pytest.mark.slow
def test_help_shows_every_option_without_loading_jax(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    code = (
        "import runpy, sys; sys.argv = ['train.py', '--help']\n"
        "try: runpy.run_path('train.py', run_name='__main__')\n"
        "finally: print('LOADED', sorted({'jax', 'tensorflow', 'flax'} & set(sys.modules)))"
    )
    done = python("-c", code)
    assert "LOADED []" in done.stdout
    text = " ".join(call(command, "train.py", "--help").stdout.translate({ord("│"): " "}).split())
    for field in dataclasses.fields(Options):
        start = re.search(rf"{option(field.name)}(,| [A-Z{{])", text)
        default = text[start.end() :].split("(default: ", 1)[1]
        assert default.startswith(f"{shlex.quote(str(field.default))})"), field.name
    assert re.findall(r"╭─ (\w+) options", text) == list(GROUPS)


def test_durations_are_readable():
    assert [duration(value) for value in (4.21, 65, 7385)] == ["4.2s", "1m05s", "2h03m"]


def test_a_signal_during_the_last_save_does_not_end_it(data_dir, tmp_path):
    folder = tmp_path / "run"
    running = subprocess.Popen(
        [sys.executable, "train.py", *SMALL, "--width", "48", "--no-convert", "--data-dir",
         str(data_dir), "--run-dir", str(folder), "--epochs", "1"],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    while running.poll() is None:
        if list(folder.glob("state/.*.new")):
            running.terminate()
            break
        time.sleep(0.001)
    running.communicate(timeout=60)
    assert running.returncode == 128 + signal.SIGTERM
    assert checkpoint.load(folder)[0] == EPOCH


def test_two_trainers_do_not_share_a_run(data_dir, copied):
    with Lock(copied):
        done = train("--data-dir", data_dir, "--run-dir", copied, "--epochs", "3")
    owner = f"pid {os.getpid()} on {socket.gethostname()}"
    refused(done, 2, "another process", owner, "trains in", "--run-dir")
    assert (copied / ".lock").read_text() == ""


def test_the_lock_comes_before_the_options_are_compared(data_dir, copied):
    with Lock(copied):
        done = train("--data-dir", data_dir, "--run-dir", copied, "--seed", "5")
    refused(done, 2, "another process")


def test_a_lock_that_a_killed_process_left_is_taken_over(data_dir, copied):
    folder = copied
    (folder / ".lock").write_text("pid 1 on elsewhere\n")
    done = train("--data-dir", data_dir, "--run-dir", folder, "--epochs", "2")
    assert done.returncode == 0, done.stderr
    assert "the lock that pid 1 on elsewhere left is taken over" in done.stdout


def test_checkpoints_without_a_config_are_refused(data_dir, copied):
    (copied / "config.json").unlink()
    refused(train("--data-dir", data_dir, "--run-dir", copied), 2, "config.json", "--run-dir")


def test_options_may_change_until_there_is_a_checkpoint(data_dir, run_dir, tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    shutil.copy(run_dir / "config.json", folder)
    done = train("--data-dir", data_dir, "--run-dir", folder, "--epochs", "1", "--seed", "3")
    assert done.returncode == 0, done.stderr
    assert Run.open(folder).config.seed == 3


def test_the_log_names_the_convolutions_that_run(data_dir, tmp_path):
    options = ("--data-dir", data_dir, "--run-dir", tmp_path, "--epochs", "1")
    done = train(*options, "--convolution", "gemm")
    assert done.returncode == 0, done.stderr
    assert "convolutions: gemm" in done.stdout
    # Another form continues the run: it differs in rounding only.
    done = train(*options, "--epochs", "2", "--convolution", "xla")
    assert done.returncode == 0, done.stderr
    assert "convolutions: xla" in done.stdout and "from step 20" in done.stdout
    refused(train(*options, "--convolution", "fast"), 2, "--convolution", "fast")


def test_calls_of_several_steps_report_and_save_at_the_same_steps(
    data_dir, run_dir, tmp_path, monkeypatch
):
    monkeypatch.setattr(session, "steps_per_call", lambda: 8)
    known = Run.open(run_dir).config
    config = dataclasses.replace(known, epochs=2, run_dir=str(tmp_path))
    seen = []
    run = training.train(config, watch=seen.append)
    assert run == Run.open(tmp_path)
    reports = [read_log(folder / "metrics.jsonl") for folder in (tmp_path, run_dir)]
    assert [line.step for line in reports[0]] == [line.step for line in reports[1]]
    for mine, theirs in zip(*reports, strict=True):
        if isinstance(mine, Evaluation):
            continue
        assert mine.generator_loss == pytest.approx(theirs.generator_loss, rel=2e-2)
        assert mine.images_per_second is None or mine.images_per_second > 0
    # What watches a training gets the records that the log holds.
    assert seen == [Started(run.config, 0, 2 * EPOCH, EPOCH, EPOCH), *reports[0]]
    assert [entry.step for entry in checkpoint.saved(tmp_path)] == [20, 40]


def test_what_was_compiled_is_kept_for_the_next_start(data_dir, tmp_path):
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache")}
    del environment["JAX_COMPILATION_CACHE_DIR"]
    options = [*SMALL, "--no-convert", "--data-dir", data_dir, "--epochs", "1", "--run-dir"]

    def start(name, *more):
        done = run(sys.executable, "train.py", *options, tmp_path / name, *more, env=environment)
        assert done.returncode == 0, done.stderr
        return {path for path in (tmp_path / "cache").rglob("*") if path.name.endswith("-cache")}

    assert start("none", "--no-compilation-cache") == set()
    first = start("first")
    assert any(path.name.startswith("jit_steps-") for path in first)
    assert start("second") == first
    states = [checkpoint.load(tmp_path / name)[1] for name in ("none", "first", "second")]
    assert len(set(map(checkpoint.fingerprint, states))) == 1


@pytest.mark.parametrize("options", [("--train-images", "50"), ("--train-images", "100")])
def test_an_epoch_may_be_a_step_or_two(data_dir, tmp_path, options):
    # The first call of a process then ends an epoch and reports at once.
    options = (*options, "--data-dir", data_dir, "--run-dir", tmp_path, "--epochs")
    for epochs in ("1", "2"):
        done = train(*options, epochs)
        assert done.returncode == 0, done.stderr
        assert f"epoch {epochs}/{epochs}" in done.stdout


def test_a_run_ends_by_the_training_clock_and_goes_on_by_it(data_dir, tmp_path):
    options = ("--data-dir", data_dir, "--run-dir", tmp_path / "run", "--epochs", "1")
    ends = []
    for minutes in ("0.03", "0.06"):
        done = train(*options, "--minutes", minutes, "--evaluate-every", "1000")
        assert done.returncode == 0, done.stderr
        last = reports(tmp_path / "run")[-1]
        assert "fid" in last  # the end is evaluated, whatever the interval
        assert 60 * float(minutes) <= last["seconds"] < 60 * float(minutes) + 2
        assert checkpoint.load(tmp_path / "run")[0] == last["step"]
        ends.append(last["step"])
    assert EPOCH < ends[0] < ends[1]
    assert f"continuing {tmp_path / 'run'} from step {ends[0]}" in done.stdout


def test_the_end_is_scored_though_a_checkpoint_is_due_there(data_dir, tmp_path):
    done = train(
        "--data-dir", data_dir, "--run-dir", tmp_path / "run", "--minutes", "0.02",
        "--checkpoint-minutes", "0.0001", "--evaluate-every", "1000",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert checkpoint.saved(tmp_path / "run")[-1].score == reports(tmp_path / "run")[-1]["fid"]


@pytest.mark.parametrize(("step", "told"), [(4_999, False), (5_000, True)])
def test_a_collapse_is_a_warning_on_the_line(capsys, step, told):
    metrics = {"fid": 3.0, "recall": 0.5, "histogram_kl": 0.3}
    warning = collapse(metrics, 50 * step, 10)
    Display()(Evaluation(step, step / EPOCH, 1.0, metrics, warning))
    shown = capsys.readouterr().out
    assert "fid 3  recall 0.5  histogram kl 0.3" in shown
    assert ("WARNING: some classes are hardly drawn" in shown) == told


def test_no_time_is_left_to_show_before_the_pace_is_known(capsys):
    # The first call may end an epoch: it was compiled, which says nothing of the pace.
    display = Display()
    display(Started(TrainConfig(epochs=10), 0, 10, 1, 1))
    losses = (1.0, 1.0, 0.0, 0.0, 0.0, 0.0)
    display(StepReport(1, 1.0, 0.0, *losses))
    assert capsys.readouterr().out == "epoch 1/10  step 1/10  D 1.000  G 1.000\n"
    display(StepReport(2, 2.0, 1.0, *losses, images_per_second=64.0))
    shown = capsys.readouterr().out
    assert "64 images/s" in shown
    assert re.search(r"  [0-9.]+s left$", shown.strip())


def test_a_first_call_that_ends_an_epoch_reports_no_pace(data_dir, tmp_path):
    options = ("--train-images", "50", "--epochs", "3", "--data-dir", data_dir)
    done = train(*options, "--run-dir", tmp_path)
    assert done.returncode == 0, done.stderr
    paces = ["images_per_second" in line for line in reports(tmp_path)]
    assert paces == [False, True, True]
    assert "h" not in done.stdout.partition("step 1/3")[2].partition("\n")[0]


@pytest.mark.slow
def test_the_newest_checkpoints_are_kept_and_the_best(tmp_path):
    gan = make_gan(TrainConfig(width=4, latent_size=8), ImageSpec((28, 28, 1), 10))
    state = gan.init()
    scores = [None, 5.0, 2.0, 3.0, None, 4.0]
    with Store(tmp_path, keep=2) as store:
        for step, score in enumerate(scores, 1):
            store.save(state._replace(step=jnp.int32(step)), Mark(), score)
    kept = [3, 5, 6]  # the best has 2.0
    assert [entry.step for entry in checkpoint.saved(tmp_path)] == kept
    assert sorted(int(path.name) for path in (tmp_path / "state").iterdir()) == kept
    with Store(tmp_path, keep=2) as store:  # the scores are read from the disk
        for step in (7, 8, 9):
            store.save(state._replace(step=jnp.int32(step)), Mark(), 9.0)
    saved = {entry.step: entry.score for entry in checkpoint.saved(tmp_path)}
    assert saved == {3: 2.0, 8: 9.0, 9: 9.0}


def test_stacked_digits_train_without_labels(data_dir, tmp_path):
    done = train(
        "--dataset", "stacked_mnist", "--train-images", "500", "--epochs", "1",
        "--evaluate-every", "1", "--data-dir", data_dir, "--run-dir", tmp_path / "run",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "no classes" in done.stdout
    assert {"kl", "modes"} <= set(reports(tmp_path / "run")[-1])
    with Image.open(tmp_path / "run" / "samples" / "real.png") as image:
        assert image.mode == "RGB"


def test_rows_of_real_images_match_those_of_the_samples(data_dir, tmp_path):
    # A class without images leaves its row black; thousands of classes do not make a huge sheet.
    digits = dataset.load("mnist", str(data_dir))
    kept = digits.label != 4
    some = digits._replace(image=digits.image[kept], label=digits.label[kept])
    samples.write_real(tmp_path, digits.spec, some)
    with Image.open(tmp_path / "samples" / "real.png") as image:
        sheet = np.asarray(image)
    assert sheet.shape == (280, 280)
    assert sheet[4 * 28 : 5 * 28].max() == 0
    first = some.image[some.label == 5][0, ..., 0]
    np.testing.assert_array_equal(sheet[5 * 28 : 6 * 28, :28], first)
    many = samples.rows(ImageSpec((28, 28, 1), 1000))
    assert len(many) == len(set(many)) == 20 and many.max() < 1000


def test_defaults_that_depend_on_the_data_are_written_and_kept(data_dir, plain_model, tmp_path):
    run = Run.open(plain_model.parent)
    assert (run.config.loss, run.config.components) == ("rpgan", 32)
    folder = tmp_path / "run"
    shutil.copytree(run.path, folder)
    content = json.loads((folder / "config.json").read_text())
    content["settings"]["loss"] = "hinge"  # as if another version had decided otherwise
    (folder / "config.json").write_text(json.dumps(content))
    options = ("--no-conditional", "--data-dir", data_dir, "--run-dir", folder, "--epochs", "2")
    assert train(*options).returncode == 0
    assert Run.open(folder).config.loss == "hinge"
    done = train(*options, "--loss", "rpgan")
    assert done.returncode == 2
    assert ["--loss", "hinge", "rpgan"] in [line.split() for line in done.stderr.splitlines()]


def test_a_run_that_is_older_than_an_option_continues(data_dir, copied):
    path = copied / "config.json"
    content = json.loads(path.read_text())
    added = [name for name, known in settings().items() if known.neutral is not dataclasses.MISSING]
    for name in added:
        del content["settings"][name]
    path.write_text(json.dumps(content))
    known = Run.open(copied).config
    assert {name: getattr(known, name) for name in added} == {
        name: settings()[name].neutral for name in added
    }
    done = train("--data-dir", data_dir, "--run-dir", copied, "--epochs", "3")
    assert done.returncode == 0, done.stderr
    assert "from step 40 of 60" in done.stdout
    content["settings"]["more"] = 1
    path.write_text(json.dumps(content))
    done = train("--data-dir", data_dir, "--run-dir", copied, "--epochs", "3")
    refused(done, 2, "config.json is damaged", "more is unknown")


def test_it_trains_in_a_thread_and_stops_when_asked(data_dir, tmp_path):
    import threading

    config = TrainConfig(
        width=8, batch_size=50, evaluate_every=0, epochs=100_000, report_every=7,
        data_dir=str(data_dir), run_dir=str(tmp_path / "run"),
    )  # fmt: skip
    stop, found, handlers = threading.Event(), [], [signal.getsignal(n) for n in (2, 15)]

    def watch(record):
        if isinstance(record, StepReport) and record.step >= EPOCH:
            stop.set()

    def work():
        found.append(training.train(config, watch=watch, stop=stop.is_set))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(120)
    assert [entry.step for entry in checkpoint.saved(found[0].path)][-1] >= EPOCH
    assert [signal.getsignal(n) for n in (2, 15)] == handlers
    assert not (tmp_path / "run" / "generator.tflite").exists()
    assert meter.is_due(EPOCH, config, cadence(config, 1_000))
