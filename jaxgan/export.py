"""Generator params → one .tflite file, run and held against JAX before it is written."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, get_args

import jax

from jaxgan import __version__, checkpoint, convert, progress, report, scores, settings, tflite
from jaxgan.config import BATCH_SIZES, ImageSpec, Quantization, TrainConfig
from jaxgan.errors import ModelError, OutputError, UserError, first_line
from jaxgan.files import write_whole
from jaxgan.gan import make_gan
from jaxgan.report import Report, revision

if TYPE_CHECKING:
    from jaxgan.metrics import table

TOLERANCE = 1e-4  # of an image value in [-1, 1]; rounding alone gives 1e-6


class Source(NamedTuple):
    """What is converted.

    Attributes:
        config: Settings of the run that trained it.
        spec: Image shape and classes.
        params: Generator params (the weight average).
        step: Step of the run.
    """

    config: TrainConfig
    spec: ImageSpec
    params: Any
    step: int


def from_run(run_dir: Path, step: int | None = None) -> Source:
    """Return the generator of a run directory's checkpoint, the newest if no step is given.

    Raises:
        UserError: The directory holds no run, no such readable checkpoint, or one of another
            network than its config.json tells of.
    """
    known = settings.read(run_dir)
    if known is None:
        raise UserError(f"{run_dir} holds no run (no config.json); train one with: python train.py")
    step, tree = checkpoint.load(run_dir, step)
    try:
        like = jax.eval_shape(make_gan(known.config, known.spec).init)
        state = checkpoint.as_state(tree, like)
    except (ValueError, TypeError, OverflowError) as error:  # sizes beyond all measure, too
        raise UserError(
            f"{run_dir}: checkpoint {step} is not of the network in config.json: "
            f"{first_line(error)}; put the right file back"
        ) from error
    return Source(known.config, known.spec, state.average, step)


class _Made(NamedTuple):
    """A flatbuffer without our metadata, its signatures as it describes them, what it is worth."""

    graph: bytes
    signatures: list[dict[str, Any]]
    measured: scores.Measured


class Conversion:
    """A generator in TensorFlow's form and as a float graph, sound; files are written from it."""

    def __init__(
        self,
        source: Source,
        folder: Path,
        batch_sizes: Sequence[int] = BATCH_SIZES,
        real: table.Reference | None = None,
    ) -> None:
        """Convert to float and hold that against JAX.

        Args:
            source: The generator.
            folder: An empty folder, which the SavedModel is left in.
            batch_sizes: One signature ``generate_N`` each; they share the weights.
            real: What the images are scored against, if they are.

        Raises:
            ModelError: The converted graph does not draw what JAX draws.
        """
        self._since = time.perf_counter()
        self._source, self._real, self._folder = source, real, folder / "model"
        self._signatures = convert.signatures(source, batch_sizes)
        convert.save(source, self._signatures, self._folder)
        self._float = self._made("none")
        largest = self._float.measured.difference.largest
        if not largest <= TOLERANCE:
            raise ModelError(
                f"the conversion is wrong: its images differ from JAX's by up to {largest:.1e}, "
                f"expected at most {TOLERANCE:.0e}; nothing was written"
            )

    def _made(self, kind: Quantization) -> _Made:
        graph = convert.flatbuffer(self._source, self._signatures, self._folder, kind)
        file = tflite.Generator(tflite.add_metadata(graph, _metadata(self._source, kind)))
        measured = scores.measure(self._source, self._signatures, file, self._real)
        return _Made(graph, file.signatures(), measured)

    def keep(self, saved_model: Path | None) -> None:
        """Put a copy of the SavedModel into another folder, if one is given."""
        if saved_model is not None:
            _place(self._folder, saved_model)

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
        made = self._float if kind == "none" else self._made(kind)
        poor = scores.refusal(kind, made.measured, self._float.measured)
        if poor and not force:
            raise ModelError(f"{path} was not written: {poor}; --force writes it all the same")
        inside = report.inside(self._source, kind, *made, self._float.measured)
        entries = {**_metadata(self._source, kind), "report": report.compact(inside)}
        content = tflite.add_metadata(made.graph, entries)
        # The very bytes that are written are run.
        speed = scores.latency(self._source, self._signatures, tflite.Generator(content))
        facts = {**report.beside(path, content, speed), **inside}
        write_whole(path, content)
        write_whole(report.place(path), report.readable(facts))
        before, self._since = self._since, time.perf_counter()
        share, seconds = len(made.graph) / len(self._float.graph), self._since - before
        return Report(path, facts, tflite.operations(content), share, poor, seconds)


def export(
    source: Source,
    path: Path,
    batch_sizes: Sequence[int] = BATCH_SIZES,
    saved_model: Path | None = None,
    kind: Quantization = "none",
    real: table.Reference | None = None,
    force: bool = False,
) -> Report:
    """Convert a generator to one file, check it against JAX, write it.

    Args:
        source: The generator.
        path: The .tflite file to write; a JSON file of what is known of it is written beside it.
        batch_sizes: One signature ``generate_N`` each; they share the weights.
        saved_model: Folder for a TensorFlow SavedModel, if one is wanted too.
        kind: Quantisation.
        real: What the images are scored against, if they are.
        force: Whether to write a quantised file even if its images are too poor.

    Raises:
        ModelError: The converted file does not draw what JAX draws. Nothing was written.
        OutputError: The file cannot be written.
    """
    with tempfile.TemporaryDirectory() as scratch:
        conversion = Conversion(source, Path(scratch), batch_sizes, real)
        conversion.keep(saved_model)
        return conversion.write(path, kind, force)


def export_all(
    source: Source,
    path: Path,
    batch_sizes: Sequence[int] = BATCH_SIZES,
    saved_model: Path | None = None,
    real: table.Reference | None = None,
    force: bool = False,
) -> None:
    """Convert a generator to a file of each quantisation, and tell of each; else as ``export``.

    The float file is ``path``; the others' names tell what they are, as in NAME-int8.tflite.

    Raises:
        ModelError: Some were not written.
    """
    refused = []
    with tempfile.TemporaryDirectory() as scratch:
        conversion = Conversion(source, Path(scratch), batch_sizes, real)
        conversion.keep(saved_model)
        for kind in get_args(Quantization):
            name = path.name if kind == "none" else f"{path.stem}-{kind}{path.suffix}"
            try:
                progress.say(conversion.write(path.with_name(name), kind, force).text())
            except ModelError as error:
                refused.append(str(error))
    if refused:
        raise ModelError("; ".join(refused))


def _place(folder: Path, target: Path) -> None:
    """Put a copy of a SavedModel folder where the target is, over an older SavedModel."""
    if target.exists() and not (target.is_dir() and (target / "saved_model.pb").exists()):
        raise OutputError(f"cannot write {target}: it is there already, and is no SavedModel")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".jaxgan.", dir=target.parent) as beside:
        copy = shutil.copytree(folder, Path(beside) / "new")
        if target.exists():
            target.rename(Path(beside) / "old")
        copy.rename(target)


def _metadata(source: Source, kind: Quantization) -> dict[str, str]:
    return {
        "version": __version__,
        "revision": revision(),
        "dataset": source.config.dataset,
        "seed": str(source.config.seed),
        "step": str(source.step),
        "latent_size": str(source.config.latent_size),
        "classes": str(source.spec.classes),
        "image_shape": ",".join(map(str, source.spec.shape)),
        "quantization": kind,
    }
