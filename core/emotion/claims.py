"""The claims of methods/04 section 12, with the thresholds written there, before anything was measured.

Every result of the first judge is circular: the planner searches with it (section 5.2). So each ablation is also scored by the second
judge. Pictures and emotions are always the same; a seed changes chance alone, in tools, in plans by lot and in edits by chance.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from typing import Any

from core.emotion.mikels import EMOTIONS
from core.emotion.spec import MODEL, PHOTOGRAPHS
from core.engine.claims import Claim, metric

Results = list[dict[str, Any]]
SEEDS = (0, 1)
QUICK = {"chances": 2}
PAIRS: list[dict[str, Any]] = [{"picture": name, "target": emotion, **QUICK} for name in PHOTOGRAPHS for emotion in EMOTIONS]
FEW = [pair for pair in PAIRS if pair["picture"] != "rocket" and pair["target"] in ("excitement", "fear", "sadness")]
ABLATIONS = {"critic": {"critic": False}, "tree": {"tree": False}, "retriever": {"retriever": False}, "leaves": {"leaves": "random"}}
CIRCULAR = "Circular: the planner searches with this judge."
WEIGHTS = ("hf/timbrooks/instruct-pix2pix",)
UNIT = "mean over seeds, of the same photographs and emotions"


def _values(results: Results, name: str) -> list[float]:
    return [metric(result, name) for result in results]


def _median(name: str) -> Callable[[Results], float]:
    return lambda results: statistics.median(_values(results, name))


def _mean(name: str) -> Callable[[Results], float]:
    return lambda results: statistics.fmean(_values(results, name))


def _positive(name: str) -> Callable[[Results], float]:
    return lambda results: statistics.fmean(float(value > 0) for value in _values(results, name))


def _distinct(results: Results) -> float:
    """Share of pairs of picture and emotion that give two results or more which share at most half of their tools."""
    return statistics.fmean(float(_values([one], "results")[0] >= 2 and _values([one], "distinct")[0] <= 0.5) for one in results)


def _less(name: str) -> Callable[[Results], float]:
    """How much the first half of the results has more of a metric than the second half, the ablation."""
    return lambda results: statistics.fmean(_values(results[: len(FEW)], name)) - statistics.fmean(_values(results[len(FEW) :], name))


def _claim(
    number: str,
    statement: str,
    kind: str,
    configs: list[dict[str, Any]],
    measure: Callable[[Results], float],
    threshold: str,
    scale: str = "number",
    note: str = "",
) -> Claim:
    return Claim(
        id=f"04.{number}",
        paper="04",
        statement=statement,
        kind=kind,
        experiment="emotion/edit",
        configs=configs,
        measure=measure,
        threshold=threshold,
        seeds=SEEDS,
        needs=(MODEL,),
        note=note,
        scale=scale,
        unit=UNIT,
    )


def _ablation(what: str, words: str, metric: str, judge: str, note: str = "") -> Claim:
    changed = [{**pair, **ABLATIONS[what]} for pair in FEW]
    suffix = "" if metric == "second gain" else "-self"
    return _claim(
        f"A-{what}{suffix}", f"{words}: {judge} gains less.", "report", [*FEW, *changed], _less(metric), ">= 0.02", "points", note
    )


def _needs_weights(number: str, statement: str) -> Claim:
    return Claim(
        id=f"04.{number}",
        paper="04",
        statement=f"{statement} (Not measured here: needs weights.)",
        kind="report",
        experiment="emotion/edit",
        configs=[dict(QUICK)],
        measure=_mean("gain"),
        threshold=">= 0",
        seeds=SEEDS,
        needs=WEIGHTS,
    )


CLAIMS = [
    _claim(
        "T4",
        "For most pictures and emotions the critic ends up content: J > 0.",
        "gate",
        PAIRS,
        _positive("score"),
        ">= 0.85",
        "share",
        CIRCULAR,
    ),
    _claim("T4b", "The wanted emotion gains, by the first judge: median.", "gate", PAIRS, _median("gain"), ">= 0.15", "points", CIRCULAR),
    _claim("T5", "No result breaks its gate.", "gate", PAIRS, _mean("gate kept"), ">= 1", "share"),
    _claim("T6", "No step leaves the tree of its emotion.", "gate", PAIRS, _mean("outside"), "<= 0"),
    _claim(
        "T9",
        "Asked for three results, at least two share no more than half of their tools.",
        "gate",
        [{**pair, "count": 3} for pair in FEW],
        _distinct,
        ">= 0.8",
        "share",
    ),
    _claim(
        "T10", "Small and full size agree on the wanted share: median difference.", "gate", PAIRS, _median("proxy gap"), "<= 0.05", "points"
    ),
    _claim(
        "T14",
        "The independent judge names the wanted emotion more often than chance would.",
        "report",
        PAIRS,
        _mean("second right"),
        ">= 0.125",
        "share",
        "Chance is one in eight. The first judge's own count stands under T14b.",
    ),
    _claim(
        "T14b",
        "The first judge names the wanted emotion more often than chance would.",
        "report",
        PAIRS,
        _mean("reached"),
        ">= 0.125",
        "share",
        CIRCULAR,
    ),
    _claim(
        "T15",
        "Edits beat edits by chance of equal likeness, by the second judge.",
        "report",
        PAIRS,
        _mean("beats chance second"),
        ">= 0.5",
        "share",
        "Ours, not in the paper.",
    ),
    _ablation("critic", "Without the critic", "second gain", "the second judge"),
    _ablation("tree", "Without the tree", "second gain", "the second judge"),
    _ablation("tree", "Without the tree", "gain", "the first judge", f"{CIRCULAR} A free search should please it more, not less."),
    _ablation("retriever", "Without the retriever", "second gain", "the second judge"),
    _ablation("leaves", "With plans by lot", "second gain", "the second judge"),
    _needs_weights("C1", "The full system beats each single-pass editor on Emo-A and Emo-S."),
    _needs_weights("C2", "Removing the critic loop lowers Emo-A."),
    _needs_weights("C3", "Removing retrieval lowers plausibility and fidelity."),
    _needs_weights("C4", "Pairwise diversity at equal Emo-A exceeds one-to-one methods."),
]
