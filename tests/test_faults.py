"""Nothing lost: what a run is after kills, damage, full disks and changed settings.

``make soak`` does the same at full length (tests/soak.py).
"""

import errno
import itertools
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
import warnings

import faults
import orbax.checkpoint as ocp
import pytest
from conftest import refused

from jaxgan.config import TrainConfig
from jaxgan.errors import UserError
from jaxgan.gan.step import state_shape
from jaxgan.runs import checkpoint, seal
from jaxgan.runs.log import Log, Mark, StepReport, read_log
from jaxgan.runs.run import Run
from jaxgan.runs.store import Store
from jaxgan.training.train import train

EPOCHS = ("--epochs", "8")


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    return faults.prepare(tmp_path_factory.mktemp("digits"))


@pytest.fixture(scope="module")
def whole(digits, tmp_path_factory):
    """A run of eight epochs that nothing befell."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    done = faults.finish(folder, digits, *EPOCHS)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def half(whole, tmp_path):
    """The same run as it was after four epochs."""
    folder = tmp_path / "half"
    shutil.copytree(whole, folder)
    for step in (120, 160):
        shutil.rmtree(folder / "state" / str(step), ignore_errors=True)
    kept = checkpoint.saved(folder)[-1].step
    assert kept == 80
    return folder


def same(run_dir, other):
    found, expected = faults.remains(run_dir), faults.remains(other)
    assert found.keys() == expected.keys()
    assert [name for name in found if found[name] != expected[name]] == []


def test_ten_kills_change_nothing(digits, tmp_path):
    epochs = ("--epochs", "30", "--convert")
    done = faults.finish(tmp_path / "whole", digits, *epochs)
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "killed"
    aims = itertools.islice(itertools.cycle((faults.IN_WRITING, faults.ANYWHERE)), 10)
    arguments = faults.command(folder, digits, *epochs)
    kills = faults.killed_run(folder, arguments, aims, random.Random(0))
    assert any(kill.writing is not None for kill in kills)
    same(folder, tmp_path / "whole")


def test_a_second_signal_leaves_at_once(digits, tmp_path):
    running = subprocess.Popen(
        faults.command(tmp_path / "run", digits, "--epochs", "100000"),
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    while faults.reported(tmp_path / "run") == 0:
        assert running.poll() is None, running.stderr.read()
        time.sleep(0.05)
    running.send_signal(signal.SIGINT)
    assert "press again to quit immediately" in running.stderr.readline()
    running.send_signal(signal.SIGINT)
    assert running.wait(30) == 130
    with running.stderr as stderr:
        assert "Traceback" not in stderr.read()


def test_minutes_between_checkpoints_save_within_an_epoch(digits, whole, tmp_path):
    often = ("--checkpoint-minutes", "1e-4", "--keep-checkpoints", "100")
    done = faults.finish(tmp_path / "run", digits, *EPOCHS, *often)
    assert done.returncode == 0, done.stderr
    steps = [entry.step for entry in checkpoint.saved(tmp_path / "run")]
    assert any(step % faults.EPOCH for step in steps)
    same(tmp_path / "run", whole)
    seconds = [record.seconds for record in read_log(tmp_path / "run" / "metrics.jsonl")]
    assert seconds == sorted(seconds) and seconds[-1] > seconds[0]
    # Each of them is a place to go on from.
    for step in steps:
        if step > 30:
            shutil.rmtree(tmp_path / "run" / "state" / str(step))
    done = faults.finish(tmp_path / "run", digits, *EPOCHS)
    assert "continuing" in done.stdout
    same(tmp_path / "run", whole)


@pytest.mark.parametrize("damage", faults.DAMAGES, ids=lambda damage: damage.__name__)
def test_each_damaged_file_is_named_and_the_checkpoint_before_used(whole, tmp_path, damage, caplog):
    run = Run.open(whole)
    shape = state_shape(run.config, run.spec)
    for name in faults.files(whole / "state" / "160"):
        folder = tmp_path / "run"
        shutil.copytree(whole, folder)
        damage(folder / "state" / "160" / name)
        with Store(folder, keep=3) as store:
            assert int(store.restore_newest(shape).state.step) == 120
        warning = caplog.text
        caplog.clear()
        assert f"{folder / 'state' / '160'} is damaged: " in warning and name.name in warning
        assert (folder / "damaged" / "160").is_dir()
        assert faults.newest(folder) == 120
        shutil.rmtree(folder)


def test_a_pipe_in_place_of_a_file_is_not_waited_for(digits, whole, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(whole, folder)
    seal = folder / "state" / "160" / "checkpoint.json"
    seal.unlink()
    os.mkfifo(seal)
    done = faults.finish(folder, digits, *EPOCHS)
    assert done.returncode == 0 and "no regular file" in done.stderr
    same(folder, whole)


@pytest.mark.parametrize("spoil", ("missing", "torn", "changed"))
def test_metrics_are_put_back(half, digits, whole, spoil):
    path = half / "metrics.jsonl"
    content = path.read_bytes()
    if spoil == "missing":
        path.unlink()
    elif spoil == "torn":
        path.write_bytes(content + b'{"step": 161, "ep')
    else:
        path.write_bytes(content[:200].replace(b"1", b"7") + content[200:])
    done = faults.finish(half, digits, *EPOCHS)
    assert done.returncode == 0
    expected = "a torn last line was removed" if spoil == "torn" else "put back"
    assert f"{path}" in done.stderr and expected in done.stderr
    same(half, whole)


def report(step):
    return StepReport(step, step / 10, float(step), 1.0, 1.0, 0.0, 0.0, 0.0, 0.0)


def test_dropped_lines_of_an_end_are_no_damage(tmp_path, caplog):
    path, copy = tmp_path / "metrics.jsonl", tmp_path / "copy"
    with Log(path, copy, Mark()) as log:
        for step in (7, 10):
            log(report(step))
        mark, kept = log.mark(), path.read_bytes()
        log.drop_last_step(lambda record: record.step == 10)
        log(report(14))
    with Log(path, copy, mark):
        assert path.read_bytes() == kept
    assert caplog.text == ""


@pytest.mark.parametrize("spoil", ("missing", "changed", "both"))
def test_a_log_is_put_back_from_its_copy(tmp_path, caplog, spoil):
    path, copy = tmp_path / "metrics.jsonl", tmp_path / "copy"
    with Log(path, copy, Mark()) as log:
        for step in (7, 10, 14):
            log(report(step))
        mark, kept = log.mark(), path.read_bytes()
        log(report(20))
    path.unlink() if spoil == "missing" else path.write_bytes(kept[:40].replace(b"7", b"8"))
    if spoil == "both":
        copy.write_bytes(b"")
    with Log(path, copy, mark) as log:
        assert path.read_bytes() == (b"" if spoil == "both" else kept)
        assert log.seconds == 0.0 and log.evaluated == -1
        log(report(20))
    assert "put back" in caplog.text and ("starts anew" in caplog.text) == (spoil == "both")
    assert [record.step for record in read_log(path)][-1] == 20


def test_a_checkpoint_does_not_grow_with_the_log(whole, half):
    sizes = [
        sum(path.stat().st_size for path in (folder / "state" / "80").rglob("*") if path.is_file())
        for folder in (whole, half)
        if (folder / "state" / "80").exists()
    ]
    assert sizes and not list(half.glob("state/80/metrics*"))


@pytest.mark.parametrize("kilobytes", (4, 60, 280))
def test_a_full_disk_costs_nothing(half, digits, whole, tmp_path, kilobytes):
    after = tmp_path / "after"
    done = faults.on_small_disk(half, kilobytes, faults.command(half, digits, *EPOCHS), after)
    refused(done, 5, "cannot write", "No space left on device")
    assert done.returncode == 5
    assert all(checkpoint.fault(after, one.step) is None for one in checkpoint.saved(after))
    assert faults.newest(after) >= 80 and faults.writing(after) is None
    if kilobytes == 280:  # the others end at the same places, earlier
        assert faults.finish(after, digits, *EPOCHS).returncode == 0
        same(after, whole)


def test_a_folder_that_may_not_be_written_is_left_alone(half, digits):
    command = faults.command(half, digits, *EPOCHS)
    if os.geteuid() == 0:  # who may write everywhere
        command = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", *command]
    before = {path: path.stat().st_mtime_ns for path in half.rglob("*")}
    for path in (half, *before):
        path.chmod(path.stat().st_mode & ~0o222)
    refused(subprocess.run(command, capture_output=True, text=True), 5, str(half), "--run-dir")
    assert {path: path.stat().st_mtime_ns for path in half.rglob("*")} == before


def test_a_clock_that_goes_back_is_not_noticed(digits, whole, tmp_path):
    clock = tmp_path / "clock"
    clock.write_text("+400d\n")
    environment = {
        **os.environ, "LD_PRELOAD": "/usr/$LIB/faketime/libfaketimeMT.so.1",
        "FAKETIME_TIMESTAMP_FILE": str(clock), "FAKETIME_NO_CACHE": "1", "FAKETIME_DONT_RESET": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }  # fmt: skip

    def year() -> int:
        return int(subprocess.check_output(["date", "+%Y"], env=environment))

    running = subprocess.Popen(
        faults.command(tmp_path / "run", digits, *EPOCHS), env=environment,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    while faults.newest(tmp_path / "run") == 0 and running.poll() is None:
        time.sleep(0.005)
    assert year() > time.localtime().tm_year  # else nothing is tried here
    clock.write_text("-400d\n")
    assert year() < time.localtime().tm_year
    _, err = running.communicate()
    assert running.returncode == 0, err
    same(tmp_path / "run", whole)


def test_a_kill_while_a_program_is_kept_leaves_no_torn_one(digits, tmp_path):
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache")}
    del environment["JAX_COMPILATION_CACHE_DIR"]

    def start(name):
        command = faults.command(tmp_path / name, digits, "--epochs", "1")
        done = subprocess.run(command, capture_output=True, text=True, env=environment)
        assert (done.returncode, done.stderr) == (0, "")

    start("first")
    (program,) = (tmp_path / "cache").rglob("jit_steps-*-cache")
    size, used = program.stat().st_size, program.name.removesuffix("cache") + "atime"
    faults.truncate(program)
    program.with_name(used).unlink()
    start("second")
    assert program.stat().st_size > 0.9 * size and program.with_name(used).exists()


def test_memory_that_runs_out_is_one_sentence(digits, whole, tmp_path):  # without TensorFlow, then
    wide = ("--width", "128", "--batch-size", "1000")
    command = faults.with_memory(1_300, faults.command(tmp_path / "run", digits, *EPOCHS, *wide))
    done = subprocess.run(command, capture_output=True, text=True)
    refused(done, 1, "out of memory", "--batch-size 1000", "--width 128")


def test_more_memory_than_there_is_is_refused(digits, tmp_path):
    done = faults.finish(tmp_path / "run", digits, "--width", "8192", "--residuals", "1")
    refused(done, 2, "--batch-size 50", "--width 8192", "--residuals 1", "GB are free")
    assert not (tmp_path / "run").exists()


def test_options_that_may_change_do_and_are_logged(half, digits, whole):
    done = faults.finish(half, digits, *EPOCHS, "--report-every", "10", "--keep-checkpoints", "5")
    assert done.returncode == 0, done.stderr
    assert "--report-every is 10 now, it was 7" in done.stdout
    assert "--keep-checkpoints is 5 now, it was 3" in done.stdout
    assert faults.remains(half)["state"] == faults.remains(whole)["state"]
    before, after = (
        [record.step for record in read_log(folder / "metrics.jsonl")] for folder in (whole, half)
    )
    assert after == [step for step in before if step <= 80] + list(range(90, 170, 10))


def test_a_fork_with_the_same_settings_is_the_same_run(half, digits, whole, tmp_path):
    before = {path: path.read_bytes() for path in half.rglob("*") if path.is_file()}
    fork = tmp_path / "fork"
    done = faults.finish(half, digits, *EPOCHS, "--fork", str(fork))
    assert done.returncode == 0, done.stderr
    assert f"from step 80 of 160, forked from {half} step 80" in done.stdout
    assert {path: path.read_bytes() for path in half.rglob("*") if path.is_file()} == before
    assert faults.remains(fork)["state"] == faults.remains(whole)["state"]
    assert Run.open(fork).origin == f"{half} step 80"
    # Both commands go on with the fork, which keeps its origin.
    for options in (("--fork", str(fork)), ()):
        run_dir = half if options else fork
        done = faults.finish(run_dir, digits, "--epochs", "8", *options)
        assert "at step 160 already" in done.stdout
    assert Run.open(fork).origin == f"{half} step 80"


def test_a_fork_may_change_what_a_run_may_not(half, digits, tmp_path):
    other = ("--learning-rate", "5e-4", "--loss", "rpgan", "--batch-size", "40", "--seed", "3")
    done = faults.finish(half, digits, *EPOCHS, *other)
    assert done.returncode == 2
    rows = [line.split() for line in done.stderr.splitlines()[1:]]
    assert rows == [
        ["option", "there", "here"], ["--loss", "bce", "rpgan"], ["--batch-size", "50", "40"],
        ["--learning-rate", "0.001", "0.0005"], ["--seed", "0", "3"],
    ]  # fmt: skip
    fork = tmp_path / "fork"
    done = faults.finish(half, digits, *EPOCHS, *other, "--fork", str(fork))
    assert done.returncode == 0, done.stderr
    assert "from step 100 of 200" in done.stdout  # 4,000 images seen, 25 steps an epoch
    assert checkpoint.saved(fork)[0].step == 100  # the state that it starts from is its own
    known = Run.open(fork).config
    assert (known.run_dir, known.fork, known.batch_size) == (str(fork), None, 40)


def test_a_fork_into_another_network_is_refused(half, digits, tmp_path):
    fork = tmp_path / "fork"
    done = faults.finish(half, digits, *EPOCHS, "--width", "8", "--fork", str(fork))
    refused(done, 2, "--fork", "--width", "--latent-size", "expected float32")
    assert not fork.exists()
    done = faults.finish(tmp_path / "no", digits, *EPOCHS, "--fork", str(fork))
    refused(done, 2, str(tmp_path / "no"), "--fork")


def test_a_run_of_an_older_format_is_refused_by_its_name(half, digits):
    path = half / "config.json"
    content = json.loads(path.read_text())
    del content["format"], content["origin"]
    path.write_text(json.dumps(content))
    refused(faults.finish(half, digits, *EPOCHS), 2, "format 1", "reads format 7", "--run-dir")
    for older in (2, 3, 4, 5, 6):
        content["format"] = older
        path.write_text(json.dumps(content))
        refused(faults.finish(half, digits, *EPOCHS), 2, f"format {older}", "reads format 7")


@pytest.mark.parametrize(
    "name, value",
    (("width", "4"), ("width", 4.5), ("batch_size", None), ("conditional", 1), ("loss", "l2"),
     ("width", -3), ("data_dir", 7)),
)  # fmt: skip
def test_options_of_wrong_types_are_damage(half, digits, name, value):
    path = half / "config.json"
    content = json.loads(path.read_text())
    content["settings"][name] = value
    path.write_text(json.dumps(content))
    refused(faults.finish(half, digits, *EPOCHS), 2, "config.json is damaged", name.split("_")[0])


def test_orbax_itself_reads_a_checkpoint(whole):
    with ocp.StandardCheckpointer() as reader:
        tree = reader.restore((whole / "state" / "160" / "default").absolute())
    assert int(tree["step"]) == 160
    assert checkpoint.fingerprint(tree) == checkpoint.fingerprint(checkpoint.load(whole)[1])
    manager = ocp.CheckpointManager((whole / "state").absolute())
    assert sorted(manager.all_steps()) == [80, 120, 160]
    manager.close()


@pytest.mark.parametrize("fault", ("memory", "disk", "orbax"))
def test_a_sound_checkpoint_that_cannot_be_read_now_stays_where_it_is(half, monkeypatch, fault):
    run = Run.open(half)
    shape = state_shape(run.config, run.spec)

    def fails(*_, **__):
        raise {
            "memory": MemoryError(), "disk": OSError(errno.EIO, os.strerror(errno.EIO)),
            "orbax": KeyError("another layout"),
        }[fault]  # fmt: skip

    if fault == "disk":
        monkeypatch.setattr(seal, "sha256", fails)
    else:
        monkeypatch.setattr(checkpoint.ocp.Checkpointer, "restore", fails)
    expected = MemoryError if fault == "memory" else UserError
    with Store(half, keep=3) as store, pytest.raises(expected) as caught:
        store.restore_newest(shape)
    if fault != "memory":
        assert str(half / "state" / "80") in str(caught.value)
        assert "nothing was changed" in str(caught.value)
    assert not (half / "damaged").exists()
    monkeypatch.undo()
    with Store(half, keep=3) as store:
        assert int(store.restore_newest(shape).state.step) == 80


def test_no_hook_of_the_interpreter_is_replaced(digits, tmp_path):
    before = sys.unraisablehook, sys.excepthook, threading.excepthook, list(warnings.filters)
    config = TrainConfig(
        width=4, batch_size=50, latent_size=8, evaluate_every=0, epochs=1, data_dir=str(digits),
        run_dir=str(tmp_path / "run"),
    )  # fmt: skip
    train(config)
    after = sys.unraisablehook, sys.excepthook, threading.excepthook, list(warnings.filters)
    assert after == before
