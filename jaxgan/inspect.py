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
    import jax  # after parsing: --help and Ctrl-C answer at once
    import numpy as np

    from jaxgan import checkpoint, models

    if not config.run_dir.is_dir():
        raise UserError(f"{config.run_dir} is no run directory; train one with: python train.py")
    step, state = checkpoint.load(config.run_dir, config.step)
    entries = checkpoint.saved(config.run_dir)
    progress.table(
        ("checkpoint step", "date", "MB", "FID then"),
        [
            (
                entry.step,
                f"{entry.date:%Y-%m-%d %H:%M:%S}",
                f"{entry.size / 1e6:.1f}",
                "-" if entry.score is None else f"{entry.score:.3f}",
            )
            for entry in entries
        ],
    )
    progress.say(f"\narrays at step {step}")
    leaves = jax.tree_util.tree_leaves_with_path(state)
    progress.table(
        ("name", "shape", "dtype", "elements", "norm"),
        [
            (
                jax.tree_util.keystr(path, simple=True, separator="/"),
                "x".join(map(str, leaf.shape)) or "scalar",
                leaf.dtype,
                leaf.size,
                f"{np.linalg.norm(leaf.astype(np.float64)):.4g}",
            )
            for path, leaf in leaves
        ],
    )
    progress.say("\nparameters")
    counts = {name: models.count(tree) for name, tree in state["params"].items()}
    progress.table(("player", "count"), [*counts.items(), ("both", sum(counts.values()))])
    known = checkpoint.read_config(config.run_dir)
    if known:
        progress.say("\nsettings")
        settings, spec = known
        shown = {
            **asdict(settings),
            "image shape": "x".join(map(str, spec.shape)),
            "classes": spec.classes,
        }
        progress.table(("setting", "value"), [(name, str(value)) for name, value in shown.items()])


if __name__ == "__main__":
    cli.run(main, InspectConfig, "python -m jaxgan.inspect")
