"""A market made here, in which a score that can be seen in the prices really does say a little about tomorrow (methods/08, section 8).

panel = market(seed=1)                    # 400 shares in 10 industries
panel.score                               # what was planted: recovery is the correlation of a prediction with it
"""

from __future__ import annotations

import numpy as np

from core.factors.panel import Panel

YEAR = 252
INDUSTRIES, BURN_IN = 10, 100
MARKET_VOL, INDUSTRY_VOL, SHARE_VOL = 0.20, 0.10, 0.32
CAP = 12.0  # a share's variance never exceeds so many times its long-run one
FIRST_DAY = "2010-01-04"


class _Garch:
    """Variances of returns that remember how wild the last days were; t5 shocks of variance one. GJR for gamma > 0."""

    def __init__(self, daily: np.ndarray, alpha: float, beta: float, gamma: float = 0.0) -> None:
        self.long_run = daily**2
        self.alpha, self.beta, self.gamma = alpha, beta, gamma
        self.variance = self.long_run.copy()
        self._omega = self.long_run * (1 - alpha - beta - gamma / 2)

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        shock = np.sqrt(self.variance) * rng.standard_t(5, self.variance.shape) / np.sqrt(5 / 3)
        pull = (self.alpha + self.gamma * (shock < 0)) * shock**2
        self.variance = np.minimum(self._omega + pull + self.beta * self.variance, CAP * self.long_run)
        return shock


def market(seed: int, *, shares: int = 400, days: int = 370, targets: int = 60, kappa: float = 0.08) -> Panel:
    """`days` trading days after 100 of history. The target is the `targets` largest shares; `kappa` is how much the score says.

    r[t+1] = beta m[t+1] + g[industry, t+1] + kappa sigma score[t] + e[t+1]
    """
    rng = np.random.default_rng([8, seed])
    size = rng.standard_normal(shares)
    beta = np.clip(rng.normal(1, 0.25, shares), 0.3, 1.8)
    sigma = SHARE_VOL * np.exp(0.25 * rng.standard_normal(shares) - 0.15 * size) / np.sqrt(YEAR)
    industry = rng.permutation(np.arange(shares) % INDUSTRIES)
    sign = rng.permutation(np.repeat([1.0, -1.0], INDUSTRIES // 2))
    whole = _Garch(np.array([MARKET_VOL / np.sqrt(YEAR)]), 0.03, 0.90, 0.08)
    groups = _Garch(np.full(INDUSTRIES, INDUSTRY_VOL / np.sqrt(YEAR)), 0.05, 0.92)
    alone = _Garch(sigma, 0.09, 0.88)
    total = BURN_IN + days
    bars = {name: np.empty((total, shares)) for name in ("open", "high", "low", "close", "volume")}
    score = np.zeros((total, shares))
    close, log_volume = 20 * np.exp(0.5 * rng.standard_normal(shares)), np.zeros(shares)
    for t in range(total):
        spread = np.sqrt(alone.variance)
        told = kappa * sigma * score[t - 1] if t else 0.0
        r = beta * whole.draw(rng) + groups.draw(rng)[industry] + told + alone.draw(rng)
        r = np.clip(r, -0.5, 0.5)
        opened = close * (1 + 0.35 * r + 0.25 * spread * rng.standard_normal(shares))
        close = close * (1 + r)
        log_volume = 0.85 * log_volume + 0.30 * np.abs(r) / sigma + 0.08 * r / sigma + 0.25 * rng.standard_normal(shares)
        bars["open"][t], bars["close"][t] = opened, close
        bars["high"][t] = np.maximum(opened, close) * (1 + 0.4 * spread * np.abs(rng.standard_normal(shares)))
        bars["low"][t] = np.minimum(opened, close) * (1 - 0.4 * spread * np.abs(rng.standard_normal(shares)))
        bars["volume"][t] = np.round(np.exp(11 + size + log_volume))
        score[t] = _score(bars["close"][: t + 1], bars["volume"][: t + 1], sigma, sign[industry])
    bars["vwap"] = (bars["high"] + bars["low"] + bars["close"]) / 3
    dates = np.busday_offset(FIRST_DAY, np.arange(total))
    target = np.zeros(shares, bool)
    target[np.argsort(-size)[:targets]] = True
    names = tuple(f"S{i:03d}" for i in range(shares))
    return Panel(dates, names, bars, industry, target, score, history=BURN_IN)


def _score(close: np.ndarray, volume: np.ndarray, sigma: np.ndarray, sign: np.ndarray) -> np.ndarray:
    """The planted score of the last day, from bars that everybody can see: straight, bent, and with a sign for each industry."""
    if len(close) < 61:
        return np.zeros(close.shape[1])
    log_volume = np.log(volume[-20:] + 1)
    r = close[-5:] / close[-6:-1] - 1
    reversal = -z(r.sum(0) / sigma)
    together = z(_correlation(close[-20:], log_volume))
    wild = z(r.std(0) / sigma)
    momentum = z(close[-1] / close[-61] - 1)
    busy = log_volume[-1] > log_volume.mean(0)
    made = reversal - together - 0.7 * wild + 0.8 * sign * momentum + 0.7 * z(reversal * busy)
    return np.clip(z(made), -3, 3)


def z(values: np.ndarray) -> np.ndarray:
    """Less their mean, over their standard deviation: float (shares,) of one day."""
    return (values - values.mean()) / (values.std() + 1e-12)


def _correlation(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    a, b = a - a.mean(0), b - b.mean(0)
    return (a * b).sum(0) / np.sqrt((a**2).sum(0) * (b**2).sum(0) + 1e-24)
