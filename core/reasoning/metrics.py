"""Scores that say how far to trust an output, and how well such scores sort the sound from the unsound.

    scores = score_all(reading)                       # {"MaxProb think": 0.97, ...}; NaN where a span is empty
    row = evaluate("MaxProb think", values, positive, strata, weights)      # AUROC, interval, FPR@95, AUPR, stratified AUROC

Every score is written so that higher = more confident, and no sign is ever turned on the labels (methods/03 sections 3, 4).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from core.reasoning.energy import coe_scores, energy
from core.reasoning.readings import Reading
from core.reasoning.spec import GAMMA, RESAMPLES, SCORE_NAMES, SCORED_SPANS, VARIANT_SCORES
from core.stats import wilson

MISSING = float("nan")

# name -> how one number is made of the statistics of a span's tokens
_PROBABILITY = {
    "MaxProb": lambda stats, at: stats.max_prob[at].mean(),
    "PPL": lambda stats, at: -(-stats.log_prob[at].mean()).exp(),
    "Entropy": lambda stats, at: -stats.entropy[at].mean(),
    "Temperature": lambda stats, at: stats.scaled_prob[at].mean(),
    "Free energy": lambda stats, at: stats.free_energy[at].mean(),
    "MinProb": lambda stats, at: stats.max_prob[at].min(),
}


def score_all(reading: Reading, *, gamma: float = GAMMA, scale: float = 1.0, last: str = "raw", embedding: bool = True,
              span: str = "think", coe: str = "thinking") -> dict[str, float]:
    """Every score of `SCORE_NAMES` for one reading; NaN for what an empty span cannot tell. `span`: think | tagged."""
    scores = dict.fromkeys(SCORE_NAMES, MISSING)
    for part in SCORED_SPANS:
        at = [i - reading.prompt_tokens for i in reading.span(part)]
        if at:
            scores |= {f"{name} {part}": float(make(reading.stats, at)) for name, make in _PROBABILITY.items()}
    scores["Shortness"] = -float(len(reading.span("all")))
    path = reading.path(span, scale=scale, last=last, embedding=embedding)
    if path is not None:
        scores["Straightness"] = -float(path.curvature.mean())
        for name, variant in VARIANT_SCORES.items():
            if variant != "R5_entropy_potential" or path.entropy is not None:
                scores[name] = float(energy(path, variant, gamma))
    # Chain-of-Embedding takes the states as the library reports them: the last one after the final norm.
    if (states := reading.states("published" if coe == "published" else "think", last="final_norm")) is not None:
        scores |= {name: float(value) for name, value in coe_scores(states).items()}
    if reading.lens is not None:
        layers = len(reading.lens) - 1
        scores["Late entropy"] = -float(reading.lens[-(layers // 2):].mean())
    if (prompt := reading.path("prompt", last=last, embedding=embedding)) is not None:
        scores["R0 prompt"] = float(energy(prompt, "R0_kinetic"))
    return scores


def auroc(scores: np.ndarray, positive: np.ndarray) -> float:
    """Chance that a positive scores above a negative, ties count half; NaN without both kinds. `positive`: bool (n,)."""
    return float(weighted_aurocs(scores, positive, np.ones((1, len(scores))))[0])


def weighted_aurocs(scores: np.ndarray, positive: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """AUROC under each row of `weights` (draws, n), how often each item counts; NaN where one kind is missing, (draws,)."""
    order = np.argsort(scores, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(scores[order]) != 0])  # where groups of equal scores begin
    sorted_weights = weights[:, order]
    above = np.add.reduceat(sorted_weights * positive[order], starts, axis=1)
    below = np.add.reduceat(sorted_weights * ~positive[order], starts, axis=1)
    wins = (above * (below.cumsum(axis=1) - below / 2)).sum(axis=1)
    pairs = above.sum(axis=1) * below.sum(axis=1)
    return np.divide(wins, pairs, out=np.full(len(weights), np.nan), where=pairs > 0)


def roc_curve(scores: np.ndarray, positive: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """False and true positive rates from the strictest threshold to the loosest, both beginning at 0.

    `scores`: float (n,).  `positive`: bool (n,).  Both rates: (different scores + 1,).
    """
    order = np.argsort(-scores, kind="stable")
    last_of_group = np.r_[np.diff(scores[order]) != 0, True]
    hits, alarms = np.cumsum(positive[order])[last_of_group], np.cumsum(~positive[order])[last_of_group]
    return np.r_[0.0, alarms / max(1, (~positive).sum())], np.r_[0.0, hits / max(1, positive.sum())]


def stratified_roc(scores: np.ndarray, positive: np.ndarray, strata: np.ndarray, points: int = 201) -> tuple[np.ndarray, np.ndarray]:
    """Mean true positive rate of the strata that hold both kinds, at equally spaced false positive rates; empty without any.

    `scores`, `positive`, `strata`: (n,).  Both rates: (points,), or (0,).
    """
    inside = [roc_curve(scores[strata == s], positive[strata == s]) for s in np.unique(strata) if 0 < positive[strata == s].mean() < 1]
    if not inside:
        return np.zeros(0), np.zeros(0)
    false = np.linspace(0, 1, points)
    return false, np.mean([np.interp(false, *curve) for curve in inside], axis=0)


def share_below(drops: np.ndarray) -> tuple[float, float, float]:
    """Share of negative entries with its 95 % Wilson interval. `drops`: (n,)."""
    hits = int((drops < 0).sum())
    return hits / len(drops), *wilson(hits, len(drops))


def fpr_at(scores: np.ndarray, positive: np.ndarray, tpr: float = 0.95) -> float:
    """Smallest false positive rate among thresholds that keep at least `tpr` of the positives; NaN without both kinds.

    `scores`: float (n,).  `positive`: bool (n,).
    """
    if positive.all() or not positive.any():
        return MISSING
    false, true = roc_curve(scores, positive)
    return float(false[true >= tpr].min())


def aupr(scores: np.ndarray, positive: np.ndarray) -> float:
    """Area under precision over recall by trapezoids, beginning at recall 0 and precision 1; NaN without positives.

    `scores`: float (n,).  `positive`: bool (n,).
    """
    if not positive.any():
        return MISSING
    order = np.argsort(-scores, kind="stable")
    last_of_group = np.flatnonzero(np.r_[np.diff(scores[order]) != 0, True])
    hits = np.cumsum(positive[order])[last_of_group]
    precision = np.r_[1.0, hits / (last_of_group + 1)]
    return float(np.trapezoid(precision, np.r_[0.0, hits / positive.sum()]))


def stratified_auroc(scores: np.ndarray, positive: np.ndarray, strata: np.ndarray) -> float:
    """Mean of the AUROCs inside each stratum that holds both kinds: length alone can then win nothing.

    `scores`, `positive`, `strata`: (n,).
    """
    inside = [auroc(scores[strata == s], positive[strata == s]) for s in np.unique(strata)]
    known = [value for value in inside if not math.isnan(value)]
    return float(np.mean(known)) if known else MISSING


@dataclass(frozen=True)
class Sorting:
    """How well one score sorts. low and high: 95 % bootstrap interval of `auroc`. n: items for which it is defined.
    rate: share of positives among these, which is the `aupr` of a score that knows nothing."""

    score: str
    auroc: float
    low: float
    high: float
    fpr95: float
    aupr: float
    stratified: float
    n: int
    rate: float
    draws: np.ndarray


def resampling(n: int, rng: torch.Generator, draws: int = RESAMPLES) -> np.ndarray:
    """How often each of n items occurs in each of `draws` resamples, (draws, n); the same for all scores, so they pair."""
    picks = torch.randint(n, (draws, n), generator=rng)
    return torch.zeros(draws, n, dtype=torch.float64).scatter_add_(1, picks, torch.ones(draws, n, dtype=torch.float64)).numpy()


def evaluate(name: str, values: np.ndarray, positive: np.ndarray, strata: np.ndarray, weights: np.ndarray) -> Sorting:
    """How well `values` (n,) sort the positives; items without a value are left out. `weights` from `resampling`."""
    known = ~np.isnan(values)
    if not known.any():
        return Sorting(name, *[MISSING] * 6, 0, MISSING, np.full(len(weights), np.nan))
    scores, labels = values[known], positive[known]
    draws = weighted_aurocs(scores, labels, weights[:, known])
    return Sorting(name, auroc(scores, labels), *_middle(draws), fpr_at(scores, labels), aupr(scores, labels),
                   stratified_auroc(scores, labels, strata[known]), int(known.sum()), float(labels.mean()), draws)


def _middle(draws: np.ndarray) -> tuple[float, float]:
    settled = draws[~np.isnan(draws)]
    low, high = np.percentile(settled, [2.5, 97.5]) if len(settled) else (MISSING, MISSING)
    return float(low), float(high)


def difference(one: Sorting, other: Sorting) -> tuple[float, float, float]:
    """AUROC of one minus other with its paired 95 % interval."""
    return one.auroc - other.auroc, *_middle(one.draws - other.draws)


def percentile(value: float, sorted_values: Tensor | np.ndarray) -> float:
    """Share in % of the calibration values below `value`, ties half. `sorted_values`: (n,)."""
    known = np.asarray(sorted_values)
    return float(100 * ((known < value).mean() + (known == value).mean() / 2)) if len(known) and not math.isnan(value) else MISSING
