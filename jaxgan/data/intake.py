"""Pictures → rows of a file beside the store, by threads; memory does not grow with the set."""

from __future__ import annotations

import contextlib
import hashlib
import os
import threading
import warnings
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple, TypeAlias

import numpy as np

from jaxgan.data import pictures
from jaxgan.data.pictures import BadPicture, Picture
from jaxgan.data.rules import Rules
from jaxgan.data.sources import Item, Source

MAX_THREADS = 16
Progress: TypeAlias = Callable[[int, int], None]  # called with how many are done, of how many

_IN_FLIGHT = 4  # pictures a thread
_LARGE_FILE = 1 << 23  # bytes: of such, one is read at a time
_BLOCK = 1 << 22  # bytes of rows that are read together
_DIGEST = 16  # bytes that name an image
TRANSPARENT, COLOURED, SMALL, CONSTANT = 1, 2, 4, 8


class Taken(NamedTuple):
    """Images in a file.

    Attributes:
        path: uint8 rows, one image each.
        shape: Height, width, channels of a row.
        picture: int64 [N], which of the source's names each row is.
        digest: bytes [N], the same for the same image only.
        flags: uint8 [N], sums of ``TRANSPARENT``, ``COLOURED``, ``SMALL`` and ``CONSTANT``.
        brightest: The largest level of all pictures.
    """

    path: Path
    shape: tuple[int, int, int]
    picture: np.ndarray
    digest: np.ndarray
    flags: np.ndarray
    brightest: int

    def blocks(self, rows: np.ndarray) -> Iterator[np.ndarray]:
        """Yield the images of some rows, in their order, uint8 [n, H, W, C]."""
        height, width, channels = self.shape
        size = height * width * channels
        step = max(1, _BLOCK // size)
        with self.path.open("rb") as file:
            for start in range(0, len(rows), step):
                chosen = rows[start : start + step].tolist()
                content = b"".join(os.pread(file.fileno(), size, row * size) for row in chosen)
                yield np.frombuffer(content, np.uint8).reshape(-1, *self.shape)


class _Budget:
    """Bytes that all threads together may take. What needs more than there are waits for all."""

    def __init__(self, total: int) -> None:
        self._total = self._left = total
        self._changed = threading.Condition()

    @contextlib.contextmanager
    def __call__(self, amount: int) -> Iterator[None]:
        amount = min(amount, self._total)
        with self._changed:
            self._changed.wait_for(lambda: self._left >= amount)
            self._left -= amount
        try:
            yield
        finally:
            with self._changed:
                self._left += amount
                self._changed.notify_all()


class _Rows:
    """What is known of the rows while they are written."""

    def __init__(self) -> None:
        self.index: list[int] = []
        self.digest, self.flags = bytearray(), bytearray()
        self.brightest = 0

    def add(self, index: int, picture: Picture, content: bytes) -> None:
        self.index.append(index)
        self.digest += hashlib.blake2b(content, digest_size=_DIGEST).digest()
        self.flags.append(
            TRANSPARENT * picture.transparent
            + COLOURED * (not picture.grey)
            + SMALL * picture.small
            + CONSTANT * picture.constant
        )
        self.brightest = max(self.brightest, picture.brightest)


def take(
    source: Source,
    rules: Rules,
    wanted: Callable[[int], bool],
    path: Path,
    threads: int,
    progress: Progress,
) -> Taken:
    """Write the images of a source's pictures to a file, in order, whatever the threads do.

    What cannot be used is added to ``source.skipped``.

    Args:
        source: The pictures.
        rules: Size, fit and alpha.
        wanted: Whether the picture of an index is taken.
        path: The file.
        threads: That decode.
        progress: Called after each picture.
    """
    work, rows = _worker(rules), _Rows()
    total = len(source.names)
    waiting: deque[tuple[int, Future[Picture | str]]] = deque()
    with path.open("wb") as file, _quiet(), _pool(threads) as pool:

        def settle() -> None:
            index, future = waiting.popleft()
            picture = future.result()
            if isinstance(picture, str):
                source.skipped.add(source.names[index], picture)
            else:
                content = picture.image.tobytes()
                file.write(content)
                rows.add(index, picture, content)
            progress(index + 1, total)

        for index, item in enumerate(source.items()):
            if wanted(index):
                waiting.append((index, pool.submit(work, item)))
            if len(waiting) >= _IN_FLIGHT * threads:
                settle()
        while waiting:
            settle()
    width, height = rules.sides
    return Taken(
        path,
        (height, width, 4 if rules.keep_alpha else 3),
        np.array(rows.index, np.int64),
        np.frombuffer(bytes(rows.digest), f"S{_DIGEST}"),
        np.frombuffer(bytes(rows.flags), np.uint8),
        rows.brightest,
    )


def _worker(rules: Rules) -> Callable[[Item], Picture | str]:
    """Return what a thread does: an item → its image, or the reason why there is none."""
    budget, one_at_a_time = _Budget(pictures.MAX_DECODED), threading.Lock()

    def work(item: Item) -> Picture | str:
        large = item.size > _LARGE_FILE
        try:
            with one_at_a_time if large else contextlib.nullcontext():
                content = item.load()
                if isinstance(content, bytes):
                    return pictures.read(content, rules, budget)
                with budget(_OF_ARRAYS * content.nbytes):
                    return pictures.from_array(content, rules)
        except BadPicture as bad:
            return str(bad)

    return work


_OF_ARRAYS = 4  # bytes that a byte of an array may become: a grey level as RGBa


@contextlib.contextmanager
def _pool(threads: int) -> Iterator[ThreadPoolExecutor]:
    pool = ThreadPoolExecutor(threads)
    try:
        yield pool
    finally:  # Ctrl-C does not wait for what is not begun
        pool.shutdown(cancel_futures=True)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Pillow warns of odd files; what matters of that is said in our own words."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def default_threads() -> int:
    """Return how many threads decode: the cores that we may use."""
    if hasattr(os, "sched_getaffinity"):
        return min(len(os.sched_getaffinity(0)), MAX_THREADS)
    return min(os.cpu_count() or 1, MAX_THREADS)
