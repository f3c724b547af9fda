"""A run directory: its config.json, and the generator that its checkpoints hold."""

from __future__ import annotations

import dataclasses
import json
import types
import typing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from jaxgan.config import ImageSpec, TrainConfig, differences, option, resolved, resumed, settings
from jaxgan.errors import UserError, first_line
from jaxgan.gan.step import state_shape
from jaxgan.io.files import read_regular, write_whole
from jaxgan.runs import checkpoint
from jaxgan.version import __version__

_NAME = "config.json"
_MAX_BYTES = 1 << 20
# Of run directories, which grows when what lies in them changes; not when an option is added.
# 7: class names, state of augmentations.
_FORMAT = 7
_TYPES = typing.get_type_hints(TrainConfig)


class Snapshot(NamedTuple):
    """A generator as it was at a step of its run.

    Attributes:
        config: Configuration of the run, resolved.
        spec: Shape and classes of its images.
        params: Weights of the generator: their moving average.
        step: The step.
    """

    config: TrainConfig
    spec: ImageSpec
    params: Any
    step: int


@dataclass(frozen=True)
class Run:
    """What config.json holds, and where.

    Attributes:
        path: The run directory.
        config: Its configuration, resolved.
        spec: Shape and classes of its images; 0 classes for a plain GAN.
        count: Number of images that it trains on.
        fingerprint: SHA-256 of these images and their labels.
        origin: Run directory and step that it was forked from; None if it was not.
    """

    path: Path
    config: TrainConfig
    spec: ImageSpec
    count: int
    fingerprint: str
    origin: str | None = None

    @classmethod
    def open(cls, path: str | Path) -> Run:
        """Return the run in a directory.

        Raises:
            UserError: There is none, or its config.json is damaged or of another format.
        """
        run = cls.find(Path(path))
        if run is None:
            raise UserError(
                f"{path} holds no run (no config.json); train one with: python train.py"
            )
        return run

    @classmethod
    def find(cls, path: Path) -> Run | None:
        """Return the run in a directory, None where there is none; raises as ``open``."""
        name = path / _NAME
        if not name.exists():
            return None
        try:
            content = json.loads(read_regular(name, _MAX_BYTES))
            format_ = content.get("format", 1) if "settings" in content else _FORMAT
            if format_ == _FORMAT:
                return _parsed(path, content)
            version = str(content["version"])
        except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise UserError(f"{name} is damaged: {first_line(error)}") from error
        raise UserError(
            f"{path} has format {format_} (of jaxgan {version}), this program reads format "
            f"{_FORMAT}; use the version that wrote it, or give another --run-dir"
        )

    def write(self) -> None:
        """Write config.json; ``OutputError`` if it cannot be written."""
        images = {**dataclasses.asdict(self.spec), "count": self.count}
        content = {
            "format": _FORMAT,
            "version": __version__,
            "settings": dataclasses.asdict(self.config),
            "images": {**images, "fingerprint": self.fingerprint},
            "origin": self.origin,
        }
        write_whole(self.path / _NAME, json.dumps(content, indent=2).encode() + b"\n")

    def snapshot(self, step: int | None = None) -> Snapshot:
        """Return the generator of a checkpoint, the newest sound one if no step is given.

        Raises:
            UserError: There is no such checkpoint, or it is of another network than config.json
                tells of.
        """
        step, tree = checkpoint.load(self.path, step)
        try:
            state = checkpoint.as_state(tree, state_shape(self.config, self.spec))
        except (ValueError, TypeError, OverflowError) as error:  # sizes beyond all measure, too
            raise UserError(
                f"{self.path}: checkpoint {step} is not of the network in config.json: "
                f"{first_line(error)}; put the right file back"
            ) from error
        return Snapshot(self.config, self.spec, state.ema, step)


def _parsed(path: Path, content: dict[str, Any]) -> Run:
    """Return the run of what config.json holds; one of several exceptions where it is damaged."""
    found, images = content["settings"], content["images"]
    if unknown := min(found.keys() - _TYPES.keys(), default=None):
        raise ValueError(f"{unknown} is unknown")
    known = settings()
    values = {
        name: _typed(found[name], _TYPES[name], name) if name in found else known[name].neutral
        for name in _TYPES
    }
    # An option that the run is older than: what it did then, else its default.
    values = {name: value for name, value in values.items() if value is not dataclasses.MISSING}
    shape = tuple(_typed(side, int, "shape") for side in images["shape"])
    count = _typed(images["count"], int, "count")
    fingerprint = _typed(images["fingerprint"], str, "fingerprint")
    origin = _typed(content["origin"], str | None, "origin")
    try:
        names = tuple(_typed(name, str, "names") for name in images["names"])
        spec = ImageSpec(shape, _typed(images["classes"], int, "classes"), names)
        return Run(path, TrainConfig(**values), spec, count, fingerprint, origin)
    except UserError as error:
        raise ValueError(first_line(error)) from error


def _typed(value: Any, hint: Any, name: str) -> Any:
    """Return a value out of a JSON file if it is of a type; ``ValueError`` if not."""
    if not _is_a(value, hint):
        raise ValueError(f"{name}: expected {getattr(hint, '__name__', hint)}, got {value!r}")
    return value


def _is_a(value: Any, hint: Any) -> bool:
    if isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union:
        return any(_is_a(value, one) for one in typing.get_args(hint))
    if typing.get_origin(hint) is typing.Literal:
        return isinstance(value, str) and value in typing.get_args(hint)
    return type(value) is hint or (hint is float and type(value) is int)


def begin(
    config: TrainConfig, spec: ImageSpec, count: int, fingerprint: str, origin: str | None
) -> tuple[Run, Run | None]:
    """Return the run that is trained now, and what it was before; None for a new one.

    Args:
        config: What is asked for.
        spec: Shape and classes of the images.
        count: Number of images.
        fingerprint: Of these images.
        origin: Of a fork that starts now.

    Raises:
        UserError: The run directory has checkpoints of other options or other images, or nobody
            knows of which.
    """
    path = Path(config.run_dir)
    known = _find_resumable(path)
    if known is not None:
        config = resumed(config, known.config)
        _require_same(known, config, fingerprint, count)
        origin = origin or known.origin
    return Run(path, resolved(config, spec, count), spec, count, fingerprint, origin), known


def _find_resumable(path: Path) -> Run | None:
    """Return the run in a directory if it has checkpoints; None where nothing is there yet.

    Raises:
        UserError: Nobody knows with which options they were made, or as ``Run.open``.
    """
    if not checkpoint.saved(path):
        return None  # nothing was trained there, so nothing can be mixed up
    run = Run.find(path)
    if run is None:
        raise UserError(
            f"{path} has checkpoints but no config.json to tell their options; "
            "give another --run-dir, or put the file back"
        )
    return run


def _require_same(known: Run, config: TrainConfig, fingerprint: str, count: int) -> None:
    """Raise ``UserError`` where a run would be resumed with other options or other images."""
    if changed := differences(known.config, config):
        rows = [("option", "there", "here")]
        rows += [(option(name), str(old), str(new)) for name, old, new in changed]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in rows
        ]
        raise UserError(
            f"{known.path} holds a run with other options; give the same to continue it, another "
            "--run-dir, or --fork NEW_DIR for a new run from its state:\n  " + "\n  ".join(lines)
        )
    if known.fingerprint != fingerprint:
        counts = f"{known.count:,} images, these are {count:,}"
        counts = counts if known.count != count else f"other images, though as many ({count:,})"
        raise UserError(
            f"{known.path} was trained on {counts}; give another --run-dir, or the --data-dir of "
            "before"
        )
