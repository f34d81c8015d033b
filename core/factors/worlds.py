"""The made-up market as experiments use it: how long, and how it is split.

panel, split = made_market(0)
study = prepare(panel, **split)
"""

from __future__ import annotations

from core.factors.market import market
from core.factors.panel import Panel

SHARES, TARGETS, TRAIN, VALID, TEST, HORIZON = 400, 60, 100, 60, 200, 5


def made_market(seed: int, *, kappa: float = 0.08, targets: int = TARGETS, train: int = TRAIN) -> tuple[Panel, dict[str, int]]:
    """The panel, and the words that `prepare` splits it with: training days, a gap of the horizon, validation, gap, test."""
    days = train + VALID + TEST + 3 * HORIZON
    return market(seed, shares=SHARES, days=days, targets=targets, kappa=kappa), {"horizon": HORIZON, "train": train, "valid": VALID}
