"""TopkDropout: hold the k best, swap at most n a day (methods/08, sections 6.3 and 6.4; qlib's TopkDropoutStrategy and risk_analysis).

book = topk_dropout(scores, close, topk=30, n_drop=3, costs=BENCHMARK, account=1e6)
risk(book.gross - book.cost - benchmark)          # {"AR", "IR", "MDD"}
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

DAYS = 238  # trading days of a year in qlib's risk_analysis
RISK_DEGREE = 0.95
LOT, LEAST_FEE = 100, 5.0  # shares are bought in hundreds, and no order costs less; both need to know how large the account is
UNTRADABLE = 0.095  # a share that moved by so much cannot be bought or sold that day
BENCHMARK, DEFAULT = (0.0005, 0.0015), (0.0015, 0.0025)  # cost rates of buying and selling: qlib's benchmark configs, its defaults


@dataclass(frozen=True)
class Book:
    """gross: return of the account before fees, cost: fees over the account, turnover: traded value over the account, all (days,).
    held: which shares are held after each day, bool (days, shares).  traded: whether anything was ever bought."""

    gross: np.ndarray
    cost: np.ndarray
    turnover: np.ndarray
    held: np.ndarray

    @property
    def traded(self) -> bool:
        return bool(self.turnover.sum() > 0)


def orders(score: np.ndarray, held: np.ndarray, tradable: np.ndarray, topk: int, n_drop: int) -> tuple[np.ndarray, np.ndarray]:
    """(to sell, to buy) by place, from the score of the day before: float, bool, bool (shares,). NaN scores are never bought.

    H: held, sorted by score.  B: the best n + k - |H| not held.  U: H and B sorted.  Sold: H among the last n of U.
    Bought: the first |sold| + k - |H| of B.
    """
    order = np.argsort(-np.where(np.isfinite(score), score, -np.inf), kind="stable")
    mine = order[held[order]]
    others = order[~held[order] & np.isfinite(score[order])]
    best = others[: max(0, n_drop + topk - len(mine))]
    together = order[np.isin(order, np.concatenate([mine, best]))]
    last = together[len(together) - n_drop :] if n_drop else together[:0]
    sell = mine[np.isin(mine, last)]
    sell = sell[tradable[sell]]
    buy = best[: max(0, len(sell) + topk - len(mine))]
    return sell, buy[tradable[buy]]


def topk_dropout(
    scores: np.ndarray, close: np.ndarray, *, topk: int, n_drop: int, costs: tuple[float, float] = BENCHMARK, account: float = 0.0
) -> Book:
    """Trades at each day's close on the score of the day before; (days, shares) twice.

    account: what there is at first, in the currency of the prices: then shares are bought in lots of 100, and an order costs 5 at least.
    0: fractions of shares, and no smallest fee.
    """
    days, shares = scores.shape
    value, cash, held = np.zeros(shares), 1.0, np.zeros(shares, bool)
    gross, cost, turnover, kept = np.zeros(days), np.zeros(days), np.zeros(days), np.zeros((days, shares), bool)
    for day in range(1, days):
        with np.errstate(divide="ignore", invalid="ignore"):
            move = np.nan_to_num(close[day] / close[day - 1] - 1)
        before = value.sum() + cash
        value = value * (1 + move)
        after = value.sum() + cash
        gross[day] = after / before - 1
        tradable = np.isfinite(close[day]) & np.isfinite(close[day - 1]) & (np.abs(move) < UNTRADABLE)
        sell, buy = orders(scores[day - 1], held, tradable, topk, n_drop)
        sold, fee = value[sell].sum(), _fees(value[sell], costs[1], account).sum()
        cash += sold - fee
        value[sell], held[sell] = 0.0, False
        bought = 0.0
        if len(buy):
            value[buy], paid = _bought(cash * RISK_DEGREE / len(buy), close[day, buy], costs[0], account)
            held[buy] = value[buy] > 0
            bought = value[buy].sum() + paid.sum()
            fee += paid.sum()
            cash -= bought
        cost[day], turnover[day], kept[day] = fee / before, (sold + bought) / before, held
    return Book(gross, cost, turnover, kept)


def _bought(each: float, price: np.ndarray, rate: float, account: float) -> tuple[np.ndarray, np.ndarray]:
    """(value, fee) of each share that `each` is spent on, in shares of the first account: fee within, or lots with the fee on top."""
    if not account:
        value = np.full(len(price), each / (1 + rate))
        return value, each - value
    value = np.floor(each * account / price / LOT) * LOT * price / account
    return value, _fees(value, rate, account)


def _fees(value: np.ndarray, rate: float, account: float) -> np.ndarray:
    """Of one order each (n,); nothing costs nothing."""
    return np.where(value > 0, np.maximum(value * rate, LEAST_FEE / account if account else 0.0), 0.0)


def equal_weight(close: np.ndarray) -> np.ndarray:
    """Daily return of holding all shares alike, 0 on the first day: (days, shares) -> (days,)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        moves = close[1:] / close[:-1] - 1
    count = np.maximum(np.isfinite(moves).sum(1), 1)
    return np.concatenate([[0.0], np.nan_to_num(moves).sum(1) / count])


def risk(returns: np.ndarray) -> dict[str, float]:
    """qlib's risk_analysis with mode "sum" and 238 days, of daily returns (days,): AR = 238 mean, IR = sqrt(238) mean / std (ddof 1),
    MDD = min(S_t - max S_u), S the running sum."""
    sums = returns.cumsum()
    spread = returns.std(ddof=1) if len(returns) > 1 else 0.0
    return {
        "AR": float(DAYS * returns.mean()),
        "IR": float(np.sqrt(DAYS) * returns.mean() / spread) if spread > 0 else float("nan"),
        "MDD": float((sums - np.maximum.accumulate(sums)).min()),
    }
