"""All 158 factors against a reading of qlib's expressions row by row, one share and one day at a time; and what may not see the future."""

from __future__ import annotations

import math

import numpy as np
import pytest

from core.factors.alpha import ALPHA158, SUBSET, WINDOWS, alpha, available
from core.factors.leaks import audit_factors
from core.factors.market import market
from core.factors.panel import Panel

DAYS, SHARES = 75, 3
LOOKED_AT = (0, 1, 2, 6, 20, 40, 41, 42, 74)


@pytest.fixture(scope="module")
def bars() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(1)
    close = 30 * np.exp(0.02 * rng.standard_normal((DAYS, SHARES)).cumsum(0))
    made = {"open": close * (1 + 0.01 * rng.standard_normal(close.shape)), "close": close}
    made["high"] = np.maximum(made["open"], close) * (1 + 0.01 * rng.random(close.shape))
    made["low"] = np.minimum(made["open"], close) * (1 - 0.01 * rng.random(close.shape))
    made["volume"] = np.round(1e5 * np.exp(rng.standard_normal(close.shape)))
    made["vwap"] = (made["high"] + made["low"] + close) / 3
    made["volume"][30, 0] = 0  # nothing traded: tomorrow's ratio is infinite
    made["close"][20:24, 1] = made["close"][20, 1]  # the price stands still
    for bar in made.values():
        bar[40, 2] = np.nan  # suspended
    made["close"][:, 0] = np.round(made["close"][:, 0])  # equals among closes and in ranks
    return made


def literal(bars: dict[str, np.ndarray], share: int, day: int) -> dict[str, float]:
    """Every factor of one share on one day, as methods/08 section 6.1 writes them, with pandas' rules for what is missing."""
    past = {name: [float(x) for x in bar[: day + 1, share]] for name, bar in bars.items()}
    o, h, low, c, v = (past[name] for name in ("open", "high", "low", "close", "volume"))
    most, least, span = max(o[-1], c[-1]), min(o[-1], c[-1]), h[-1] - low[-1] + 1e-12
    found = {
        "KMID": (c[-1] - o[-1]) / o[-1],
        "KLEN": (h[-1] - low[-1]) / o[-1],
        "KMID2": (c[-1] - o[-1]) / span,
        "KUP": (h[-1] - most) / o[-1],
        "KUP2": (h[-1] - most) / span,
        "KLOW": (least - low[-1]) / o[-1],
        "KLOW2": (least - low[-1]) / span,
        "KSFT": (2 * c[-1] - h[-1] - low[-1]) / o[-1],
        "KSFT2": (2 * c[-1] - h[-1] - low[-1]) / span,
        **{f"{bar.upper()}0": past[bar][-1] / c[-1] for bar in ("open", "high", "low", "vwap")},
    }
    ratio = [math.nan] + [_divided(b, a) for a, b in zip(c, c[1:], strict=False)]
    flow = [math.nan] + [math.log(_divided(b, a) + 1) for a, b in zip(v, v[1:], strict=False)]
    weighted = [abs(a - 1) * b for a, b in zip(ratio, v, strict=True)]
    for d in WINDOWS:
        w, wv = c[-d:], v[-d:]
        found |= {
            f"ROC{d}": c[-1 - d] / c[-1] if day >= d else math.nan,
            f"MA{d}": mean(w) / c[-1],
            f"STD{d}": std(w) / c[-1],
            f"MAX{d}": max(known(h[-d:])) / c[-1],
            f"MIN{d}": min(known(low[-d:])) / c[-1],
            f"QTLU{d}": quantile(w, 0.8) / c[-1],
            f"QTLD{d}": quantile(w, 0.2) / c[-1],
            f"RANK{d}": rank(w),
            f"RSV{d}": (c[-1] - min(known(low[-d:]))) / (max(known(h[-d:])) - min(known(low[-d:])) + 1e-12),
            f"IMAX{d}": (int(np.argmax(h[-d:])) + 1) / d,
            f"IMIN{d}": (int(np.argmin(low[-d:])) + 1) / d,
            f"CORR{d}": corr(w, [math.log(x + 1) for x in wv]),
            f"CORD{d}": corr(ratio[-d:], flow[-d:]),
            f"VMA{d}": mean(wv) / (v[-1] + 1e-12),
            f"VSTD{d}": std(wv) / (v[-1] + 1e-12),
            f"WVMA{d}": std(weighted[-d:]) / (mean(weighted[-d:]) + 1e-12),
        }
        found[f"IMXD{d}"] = found[f"IMAX{d}"] - found[f"IMIN{d}"]
        found |= dict(zip((f"BETA{d}", f"RSQR{d}", f"RESI{d}"), line(w, d), strict=True))
        found |= {f"BETA{d}": found[f"BETA{d}"] / c[-1], f"RESI{d}": found[f"RESI{d}"] / c[-1]}
        moves = [(b > a, b < a) for a, b in zip([math.nan, *c], c, strict=False)][-d:]
        up, down = (sum(m[i] for m in moves) / len(moves) for i in (0, 1))
        found |= {f"CNTP{d}": up, f"CNTN{d}": down, f"CNTD{d}": up - down}
        for x, (p, n, s) in ((c, ("SUMP", "SUMN", "SUMD")), (v, ("VSUMP", "VSUMN", "VSUMD"))):
            change = known([b - a for a, b in zip([math.nan, *x], x, strict=False)][-d:])
            all_of_it = sum(abs(y) for y in change) + 1e-12 if change else math.nan
            gain, loss = sum(y for y in change if y > 0), sum(-y for y in change if y < 0)
            found |= {f"{p}{d}": gain / all_of_it, f"{n}{d}": loss / all_of_it, f"{s}{d}": (gain - loss) / all_of_it}
    return found


def _divided(a: float, b: float) -> float:
    return a / b if b else math.inf * a if a else math.nan


def known(values: list[float]) -> list[float]:
    return [x for x in values if math.isfinite(x)]


def mean(values: list[float]) -> float:
    return float(np.mean(known(values))) if known(values) else math.nan


def std(values: list[float]) -> float:
    return float(np.std(known(values), ddof=1)) if len(known(values)) > 1 else math.nan


def quantile(values: list[float], share: float) -> float:
    return float(np.quantile(known(values), share)) if known(values) else math.nan


def rank(values: list[float]) -> float:
    inside = known(values)
    if not math.isfinite(values[-1]):
        return math.nan
    return (sum(x < values[-1] for x in inside) + (inside.count(values[-1]) + 1) / 2) / len(inside)


def corr(a: list[float], b: list[float]) -> float:
    if not (std(a) > 2e-5 and std(b) > 2e-5):
        return math.nan
    both = [(x, y) for x, y in zip(a, b, strict=True) if math.isfinite(x) and math.isfinite(y)]
    return float(np.corrcoef(*zip(*both, strict=True))[0, 1]) if len(both) > 1 else math.nan


def line(values: list[float], d: int) -> tuple[float, float, float]:
    """Slope, R2 and last residual of a straight line through (1..d, values), the window filled from its end."""
    points = [(d - len(values) + 1 + i, y) for i, y in enumerate(values) if math.isfinite(y)]
    if len(points) < 2:
        return math.nan, math.nan, math.nan
    x, y = np.array(points).T
    slope, start = np.polyfit(x, y, 1)
    return slope, np.corrcoef(x, y)[0, 1] ** 2 if std(list(y)) > 2e-5 else math.nan, values[-1] - (slope * d + start)


def test_all_158_agree_with_a_reading_row_by_row(bars: dict[str, np.ndarray]) -> None:
    assert len(ALPHA158) == 158 and len(set(ALPHA158)) == 158
    made = alpha(bars)
    wrong = []
    for share in range(SHARES):
        for day in LOOKED_AT:
            if not np.isfinite(bars["close"][day, share]):
                continue
            with np.errstate(all="ignore"):
                told = literal(bars, share, day)
            assert set(told) == set(made)
            for name, value in told.items():
                got = float(made[name][day, share])
                if not (math.isnan(got) and math.isnan(value)) and not math.isclose(got, value, rel_tol=1e-6, abs_tol=2e-7):
                    wrong.append((name, share, day, got, value))
    assert not wrong, (len(wrong), wrong[:8])


def test_closes_alone_give_75_factors_and_8_of_the_usual_20(bars: dict[str, np.ndarray]) -> None:
    closes = {"close": bars["close"]}
    assert len(available(closes)) == 75 and len(available(closes, SUBSET)) == 8
    some, every = alpha(closes, available(closes)), alpha(bars)
    assert all(np.array_equal(some[name], every[name], equal_nan=True) for name in some)


def test_no_factor_knows_the_future_and_one_that_does_is_found() -> None:
    panel = market(3, shares=12, days=20, targets=5)
    checks = list(audit_factors(panel, 90))
    assert len(checks) == 158 and all(check.same and check.compared == 90 * 12 for check in checks)

    def peeking(given: Panel) -> dict[str, np.ndarray]:
        ahead = np.concatenate([given.close[1:], given.close[-1:]])
        return {"honest": given.close, "peeks": ahead / given.close, "whole mean": given.close - given.close.mean(0)}

    found = {check.name: check.differs for check in audit_factors(panel, 90, peeking)}
    assert found["honest"] == 0 and found["peeks"] > 0 and found["whole mean"] == 90 * 12
