"""A GRU that looks back: attention over the days, beside the last state (qlib's ALSTM)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from core.factors.predictors.cells import TwoGrus

HIDDEN = 64


class Alstm(nn.Module):
    """Linear and tanh, two layers of GRU, a softmax over the days; last state and weighted mean together say it."""

    def __init__(self, factors: int) -> None:
        super().__init__()
        self.enter, self.cells = nn.Linear(factors, HIDDEN), TwoGrus(HIDDEN, HIDDEN)
        self.look, self.weigh = nn.Linear(HIDDEN, HIDDEN // 2), nn.Linear(HIDDEN // 2, 1, bias=False)
        self.out = nn.Linear(2 * HIDDEN, 1)

    def forward(self, x: Tensor, industry: Tensor) -> Tensor:
        """x: float (n, window, factors).  industry: int (n,), not used. Gives (n,)."""
        states = self.cells(torch.tanh(self.enter(x)))
        weights = self.weigh(torch.tanh(self.look(states))).softmax(1)
        return self.out(torch.cat([states[:, -1], (weights * states).sum(1)], -1))[:, 0]
