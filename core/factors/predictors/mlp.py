"""Flattened window -> 128 -> 64 -> 1."""

from __future__ import annotations

from torch import Tensor, nn

from core.factors.study import WINDOW


class Mlp(nn.Module):
    """Sees all eight days at once, and knows nothing of their order but what it learns."""

    def __init__(self, factors: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(WINDOW * factors, 128),
            nn.LeakyReLU(0.1),
            nn.Dropout(0.1),
            nn.Linear(128, 64),
            nn.LeakyReLU(0.1),
            nn.Dropout(0.1),
            nn.Linear(64, 1),
        )

    def forward(self, x: Tensor, industry: Tensor) -> Tensor:
        """x: float (n, window, factors).  industry: int (n,), not used. Gives (n,)."""
        return self.layers(x.flatten(1))[:, 0]
