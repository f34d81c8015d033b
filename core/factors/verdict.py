"""What the runs say in words, from their numbers alone. Never advice."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from core.engine.claims import interval
from core.engine.events import Verdict
from core.factors.spec import ARM_WORDS, AugmentConfig
from core.factors.study import Study

FEWEST_SHARES, FEWEST_DAYS = 30, 100
NOT_ADVICE = "This is an experiment with models and not advice."


@dataclass(frozen=True)
class Scored:
    """By arm, one number for each seed: ic, rank, weighted, icir, and rec where the signal is known."""

    ic: dict[str, list[float]]
    rank: dict[str, list[float]]
    weighted: dict[str, list[float]]
    icir: dict[str, list[float]]
    rec: dict[str, list[float]] | None


@dataclass(frozen=True)
class Traded:
    """By arm: daily returns before and after costs, float (seeds, days).  even: of all shares alike, (days,).  chance: (20, days)."""

    gross: dict[str, np.ndarray]
    net: dict[str, np.ndarray]
    dear: dict[str, np.ndarray]
    turnover: dict[str, float]
    even: np.ndarray
    chance: np.ndarray
    topk: int
    n_drop: int
    why_not: str


def badges(study: Study) -> str:
    """Whose prices, which days, what is ours."""
    days = {name: (study.panel.dates[part[0]], study.panel.dates[part[-1]]) for name, part in study.splits.items()}
    split = ", ".join(f"{name} {first} to {last}" for name, (first, last) in days.items())
    source = {"simulated": "a made-up market"}.get(study.panel.source, study.panel.source)
    universe = f"{int(study.panel.target.sum())} shares to predict of {len(study.panel.names)}, {len(study.names)} factors"
    rest = " ".join(("The paper's settings are not known; these are ours.", *study.panel.remarks, NOT_ADVICE))
    return f"Data: {source}; {universe}; {split}. {rest}"


def augment_verdict(scored: Scored, study: Study, config: AugmentConfig) -> Verdict:
    """Whether editing changed anything, and whether it was the editing."""
    a, b = float(np.mean(scored.ic["none"])), float(np.mean(scored.ic["augmented"]))
    change, low, high = interval([x - y for x, y in zip(scored.ic["augmented"], scored.ic["none"], strict=True)])
    n = len(scored.ic["none"])
    said = f"Edited windows changed IC from {a:.3f} to {b:.3f} ({n} seeds, 95 % interval of the paired change {low:+.3f} to {high:+.3f})."
    few = study.panel.target.sum() < FEWEST_SHARES or len(study.splits["test"]) < FEWEST_DAYS
    evidence = {"ic": [a, b], "change": [change, low, high], "n": n}
    if few:
        head = f"Too few to tell: IC went from {a:.3f} to {b:.3f} with {int(study.panel.target.sum())} shares."
    elif scored.rec:
        found = {arm: float(np.mean(values)) for arm, values in scored.rec.items()}
        gain, least, most = interval([x - y for x, y in zip(scored.rec["augmented"], scored.rec["none"], strict=True)])
        evidence |= {"found": [found["none"], found["augmented"]], "gain": [gain, least, most]}
        said += f" Of the planted signal it found {found['augmented']:.2f} against {found['none']:.2f} ({least:+.3f} to {most:+.3f}). "
        rivals = {arm: value for arm, value in found.items() if arm not in ("none", "augmented", "pooled")}
        best = max(rivals, key=rivals.get, default="")
        beaten = least
        if best:
            over, beaten, by = interval([x - y for x, y in zip(scored.rec["augmented"], scored.rec[best], strict=True)])
            evidence |= {"best control": best, "over it": [over, beaten, by]}
            said += f"The best control, {ARM_WORDS[best]}, found {rivals[best]:.2f} (difference {beaten:+.3f} to {by:+.3f})."
        if "pooled" in found:
            said += f" Whoever has the real windows of all shares finds {found['pooled']:.2f}."
        if least > 0 and beaten > 0:
            head = f"Here, yes: edited windows found {found['augmented']:.2f} of the planted signal, without them {found['none']:.2f}."
        elif least > 0:
            head = f"More signal was found, {found['augmented']:.2f}, but not clearly more than with {ARM_WORDS[best]}: {rivals[best]:.2f}."
        elif most < 0:
            head = f"No: with edited windows it found less of the signal, {found['augmented']:.2f} against {found['none']:.2f}."
        else:
            head = f"No clear difference: {found['augmented']:.2f} of the planted signal with edited windows, {found['none']:.2f} without."
    else:
        sure = "a change beyond the luck of training" if low > 0 or high < 0 else "no clear change"
        head = f"IC went from {a:.3f} to {b:.3f}: {sure}."
    luck = " Seeds are first weights: the interval tells how lucky training was, not what another market would do."
    return Verdict(f"{said}{luck} {badges(study)}", evidence, head)


def backtest_verdict(traded: Traded, parts: dict[str, tuple[list[float], ...]], study: Study) -> Verdict:
    """What was left after costs, beside luck."""
    if traded.why_not:
        return Verdict(f"Nothing was traded, because {traded.why_not}. {badges(study)}", {}, f"Nothing was traded: {traded.why_not}.")
    gross, net = (float(np.mean(parts["augmented"][i])) for i in (0, 1))
    plain = float(np.mean(parts["none"][1]))
    change, low, high = interval([a - b for a, b in zip(parts["augmented"][1], parts["none"][1], strict=True)])
    final = traded.gross["augmented"].mean(0).sum()
    beaten = float(np.mean(traded.chance.sum(1) < final))
    head = f"After costs: {net:+.1%} a year against all shares alike with edited windows, {plain:+.1%} without."
    text = (
        f"Before costs it was {gross:+.1%}. The paired difference after costs is {change:+.1%} ({low:+.1%} to {high:+.1%}, "
        f"{len(parts['none'][1])} seeds). It ended above {beaten:.0%} of 20 rankings by chance. Held: {traded.topk} shares, "
        f"{traded.n_drop} swapped a day, {traded.turnover['augmented']:.0%} of the account traded a day. {badges(study)}"
    )
    return Verdict(text, {"gross": gross, "net": net, "change": [change, low, high], "beaten": beaten}, head)
