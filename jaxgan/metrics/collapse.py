"""Mode collapse: whether a generator draws the same few images again and again."""

from __future__ import annotations

import math
from collections.abc import Mapping

_GRACE = 250_000  # images; with the default settings a run leaves these bounds before 100,000
_MISSING = 0.854  # of the KL of one missing class; this makes 0.09 nats of ten classes
_SAMPLING = 3.0  # times the KL that a sample of a uniform source has
_MIN_RECALL = 0.02
_MIN_MODES = 0.5  # of all modes
_MIN_SPREAD = 0.2  # of that of real images


def collapse(
    quality: Mapping[str, float], images_seen: int, classes: int, images: int = 5_000
) -> str | None:
    """Return how a generator has collapsed, as a clause; None if it has not.

    Either one class or more is missing, or recall is near 0, or most of the modes are missing. An
    untrained generator has all three, so the first images of a run do not count. Where spread and
    variety are known, they count in place of recall, which ImageNet's features leave at 0 for
    pictures that are merely bad.

    One missing class of K makes a KL of log(K / (K - 1)); the plug-in KL of N images of a uniform
    source is about (K - 1) / 2N, which is more where there are many classes.

    Args:
        quality: Quick metrics by their names.
        images_seen: Real images that the run has trained on.
        classes: Number of classes K of the feature network, ``Reference.classes``.
        images: Number N of generated images that were measured.
    """
    if images_seen < _GRACE:
        return None
    if quality.get("histogram_kl", 0.0) > _max_kl(classes, images):
        return "some classes are hardly drawn"
    own = "recall" in quality and "variety" not in quality
    same = min(quality.get("spread", 1.0), quality.get("variety", 1.0)) < _MIN_SPREAD
    if same or (own and quality["recall"] < _MIN_RECALL):
        return "the images hardly vary"
    triples = classes**3
    if quality.get("modes", triples) < _MIN_MODES * triples:
        return f"few of the {triples:,} triples are drawn"
    return None


def _max_kl(classes: int, images: int) -> float:
    if classes < 2:
        return math.inf
    one_missing = math.log(classes / (classes - 1))
    return max(_MISSING * one_missing, _SAMPLING * (classes - 1) / (2 * images))
