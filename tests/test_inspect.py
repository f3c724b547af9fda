"""Looking into a run directory."""

import shutil

import jax
import numpy as np
import pytest
from conftest import call, python, refused

from jaxgan.commands import inspect as command
from jaxgan.runs import checkpoint


def inspect(*arguments):
    return call(command.command, "jaxgan inspect", *arguments)


def test_what_it_shows(run_dir):
    done = inspect(run_dir)
    assert done.returncode == 0, done.stderr
    state = checkpoint.load(run_dir)[1]
    kernel = state["params"]["generator"]["up_1"]["kernel"]
    (line,) = (row for row in done.stdout.splitlines() if row.startswith("params/generator/up_1/k"))
    assert line.split() == [
        "params/generator/up_1/kernel", "4x4x8x16", "float32", "2,048",
        f"{np.linalg.norm(kernel):.4g}",
    ]  # fmt: skip
    count = sum(leaf.size for leaf in jax.tree.leaves(state["params"]["generator"]))
    assert f"{count:,}" in done.stdout
    for word in ("arrays at step 40", "learning_rate", "0.001", "28x28x1"):
        assert word in done.stdout


def test_an_older_step(run_dir):
    assert "arrays at step 20" in inspect(run_dir, "--step", "20").stdout
    refused(inspect(run_dir, "--step", "21"), 2, "--step", "20, 40", "21")


@pytest.mark.slow
def test_it_needs_neither_data_nor_tensorflow(run_dir):
    code = (
        "import sys; from pathlib import Path; from jaxgan.commands import inspect\n"
        f"inspect.main(inspect.InspectConfig(Path({str(run_dir)!r})))\n"
        "names = ('tensorflow', 'tensorflow_datasets')\n"
        "print('LOADED', [name for name in names if name in sys.modules])\n"
    )
    assert "LOADED []" in python("-c", code).stdout


def test_no_run_and_no_checkpoint(tmp_path, run_dir):
    refused(inspect(tmp_path / "no"), 2, "no", "train.py")
    refused(inspect(tmp_path), 2, "no checkpoint")
    folder = tmp_path / "run"
    shutil.copytree(run_dir, folder)
    for path in folder.joinpath("state").rglob("*"):
        if path.is_file():
            path.write_bytes(b"")
    done = inspect(folder)
    assert done.returncode == 2
    assert "no readable checkpoint" in done.stderr and "Traceback" not in done.stderr
