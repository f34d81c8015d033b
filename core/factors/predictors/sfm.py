"""State frequency memory: a cell whose memory swings at several frequencies, S <- f S + c e^(i w t) (qlib's SFM)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

HIDDEN, FREQUENCIES = 32, 8


class Sfm(nn.Module):
    """Memory of hidden x frequency complex amplitudes; what is read out is their size."""

    def __init__(self, factors: int) -> None:
        super().__init__()
        self.enter, self.again = nn.Linear(factors, 4 * HIDDEN + FREQUENCIES), nn.Linear(HIDDEN, 4 * HIDDEN + FREQUENCIES)
        self.read, self.out = nn.Linear(FREQUENCIES, 1), nn.Linear(HIDDEN, 1)

    def forward(self, x: Tensor, industry: Tensor) -> Tensor:
        """x: float (n, window, factors).  industry: int (n,), not used. Gives (n,)."""
        given = self.enter(x)
        h = torch.zeros_like(given[:, 0, :HIDDEN])
        real = imaginary = torch.zeros_like(given[:, 0, :HIDDEN, None] * given[:, 0, None, :FREQUENCIES])
        for t in range(x.shape[1]):
            gates = given[:, t] + self.again(h)
            i, f, c, o = gates[:, : 4 * HIDDEN].chunk(4, -1)
            forget = torch.sigmoid(f)[..., None] * torch.sigmoid(gates[:, None, 4 * HIDDEN :])
            angle = 2 * math.pi * t * torch.arange(FREQUENCIES) / FREQUENCIES
            told = (torch.sigmoid(i) * torch.tanh(c))[..., None]
            real, imaginary = forget * real + told * angle.cos(), forget * imaginary + told * angle.sin()
            size = torch.sqrt(real**2 + imaginary**2 + 1e-8)
            h = torch.sigmoid(o) * torch.tanh(self.read(size)[..., 0])
        return self.out(h)[:, 0]
