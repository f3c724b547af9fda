"""What functions a converted file has, and the inputs that they are tried on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np

from jaxgan.drawing.generator import Generator
from jaxgan.gan import networks
from jaxgan.gan.latents import latents
from jaxgan.runs.run import Snapshot

SIGNATURE = "generate_{}"  # one a batch size, with inputs latent, label and output image
BETWEEN = "between_1"  # with inputs target_label and weight as well: an image between two classes


class Signature(NamedTuple):
    """One function of a file.

    Attributes:
        rows: Static batch size.
        inputs: Names of its inputs, in the order that the generator takes them.
    """

    rows: int
    inputs: tuple[str, ...]

    def starts(self, count: int) -> tuple[int, ...]:
        """Return where its calls begin that take all of some rows, its own number or more.

        The last call ends at the last row, so it takes some for a second time.
        """
        last = count - self.rows
        return (*range(0, last, self.rows), last)

    def pick(self, inputs: Mapping[str, np.ndarray], start: int) -> dict[str, np.ndarray]:
        """Return its inputs of one call, from a row on."""
        return {name: inputs[name][start : start + self.rows] for name in self.inputs}

    def run(self, file: Generator, inputs: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return the images of one call, float32 [rows, H, W, C] in [-1, 1]."""
        if "weight" in self.inputs:
            return file.draw_values_between(*(inputs[name] for name in self.inputs))
        return file.draw_values(inputs["latent"], inputs.get("label"))


def signatures(snapshot: Snapshot, batch_sizes: Iterable[int]) -> dict[str, Signature]:
    """Return the signatures of a snapshot's files by their names."""
    inputs = ("latent", "label") if snapshot.spec.classes else ("latent",)
    sizes = sorted(set(batch_sizes))
    found = {SIGNATURE.format(size): Signature(size, inputs) for size in sizes}
    if snapshot.spec.classes:
        found[BETWEEN] = Signature(1, (*inputs, "target_label", "weight"))
    return found


def probe(snapshot: Snapshot, first: int, count: int) -> dict[str, np.ndarray]:
    """Return inputs as at inference: the latents of the run's seed, every class in turn.

    Each class is mixed with each other one, by weights of 0, 0.1, … 1.

    Args:
        snapshot: The generator.
        first: Index of the first image.
        count: N.

    Returns:
        ``latent`` float32 [N, Z]; with classes also ``label`` and ``target_label`` int32 [N],
        ``weight`` float32 [N].
    """
    indices = np.arange(first, first + count)
    latent = latents(snapshot.config.seed, indices, snapshot.config.latent_size)
    inputs = {"latent": np.asarray(latent)}
    if classes := snapshot.spec.classes:
        inputs["label"] = (indices % classes).astype(np.int32)
        inputs["target_label"] = (indices // classes % classes).astype(np.int32)
        inputs["weight"] = (indices % 11 / 10).astype(np.float32)
    return inputs


def jax_images(snapshot: Snapshot, inputs: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return what JAX draws for inputs of a signature, float32 [N, H, W, C] in [-1, 1]."""
    # Shares no code with what is converted.
    generator = networks.generator(snapshot.config, snapshot.spec, "xla")
    return np.asarray(generator.apply({"params": snapshot.params}, *inputs.values()))
