"""A run's generator → one .tflite file, drawn with and held against JAX before it is written."""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, TypeAlias, get_args

from jaxgan.config import BATCH_SIZES, MAX_BATCH, Quantization
from jaxgan.drawing.generator import Generator
from jaxgan.drawing.model import SignatureInfo
from jaxgan.errors import ModelError, OutputError, UserError
from jaxgan.export import checks, converter, graph, report
from jaxgan.export.checks import Checked
from jaxgan.export.report import Report
from jaxgan.export.signatures import signatures
from jaxgan.io.files import write_whole
from jaxgan.metrics.general import GeneralReference
from jaxgan.metrics.reference import Reference
from jaxgan.runs.run import Run, Snapshot
from jaxgan.version import __version__

Source: TypeAlias = "Run | Snapshot | str | os.PathLike[str]"
TOLERANCE = 1e-4  # of an image value in [-1, 1]; rounding alone gives 1e-6
_log = logging.getLogger(__name__)


def convert(
    run: Source,
    path: str | os.PathLike[str],
    *,
    step: int | None = None,
    quantize: Quantization = "none",
    batch_sizes: Iterable[int] = BATCH_SIZES,
    saved_model: str | os.PathLike[str] | None = None,
    data_dir: str | None = None,
    force: bool = False,
) -> Report:
    """Convert a generator to one file, check it against JAX, write it and a JSON file beside it.

    Args:
        run: A run, its directory, or a snapshot of it.
        path: The .tflite file to write.
        step: Step of the run's checkpoint; None for the newest.
        quantize: ``none``: weights of 32 bits. ``float16``: of 16. ``dynamic``: of 8. ``int8``:
            all of 8 bits.
        batch_sizes: One signature ``generate_N`` each, which share the weights; 1 to 4096.
        saved_model: Folder for a TensorFlow SavedModel, if one is wanted too.
        data_dir: Folder of prepared datasets, for FID and label agreement. None: that of the run,
            or none at all for a run that was trained with --evaluate-every 0.
        force: Whether to write a quantised file even if its images are too poor, and to go on where
            the dataset is damaged.

    Raises:
        UserError: There is no such run or step, an argument is wrong, or the dataset is damaged.
        ModelError: The converted file does not draw what JAX draws, or its images are too poor.
            Nothing was written.
        OutputError: A file cannot be written.
    """
    path = Path(path)
    report.require_free(path)
    snapshot = _snapshot(run, step)
    real = _reference(snapshot, data_dir, force)
    with Conversion(snapshot, batch_sizes, real) as conversion:
        if saved_model is not None:
            conversion.keep(Path(saved_model))
        return conversion.write(path, quantize, force)


def convert_all(
    run: Source,
    path: str | os.PathLike[str],
    *,
    step: int | None = None,
    batch_sizes: Iterable[int] = BATCH_SIZES,
    saved_model: str | os.PathLike[str] | None = None,
    data_dir: str | None = None,
    force: bool = False,
) -> list[Report]:
    """Convert a generator to a file of each quantisation, and log each report; else as ``convert``.

    The float file is ``path``; the others' names tell what they are, as in NAME-int8.tflite.

    Raises:
        ModelError: Some were not written.
    """
    path = Path(path)
    paths = {
        kind: path if kind == "none" else path.with_name(f"{path.stem}-{kind}{path.suffix}")
        for kind in get_args(Quantization)
    }
    for one in paths.values():
        report.require_free(one)
    snapshot = _snapshot(run, step)
    real = _reference(snapshot, data_dir, force)
    reports, refused = [], []
    with Conversion(snapshot, batch_sizes, real) as conversion:
        if saved_model is not None:
            conversion.keep(Path(saved_model))
        for kind, one in paths.items():
            try:
                reports.append(conversion.write(one, kind, force))
                _log.info("%s", reports[-1].text())
            except ModelError as error:
                refused.append(str(error))
    if refused:
        raise ModelError("; ".join(refused))
    return reports


def _snapshot(run: Source, step: int | None) -> Snapshot:
    if isinstance(run, Snapshot):
        if step is not None and step != run.step:
            raise UserError(f"step: expected {run.step}, the snapshot's, got {step}")
        return run
    return (run if isinstance(run, Run) else Run.open(Path(run))).snapshot(step)


def _reference(
    snapshot: Snapshot, data_dir: str | None, force: bool
) -> Reference | GeneralReference | None:
    config = snapshot.config
    if data_dir is None and config.evaluate_every != 0:
        data_dir = config.data_dir
    return checks.find_reference(snapshot, data_dir, force)


class _Made(NamedTuple):
    """A flatbuffer without our metadata, its signatures as it describes them, what it is worth."""

    content: bytes
    signatures: tuple[SignatureInfo, ...]
    checked: Checked


class Conversion:
    """A generator as a SavedModel and as a float graph, checked; files are written from it.

    Use as a context: leaving it removes the SavedModel.
    """

    def __init__(
        self,
        snapshot: Snapshot,
        batch_sizes: Iterable[int] = BATCH_SIZES,
        real: Reference | GeneralReference | None = None,
    ) -> None:
        """Convert to float and hold that against JAX.

        Args:
            snapshot: The generator.
            batch_sizes: One signature ``generate_N`` each; they share the weights.
            real: What the images are measured against, if they are.

        Raises:
            UserError: A batch size is out of range.
            ModelError: The converted graph does not draw what JAX draws.
        """
        sizes = list(batch_sizes)
        if not sizes or not all(1 <= size <= MAX_BATCH for size in sizes):
            got = " ".join(map(str, sizes)) or "none"
            raise UserError(f"--batch-sizes: expected numbers from 1 to {MAX_BATCH}, got {got}")
        self._since = time.perf_counter()
        self._snapshot, self._real = snapshot, real
        self._signatures = signatures(snapshot, sizes)
        self._scratch = tempfile.TemporaryDirectory(prefix="jaxgan-")
        self._folder = Path(self._scratch.name) / "model"
        try:
            converter.save(snapshot, self._signatures, self._folder)
            self._float = self._make("none")
            largest = self._float.checked.difference.max
            if not largest <= TOLERANCE:
                raise ModelError(
                    "the conversion is wrong: its images differ from JAX's by up to "
                    f"{largest:.1e}, expected at most {TOLERANCE:.0e}; nothing was written"
                )
        except BaseException:
            self._scratch.cleanup()
            raise

    def __enter__(self) -> Conversion:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._scratch.cleanup()

    def _make(self, kind: Quantization) -> _Made:
        content = converter.flatbuffer(self._snapshot, self._signatures, self._folder, kind)
        complete = graph.add_metadata(content, _metadata(self._snapshot, kind))
        with Generator.from_bytes(complete, name="the converted file") as file:
            checked = checks.check(self._snapshot, self._signatures, file, self._real)
            return _Made(content, file.info.signatures, checked)

    def keep(self, folder: Path) -> None:
        """Put a copy of the SavedModel into another folder, over an older SavedModel.

        Raises:
            OutputError: Another folder or file is there.
        """
        if folder.exists() and not (folder.is_dir() and (folder / "saved_model.pb").exists()):
            raise OutputError(f"cannot write {folder}: it is there already, and is no SavedModel")
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".jaxgan.", dir=folder.parent) as beside:
            copy = shutil.copytree(self._folder, Path(beside) / "new")
            if folder.exists():
                folder.rename(Path(beside) / "old")
            copy.rename(folder)

    def write(self, path: Path, kind: Quantization = "none", force: bool = False) -> Report:
        """Write one file, and a JSON file of what is known of it beside it.

        Args:
            path: The .tflite file.
            kind: Its quantisation.
            force: Whether to write it even if its images are too poor.

        Raises:
            ModelError: The file is wrong, or its images are too poor. Nothing was written.
            OutputError: A file cannot be written.
        """
        report.require_free(path)
        made = self._float if kind == "none" else self._make(kind)
        poor = checks.refusal(kind, made.checked, self._float.checked)
        if poor and not force:
            raise ModelError(f"{path} was not written: {poor}; --force writes it all the same")
        inside = report.inside(self._snapshot, kind, *made, self._float.checked)
        entries = {**_metadata(self._snapshot, kind), "report": report.compact(inside)}
        content = graph.add_metadata(made.content, entries)
        # The very bytes that are written are run.
        with Generator.from_bytes(content, name=str(path)) as file:
            speed = checks.latency(self._snapshot, self._signatures, file)
        facts = {**report.beside(path, content, speed), **inside}
        write_whole(path, content)
        write_whole(report.place(path), report.readable(facts))
        before, self._since = self._since, time.perf_counter()
        ratio, seconds = len(made.content) / len(self._float.content), self._since - before
        return Report(path, facts, graph.operations(content), ratio, poor, seconds)


def _metadata(snapshot: Snapshot, kind: Quantization) -> dict[str, str]:
    names = snapshot.spec.own_names
    return {
        "version": __version__,
        "revision": report.revision(),
        "dataset": snapshot.config.dataset,
        "seed": str(snapshot.config.seed),
        "step": str(snapshot.step),
        "latent_size": str(snapshot.config.latent_size),
        "classes": str(snapshot.spec.classes),
        "image_shape": ",".join(map(str, snapshot.spec.shape)),
        "quantization": kind,
        **({"class_names": "\n".join(names)} if names else {}),
    }
