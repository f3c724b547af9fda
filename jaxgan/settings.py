"""A run's config.json: written, read, and held against what is asked for now."""

from __future__ import annotations

import dataclasses
import json
import types
import typing
from pathlib import Path
from typing import Any, NamedTuple

from jaxgan import __version__, checkpoint
from jaxgan.config import ImageSpec, TrainConfig, differences, option
from jaxgan.errors import UserError, first_line
from jaxgan.files import read_regular, write_whole

_NAME = "config.json"
_MOST_BYTES = 1 << 20
# Of run directories. 1 had its checksums in a folder of their own, 2 no --components, 3 no
# --residuals, 4 residual layers of 3x3 and no --warmup-images.
_FORMAT = 5
_TYPES = typing.get_type_hints(TrainConfig)


class Run(NamedTuple):
    """What config.json tells of a run.

    Attributes:
        config: Its settings.
        spec: Shape and classes of its images.
        count: Number of images that it trains on.
        origin: Run directory and step that it was forked from; None if it was not.
    """

    config: TrainConfig
    spec: ImageSpec
    count: int
    origin: str | None = None


def write(run_dir: Path, run: Run) -> None:
    """Write a run's config.json; ``OutputError`` if it cannot be written."""
    content = {
        "format": _FORMAT,
        "version": __version__,
        "settings": dataclasses.asdict(run.config),
        "images": {**dataclasses.asdict(run.spec), "count": run.count},
        "origin": run.origin,
    }
    write_whole(run_dir / _NAME, json.dumps(content, indent=2).encode() + b"\n")


def read(run_dir: Path) -> Run | None:
    """Return what config.json tells; None where there is none.

    Raises:
        UserError: It is damaged, or of another format.
    """
    path = run_dir / _NAME
    if not path.exists():
        return None
    try:
        content = json.loads(read_regular(path, _MOST_BYTES))
        format_ = content.get("format", 1) if "settings" in content else _FORMAT
        if format_ == _FORMAT:
            return _run(content)
        version = str(content["version"])
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise UserError(f"{path} is damaged: {first_line(error)}") from error
    raise UserError(
        f"{run_dir} has format {format_} (of jaxgan {version}), this program reads format "
        f"{_FORMAT}; use the version that wrote it, or give another --run-dir"
    )


def _run(content: dict[str, Any]) -> Run:
    """Return a run of what config.json holds; one of several exceptions where it is damaged."""
    settings, images = content["settings"], content["images"]
    if odd := min(settings.keys() ^ _TYPES.keys(), default=None):
        raise ValueError(f"{odd} is {'unknown' if odd in settings else 'missing'}")
    values = {name: _typed(settings[name], _TYPES[name], name) for name in _TYPES}
    count = _typed(images["count"], int, "count")
    origin = _typed(content["origin"], str | None, "origin")
    shape = tuple(_typed(side, int, "shape") for side in images["shape"])
    try:
        spec = ImageSpec(shape, _typed(images["classes"], int, "classes"))
        return Run(TrainConfig(**values), spec, count, origin)
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


def refuse_other_run(run_dir: Path, config: TrainConfig) -> Run | None:
    """Return what is known of a run that settings may continue; None if nothing is there yet.

    Raises:
        UserError: They differ in what may not change in a run, or nobody knows in what.
    """
    if not checkpoint.saved(run_dir):
        return None  # nothing was learnt there, so nothing can be mixed up
    known = read(run_dir)
    if known is None:
        raise UserError(
            f"{run_dir} has checkpoints but no config.json to tell their settings; "
            "give another --run-dir, or put the file back"
        )
    if changed := differences(known.config, config):
        rows = [("setting", "there", "here")]
        rows += [(option(name), str(old), str(new)) for name, old, new in changed]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in rows
        ]
        raise UserError(
            f"{run_dir} holds a run with other settings; give the same to continue it, another "
            "--run-dir, or --fork NEW_DIR for a new run from its state:\n  " + "\n  ".join(lines)
        )
    return known


def refuse_other_data(run_dir: Path, known: Run | None, count: int) -> None:
    """Raise ``UserError`` where a run would go on with another number of images."""
    if known is not None and known.count != count:
        raise UserError(
            f"{run_dir} was trained on {known.count:,} images, this dataset has {count:,}; "
            "give another --run-dir, or the --data-dir of before"
        )
