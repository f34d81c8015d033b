"""Graph attention: the shares of a day look at each other before each says what it will do (qlib's GATs)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from core.factors.predictors.cells import TwoGrus

HIDDEN = 64


class Gats(nn.Module):
    """A GRU state for each share, attention over all shares of the day, and what it had before added again."""

    def __init__(self, factors: int) -> None:
        super().__init__()
        self.cells, self.turn = TwoGrus(factors, HIDDEN), nn.Linear(HIDDEN, HIDDEN)
        self.asks, self.answers = nn.Linear(HIDDEN, 1, bias=False), nn.Linear(HIDDEN, 1, bias=False)
        self.dense, self.out = nn.Linear(HIDDEN, HIDDEN), nn.Linear(HIDDEN, 1)

    def forward(self, x: Tensor, industry: Tensor) -> Tensor:
        """x: float (n, window, factors), the shares of one day.  industry: int (n,), not used. Gives (n,)."""
        h = self.cells(x)[:, -1]
        turned = self.turn(h)
        scores = nn.functional.leaky_relu(self.asks(turned) + self.answers(turned).mT, 0.01)
        h = scores.softmax(-1) @ h + h
        return self.out(torch.nn.functional.leaky_relu(self.dense(h), 0.01))[:, 0]
