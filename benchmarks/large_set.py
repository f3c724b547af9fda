"""A set that is larger than memory may be: its pace beside that of a small one, and the memory.

python -m benchmarks.large_set --images 1000000 --size 64 --data-dir /tmp/large
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jaxgan.commands import cli
from jaxgan.config import ImageSpec, TrainConfig, require, resolved

if TYPE_CHECKING:
    import numpy as np


_BATCH = 64
_STEPS = 8  # of a turn
_SMALL = 4_096  # images of the set that lies in memory
_NAME = "large"


@dataclass(frozen=True)
class Options:
    """Write a store of random images unless it is there, then train on it and on a small set."""

    images: int = 1_000_000
    """Images of the store."""

    size: int = 64
    """Side of an image, in colour."""

    data_dir: str = "data/large"
    """Folder for the store: 12 GB for a million images of 64x64."""

    rounds: int = 10
    """Turns of each set."""

    def __post_init__(self) -> None:
        require(self, "images", self.images >= _SMALL, f"at least {_SMALL}")
        require(self, "rounds", self.rounds >= 1, "at least 1")


def main(options: Options) -> None:
    """Measure and print."""
    import numpy as np

    from benchmarks import report
    from jaxgan.console import output
    from jaxgan.data import store
    from jaxgan.gan.step import make_gan
    from jaxgan.training import memory
    from jaxgan.training.feed import Feed

    spec = ImageSpec((options.size, options.size, 3), 0)
    config = resolved(TrainConfig(batch_size=_BATCH), spec)
    if not store.exists(options.data_dir, _NAME):
        started = time.perf_counter()
        _write(options, spec)
        output.show(f"written in {time.perf_counter() - started:.0f} s")
    memory.tune_malloc()
    memory.reuse(memory.step_bytes(config, spec))
    started = time.perf_counter()
    large = store.read(options.data_dir, _NAME, "train")
    output.show(f"opened in {time.perf_counter() - started:.2f} s: {len(large.image):,} images")
    small = store.Dataset(spec, np.array(large.image[:_SMALL]), large.label[:_SMALL])
    gan, paces = make_gan(config, spec), {}
    with Feed(large, 0, _BATCH) as one, Feed(small, 0, _BATCH) as other:
        feeds = {"from the file": one, "in memory": other}
        state, at = gan.init(), 0
        paces = {name: [] for name in feeds}
        for _ in range(options.rounds + 1):
            for name, feed in feeds.items():
                started = time.perf_counter()
                for step in range(at, at + _STEPS):
                    batches = feed.take(range(step, step + 1), range(step + 1, step + 2))
                    state, metrics = gan.steps(state, batches)
                metrics.penalty.block_until_ready()
                paces[name].append(_STEPS * _BATCH / (time.perf_counter() - started))
            at += _STEPS
    output.show(report.described(report.machine()))
    medians = {name: statistics.median(values[1:]) for name, values in paces.items()}
    for name, value in medians.items():
        output.show(f"{name}: {value:.0f} images/s")
    ratios = [a / b for a, b in zip(*(values[1:] for values in paces.values()), strict=True)]
    output.show(f"ratio, median of {options.rounds} turns: {statistics.median(ratios):.3f}")
    output.show(", ".join(f"{name} {kilobytes / 1024:.0f} MB" for name, kilobytes in _memory()))


def _write(options: Options, spec: ImageSpec) -> None:
    import numpy as np

    from jaxgan.data import store

    random = np.random.default_rng(0)
    block = random.integers(0, 256, (_SMALL, *spec.shape), np.uint8)

    def images(count: int) -> Iterator[np.ndarray]:
        for start in range(0, count, _SMALL):
            yield np.roll(block, start // _SMALL, 1)[: count - start]

    splits = {
        name: store.Split(images(count), np.zeros(count, np.int32))
        for name, count in (("train", options.images), ("test", _SMALL))
    }
    store.write(options.data_dir, _NAME, spec, splits)


def _memory() -> Iterator[tuple[str, int]]:
    """Yield what the process held at most and holds now, kB by Linux's names."""
    with open("/proc/self/status", encoding="ascii") as file:
        for line in file:
            name, _, rest = line.partition(":")
            if name in ("VmHWM", "RssAnon", "RssFile"):
                yield name, int(rest.split()[0])


if __name__ == "__main__":
    cli.run(main, Options, "python -m benchmarks.large_set")
