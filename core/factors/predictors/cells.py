"""Recurrent cells written out, so that many copies run as one: the built-in ones cannot be batched over weights."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class GruLayer(nn.Module):
    """One layer of gated recurrent units (PyTorch's own formula)."""

    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__()
        self.enter, self.again = nn.Linear(inputs, 3 * hidden), nn.Linear(hidden, 3 * hidden)

    def forward(self, x: Tensor) -> Tensor:
        """x: float (n, window, inputs). Gives the state after each day, (n, window, hidden)."""
        given, states = self.enter(x), []
        h = torch.zeros_like(given[:, 0].chunk(3, -1)[0])
        for t in range(x.shape[1]):
            (r, z, n), (rh, zh, nh) = given[:, t].chunk(3, -1), self.again(h).chunk(3, -1)
            keep = torch.sigmoid(z + zh)
            h = keep * h + (1 - keep) * torch.tanh(n + torch.sigmoid(r + rh) * nh)
            states.append(h)
        return torch.stack(states, 1)


class LstmLayer(nn.Module):
    """One layer of long short-term memory (PyTorch's own formula)."""

    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__()
        self.enter, self.again = nn.Linear(inputs, 4 * hidden), nn.Linear(hidden, 4 * hidden)

    def forward(self, x: Tensor) -> Tensor:
        """x: float (n, window, inputs). Gives the output after each day, (n, window, hidden)."""
        given, states = self.enter(x), []
        h = c = torch.zeros_like(given[:, 0].chunk(4, -1)[0])
        for t in range(x.shape[1]):
            i, f, g, o = (given[:, t] + self.again(h)).chunk(4, -1)
            c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
            h = torch.sigmoid(o) * torch.tanh(c)
            states.append(h)
        return torch.stack(states, 1)


class TwoGrus(nn.Module):
    """Two layers, the second reads the first."""

    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__()
        self.first, self.second = GruLayer(inputs, hidden), GruLayer(hidden, hidden)

    def forward(self, x: Tensor) -> Tensor:
        """(n, window, inputs) -> (n, window, hidden)."""
        return self.second(self.first(x))
