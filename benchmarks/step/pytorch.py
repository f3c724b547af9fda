"""PyTorch, as a careful author writes it: channels_last, no gradient that nobody needs."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn
from torch.nn.functional import softplus

from benchmarks import dcgan


def start(batch: int, mode: str = "eager") -> Callable[[int], None]:
    """Return a trainer; ``mode`` is eager or a mode of ``torch.compile``."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    generator = nn.Sequential(
        nn.Linear(dcgan.LATENT, dcgan.SMALL * dcgan.SMALL * dcgan.WIDE),
        nn.LeakyReLU(dcgan.SLOPE),
        nn.Unflatten(1, (dcgan.WIDE, dcgan.SMALL, dcgan.SMALL)),
        nn.ConvTranspose2d(dcgan.WIDE, dcgan.NARROW, dcgan.KERNEL, dcgan.STRIDE, 1),
        nn.LeakyReLU(dcgan.SLOPE),
        nn.ConvTranspose2d(dcgan.NARROW, 1, dcgan.KERNEL, dcgan.STRIDE, 1),
        nn.Tanh(),
    ).to(device, memory_format=torch.channels_last)
    discriminator = nn.Sequential(
        nn.Conv2d(1, dcgan.NARROW, dcgan.KERNEL, dcgan.STRIDE, 1),
        nn.LeakyReLU(dcgan.SLOPE),
        nn.Conv2d(dcgan.NARROW, dcgan.WIDE, dcgan.KERNEL, dcgan.STRIDE, 1),
        nn.LeakyReLU(dcgan.SLOPE),
        nn.Flatten(),
        nn.Linear(dcgan.SMALL * dcgan.SMALL * dcgan.WIDE, 1),
    ).to(device, memory_format=torch.channels_last)
    adam = {"lr": dcgan.LEARNING_RATE, "betas": (dcgan.BETA1, dcgan.BETA2)}
    g_optimizer = torch.optim.Adam(generator.parameters(), **adam)
    d_optimizer = torch.optim.Adam(discriminator.parameters(), **adam)
    g_params, d_params = list(generator.parameters()), list(discriminator.parameters())
    real = torch.from_numpy(dcgan.scaled_images(batch)).permute(0, 3, 1, 2)
    real = real.to(device, memory_format=torch.channels_last)

    def draw() -> torch.Tensor:
        return generator(torch.randn(batch, dcgan.LATENT, device=device))

    def gradients_d(fake: torch.Tensor) -> tuple[torch.Tensor, ...]:
        images = torch.cat([real, fake]).contiguous(memory_format=torch.channels_last)
        real_logit, fake_logit = discriminator(images).chunk(2)
        loss = softplus(-real_logit).mean() + softplus(fake_logit).mean()
        return torch.autograd.grad(loss, d_params)

    def gradients_g(fake: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return torch.autograd.grad(softplus(-discriminator(fake)).mean(), g_params)

    if mode != "eager":
        options = {} if mode == "default" else {"mode": mode}
        draw, gradients_d, gradients_g = (
            torch.compile(function, **options) for function in (draw, gradients_d, gradients_g)
        )

    def update(optimizer: torch.optim.Optimizer, params: list, found: tuple) -> None:
        for param, gradient in zip(params, found, strict=True):
            param.grad = gradient
        optimizer.step()

    def run(steps: int) -> None:
        for _ in range(steps):
            fake = draw()
            update(d_optimizer, d_params, gradients_d(fake.detach()))
            update(g_optimizer, g_params, gradients_g(fake))
        if device.type == "cuda":
            torch.cuda.synchronize()

    return run
