"""Paper 08: predictors with and without edited windows, beside their controls, and a strategy on their scores.

factors/augment    metrics  ic, rank ic, weighted ic, rec, ar, net of each kind; ic change; rms, r2
factors/backtest   metrics  the same
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from core.engine.claims import interval
from core.engine.events import Event, Figure, Metric, Progress, Table
from core.engine.lab import Lab
from core.factors import backtest as bt
from core.factors import figures, verdict
from core.factors.augmenting import Edits, arms_of
from core.factors.fitting import Arm, Fit
from core.factors.quality import components
from core.factors.signal import daily_ic, daily_rank_ic, daily_weighted_ic, icir
from core.factors.source import study_of
from core.factors.spec import ARM_WORDS, AugmentConfig, BacktestConfig
from core.factors.study import Study
from core.factors.verdict import Scored, Traded

LAST = ("factors learned",)  # one place: what the last run learned, so that the strategy need not learn it again
CHANCE = 20  # random rankings behind the band
SHOWN = 250  # windows in a picture


def augment(config: AugmentConfig, lab: Lab) -> Iterator[Event]:
    """Edits the training windows, lets predictors learn with and without them, and tests all on real days that nobody saw."""
    study, arms, scores, edits = yield from _learned(config, lab)
    yield from _edit_metrics(edits)
    scored = score(study, scores)
    yield from _signal_events(scored)
    traded = trade(config, study, scores, lab)
    yield Figure("equity", _equity(study, traded))
    yield from _trade_metrics(traded)
    yield Figure("pca", _pca(arms))
    yield verdict.augment_verdict(scored, study, config)


def backtest(config: BacktestConfig, lab: Lab) -> Iterator[Event]:
    """The same, seen by somebody who trades on the scores."""
    study, _, scores, edits = yield from _learned(config, lab, again=True)
    yield from _edit_metrics(edits)
    scored, traded = score(study, scores), trade(config, study, scores, lab)
    yield Figure("equity", _equity(study, traded))
    parts = {
        arm: tuple([bt.risk(one - traded.even)["AR"] for one in kind[arm]] for kind in (traded.gross, traded.net, traded.dear))
        for arm in scores
    }
    yield Figure("excess", figures.excess(parts))
    yield Table(
        "strategy",
        ["learned from", "AR before costs", "AR, 5/15 bp", "AR, 15/25 bp", "IR before costs", "MDD", "traded a day"],
        _strategy_rows(traded),
    )
    for name, values in scored.ic.items():
        yield Metric(f"ic {name}", float(np.mean(values)))
    yield from _trade_metrics(traded)
    yield verdict.backtest_verdict(traded, parts, study)


def _learned(config: AugmentConfig, lab: Lab, *, again: bool = False) -> Iterator[Event]:
    """The generator's value: (study, arms, {arm: scores (seeds, days, shares) of the test split}, edits).

    again: take them from the run before, if that asked for the same; and tell no race, which was told there.
    """
    yield Progress(0, 1, "getting the prices")
    asked = (lab.seed, lab.threads, config.model_dump_json(exclude={"topk", "n_drop", "account"}))
    known = lab.cache.get(LAST)
    if again and known is not None and known[0] == asked:
        return known[1]
    study = study_of(config, lab)
    arms, edits = yield from arms_of(config, lab, study)
    yield Progress(0, config.steps, "predictors begin to learn")
    fit = Fit(config.predictor, arms, study, config.seeds, lab.rng("predictors"))
    for state in fit.train(config.steps):
        if len(state.ic) and not again:
            for name, ic in zip(arms, state.ic, strict=True):
                yield Metric(f"race {name}", float(np.nanmean(ic)) if np.isfinite(ic).any() else 0.0, state.step)
        if state.step % 5 == 0:
            yield Progress(state.step, state.total, f"{len(arms)} times {config.seeds} predictors learn")
    found = study, arms, dict(zip(arms, fit.predictions, strict=True)), edits
    lab.cache[LAST] = (asked, found)
    return found


def _edit_metrics(edits: Edits) -> Iterator[Event]:
    yield Metric("rms", edits.rms)
    yield Metric("r2", edits.r2)


def score(study: Study, scores: Mapping[str, np.ndarray]) -> Scored:
    """Signal measures on the test days: scores {arm: (seeds, days, shares)}."""
    days = study.splits["test"]
    part = slice(days.start, days.stop)
    returns = study.y[part][:, study.panel.target]
    planted = None if study.panel.score is None else study.panel.score[part][:, study.panel.target]

    def each(measure: Any, right: np.ndarray) -> dict[str, list[float]]:
        return {arm: [_mean(measure(one, right)) for one in made] for arm, made in scores.items()}

    return Scored(
        each(daily_ic, returns),
        each(daily_rank_ic, returns),
        each(daily_weighted_ic, returns),
        {arm: [icir(daily_ic(one, returns)) for one in made] for arm, made in scores.items()},
        None if planted is None else each(daily_ic, planted),
    )


def _mean(daily: np.ndarray) -> float:
    return float(np.nanmean(daily)) if np.isfinite(daily).any() else 0.0


def _signal_events(scored: Scored) -> Iterator[Event]:
    kinds = {"ic": scored.ic, "rank ic": scored.rank, "weighted ic": scored.weighted} | ({"rec": scored.rec} if scored.rec else {})
    for kind, values in kinds.items():
        for arm, points in values.items():
            yield Metric(f"{kind} {arm}", float(np.mean(points)))
    yield Metric("ic change", float(np.mean(scored.ic["augmented"]) - np.mean(scored.ic["none"])))
    halves = {arm: (half(scored.ic[arm]), half(scored.rec[arm]) if scored.rec else 0.0) for arm in scored.ic}
    yield Figure("bars", figures.bars(scored.ic, scored.rec, halves))
    rows = []
    for arm in scored.ic:
        change, low, high = paired(scored.ic[arm], scored.ic["none"])
        row = [ARM_WORDS[arm], *(round(float(np.mean(kind[arm])), 4) for kind in (scored.ic, scored.rank, scored.weighted, scored.icir))]
        row += ["" if arm == "none" else f"{change:+.4f} [{low:+.4f}, {high:+.4f}]"]
        if scored.rec:
            gain, low, high = paired(scored.rec[arm], scored.rec["none"])
            row += [round(float(np.mean(scored.rec[arm])), 4), "" if arm == "none" else f"{gain:+.4f} [{low:+.4f}, {high:+.4f}]"]
        rows.append(row)
    columns = ["learned from", "IC", "RankIC", "weighted IC", "ICIR", "IC minus nothing added"]
    yield Table("signal", columns + (["signal found", "found minus nothing added"] if scored.rec else []), rows)


def paired(values: list[float], others: list[float]) -> tuple[float, float, float]:
    """Mean difference over seeds and its 95 % Student interval."""
    return interval([a - b for a, b in zip(values, others, strict=True)])


def half(values: list[float]) -> float:
    """Half of the 95 % Student interval over seeds."""
    mean, _, high = interval(values)
    return high - mean


def trade(config: AugmentConfig, study: Study, scores: Mapping[str, np.ndarray], lab: Lab) -> Traded:
    """TopkDropout on each seed's scores, {arm: (seeds, days, shares)}, beside all shares alike and rankings by chance."""
    days = study.splits["test"]
    close = study.panel.close[days.start : days.stop][:, study.panel.target]
    shares = close.shape[1]
    topk = min(config.topk or min(30, max(1, shares // 4)), shares)
    n_drop = min(config.n_drop or max(1, topk // 10), topk)
    account = getattr(config, "account", 0.0)

    def booked(made: np.ndarray, costs: tuple[float, float]) -> list[bt.Book]:
        return [bt.topk_dropout(one, close, topk=topk, n_drop=n_drop, costs=costs, account=account) for one in made]

    cheap = {arm: booked(made, bt.BENCHMARK) for arm, made in scores.items()}
    dear = {arm: booked(made, bt.DEFAULT) for arm, made in scores.items()}
    rng = np.random.default_rng([11, lab.seed])
    luck = [rng.standard_normal(close.shape) for _ in range(CHANCE)]
    chance = [bt.topk_dropout(one, close, topk=topk, n_drop=n_drop, account=account).gross for one in luck]
    traded = any(book.traded for books in cheap.values() for book in books)
    known = any(np.isfinite(made).any() for made in scores.values())
    poor = f"{account:,.0f} is too little for a hundred of any share"
    why = "" if traded else poor if account and known else "no score was ever known on a day when a share could be bought"
    why = "there are no prices to trade at" if not np.nanstd(close, 0).any() else why
    return Traded(
        {arm: np.stack([b.gross for b in books]) for arm, books in cheap.items()},
        {arm: np.stack([b.gross - b.cost for b in books]) for arm, books in cheap.items()},
        {arm: np.stack([b.gross - b.cost for b in books]) for arm, books in dear.items()},
        {arm: float(np.mean([b.turnover[2:].mean() for b in books])) for arm, books in cheap.items()},
        bt.equal_weight(close),
        np.stack(chance),
        topk,
        n_drop,
        why,
    )


def _equity(study: Study, traded: Traded) -> dict[str, Any]:
    days = study.splits["test"]
    sums = traded.chance.cumsum(1)
    curves = {arm: (traded.gross[arm].mean(0).cumsum(), traded.net[arm].mean(0).cumsum()) for arm in traded.gross}
    return figures.equity(
        curves, traded.even.cumsum(), sums.min(0), sums.max(0), [str(d) for d in study.panel.dates[days.start : days.stop]]
    )


def _trade_metrics(traded: Traded) -> Iterator[Event]:
    for arm in traded.gross:
        yield Metric(f"ar {arm}", float(np.mean([bt.risk(one - traded.even)["AR"] for one in traded.gross[arm]])))
        yield Metric(f"net {arm}", float(np.mean([bt.risk(one - traded.even)["AR"] for one in traded.net[arm]])))
    yield Metric("turnover", float(np.mean(list(traded.turnover.values()))))


def _strategy_rows(traded: Traded) -> list[list[Any]]:
    rows = []
    for arm in traded.gross:
        gross, net, dear = ([bt.risk(one - traded.even) for one in kind[arm]] for kind in (traded.gross, traded.net, traded.dear))
        rows.append(
            [
                ARM_WORDS[arm],
                *(round(float(np.mean([r["AR"] for r in part])), 4) for part in (gross, net, dear)),
                round(float(np.nanmean([r["IR"] for r in gross])), 3) if np.isfinite([r["IR"] for r in gross]).any() else "",
                round(float(np.mean([r["MDD"] for r in gross])), 4),
                f"{traded.turnover[arm]:.0%}",
            ]
        )
    return rows


def _pca(arms: Mapping[str, Arm]) -> dict[str, Any]:
    real, edited = arms["none"].windows.numpy(), arms["augmented"].copies[0].numpy()
    step = max(1, len(real) // SHOWN)
    mean, directions = components(real, 2)
    shown = {"real": real, "edited": edited} | ({"noise of equal size": arms["jitter"].copies[0].numpy()} if "jitter" in arms else {})
    return figures.pca({name: (made[::step].reshape(-1, len(mean)) - mean) @ directions for name, made in shown.items()})
