"""Pin what InceptionV3 answers: ``python -m scripts.pin_inception``, with pytorch-fid installed.

    pip install torch torchvision pytorch-fid

It gives random weights to pytorch-fid's network, shows it two pictures that a formula draws, and
writes the answers to tests/fixture/inception.json, by which the tests hold our network to it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

FIXTURE = Path(__file__).parent.parent / "tests" / "fixture" / "inception.json"
_SHOWN = slice(None, None, 256)  # of the 2,048 features


def random_weights(shapes: Mapping[str, list[int]]) -> dict[str, np.ndarray]:
    """Return random weights of convolutions of given shapes, each with its batch normalisation."""
    draw, weights = np.random.default_rng(0), {}
    for name, shape in sorted(shapes.items()):
        scale = (2 / np.prod(shape[1:])) ** 0.5
        weights[f"{name}.conv.weight"] = draw.normal(0, scale, shape)
        weights[f"{name}.bn.weight"] = draw.uniform(0.5, 1.5, shape[0])
        weights[f"{name}.bn.bias"] = draw.normal(0, 0.1, shape[0])
        weights[f"{name}.bn.running_mean"] = draw.normal(0, 0.1, shape[0])
        weights[f"{name}.bn.running_var"] = draw.uniform(0.5, 1.5, shape[0])
    return {name: value.astype(np.float32) for name, value in weights.items()}


def pictures() -> np.ndarray:
    """Return two pictures by a formula, uint8 [2, 64, 64, 3]."""
    y, x, channel = np.meshgrid(np.arange(64), np.arange(64), np.arange(3), indexing="ij")
    one = ((y * 3 + x * 2 * (channel + 1) + (x * y) // 8) % 256).astype(np.uint8)
    return np.stack([one, 255 - one[::-1]])


def _resized(image: np.ndarray) -> dict[str, Any]:
    """Return pictures as tensors [2, 3, 299, 299] of 0 to 1, by both resizes."""
    import torch
    from PIL import Image

    def bicubic(channel: np.ndarray) -> np.ndarray:
        floats = Image.fromarray(channel.astype(np.float32), mode="F")
        return np.asarray(floats.resize((299, 299), Image.Resampling.BICUBIC)).clip(0, 255)

    clean = np.stack([[bicubic(one[..., channel]) for channel in range(3)] for one in image])
    plain = torch.tensor(image).permute(0, 3, 1, 2).float()
    legacy = torch.nn.functional.interpolate(
        plain, size=(299, 299), mode="bilinear", align_corners=False
    )
    return {"clean": torch.tensor(clean) / 255, "legacy": legacy / 255}


def main() -> None:
    """Write the fixture."""
    import torch
    from pytorch_fid import inception

    empty: dict[str, Any] = {}
    inception.load_state_dict_from_url = lambda *_, **__: empty
    load, torch.nn.Module.load_state_dict = torch.nn.Module.load_state_dict, lambda *_, **__: None
    network = inception.fid_inception_v3()
    torch.nn.Module.load_state_dict = load
    end = ".conv.weight"
    shapes = {
        name.removesuffix(end): list(value.shape)
        for name, value in network.state_dict().items()
        if name.endswith(end)
    }
    values = {name: torch.tensor(value) for name, value in random_weights(shapes).items()}
    network.load_state_dict(values, strict=False)
    inception.fid_inception_v3 = lambda: network
    whole = inception.InceptionV3(resize_input=False).eval()
    with torch.no_grad():
        answers = {
            resize: whole(image)[0][:, _SHOWN, 0, 0].numpy().astype(float).round(5).tolist()
            for resize, image in _resized(pictures()).items()
        }
    FIXTURE.write_text(json.dumps({"shapes": shapes, "answers": answers}) + "\n")


if __name__ == "__main__":
    main()
