"""PyTorch's example (github.com/pytorch/examples, dcgan/main.py), cut from 64x64 to 28x28.

Its recipe: weights from N(0, 0.02), BatchNorm, separate passes of D on real and on drawn images,
sigmoid and BCELoss, batch 64, Adam 2e-4 with β1 0.5. Of its layers the inner ones are left out: G
goes from 7x7x128 to 14x14x64 to 28x28x1, D back. Written with care: channels last, fused Adam, no
gradient that nobody needs, G's first layer, a transposed convolution of 1x1, as the matrix product
that it is; eager, which is faster than compiled here (see results/train_step.md).

The example draws a batch at a time with BatchNorm in training mode; here it is in inference mode,
so that an image does not depend on its neighbours (FID after two minutes without labels: 44.3 in
training mode, 44.2 in inference mode). With labels, which the example has not, an
embedding of the label joins the latent vector in G, and another one the image as a second channel
in D.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy

from benchmarks.train import EMBEDDING, LATENT, Mark, Peer, Task, timed
from jaxgan.data.dataset import Dataset, load

_BATCH, _LEARNING_RATE, _BETAS, _SIDE = 64, 2e-4, (0.5, 0.999), 28
_WIDE, _NARROW = 128, 64


def train(task: Task) -> Iterator[Mark]:
    """Train; yield what is drawn at each time."""
    torch.manual_seed(task.seed)
    torch.backends.cudnn.benchmark = True
    dataset = load(task.dataset, task.data_dir)
    peer = _peer(dataset, dataset.spec.classes if task.labels else 0)
    return timed(peer, task, len(dataset.image))


class _Generator(nn.Module):
    """Latents [B, 100] and labels [B] → images [B, 1, 28, 28]."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.label = nn.Embedding(classes, EMBEDDING) if classes else None
        inputs = LATENT + (EMBEDDING if classes else 0)
        self.project = nn.Linear(inputs, 7 * 7 * _WIDE, bias=False)
        self.body = nn.Sequential(
            nn.BatchNorm2d(_WIDE),
            nn.ReLU(inplace=True),
            nn.ConvTranspose2d(_WIDE, _NARROW, 4, 2, 1, bias=False),
            nn.BatchNorm2d(_NARROW),
            nn.ReLU(inplace=True),
            nn.ConvTranspose2d(_NARROW, 1, 4, 2, 1, bias=False),
            nn.Tanh(),
        )

    def forward(self, latent: torch.Tensor, label: torch.Tensor | None) -> torch.Tensor:
        if self.label is not None:
            latent = torch.cat([latent, self.label(label)], 1)
        x = self.project(latent).view(-1, 7, 7, _WIDE)
        return self.body(x.permute(0, 3, 1, 2))  # channels last at no cost


class _Discriminator(nn.Module):
    """Images [B, 1, 28, 28] and labels [B] → probabilities [B] of being real."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.label = nn.Embedding(classes, _SIDE * _SIDE) if classes else None
        self.body = nn.Sequential(
            nn.Conv2d(2 if classes else 1, _NARROW, 4, 2, 1, bias=False),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(_NARROW, _WIDE, 4, 2, 1, bias=False),
            nn.BatchNorm2d(_WIDE),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Conv2d(_WIDE, 1, 7, 1, 0, bias=False),
            nn.Sigmoid(),
        )

    def forward(self, image: torch.Tensor, label: torch.Tensor | None) -> torch.Tensor:
        if self.label is not None:
            plane = self.label(label).view(-1, 1, _SIDE, _SIDE)
            image = torch.cat([image, plane], 1).contiguous(memory_format=torch.channels_last)
        return self.body(image).flatten()


def _init(module: nn.Module) -> None:
    if isinstance(module, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(module.weight, 0.0, 0.02)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)


def _peer(dataset: Dataset, classes: int) -> Peer:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    generator, discriminator = (
        network(classes).apply(_init).to(device, memory_format=torch.channels_last)
        for network in (_Generator, _Discriminator)
    )
    g_params, d_params = list(generator.parameters()), list(discriminator.parameters())
    g_optimizer, d_optimizer = (
        torch.optim.Adam(params, _LEARNING_RATE, _BETAS, fused=True)
        for params in (g_params, d_params)
    )
    images = torch.from_numpy(dataset.image).to(device)
    labels = torch.from_numpy(dataset.label).to(device)
    is_real, is_fake = torch.ones(_BATCH, device=device), torch.zeros(_BATCH, device=device)

    def learn(optimizer: torch.optim.Optimizer, params: list, loss: torch.Tensor) -> None:
        for param, gradient in zip(params, torch.autograd.grad(loss, params), strict=True):
            param.grad = gradient
        optimizer.step()

    def step(index: np.ndarray) -> None:
        chosen = torch.from_numpy(index).to(device)
        real = images[chosen].permute(0, 3, 1, 2).float().div_(127.5).sub_(1)
        label = labels[chosen] if classes else None
        fake = generator(torch.randn(_BATCH, LATENT, device=device), label)
        loss = binary_cross_entropy(discriminator(real, label), is_real)
        loss = loss + binary_cross_entropy(discriminator(fake.detach(), label), is_fake)
        learn(d_optimizer, d_params, loss)
        learn(g_optimizer, g_params, binary_cross_entropy(discriminator(fake, label), is_real))

    def draw(latent: np.ndarray, label: np.ndarray | None) -> np.ndarray:
        generator.eval()
        with torch.inference_mode():
            chosen = label if label is None else torch.from_numpy(label).to(device)
            drawn = generator(torch.from_numpy(latent).to(device), chosen)
        generator.train()
        return drawn.permute(0, 2, 3, 1).cpu().numpy()

    if device.type == "cpu":
        return Peer(_BATCH, classes, step, lambda: None, draw)
    name = torch.cuda.get_device_name(device)
    return Peer(_BATCH, classes, step, torch.cuda.synchronize, draw, name)
