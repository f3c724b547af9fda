"""What a converted file is worth: difference from JAX, metrics, speed; and whether that will do."""

from __future__ import annotations

import logging
import statistics
import time
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from jaxgan.config import Quantization
from jaxgan.data import store
from jaxgan.data.dataset import load
from jaxgan.data.store import Dataset
from jaxgan.drawing.evaluation import draw_requested, mismatch
from jaxgan.drawing.generator import Generator
from jaxgan.errors import ModelError, UserError
from jaxgan.export.signatures import BETWEEN, Signature, jax_images, probe
from jaxgan.metrics import features, imagenet
from jaxgan.metrics.general import GeneralReference, GeneralScores
from jaxgan.metrics.reference import Reference, Scores, Triples, reference
from jaxgan.runs.run import Snapshot

METHOD = (
    "median of 30 calls or of a second, after a first one; the C++ library from Python, 1 thread"
)
_CALLS, _SECONDS = 30, 1.0
_MIN_LATENTS = 256  # that are drawn by JAX and by the file
_SEED = 0  # of the images that are measured, as in ``evaluate``
_MAX_LOSS, _MAX_FACTOR = 0.01, 2.0  # of label agreement; of the float file's FID or KID
_MIN_KID = 0.1  # two sets of 1,000 real images may have as much by chance
# dB. Measured on trained generators: 74 and more for float16, 36 for dynamic, 33 for int8.
_MIN_PSNR: dict[Quantization, float] = {"float16": 50.0, "dynamic": 20.0, "int8": 20.0}
_log = logging.getLogger(__name__)


class Difference(NamedTuple):
    """How far a file's images are from those of JAX, over all signatures.

    Attributes:
        max: Largest difference of values in [-1, 1].
        mean: Mean difference.
        psnr_db: Peak signal-to-noise ratio, the peak being 2.
        latents: How many were drawn by each signature.
    """

    max: float
    mean: float
    psnr_db: float
    latents: int


class Checked(NamedTuple):
    """What is known of a file.

    Attributes:
        difference: From JAX.
        scores: What it is worth; None where there is nothing to compare with.
        network: Name of the feature network that they are from.
        images: Number of images that they are of.
    """

    difference: Difference
    scores: Scores | GeneralScores | None
    network: str | None = None
    images: int = 0


def find_reference(
    snapshot: Snapshot, data_dir: str | None, force: bool = False
) -> Reference | GeneralReference | None:
    """Return the real images that a generator's files are measured against.

    None, and a line in the log that says why, where there is nothing to compare with: the dataset
    is not prepared, has no feature network, is measured by modes, or has other images.

    Args:
        snapshot: The generator.
        data_dir: Folder of prepared datasets; None to compare with JAX alone.
        force: Whether to go on without metrics where the dataset is damaged.

    Raises:
        UserError: The dataset is there, and cannot be read.
    """
    if data_dir is None:
        return None
    dataset = snapshot.config.dataset
    reason = _no_metrics(dataset, data_dir)
    if reason is None:
        try:
            train, test = (load(dataset, data_dir, split) for split in ("train", "test"))
        except UserError as error:
            if not force:
                raise UserError(
                    f"{error}; without it the file's FID cannot be measured: give another "
                    "--data-dir, or --force to compare with JAX alone"
                ) from error
            reason = str(error)
        else:
            found = _reference(snapshot, train, test)
            if not isinstance(found, str):
                return found
            reason = found
    _log.info("no FID, no label agreement: %s", reason)
    return None


def _no_metrics(dataset: str, data_dir: str) -> str | None:
    """Return why there is nothing to measure by, before anything is read; None if there is."""
    if dataset not in features.known() and not imagenet.is_installed():
        return f"no feature network for {dataset}; to have one run: {imagenet.INSTALL}"
    if features.is_channelwise(dataset):
        return f"{dataset} is measured by modes; see jaxgan evaluate --help"
    if not store.exists(data_dir, dataset):
        return (
            f"{dataset} is not prepared in {data_dir}; "
            f"run: jaxgan data prepare {dataset} --data-dir {data_dir}"
        )
    return None


def _reference(
    snapshot: Snapshot, train: Dataset, test: Dataset
) -> Reference | GeneralReference | str:
    """Return a sound dataset's images to measure against, or why they cannot be."""
    if unlike := mismatch(snapshot.spec.shape, snapshot.spec.classes, test.spec):
        return f"the generator has {unlike}"
    try:
        found = reference(snapshot.config.dataset, train, test)
    except UserError as error:  # too few images
        return str(error)
    assert not isinstance(found, Triples)  # see _no_metrics
    return found


def check(
    snapshot: Snapshot,
    signatures: Mapping[str, Signature],
    file: Generator,
    real: Reference | GeneralReference | None,
) -> Checked:
    """Return what a file is worth.

    Args:
        snapshot: The generator that was converted.
        signatures: What the file should have.
        file: The file.
        real: What its images are measured against, if they are.

    Raises:
        ModelError: It does not run, its images have another shape, or are not finite.
    """
    found = difference(snapshot, signatures, file)
    if real is None:
        return Checked(found, None)
    drawn = draw_requested(file, _SEED, real.requested_labels(real.SCORED))
    return Checked(found, real.score(*drawn), real.network, real.SCORED)


def difference(
    snapshot: Snapshot, signatures: Mapping[str, Signature], file: Generator
) -> Difference:
    """Hold every signature against JAX on at least 256 latents; see ``check``."""
    count = max(_MIN_LATENTS, *(signature.rows for signature in signatures.values()))
    inputs, found = probe(snapshot, 0, count), []
    for name, signature in signatures.items():
        expected = jax_images(snapshot, {key: inputs[key] for key in signature.inputs})
        starts = signature.starts(count)
        image = np.concatenate([signature.run(file, signature.pick(inputs, at)) for at in starts])
        expected = np.concatenate([expected[at : at + signature.rows] for at in starts])
        if image.shape[1:] != expected.shape[1:]:
            raise ModelError(
                f"the conversion is wrong: {name} draws images of shape {image.shape[1:]}, "
                f"JAX {expected.shape[1:]}; nothing was written"
            )
        error = np.abs(image - expected, dtype=np.float64)
        found.append((error.max(), error.mean(), np.square(error).mean()))
    largest, mean, noise = np.asarray(found).T
    if not np.isfinite(noise).all():
        raise ModelError("the conversion is wrong: its images are not finite; nothing was written")
    # At most 206 dB, as JSON knows no infinity.
    psnr = 10 * np.log10(4 / max(noise.mean(), 1e-20))
    return Difference(float(largest.max()), float(mean.mean()), float(psnr), count)


def latency(
    snapshot: Snapshot, signatures: Mapping[str, Signature], file: Generator
) -> dict[str, float]:
    """Return the milliseconds of a call of each ``generate_N``, see ``METHOD``."""
    found = {}
    for name, signature in signatures.items():
        if name == BETWEEN:
            continue
        call = signature.pick(probe(snapshot, 0, signature.rows), 0)
        seconds: list[float] = []
        signature.run(file, call)
        while len(seconds) < _CALLS and sum(seconds) < _SECONDS:
            started = time.perf_counter()
            signature.run(file, call)
            seconds.append(time.perf_counter() - started)
        found[name] = 1e3 * statistics.median(seconds)
    return found


def refusal(kind: Quantization, quantized: Checked, float_: Checked) -> str | None:
    """Return in words why a quantised file should not be used; None if it may be.

    Its label agreement may fall by 1 point, its FID or KID double. Where there are no scores, its
    images must be like those of JAX: 50 dB for float16, 20 dB for the others.

    Args:
        kind: Its quantisation.
        quantized: What it is worth.
        float_: What the float file is worth.
    """
    if kind == "none":
        return None
    if quantized.scores is None or float_.scores is None:
        psnr, minimum = quantized.difference.psnr_db, _MIN_PSNR[kind]
        wrong = f"its PSNR is {psnr:.1f} dB, expected {minimum:g} or more"
        return None if psnr >= minimum else wrong
    (distance, agreement), (float_distance, float_agreement) = quantized.scores, float_.scores
    name = quantized.scores._fields[0]
    faults = []
    loss = 0.0 if agreement is None or float_agreement is None else float_agreement - agreement
    if loss > _MAX_LOSS + 1e-9:  # rounding
        faults.append(
            f"its label agreement falls from {float_agreement:.1%} to {agreement:.1%}, "
            "by more than 1 point"
        )
    base = max(float_distance, _MIN_KID) if name == "kid" else float_distance
    if not distance <= _MAX_FACTOR * base:
        faults.append(
            f"its {name.upper()} rises from {float_distance:.3g} to {distance:.3g}, "
            "to more than twice"
        )
    return " and ".join(faults) or None
