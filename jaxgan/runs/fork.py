"""A fork: a new run that starts from the state of another one, with other options or images."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxgan.config import ImageSpec, TrainConfig, options, settings
from jaxgan.errors import UserError
from jaxgan.gan.step import State, state_shape
from jaxgan.runs import checkpoint
from jaxgan.runs.run import Run

_BY_CLASS = ("classes", "components", "logits")  # layers that depend on what the labels mean


class Origin(NamedTuple):
    """Where a fork starts.

    Attributes:
        run: The other run.
        step: Its step.
        tree: Its state, as ``checkpoint.load`` gives it.
    """

    run: Run
    step: int
    tree: dict[str, Any]

    @property
    def name(self) -> str:
        """Run directory and step."""
        return f"{self.run.path} step {self.step}"

    def check(self, config: TrainConfig, spec: ImageSpec) -> None:
        """Raise ``UserError`` where the network of a run is another than this one's.

        Args:
            config: Configuration of the run that starts.
            spec: Of its images.
        """
        known = checkpoint.named_leaves(self.tree)
        for name, leaf in checkpoint.named_leaves(state_shape(config, spec)).items():
            if not self._is_taken(name, spec):
                continue
            expected = f"{leaf.dtype}{list(leaf.shape)}"
            found = known.get(name)
            got = "none" if found is None else f"{found.dtype}{list(found.shape)}"
            if got != expected:
                names = options(name for name, entry in settings().items() if entry.shapes_network)
                raise UserError(
                    f"--fork: {self.name} is of another network ({name}: expected {expected}, got "
                    f"{got}); {names} and the shape of the dataset's images have to stay"
                )

    def state(self, run: Run, init: Callable[[], State]) -> State:
        """Return the other run's state as the first one of a run that was checked.

        On the same images training goes on. On others the weights are taken and all else begins
        anew: schedules, moments, augmentation, and what depends on the labels where these differ.

        Args:
            run: The run that starts.
            init: Makes a state at step 0 of it.
        """
        if _seen(self.run) == _seen(run):
            state = checkpoint.as_state(self.tree, state_shape(run.config, run.spec))
            # The images seen stay, as all schedules go by them.
            step = int(state.step) * self.run.config.batch_size // run.config.batch_size
            return state._replace(step=jnp.int32(step))
        fresh, known = init(), checkpoint.named_leaves(self.tree)
        leaves = [
            jnp.array(known[name]) if self._is_taken(name, run.spec) else leaf
            for name, leaf in checkpoint.named_leaves(fresh).items()
        ]
        return jax.tree.unflatten(jax.tree.structure(fresh), leaves)

    def _is_taken(self, name: str, spec: ImageSpec) -> bool:
        """Return whether a leaf is taken: a weight, if need be of the same labels."""
        mine = self.run.spec
        same_labels = (mine.classes, mine.names) == (spec.classes, spec.names)
        by_class = any(part in _BY_CLASS for part in name.split("/"))
        return name.startswith(("params/", "ema/")) and (same_labels or not by_class)


def _seen(run: Run) -> tuple[str, int]:
    """Return what tells the images and labels of a run from those of others."""
    return run.fingerprint, run.spec.classes


def forked(config: TrainConfig) -> tuple[TrainConfig, Origin | None]:
    """Return the configuration of the run itself, and where it starts if ``fork`` starts it now.

    Raises:
        UserError: There is no run to fork.
    """
    if config.fork is None:
        return config, None
    source = Path(config.run_dir)
    config = dataclasses.replace(config, run_dir=config.fork, fork=None)
    if checkpoint.saved(Path(config.run_dir)):
        return config, None
    known = Run.find(source)
    if known is None:
        raise UserError(f"--run-dir {source} holds no run (no config.json) to --fork")
    step, tree = checkpoint.load(source)
    return config, Origin(known, step, tree)
