"""A fork: a new run that starts from the state of another one, with other options."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, NamedTuple

import jax.numpy as jnp

from jaxgan.config import ImageSpec, TrainConfig, options, settings
from jaxgan.errors import UserError
from jaxgan.gan.step import State, state_shape
from jaxgan.runs import checkpoint
from jaxgan.runs.run import Run


class Origin(NamedTuple):
    """Where a fork starts.

    Attributes:
        name: Run directory and step of the other run.
        tree: Its state, as ``checkpoint.load`` gives it.
        batch_size: Of the other run.
    """

    name: str
    tree: dict[str, Any]
    batch_size: int

    def state(self, config: TrainConfig, spec: ImageSpec) -> State:
        """Return the other run's state as the first one of a run with these options.

        Raises:
            UserError: It is of another network.
        """
        try:
            state = checkpoint.as_state(self.tree, state_shape(config, spec))
        except ValueError as error:
            names = options(name for name, known in settings().items() if known.shapes_network)
            raise UserError(
                f"--fork: {self.name} is of another network ({error}); {names} and the shape of "
                "the dataset's images have to stay"
            ) from error
        # The images seen stay, as all schedules go by them.
        step = int(state.step) * self.batch_size // config.batch_size
        return state._replace(step=jnp.int32(step))


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
    return config, Origin(f"{source} step {step}", tree, known.config.batch_size)
