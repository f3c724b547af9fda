"""Look into a run directory: python -m jaxgan.inspect checkpoints/mnist"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import tyro

from jaxgan import cli, progress
from jaxgan.config import TrainConfig
from jaxgan.errors import UserError


@dataclass(frozen=True)
class InspectConfig:
    """Show a run's checkpoints, the arrays of one of them, and the run's settings."""

    run_dir: tyro.conf.Positional[Path] = Path(TrainConfig.run_dir)
    """Run directory of train.py."""

    step: int | None = None
    """Checkpoint whose arrays are shown; the newest if not given."""


def main(config: InspectConfig) -> None:
    """Show what the options ask for. Needs neither the dataset nor TensorFlow."""
    import numpy as np  # after parsing: --help and Ctrl-C answer at once

    from jaxgan import checkpoint, models, settings

    if not config.run_dir.is_dir():
        raise UserError(f"{config.run_dir} is no run directory; train one with: python train.py")
    step, state = checkpoint.load(config.run_dir, config.step)
    entries = checkpoint.saved(config.run_dir)
    progress.table(
        ("checkpoint step", "date", "MB", "score then", "files"),
        [
            (
                entry.step,
                f"{entry.date:%Y-%m-%d %H:%M:%S}",
                f"{entry.size / 1e6:.1f}",
                "-" if entry.score is None else f"{entry.score:.3f}",
                checkpoint.fault(config.run_dir, entry.step) or "sound",
            )
            for entry in entries
        ],
    )
    progress.say(f"\narrays at step {step}")
    progress.table(
        ("name", "shape", "dtype", "elements", "norm"),
        [
            (
                name,
                "x".join(map(str, leaf.shape)) or "scalar",
                leaf.dtype,
                leaf.size,
                f"{np.linalg.norm(leaf.astype(np.float64)):.4g}",
            )
            for name, leaf in checkpoint.named_leaves(state).items()
        ],
    )
    progress.say(f"SHA-256 of all of them: {checkpoint.fingerprint(state)}")
    progress.say("\nparameters")
    counts = {name: models.count(tree) for name, tree in state["params"].items()}
    progress.table(("player", "count"), [*counts.items(), ("both", sum(counts.values()))])
    if run := settings.read(config.run_dir):
        progress.say("\nsettings")
        shown = {
            **asdict(run.config),
            "image shape": "x".join(map(str, run.spec.shape)),
            "classes": run.spec.classes,
            "forked from": run.origin,
        }
        progress.table(("setting", "value"), [(name, str(value)) for name, value in shown.items()])


if __name__ == "__main__":
    cli.run(main, InspectConfig, "python -m jaxgan.inspect")
