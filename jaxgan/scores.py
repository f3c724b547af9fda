"""What a converted file is worth: its difference from JAX, its scores, its speed; and a verdict."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from jaxgan import convert, data, drawing, evaluate, progress, tflite
from jaxgan.config import Quantization
from jaxgan.errors import ModelError, UserError
from jaxgan.metrics import features, table

if TYPE_CHECKING:
    from jaxgan.export import Source

METHOD = "median of 30 calls or of a second, after a first one; LiteRT in Python, 1 thread"
_CALLS, _SECONDS = 30, 1.0
_CHECKED = 256  # latents
_SEED = 0  # of the scored images, as jaxgan.evaluate has it
_LOST, _TIMES = 0.01, 2.0  # of label agreement, of the float file's FID
# dB. Measured on trained generators: 74 and more for float16, 36 for dynamic, 33 for int8.
_LEAST_PSNR: dict[Quantization, float] = {"float16": 50.0, "dynamic": 20.0, "int8": 20.0}


class Difference(NamedTuple):
    """How far a file's images are from those of JAX, over all signatures.

    Attributes:
        largest: Largest difference of values in [-1, 1].
        mean: Mean difference.
        psnr_db: Peak signal-to-noise ratio, the peak being 2.
        latents: How many were drawn by each signature.
    """

    largest: float
    mean: float
    psnr_db: float
    latents: int


class Measured(NamedTuple):
    """What is known of a file; no score where there is nothing to compare with."""

    difference: Difference
    score: table.Score | None


def reference(source: Source, data_dir: str) -> table.Reference | None:
    """Return what a generator's images are scored against; None, and a line that says why, if not.

    Args:
        source: The generator.
        data_dir: Folder of prepared datasets.
    """
    dataset = source.config.dataset
    try:
        if dataset == data.STACKED:
            raise UserError(f"{dataset} is measured by modes; see python -m jaxgan.evaluate --help")
        weights = features.load(dataset)
        train, test = (data.load(dataset, data_dir, split) for split in ("train", "test"))
        if unlike := evaluate.mismatch(source.spec.shape, source.spec.classes, test.spec):
            raise UserError(f"the generator has {unlike}")
        return table.reference(weights, train, test)
    except UserError as error:
        progress.say(f"no FID, no label agreement: {error}")
        return None


def measure(
    source: Source,
    signatures: Mapping[str, convert.Signature],
    file: tflite.Generator,
    real: table.Reference | None,
) -> Measured:
    """Return what a file is worth.

    Args:
        source: The generator that was converted.
        signatures: What the file should have.
        file: The file.
        real: What its images are scored against, if they are.

    Raises:
        ModelError: It does not run, its images have another shape, or are no numbers.
    """
    return Measured(difference(source, signatures, file), real and _score(file, real))


def difference(
    source: Source, signatures: Mapping[str, convert.Signature], file: tflite.Generator
) -> Difference:
    """Hold every signature against JAX on at least 256 latents; see ``measure``."""
    count = max(_CHECKED, *(signature.rows for signature in signatures.values()))
    inputs, found = convert.probe(source, 0, count), []
    for name, signature in signatures.items():
        expected = convert.draw(source, {key: inputs[key] for key in signature.inputs})
        starts = signature.starts(count)
        image = np.concatenate([file.run(name, signature.pick(inputs, at)) for at in starts])
        expected = np.concatenate([expected[at : at + signature.rows] for at in starts])
        if image.shape[1:] != expected.shape[1:]:
            raise ModelError(
                f"the conversion is wrong: {name} gives images of shape {image.shape[1:]}, "
                f"JAX {expected.shape[1:]}; nothing was written"
            )
        error = np.abs(image - expected, dtype=np.float64)
        found.append((error.max(), error.mean(), np.square(error).mean()))
    largest, mean, noise = np.asarray(found).T
    if not np.isfinite(noise).all():
        raise ModelError("the conversion is wrong: its images are no numbers; nothing was written")
    # At most 206 dB, as JSON knows no infinity.
    psnr = 10 * np.log10(4 / max(noise.mean(), 1e-20))
    return Difference(float(largest.max()), float(mean.mean()), float(psnr), count)


def _score(file: tflite.Generator, real: table.Reference) -> table.Score:
    model = drawing.Model(
        draw=file.draw,
        latent_size=file.latent_size,
        image_shape=file.image_shape,
        classes=file.classes,
        dataset=file.metadata.get("dataset", ""),
    )
    return real.score(*evaluate.draw(model, _SEED, real.asked(real.COUNT)))


def latency(
    source: Source, signatures: Mapping[str, convert.Signature], file: tflite.Generator
) -> dict[str, float]:
    """Return the milliseconds of a call of each ``generate_N``, see ``METHOD``."""
    found = {}
    for name, signature in signatures.items():
        if name == tflite.BETWEEN:
            continue
        inputs, seconds = convert.probe(source, 0, signature.rows), []
        call = {key: inputs[key] for key in signature.inputs}
        file.run(name, call)
        while len(seconds) < _CALLS and sum(seconds) < _SECONDS:
            started = time.perf_counter()
            file.run(name, call)
            seconds.append(time.perf_counter() - started)
        found[name] = 1e3 * statistics.median(seconds)
    return found


def refusal(kind: Quantization, quantised: Measured, float_: Measured) -> str | None:
    """Return in words why a quantised file should not be used; None if it may be.

    Its label agreement may fall by 1 point, its FID double. Where there are no scores, its images
    must be like those of JAX: 50 dB for float16, 20 dB for the others.

    Args:
        kind: Its quantisation.
        quantised: What it is worth.
        float_: What the float file is worth.
    """
    if kind == "none":
        return None
    if quantised.score is None or float_.score is None:
        found, least = quantised.difference.psnr_db, _LEAST_PSNR[kind]
        wrong = f"its PSNR is {found:.1f} dB, expected {least:g} or more"
        return None if found >= least else wrong
    (fid, agreement), (float_fid, float_agreement) = quantised.score, float_.score
    faults = []
    if agreement is not None and float_agreement - agreement > _LOST + 1e-9:  # rounding
        faults.append(
            f"its label agreement falls from {float_agreement:.1%} to {agreement:.1%}, "
            "by more than 1 point"
        )
    if not fid <= _TIMES * float_fid:
        faults.append(f"its FID rises from {float_fid:.3g} to {fid:.3g}, to more than twice")
    return " and ".join(faults) or None
