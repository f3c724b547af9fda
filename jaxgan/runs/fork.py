"""A fork: a new run that starts from the state of another one, with other options or images."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxgan.config import TrainConfig, options, settings
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

    def state(self, run: Run, init: Callable[[], State]) -> State:
        """Return the other run's state as the first one of a run.

        On the same images training goes on. On others the weights are taken and all else begins
        anew: schedules, moments, augmentation, and what depends on the labels where these differ.

        Args:
            run: The run that starts.
            init: Makes a state at step 0 of it.

        Raises:
            UserError: It is of another network.
        """
        try:
            if _seen(self.run) != _seen(run):
                return self._transferred(run, init())
            state = checkpoint.as_state(self.tree, state_shape(run.config, run.spec))
        except ValueError as error:
            names = options(name for name, known in settings().items() if known.shapes_network)
            raise UserError(
                f"--fork: {self.name} is of another network ({error}); {names} and the shape of "
                "the dataset's images have to stay"
            ) from error
        # The images seen stay, as all schedules go by them.
        step = int(state.step) * self.run.config.batch_size // run.config.batch_size
        return state._replace(step=jnp.int32(step))

    def _transferred(self, run: Run, fresh: State) -> State:
        """Return a state at step 0 with these weights; ``ValueError`` if they do not fit."""
        same_labels = (self.run.spec.classes, self.run.spec.names) == (
            run.spec.classes, run.spec.names,
        )  # fmt: skip
        known = checkpoint.named_leaves(self.tree)
        taken = {}
        for name, leaf in checkpoint.named_leaves(fresh).items():
            by_class = any(part in _BY_CLASS for part in name.split("/"))
            if not name.startswith(("params/", "ema/")) or (by_class and not same_labels):
                taken[name] = leaf
            elif name not in known or known[name].shape != leaf.shape:
                got = list(known[name].shape) if name in known else "none"
                raise ValueError(f"{name}: expected {list(leaf.shape)}, got {got}")
            else:
                taken[name] = jnp.array(known[name])
        return jax.tree.unflatten(jax.tree.structure(fresh), list(taken.values()))


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
