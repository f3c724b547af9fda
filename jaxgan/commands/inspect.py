"""Look into a run directory: jaxgan inspect checkpoints/mnist"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NoReturn

import tyro

from jaxgan.commands import cli
from jaxgan.config import DEFAULT_RUN_DIR
from jaxgan.console import output
from jaxgan.errors import UserError


@dataclass(frozen=True)
class InspectConfig:
    """Show a run's checkpoints, the arrays of one of them, and the run's options."""

    run_dir: tyro.conf.Positional[Path] = Path(DEFAULT_RUN_DIR)
    """Run directory of train.py."""

    step: cli.OptionalInt = None
    """Checkpoint whose arrays are shown; the newest if not given."""


def main(config: InspectConfig) -> None:
    """Show what the options ask for. Needs neither the dataset nor TensorFlow."""
    from jaxgan.gan import networks  # after parsing: --help and Ctrl-C answer at once
    from jaxgan.runs import checkpoint
    from jaxgan.runs.run import Run

    if not config.run_dir.is_dir():
        raise UserError(f"{config.run_dir} is no run directory; train one with: python train.py")
    step, state = checkpoint.load(config.run_dir, config.step)
    _show_checkpoints(config.run_dir)
    output.show(f"\narrays at step {step}")
    _show_arrays(checkpoint.named_leaves(state))
    output.show(f"SHA-256 of all of them: {checkpoint.fingerprint(state)}")
    output.show("\nparameters")
    counts = {name: networks.count(tree) for name, tree in state["params"].items()}
    output.table(("network", "count"), [*counts.items(), ("both", sum(counts.values()))])
    if run := Run.find(config.run_dir):
        output.show("\noptions")
        shown = {
            **asdict(run.config),
            "image shape": "x".join(map(str, run.spec.shape)),
            "classes": run.spec.classes,
            "images": run.count,
            "SHA-256 of the images": run.fingerprint,
            "forked from": run.origin,
        }
        output.table(("option", "value"), [(name, str(value)) for name, value in shown.items()])


def _show_checkpoints(run_dir: Path) -> None:
    from jaxgan.runs import checkpoint

    output.table(
        ("checkpoint step", "date", "MB", "score then", "files"),
        [
            (
                entry.step,
                f"{entry.date:%Y-%m-%d %H:%M:%S}",
                f"{entry.size / 1e6:.1f}",
                "-" if entry.score is None else f"{entry.score:.3f}",
                checkpoint.fault(run_dir, entry.step) or "sound",
            )
            for entry in checkpoint.saved(run_dir)
        ],
    )


def _show_arrays(arrays: dict[str, Any]) -> None:
    import numpy as np

    output.table(
        ("name", "shape", "dtype", "elements", "norm"),
        [
            (
                name,
                "x".join(map(str, leaf.shape)) or "scalar",
                leaf.dtype,
                leaf.size,
                f"{np.linalg.norm(leaf.astype(np.float64)):.4g}",
            )
            for name, leaf in arrays.items()
        ],
    )


def command(program: str = "jaxgan inspect") -> NoReturn:
    """Run the command line."""
    cli.run(main, InspectConfig, program)
