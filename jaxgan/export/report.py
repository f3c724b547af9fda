"""What is known of a converted file: as JSON beside it and inside it, as lines for a person."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

from jaxgan.config import Quantization, TrainConfig, differences, resolved
from jaxgan.drawing.model import SignatureInfo
from jaxgan.errors import OutputError
from jaxgan.export.checks import METHOD, Checked
from jaxgan.io.files import read_regular
from jaxgan.io.tensorflow import load_tensorflow
from jaxgan.runs.run import Snapshot
from jaxgan.version import __version__

_PACKAGE = Path(__file__).parent.parent
_REVISION = "_revision.txt"  # in the package, written when a wheel is built
_MAX_JSON_BYTES = 1 << 24


class Report(NamedTuple):
    """What was written.

    Attributes:
        path: The file.
        facts: Content of the JSON file beside it.
        operations: Names of the operations of a signature ``generate_N``.
        size_ratio: Its size relative to the float file's.
        warning: Why it should not be used, where it was written all the same; else None.
        seconds: Time that it took.
    """

    path: Path
    facts: dict[str, Any]
    operations: list[str]
    size_ratio: float
    warning: str | None
    seconds: float

    def text(self) -> str:
        """Return the report as lines for a person."""
        facts, difference = self.facts, self.facts["difference"]
        ratio = f", {self.size_ratio:.1%} of float" if facts["quantization"] != "none" else ""
        calls = {**facts["latency_ms"]}
        method = calls.pop("method")
        lines = [
            f"{self.path}: {facts['bytes']:,} bytes{ratio}, in {self.seconds:.1f}s",
            f"signatures: {', '.join(one['name'] for one in facts['signatures'])}",
            f"operations: {len(self.operations)}: {', '.join(self.operations)}",
            f"difference from JAX on {difference['latents']} latents: at most "
            f"{difference['max']:.1e}, mean {difference['mean']:.1e}, "
            f"PSNR {difference['psnr_db']:.1f} dB",
        ]
        if facts["metrics"]:
            lines.append(_metrics_line(**facts["metrics"]))
        lines.append(
            f"milliseconds: {', '.join(f'{name} {value:g}' for name, value in calls.items())}"
            f" ({method})"
        )
        if self.warning:
            lines.append(f"written because of --force: {self.warning}")
        return "\n  ".join(lines)


def _metrics_line(
    images: int,
    network: str,
    agreement: float | None,
    float_agreement: float | None,
    **distances: float,
) -> str:
    (name, value), (_, float_value) = distances.items()
    text = f"{images:,} images, network {network}: {name.upper()} {value:.3g}"
    text += f" (float: {float_value:.3g})"
    if agreement is not None:
        text += f", label agreement {agreement:.2%} ({float_agreement:.2%})"
    return text


def inside(
    snapshot: Snapshot,
    kind: Quantization,
    graph: bytes,
    signatures: tuple[SignatureInfo, ...],
    checked: Checked,
    float_: Checked,
) -> dict[str, Any]:
    """Return what a file can tell of itself: the same however often it is converted.

    Args:
        snapshot: The generator.
        kind: Its quantisation.
        graph: The file without our metadata.
        signatures: As the file itself describes them.
        checked: What the file is worth.
        float_: What the float file is worth.
    """
    config = snapshot.config
    default = resolved(TrainConfig(dataset=config.dataset, seed=config.seed), snapshot.spec)
    installed = {name: metadata.version(name) for name in ("jax", "flax", "ai-edge-litert")}
    return {
        "quantization": kind,
        "graph_sha256": hashlib.sha256(graph).hexdigest(),
        "signatures": [_signature(one) for one in signatures],
        "difference": _rounded(checked.difference._asdict()),
        "metrics": _metrics(checked, float_),
        "run": {
            "dataset": config.dataset,
            "seed": config.seed,
            "step": snapshot.step,
            "images_seen": snapshot.step * config.batch_size,
            "options": {
                name: new for name, _, new in differences(default, resolved(config, snapshot.spec))
            },
        },
        "revision": revision(),
        "versions": {
            "jaxgan": __version__,
            **installed,
            "tensorflow": load_tensorflow().__version__,
        },
    }


def _metrics(checked: Checked, float_: Checked) -> dict[str, Any] | None:
    if checked.scores is None or float_.scores is None:
        return None
    of_float = {f"float_{name}": value for name, value in float_.scores._asdict().items()}
    values = _rounded({**checked.scores._asdict(), **of_float})
    return {"network": checked.network, "images": checked.images, **values}


def _signature(signature: SignatureInfo) -> dict[str, Any]:
    tensors = {"inputs": signature.inputs, "outputs": signature.outputs}
    return {
        "name": signature.name,
        **{
            side: {
                name: {"dtype": one.dtype, "shape": list(one.shape)} for name, one in found.items()
            }
            for side, found in tensors.items()
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
        "latency_ms": {**_rounded(latency), "method": METHOD},
    }


def place(path: Path) -> Path:
    """Return where the JSON of a .tflite file stands: generator.json beside generator.tflite."""
    return path.with_suffix(".json") if path.suffix == ".tflite" else Path(f"{path}.json")


def require_free(path: Path) -> None:
    """Raise ``OutputError`` where a JSON file of another kind stands beside a .tflite file."""
    there = place(path)
    if not there.is_file():
        return
    try:
        ours = b'"graph_sha256"' in read_regular(there, _MAX_JSON_BYTES)
    except OSError:
        ours = False
    if not ours:
        raise OutputError(
            f"cannot write {there} beside {path}: it is there already, and describes no such file; "
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


def revision(package: Path = _PACKAGE) -> str:
    """Return the git revision of jaxgan's own checkout, or that which a wheel was built from.

    Never of another repository that the package happens to lie in: ``unknown`` then. Files that
    were changed since are marked by ``-dirty``.

    Args:
        package: The folder ``jaxgan``.
    """
    root = package.parent
    # That of a hook or of another repository that is being worked on does not count.
    environment = {name: text for name, text in os.environ.items() if not name.startswith("GIT_")}

    def git(*arguments: str) -> str:
        done = subprocess.run(
            ["git", *arguments], cwd=root, env=environment, capture_output=True, text=True,
            check=False,
        )  # fmt: skip
        return done.stdout.strip()

    try:
        own = (root / "tflite_cpp" / "CMakeLists.txt").is_file()
        if own and os.path.realpath(git("rev-parse", "--show-toplevel")) == os.path.realpath(root):
            return git("describe", "--always", "--dirty", "--abbrev=12") or "unknown"
    except OSError:  # no git
        pass
    built = package / _REVISION
    return built.read_text(encoding="utf-8").strip() if built.is_file() else "unknown"


def _rounded(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return numbers to 4 significant digits: enough, and no sum's order shows in them."""
    return {
        name: float(f"{value:.4g}") if isinstance(value, float) else value
        for name, value in values.items()
    }
