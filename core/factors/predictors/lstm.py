"""Two layers of long short-term memory; the last output says it."""

from __future__ import annotations

from torch import Tensor, nn

from core.factors.predictors.cells import LstmLayer

HIDDEN = 64


class Lstm(nn.Module):
    """Like the GRU, with a second memory that only changes where a gate lets it."""

    def __init__(self, factors: int) -> None:
        super().__init__()
        self.first, self.second, self.out = LstmLayer(factors, HIDDEN), LstmLayer(HIDDEN, HIDDEN), nn.Linear(HIDDEN, 1)

    def forward(self, x: Tensor, industry: Tensor) -> Tensor:
        """x: float (n, window, factors).  industry: int (n,), not used. Gives (n,)."""
        return self.out(self.second(self.first(x))[:, -1])[:, 0]
