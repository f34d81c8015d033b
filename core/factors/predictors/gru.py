"""Two layers of gated recurrent units; the last state says it."""

from __future__ import annotations

from torch import Tensor, nn

from core.factors.predictors.cells import TwoGrus

HIDDEN = 64


class Gru(nn.Module):
    """Reads day by day and keeps a memory of 64 numbers."""

    def __init__(self, factors: int) -> None:
        super().__init__()
        self.cells, self.out = TwoGrus(factors, HIDDEN), nn.Linear(HIDDEN, 1)

    def forward(self, x: Tensor, industry: Tensor) -> Tensor:
        """x: float (n, window, factors).  industry: int (n,), not used. Gives (n,)."""
        return self.out(self.cells(x)[:, -1])[:, 0]
