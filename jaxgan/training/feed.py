"""Batches of a run, in their order: the next one is read while a step runs."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import jax
import numpy as np

from jaxgan.data.order import batch_indices
from jaxgan.data.store import Dataset
from jaxgan.gan.step import Batch

_SHARE = 4  # a quarter of an accelerator's memory may hold the images


class Feed:
    """Reads batches of a dataset. Use as a context: leaving it ends its thread.

    Images that fit a quarter of an accelerator's memory lie there, and indices are sent. Else a
    thread of its own reads ahead by one call.
    """

    def __init__(self, dataset: Dataset, seed: int, batch_size: int) -> None:
        """Take the images, the seed of their order, and B."""
        self._dataset, self._seed, self._batch_size = dataset, seed, batch_size
        self._resident = _on_device(dataset)
        self._thread = ThreadPoolExecutor(1)
        self._ahead: tuple[range, Future[Batch]] | None = None

    def __enter__(self) -> Feed:
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.shutdown(wait=True, cancel_futures=True)

    def take(self, steps: range, following: range) -> Batch:
        """Return the batches of some steps, arrays [K, B, ...]; begin to read the following ones.

        Args:
            steps: The steps, counted from 0.
            following: Those that will be wanted next, most likely.
        """
        if self._ahead is None or self._ahead[0] != steps:
            self._ahead = steps, self._thread.submit(self._batches, steps)
        _, batches = self._ahead
        self._ahead = following, self._thread.submit(self._batches, following)
        return batches.result()

    def _batches(self, steps: range) -> Batch:
        count = len(self._dataset.image)
        index = np.stack(
            [batch_indices(self._seed, step, self._batch_size, count) for step in steps]
        )
        if self._resident is not None:
            return _gather(self._resident, index)
        image: Any = self._dataset.take(index)
        label: Any = self._dataset.label[index]
        return Batch(image, label)


def _on_device(dataset: Dataset) -> Batch | None:
    """Return images and labels in an accelerator's memory; None on a CPU, or of too many."""
    device = jax.devices()[0]
    if device.platform == "cpu":
        return None
    limit = (device.memory_stats() or {}).get("bytes_limit", 0)
    if dataset.image.nbytes > limit // _SHARE:
        return None
    return Batch(*jax.device_put((np.asarray(dataset.image), dataset.label), device))


@jax.jit
def _gather(all_: Batch, index: jax.Array) -> Batch:
    return Batch(all_.image[index], all_.label[index])
