"""What shares have in common: with their industry, then with concepts that nobody named, then what is left of each (qlib's HIST)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from core.factors.predictors.cells import TwoGrus

HIDDEN = 64


class Hist(nn.Module):
    """Three parts that add up; the industry is the one predefined concept that our tables have."""

    def __init__(self, factors: int) -> None:
        super().__init__()
        self.cells = TwoGrus(factors, HIDDEN)
        self.shared, self.shared_back, self.shared_out = (nn.Linear(HIDDEN, HIDDEN) for _ in range(3))
        self.hidden, self.hidden_back, self.hidden_out = (nn.Linear(HIDDEN, HIDDEN) for _ in range(3))
        self.alone, self.out = nn.Linear(HIDDEN, HIDDEN), nn.Linear(HIDDEN, 1)

    def forward(self, x: Tensor, industry: Tensor) -> Tensor:
        """x: float (n, window, factors), the shares of one day.  industry: int (n,). Gives (n,)."""
        h = self.cells(x)[:, -1]
        same = (industry[:, None] == industry[None, :]).to(h.dtype)
        concepts = same @ h / same.sum(-1, keepdim=True)
        told = self.shared(_alike(h, concepts).softmax(-1) @ concepts)
        rest = h - self.shared_back(told)
        nearest = _alike(rest, rest).softmax(-1) @ rest
        found = self.hidden(nearest)
        left = rest - self.hidden_back(found)
        lrelu = nn.functional.leaky_relu
        return self.out(lrelu(self.shared_out(told)) + lrelu(self.hidden_out(found)) + lrelu(self.alone(left)))[:, 0]


def _alike(a: Tensor, b: Tensor) -> Tensor:
    unit = torch.nn.functional.normalize
    return unit(a, dim=-1) @ unit(b, dim=-1).mT
