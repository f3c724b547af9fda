"""PyTorch in inference mode, eager or compiled."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from benchmarks.draw import PAD, SLOPE, STRIDE, Draw, Network, Task


class Generator(nn.Module):
    """The network, in PyTorch's layout."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        tensor = torch.from_numpy
        self.small = network.small
        self.kernel, self.bias = (nn.Parameter(tensor(array)) for array in network.project)
        self.table = None if network.table is None else nn.Parameter(tensor(network.table))
        self.ups = nn.Sequential()
        for kernel, bias in network.ups:
            outputs, inputs = kernel.shape[2:]
            up = nn.ConvTranspose2d(inputs, outputs, kernel.shape[0], STRIDE, PAD)
            up.weight = nn.Parameter(tensor(kernel).permute(3, 2, 0, 1).contiguous())
            up.bias = nn.Parameter(tensor(bias))
            self.ups.extend([nn.LeakyReLU(SLOPE), up])
        self.ups.append(nn.Tanh())

    def forward(self, latent: torch.Tensor, label: torch.Tensor | None) -> torch.Tensor:
        """Draw images [B, H, W, C]."""
        x = torch.addmm(self.bias, latent, self.kernel)
        if self.table is not None:
            x = x + nn.functional.embedding(label, self.table)
        x = x.reshape(-1, *self.small).permute(0, 3, 1, 2)  # channels_last at no cost
        return self.ups(x).permute(0, 2, 3, 1)


def start(task: Task, compiled: bool = False) -> Draw:
    """Return what draws a batch."""
    torch.set_num_threads(task.threads)
    generator = Generator(task.network()).eval().to(memory_format=torch.channels_last)
    if compiled:
        generator = torch.compile(generator)

    def draw(latent: np.ndarray, label: np.ndarray | None) -> np.ndarray:
        with torch.inference_mode():
            labels = None if label is None else torch.from_numpy(label)
            return generator(torch.from_numpy(latent), labels).numpy()

    return draw
