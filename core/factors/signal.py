"""How well a score goes with what came: correlations within each day, then over days (methods/08, section 6.2).

ic = daily_ic(scores, returns)                   # one number a day
ic.mean(), icir(ic)
"""

from __future__ import annotations

import numpy as np

LEAST = 3  # shares with both a score and a return that a day needs


def daily_ic(scores: np.ndarray, returns: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """Pearson correlation over shares for each day, (days, shares) twice -> (days,); NaN for a day without spread or shares.

    weights: (days, shares), or None for the plain one.
    """
    both = np.isfinite(scores) & np.isfinite(returns)
    w = np.where(both, 1.0 if weights is None else weights, 0.0)
    total = w.sum(1, keepdims=True)
    a, b = (np.where(both, x, 0.0) for x in (scores, returns))
    with np.errstate(divide="ignore", invalid="ignore"):
        a, b = ((x - (w * x).sum(1, keepdims=True) / total) * both for x in (a, b))
        top, left, right = (w * a * b).sum(1), (w * a * a).sum(1), (w * b * b).sum(1)
        fit = (both.sum(1) >= LEAST) & (left > 1e-24) & (right > 1e-24)
        return np.where(fit, top / np.sqrt(left * right), np.nan)


def ranks(values: np.ndarray) -> np.ndarray:
    """Places of each day's values, 1 the smallest, equals sharing theirs, NaN kept: (days, shares)."""
    from scipy.stats import rankdata

    return rankdata(values, axis=1, nan_policy="omit")


def daily_rank_ic(scores: np.ndarray, returns: np.ndarray) -> np.ndarray:
    """The same of places in place of values, (days,)."""
    both = np.isfinite(scores) & np.isfinite(returns)
    return daily_ic(ranks(np.where(both, scores, np.nan)), ranks(np.where(both, returns, np.nan)))


def daily_weighted_ic(scores: np.ndarray, returns: np.ndarray) -> np.ndarray:
    """Weights 2^(-2 r / n), r the place by score from 0, the best: our reading, the paper's weights are not known. (days,)"""
    n = np.isfinite(scores).sum(1, keepdims=True)
    return daily_ic(scores, returns, 2.0 ** (-2 * (n - ranks(scores)) / np.maximum(n, 1)))


def icir(daily: np.ndarray) -> float:
    """Mean over standard deviation (ddof 1) of daily ICs (days,); not annualised."""
    known = daily[np.isfinite(daily)]
    spread = known.std(ddof=1) if len(known) > 1 else 0.0
    return float(known.mean() / spread) if spread > 0 else float("nan")
