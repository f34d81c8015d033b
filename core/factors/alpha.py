"""Alpha158: the factors of qlib, exactly, for all shares at once (methods/08, section 6.1; qlib/contrib/data/loader.py).

    factors = alpha(panel.bars, SUBSET)               # {"RESI5": (days, shares), ...}
    available(("close",))                             # the 75 that closes alone give

All windows are filled in one walk over the last 60 days: sums are taken against today's value, so that nothing is lost to rounding
and a number depends on its own window alone. That is what makes cutting a series harmless, bit for bit.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

WINDOWS = (5, 10, 20, 30, 60)
TINY = 1e-12
FLAT = 2e-05  # a standard deviation below this makes no correlation (qlib's Corr and Rsquare)
COLUMNS_AT_ONCE = 32  # shares that are computed together: keeps the working memory in the cache
SUBSET = ("RESI5", "WVMA5", "RSQR5", "KLEN", "RSQR10", "CORR5", "CORD5", "CORR10", "ROC60", "RESI10", "VSTD5", "RSQR60", "CORR60",
          "WVMA60", "STD5", "RSQR20", "CORD60", "CORD10", "CORR20", "KLOW")  # fmt: skip
K_BARS = ("KMID", "KLEN", "KMID2", "KUP", "KUP2", "KLOW", "KLOW2", "KSFT", "KSFT2")
PRICES = ("OPEN0", "HIGH0", "LOW0", "VWAP0")
# what each rolling kind is made of
ROLLING = {
    **dict.fromkeys(("ROC", "MA", "STD", "BETA", "RSQR", "RESI", "QTLU", "QTLD", "RANK", "CNTP", "CNTN", "CNTD", "SUMP", "SUMN", "SUMD"),
                    ("close",)),
    "MAX": ("close", "high"), "MIN": ("close", "low"), "RSV": ("close", "high", "low"),
    "IMAX": ("high",), "IMIN": ("low",), "IMXD": ("high", "low"),
    **dict.fromkeys(("CORR", "CORD", "WVMA"), ("close", "volume")),
    **dict.fromkeys(("VMA", "VSTD", "VSUMP", "VSUMN", "VSUMD"), ("volume",)),
}  # fmt: skip
ALPHA158 = (*K_BARS, *PRICES, *(f"{kind}{window}" for kind in ROLLING for window in WINDOWS))
Columns = dict[str, np.ndarray]


def needs(name: str) -> tuple[str, ...]:
    """The bars that a factor is made of."""
    if name in K_BARS:
        return ("open", "high", "low", "close")
    if name in PRICES:
        return ("close", name[:-1].lower())
    return ROLLING[name.rstrip("0123456789")]


def available(bars: Iterable[str], among: Sequence[str] = ALPHA158) -> tuple[str, ...]:
    """Those factors of `among` that can be made of these bars."""
    there = set(bars)
    return tuple(name for name in among if there.issuperset(needs(name)))


def alpha(bars: Mapping[str, np.ndarray], names: Sequence[str] = ALPHA158) -> Columns:
    """The named factors, float64 (days, shares) each; bars are float64 (days, shares), NaN where a share has no price that day.

    Raises KeyError for a factor whose bars are missing, see `available`.
    """
    days, shares = next(iter(bars.values())).shape
    made = {name: np.empty((days, shares)) for name in names}
    used = {bar for name in names for bar in needs(name)}
    with np.errstate(divide="ignore", invalid="ignore"):
        for start in range(0, shares, COLUMNS_AT_ONCE):
            part = slice(start, start + COLUMNS_AT_ONCE)
            few = {name: np.ascontiguousarray(bars[name][:, part]) for name in sorted(used)}
            for name, values in _some(few, names).items():
                made[name][:, part] = values
    return made


def _some(bars: Columns, names: Sequence[str]) -> Columns:
    wanted = {name.rstrip("0123456789") for name in names if name not in K_BARS + PRICES}
    made: Columns = {}
    if set(names) & set(K_BARS):
        made |= _k_bars(bars)
    made |= {name: bars[name[:-1].lower()] / bars["close"] for name in names if name in PRICES}
    longest = max((int(name[len(name.rstrip("0123456789")) :]) for name in names if name not in K_BARS + PRICES), default=0)
    for family, kinds in _FAMILIES:
        if wanted & kinds:
            made |= family(bars, wanted, longest)
    return {name: made[name] for name in names}


def _k_bars(bars: Columns) -> Columns:
    o, h, low, c = (bars[name] for name in ("open", "high", "low", "close"))
    most, least, length = np.maximum(o, c), np.minimum(o, c), h - low + TINY
    return {
        "KMID": (c - o) / o, "KLEN": (h - low) / o, "KMID2": (c - o) / length, "KUP": (h - most) / o, "KUP2": (h - most) / length,
        "KLOW": (least - low) / o, "KLOW2": (least - low) / length, "KSFT": (2 * c - h - low) / o, "KSFT2": (2 * c - h - low) / length,
    }  # fmt: skip


def _past(values: np.ndarray, lag: int, fill: float = np.nan) -> np.ndarray:
    """Those of `lag` days ago; `fill` before the first day. (days, shares)"""
    if lag == 0:
        return values
    moved = np.empty_like(values)
    moved[:lag], moved[lag:] = fill, values[:-lag] if lag < len(values) else values[:0]
    return moved


def _walk(values: np.ndarray, longest: int):
    """For every lag: (lag, value then less today's anchor with 0 where there is none, 1 where there is one, window that ends here or 0)."""
    anchor = _anchor(values)
    centred, there = np.nan_to_num(values - anchor, nan=0.0), np.isfinite(values).astype(float)
    for lag in range(min(longest, len(values))):
        shift = anchor if lag == 0 else _past(anchor, lag, 0.0)
        known = there if lag == 0 else _past(there, lag, 0.0)
        then = centred if lag == 0 else (_past(centred, lag, 0.0) + shift - anchor) * known
        yield lag, then, known


def _anchor(values: np.ndarray) -> np.ndarray:
    """The last known value up to each day, 0 before the first."""
    if np.isfinite(values).all():
        return values
    rows = np.where(np.isfinite(values), np.arange(len(values))[:, None], -1)
    last = np.maximum.accumulate(rows, 0)
    filled = np.take_along_axis(values, np.maximum(last, 0), 0)
    return np.where(last < 0, 0.0, filled)


def _ends(lag: int, longest: int, days: int) -> list[int]:
    """The windows that are full once `lag` was added; when the series is shorter, all that remain."""
    last = lag == min(longest, days) - 1
    return [window for window in WINDOWS if window <= longest and (window == lag + 1 or last and window > lag + 1)]


def _finite(values: np.ndarray) -> np.ndarray:
    """pandas' rolling takes an infinite number for a missing one."""
    return np.where(np.isfinite(values), values, np.nan)


def _closes(bars: Columns, wanted: set[str], longest: int) -> Columns:
    """Sums over closes: mean, standard deviation, and the straight line through them (x = 1..window, missing days left out)."""
    c = _finite(bars["close"])
    anchor, days = _anchor(c), len(c)
    n, s, ss, sk, skk, sky = (np.zeros_like(c) for _ in range(6))
    made: Columns = {}
    for lag, then, known in _walk(c, longest):
        n += known
        s += then
        ss += then * then
        if lag:
            sk += lag * known
            skk += lag * lag * known
            sky += lag * then
        for w in _ends(lag, longest, days):
            made[f"ROC{w}"] = _past(c, w) / c
            made[f"MA{w}"] = np.where(n > 0, anchor + s / n, np.nan) / c
            spread = np.sqrt(np.maximum(ss - s * s / n, 0) / (n - 1))
            made[f"STD{w}"] = np.where(n > 1, spread, np.nan) / c
            # x = w - lag: the slope against the lag has the other sign
            bottom, top, left = n * skk - sk * sk, sk * s - n * sky, n * ss - s * s
            slope = np.where(n > 1, top / bottom, np.nan)
            made[f"BETA{w}"] = slope / c
            flat = ~(spread > FLAT) | (n < 2)
            made[f"RSQR{w}"] = np.where(flat, np.nan, top * top / (bottom * left))
            line = (s + slope * sk) / n  # at x = w, today
            made[f"RESI{w}"] = (c - anchor - line) / c
    return made


def _extremes(bars: Columns, wanted: set[str], longest: int) -> Columns:
    """Highest and lowest, and where in the window they lie (1 = oldest; the oldest of equals)."""
    c, days = bars.get("close"), len(next(iter(bars.values())))
    made: Columns = {}
    rows = np.arange(days)[:, None]
    for bar, name, better in (("high", "MAX", np.greater_equal), ("low", "MIN", np.less_equal)):
        if bar not in bars:
            continue
        values, worst = _finite(bars[bar]), -np.inf if name == "MAX" else np.inf
        filled = np.where(np.isnan(values), worst, values)
        odd = np.where(np.isnan(values), -worst, values)  # numpy's argmax takes a missing number for the largest one
        best, champion, where = np.full_like(filled, worst), np.full_like(filled, worst), np.zeros(filled.shape, int)
        pick = np.maximum if name == "MAX" else np.minimum
        for lag in range(min(longest, days)):
            best = pick(best, _past(filled, lag, worst))
            then = _past(odd, lag, worst)
            wins = better(then, champion) & (rows >= lag)
            champion, where = np.where(wins, then, champion), np.where(wins, lag, where)
            for w in _ends(lag, longest, days):
                found = np.where(np.isfinite(best), best, np.nan)
                made[f"_{name}{w}"] = found
                made[f"I{name}{w}"] = np.where(np.isfinite(found), np.minimum(rows + 1, w) - where, np.nan) / w
    for w in (w for w in WINDOWS if w <= longest):
        high, low = made.get(f"_MAX{w}"), made.get(f"_MIN{w}")
        if c is not None:
            made |= {f"{name}{w}": found / c for name, found in (("MAX", high), ("MIN", low)) if found is not None}
        if high is not None and low is not None:
            made[f"IMXD{w}"] = _place(made, "IMAX", w) - _place(made, "IMIN", w)
            if c is not None:
                made[f"RSV{w}"] = (c - low) / (high - low + TINY)
    return made


def _place(made: Columns, name: str, window: int) -> np.ndarray:
    return made[f"{name}{window}"]


def _ranks(bars: Columns, wanted: set[str], longest: int) -> Columns:
    """Where today's close stands among those of the window, equals sharing their places."""
    c = _finite(bars["close"])
    below, equal, n = np.zeros_like(c), np.zeros_like(c), np.zeros_like(c)
    made: Columns = {}
    for lag in range(min(longest, len(c))):
        then = _past(c, lag)
        n += np.isfinite(then)
        below += then < c
        equal += then == c
        for w in _ends(lag, longest, len(c)):
            made[f"RANK{w}"] = np.where(np.isfinite(c), (below + (equal + 1) / 2) / n, np.nan)
    return made


def _quantiles(bars: Columns, wanted: set[str], longest: int) -> Columns:
    """The 80 % and the 20 % quantile of the closes of a window, by straight lines between neighbours."""
    c = _finite(bars["close"])
    padded = np.concatenate([np.full((max(WINDOWS) - 1, c.shape[1]), np.inf), np.where(np.isnan(c), np.inf, c)])
    made: Columns = {}
    for w in (w for w in WINDOWS if w <= longest):
        view = np.lib.stride_tricks.sliding_window_view(padded[max(WINDOWS) - w :], w, axis=0)
        ordered = np.sort(view, -1)  # missing ones last
        n = np.isfinite(ordered).sum(-1)
        for name, share in (("QTLU", 0.8), ("QTLD", 0.2)):
            place = share * np.maximum(n - 1, 0)
            low = np.floor(place).astype(int)
            a, b = (np.take_along_axis(ordered, np.minimum(i, np.maximum(n - 1, 0))[..., None], -1)[..., 0] for i in (low, low + 1))
            made[f"{name}{w}"] = np.where(n > 0, a + (b - a) * (place - low), np.nan) / c
    return made


def _changes(values: np.ndarray, longest: int, names: Sequence[str]) -> Columns:
    """Sums of gains and of losses over all movement. (days, shares)"""
    change = _finite(values - _past(values, 1))
    there = np.isfinite(change)
    up, down = np.where(there, np.maximum(change, 0), 0.0), np.where(there, np.maximum(-change, 0), 0.0)
    gains, losses, n = np.zeros_like(up), np.zeros_like(up), np.zeros_like(up)
    made: Columns = {}
    for lag in range(min(longest, len(values))):
        gains += _past(up, lag, 0.0)
        losses += _past(down, lag, 0.0)
        n += _past(there.astype(float), lag, 0.0)
        for w in _ends(lag, longest, len(values)):
            moved = np.where(n > 0, gains + losses + TINY, np.nan)
            made |= {f"{names[0]}{w}": gains / moved, f"{names[1]}{w}": losses / moved, f"{names[2]}{w}": (gains - losses) / moved}
    return made


def _close_changes(bars: Columns, wanted: set[str], longest: int) -> Columns:
    c = bars["close"]
    made = _changes(c, longest, ("SUMP", "SUMN", "SUMD"))
    rises, falls = (c > _past(c, 1)).astype(float), (c < _past(c, 1)).astype(float)
    ups, downs, days = np.zeros_like(c), np.zeros_like(c), np.arange(1, len(c) + 1)[:, None]
    for lag in range(min(longest, len(c))):
        ups += _past(rises, lag, 0.0)
        downs += _past(falls, lag, 0.0)
        for w in _ends(lag, longest, len(c)):
            n = np.minimum(days, w)
            made |= {f"CNTP{w}": ups / n, f"CNTN{w}": downs / n, f"CNTD{w}": ups / n - downs / n}
    return made


def _volume_changes(bars: Columns, wanted: set[str], longest: int) -> Columns:
    return _changes(bars["volume"], longest, ("VSUMP", "VSUMN", "VSUMD"))


def _mean_and_spread(values: np.ndarray, longest: int) -> Iterable[tuple[int, np.ndarray, np.ndarray]]:
    values = _finite(values)
    anchor = _anchor(values)
    n, s, ss = np.zeros_like(values), np.zeros_like(values), np.zeros_like(values)
    for lag, then, known in _walk(values, longest):
        n += known
        s += then
        ss += then * then
        for w in _ends(lag, longest, len(values)):
            yield w, np.where(n > 0, anchor + s / n, np.nan), np.where(n > 1, np.sqrt(np.maximum(ss - s * s / n, 0) / (n - 1)), np.nan)


def _volumes(bars: Columns, wanted: set[str], longest: int) -> Columns:
    v = bars["volume"]
    made: Columns = {}
    for w, mean, spread in _mean_and_spread(v, longest):
        made |= {f"VMA{w}": mean / (v + TINY), f"VSTD{w}": spread / (v + TINY)}
    return made


def _weighted(bars: Columns, wanted: set[str], longest: int) -> Columns:
    c, v = bars["close"], bars["volume"]
    return {f"WVMA{w}": spread / (mean + TINY) for w, mean, spread in _mean_and_spread(np.abs(c / _past(c, 1) - 1) * v, longest)}


def _correlations(bars: Columns, wanted: set[str], longest: int) -> Columns:
    c, v = bars["close"], bars["volume"]
    made: Columns = {}
    if "CORR" in wanted:
        made |= _correlation("CORR", c, np.log(v + 1), longest)
    if "CORD" in wanted:
        made |= _correlation("CORD", c / _past(c, 1), np.log(v / _past(v, 1) + 1), longest)
    return made


def _correlation(name: str, a: np.ndarray, b: np.ndarray, longest: int) -> Columns:
    a, b = _finite(a), _finite(b)
    alone = [[flat for _, _, flat in _mean_and_spread(x, longest)] for x in (a, b)]
    both = np.isfinite(a) & np.isfinite(b)
    a, b = np.where(both, a, np.nan), np.where(both, b, np.nan)
    n, sa, sb, saa, sbb, sab = (np.zeros_like(a) for _ in range(6))
    made: Columns = {}
    for (lag, x, known), (_, y, _) in zip(_walk(a, longest), _walk(b, longest), strict=True):
        n += known
        sa += x
        sb += y
        saa += x * x
        sbb += y * y
        sab += x * y
        for w in _ends(lag, longest, len(a)):
            top = n * sab - sa * sb
            found = top / np.sqrt((n * saa - sa * sa) * (n * sbb - sb * sb))
            flat = ~(alone[0][len(made)] > FLAT) | ~(alone[1][len(made)] > FLAT) | (n < 2)
            made[f"{name}{w}"] = np.where(flat, np.nan, np.clip(found, -1, 1))
    return made


_FAMILIES = (
    (_closes, {"ROC", "MA", "STD", "BETA", "RSQR", "RESI"}),
    (_extremes, {"MAX", "MIN", "IMAX", "IMIN", "IMXD", "RSV"}),
    (_ranks, {"RANK"}),
    (_quantiles, {"QTLU", "QTLD"}),
    (_close_changes, {"CNTP", "CNTN", "CNTD", "SUMP", "SUMN", "SUMD"}),
    (_volume_changes, {"VSUMP", "VSUMN", "VSUMD"}),
    (_volumes, {"VMA", "VSTD"}),
    (_weighted, {"WVMA"}),
    (_correlations, {"CORR", "CORD"}),
)
