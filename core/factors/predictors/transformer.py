"""Two encoder layers with two heads over the eight days; the last day says it (qlib's Transformer)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from core.factors.study import WINDOW

WIDTH, HEADS, LAYERS = 64, 2, 2


class _Layer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.qkv, self.join = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.up, self.down = nn.Linear(WIDTH, 2 * WIDTH), nn.Linear(2 * WIDTH, WIDTH)
        self.first, self.second = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        n, length, width = x.shape
        q, k, v = self.qkv(x).reshape(n, length, 3, HEADS, width // HEADS).permute(2, 0, 3, 1, 4)
        weights = (q @ k.mT / math.sqrt(width // HEADS)).softmax(-1)
        x = self.first(x + self.join((weights @ v).transpose(1, 2).reshape(n, length, width)))
        return self.second(x + self.down(torch.relu(self.up(x))))


class Transformer(nn.Module):
    """Every day looks at every other one; sines say which day is which."""

    def __init__(self, factors: int) -> None:
        super().__init__()
        self.enter, self.layers, self.out = nn.Linear(factors, WIDTH), nn.ModuleList(_Layer() for _ in range(LAYERS)), nn.Linear(WIDTH, 1)
        angles = torch.arange(WINDOW)[:, None] / 10_000 ** (torch.arange(0, WIDTH, 2) / WIDTH)
        self.register_buffer("place", torch.stack([angles.sin(), angles.cos()], -1).flatten(1))

    def forward(self, x: Tensor, industry: Tensor) -> Tensor:
        """x: float (n, window, factors).  industry: int (n,), not used. Gives (n,)."""
        x = self.enter(x) + self.place
        for layer in self.layers:
            x = layer(x)
        return self.out(x[:, -1])[:, 0]
