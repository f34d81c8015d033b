"""The one shape of data of this paper: prices of many shares on many days.

panel = Panel(dates, names, {"close": closes}, industry, target)
panel.cut(300).days                 # 300: the same table as it was known on that day
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

BARS = ("open", "high", "low", "close", "volume", "vwap")


@dataclass(frozen=True)
class Panel:
    """Everything is keyed by (day, share): rows are days in order, columns are shares.

    dates: datetime64[D] (days,).  names: one for each share.  bars: float64 (days, shares) by name, NaN where there is no price.
    industry: int (shares,), 0 where nothing is known.  target: bool (shares,): the small universe that a predictor is for.
    score: the planted score of a made-up market (days, shares), None for real prices.  own: factors that came with the table.
    label: a future return that came with the table.  history: first days that only serve as the past of later ones.
    source: what a badge says.  remarks: what a visitor should know about this table.
    """

    dates: np.ndarray
    names: tuple[str, ...]
    bars: dict[str, np.ndarray]
    industry: np.ndarray
    target: np.ndarray
    score: np.ndarray | None = None
    own: dict[str, np.ndarray] = field(default_factory=dict)
    label: np.ndarray | None = None
    history: int = 0
    source: str = "simulated"
    remarks: tuple[str, ...] = ()

    @property
    def days(self) -> int:
        return len(self.dates)

    @property
    def close(self) -> np.ndarray:
        """Closing prices, float64 (days, shares)."""
        return self.bars["close"]

    def cut(self, days: int) -> Panel:
        """The first `days` days alone."""
        return replace(
            self, dates=self.dates[:days], bars={name: bar[:days] for name, bar in self.bars.items()},
            score=None if self.score is None else self.score[:days], own={name: values[:days] for name, values in self.own.items()},
            label=None if self.label is None else self.label[:days],
        )  # fmt: skip

    def changed_after(self, days: int, rng: np.random.Generator) -> Panel:
        """The same panel with every price after the first `days` days replaced by another one."""
        noise = np.exp(0.2 * rng.standard_normal((self.days - days, len(self.names))))
        return replace(self, bars={name: np.concatenate([bar[:days], bar[days:] * noise]) for name, bar in self.bars.items()})
