"""What is told of a converted file: as JSON beside it and inside it, as lines for a person."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from jaxgan import __version__, scores
from jaxgan import tf as lazy_tensorflow
from jaxgan.config import Quantization, TrainConfig, differences
from jaxgan.errors import OutputError
from jaxgan.metrics import table

if TYPE_CHECKING:
    from jaxgan.export import Source


class Report(NamedTuple):
    """What was written.

    Attributes:
        path: The file.
        facts: What stands in the JSON file beside it.
        operations: Names of the operations of a signature ``generate_N``.
        share: Its size as a share of the float file's.
        poor: Why it should not be used; None if it may be.
        seconds: Time that it took.
    """

    path: Path
    facts: dict[str, Any]
    operations: list[str]
    share: float
    poor: str | None
    seconds: float

    def text(self) -> str:
        """Return the report as lines for a person."""
        facts, difference = self.facts, self.facts["difference"]
        share = f", {self.share:.1%} of float" if facts["quantization"] != "none" else ""
        calls = {**facts["latency_ms"]}
        method = calls.pop("method")
        lines = [
            f"{self.path}: {facts['bytes']:,} bytes{share}, in {self.seconds:.1f}s",
            f"signatures: {', '.join(one['name'] for one in facts['signatures'])}",
            f"operations: {len(self.operations)}: {', '.join(self.operations)}",
            f"difference from JAX on {difference['latents']} latents: at most "
            f"{difference['largest']:.1e}, mean {difference['mean']:.1e}, "
            f"PSNR {difference['psnr_db']:.1f} dB",
        ]
        if facts["scores"]:
            lines.append(_scored(**facts["scores"]))
        lines.append(
            f"milliseconds: {', '.join(f'{name} {value:g}' for name, value in calls.items())}"
            f" ({method})"
        )
        if self.poor:
            lines.append(f"written because of --force: {self.poor}")
        return "\n  ".join(lines)


def _scored(images: int, fid: float, agreement: float | None, float_fid: float, **rest) -> str:
    text = f"{images:,} images: FID {fid:.3g} (float: {float_fid:.3g})"
    if agreement is not None:
        text += f", label agreement {agreement:.2%} ({rest['float_agreement']:.2%})"
    return text


def inside(
    source: Source,
    kind: Quantization,
    graph: bytes,
    signatures: list[dict[str, Any]],
    measured: scores.Measured,
    float_: scores.Measured,
) -> dict[str, Any]:
    """Return what a file can tell of itself: the same however often it is converted.

    Args:
        source: The generator.
        kind: Its quantisation.
        graph: The file without our metadata.
        signatures: As the file itself describes them.
        measured: What the file is worth.
        float_: What the float file is worth.
    """
    config = source.config
    score = measured.score and {
        "images": table.Reference.COUNT,
        **_rounded(measured.score._asdict()),
        **_rounded({f"float_{name}": value for name, value in float_.score._asdict().items()}),
    }
    default = TrainConfig(dataset=config.dataset, seed=config.seed)
    installed = {name: metadata.version(name) for name in ("jax", "flax", "ai-edge-litert")}
    return {
        "quantization": kind,
        "graph_sha256": hashlib.sha256(graph).hexdigest(),
        "signatures": signatures,
        "difference": _rounded(measured.difference._asdict()),
        "scores": score,
        "run": {
            "dataset": config.dataset,
            "seed": config.seed,
            "step": source.step,
            "images_seen": source.step * config.batch_size,
            "options": {name: new for name, _, new in differences(default, config)},
        },
        "revision": revision(),
        "versions": {
            "jaxgan": __version__,
            **installed,
            "tensorflow": lazy_tensorflow.load().__version__,
        },
    }


def beside(path: Path, content: bytes, latency: Mapping[str, float]) -> dict[str, Any]:
    """Return what a file cannot hold: its name, size, checksum and speed.

    Args:
        path: The file.
        content: Its bytes.
        latency: Milliseconds of a call by the signature's name.
    """
    return {
        "file": path.name,
        "bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "latency_ms": {**_rounded(latency), "method": scores.METHOD},
    }


def place(path: Path) -> Path:
    """Return where the JSON of a .tflite file stands: generator.json beside generator.tflite."""
    return path.with_suffix(".json") if path.suffix == ".tflite" else Path(f"{path}.json")


def require_free(path: Path) -> None:
    """Raise ``OutputError`` where a JSON file of another kind stands beside a .tflite file."""
    there = place(path)
    if there.is_file() and b'"graph_sha256"' not in there.read_bytes():
        raise OutputError(
            f"cannot write {there} beside {path}: it is there already, and tells of no such file; "
            "give another --out"
        )


def readable(facts: Mapping[str, Any]) -> bytes:
    """Return facts as indented JSON, each shape in one line."""
    text = json.dumps(facts, indent=2)
    return re.sub(r"\[\s+([\d,\s]+?)\s+\]", _in_one_line, text).encode() + b"\n"


def _in_one_line(found: re.Match[str]) -> str:
    return f"[{' '.join(found[1].split())}]"


def compact(facts: Mapping[str, Any]) -> str:
    """Return facts as JSON without spaces."""
    return json.dumps(facts, separators=(",", ":"))


def revision() -> str:
    """Return the source's git revision, marked where files were changed since; or ``unknown``."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        folder = Path(__file__).parent
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    except OSError:
        return "unknown"
    return done.stdout.strip() or "unknown"


def _rounded(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return numbers to 4 significant digits: enough, and no sum's order shows in them."""
    return {
        name: float(f"{value:.4g}") if isinstance(value, float) else value
        for name, value in values.items()
    }
