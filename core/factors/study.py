"""From prices to what models read: scaled factors, windows of eight days, labels, and splits that leave the future out (methods/08, 2).

study = prepare(panel, horizon=5, train=100, valid=60)
rows = study.rows("train", target=True)          # which (day, share)
study.windows(rows).shape                        # (len(rows), 8, 20)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from core.engine.errors import LabError
from core.factors.alpha import SUBSET, alpha, available
from core.factors.panel import Panel

WINDOW = 8
CLIP = 3.0
TAIL = 0.025  # of a day's labels, at each end, are not trained on
NORMAL = 1.4826  # from the median distance to the median to a standard deviation
LEAST_SHARES, LEAST_DAYS = 5, 40
Split = Literal["train", "valid", "test"]


@dataclass(frozen=True)
class Scaler:
    """Median and scale of each factor over the training days, float64 (factors,)."""

    median: np.ndarray
    scale: np.ndarray

    def __call__(self, raw: np.ndarray) -> np.ndarray:
        """Scaled, clipped at 3, 0 where there is nothing: float32 (days, shares, factors)."""
        return np.nan_to_num(np.clip((raw - self.median) / self.scale, -CLIP, CLIP), nan=0.0).astype(np.float32)


@dataclass(frozen=True)
class Rows:
    """day, share: int (n,) each. Everything is looked up by this pair, never by position."""

    day: np.ndarray
    share: np.ndarray

    def __len__(self) -> int:
        return len(self.day)

    def __getitem__(self, chosen: np.ndarray) -> Rows:
        return Rows(self.day[chosen], self.share[chosen])


@dataclass(frozen=True)
class Study:
    """What one experiment works on.

    x: scaled factors, float32 (days, shares, factors).  y: the future return, NaN where it is not known, (days, shares).
    asked: the day's label in the source universe, clipped at 3: the condition of the diffusion model.  taught: the label in the target
    universe, NaN in the tails: what predictors learn.  kept: labels of the source that are no tails.  splits: days of each.
    """

    panel: Panel
    names: tuple[str, ...]
    scaler: Scaler
    x: np.ndarray
    y: np.ndarray
    asked: np.ndarray
    taught: np.ndarray
    taught_source: np.ndarray
    splits: dict[str, range]
    horizon: int

    def rows(self, split: Split, *, target: bool, labelled: bool = True) -> Rows:
        """The pairs of a split that have a price, and a label unless that does not matter."""
        days = np.array(self.splits[split])
        shares = np.flatnonzero(self.panel.target) if target else np.arange(len(self.panel.names))
        fit = np.isfinite(self.panel.close[np.ix_(days, shares)])
        if labelled:
            label = (self.taught if target else self.taught_source) if split == "train" else self.y
            fit &= np.isfinite(label[np.ix_(days, shares)])
        day, share = np.nonzero(fit)
        return Rows(days[day], shares[share])

    def windows(self, rows: Rows) -> np.ndarray:
        """The last eight days up to each row's, float32 (n, 8, factors)."""
        return self.x[rows.day[:, None] + np.arange(1 - WINDOW, 1), rows.share[:, None]]

    @property
    def last_train_day(self) -> int:
        """The last day whose prices anything that is trained has seen: those of the last training label."""
        return self.splits["train"][-1] + self.horizon


def future_return(close: np.ndarray, horizon: int) -> np.ndarray:
    """Bought at tomorrow's close, sold at that of day `horizon`: Ref($close,-h)/Ref($close,-1)-1, NaN at the end. (days, shares)"""
    made = np.full(close.shape, np.nan)
    if horizon > 1 and len(close) > horizon:
        with np.errstate(divide="ignore", invalid="ignore"):
            made[:-horizon] = close[horizon:] / close[1 : len(close) - horizon + 1] - 1
    return np.where(np.isfinite(made), made, np.nan)


def day_labels(y: np.ndarray, universe: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(label clipped at 3 of everybody, the same with NaN in the tails), both (days, shares).

    Tails: 2.5 % at each end of a day's returns over `universe`, bool (shares,). Mean and spread are of those kept.
    """
    own = np.where(universe, y, np.nan)
    n = np.isfinite(own).sum(1)
    cut = np.floor(TAIL * n).astype(int)[:, None]
    place = np.argsort(np.argsort(own, 1), 1)  # NaN last
    kept = np.isfinite(own) & (place >= cut) & (place < n[:, None] - cut)
    count = np.maximum(kept.sum(1, keepdims=True), 1)
    mean = np.where(kept, own, 0).sum(1, keepdims=True) / count
    spread = np.sqrt(np.where(kept, (own - mean) ** 2, 0).sum(1, keepdims=True) / count)
    spread = np.where((count >= 2) & (spread > 0), spread, np.nan)
    label = (own - mean) / spread
    return np.clip(label, -CLIP, CLIP), np.where(kept, label, np.nan)


def raw_factors(panel: Panel) -> tuple[tuple[str, ...], np.ndarray]:
    """Their names and values, (days, shares, factors): those that came with the table, or of qlib's usual 20 those that its bars allow."""
    if panel.own:
        return tuple(panel.own), np.stack(list(panel.own.values()), -1)
    names = available(panel.bars, SUBSET)
    return names, np.stack([values for values in alpha(panel.bars, names).values()], -1)


def fit_scaler(raw: np.ndarray) -> Scaler:
    """Robust z-score over the given days: raw (days, shares, factors)."""
    flat = np.where(np.isfinite(raw), raw, np.nan).reshape(-1, raw.shape[-1])
    empty = np.isnan(flat).all(0)
    flat = np.where(empty, 0.0, flat)
    median = np.nanmedian(flat, 0)
    return Scaler(median, NORMAL * (np.nanmedian(np.abs(flat - median), 0) + 1e-12))


def prepare(panel: Panel, *, horizon: int = 5, train: int | None = None, valid: int | None = None) -> Study:
    """Factors, labels and splits. Without `train` and `valid` (days) the table is split 60 : 15 : 25.

    Between splits `horizon` days are left out, so that no label reaches into the next one. Raises LabError for too few shares or days.
    """
    first = max(panel.history, min(60, panel.days // 4), WINDOW - 1)
    usable = panel.days - first - 3 * horizon
    train = train or int(0.6 * usable)
    valid = valid or int(0.15 * usable)
    if usable < LEAST_DAYS or usable - train - valid < 5:
        raise LabError(
            f"This table has {panel.days} days, too few to train, choose and test on.",
            f"Bring at least {first + 3 * horizon + LEAST_DAYS} days.",
        )
    if panel.target.sum() < LEAST_SHARES:
        raise LabError(
            f"There are {int(panel.target.sum())} shares to predict, too few to compare with each other.",
            f"Bring at least {LEAST_SHARES} shares.",
        )
    begin = (first, first + train + horizon, first + train + valid + 2 * horizon)
    splits = {
        "train": range(begin[0], begin[0] + train),
        "valid": range(begin[1], begin[1] + valid),
        "test": range(begin[2], panel.days - horizon),
    }
    names, raw = raw_factors(panel)
    if not names:
        raise LabError("No factor can be made of this table.", "It needs at least a column close, or columns that begin with f_.")
    scaler = fit_scaler(raw[splits["train"].start : splits["train"].stop])
    y = panel.label if panel.label is not None else future_return(panel.close, horizon)
    asked, taught_source = day_labels(y, np.ones(len(panel.names), bool))
    taught = taught_source if panel.target.all() else day_labels(y, panel.target)[1]
    return Study(panel, names, scaler, scaler(raw), y, asked, taught, taught_source, splits, horizon)
