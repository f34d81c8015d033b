"""The claims of methods/02 section 10, with the thresholds written there. The trained model is one; a seed draws scenes, verbs and chance.

A sentence with two thresholds is two claims, C9 and C9b. All numbers come from splits that share no scenario and no verb with
those on which directions and strengths were chosen.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from core.engine.claims import Claim, metric

MODELS = ("embedded/scenes",)
SEEDS = (0, 1, 2)
Results = list[dict[str, Any]]
AUDIT: tuple[str, dict[str, Any]] = ("bias/audit", {})
MAP: tuple[str, dict[str, Any]] = ("bias/map", {})
EDIT: tuple[str, dict[str, Any]] = ("bias/edit", {})


def _of(name: str) -> Callable[[Results], float]:
    return lambda results: metric(results[0], name)


def _less(one: str, *others: str) -> Callable[[Results], float]:
    """`one` minus the largest of the others."""
    return lambda results: metric(results[0], one) - max(metric(results[0], other) for other in others)


def _fallen(before: str, after: str) -> Callable[[Results], float]:
    return lambda results: 1 - metric(results[0], after) / metric(results[0], before)


TEXT: tuple[str, dict[str, Any]] = ("bias/text", {"model": "got/smollm2"})


def _text(number: str, statement: str, name: str, threshold: str, note: str, beside: str) -> Claim:
    """On a real text model, which has to be got first."""
    return Claim(id=f"02.{number}", paper="02", statement=statement, kind="report", experiment=TEXT[0], configs=[TEXT[1]],
                 measure=_of(name), threshold=threshold, seeds=SEEDS, needs=("got/smollm2",), note=note, beside=beside)


def _claim(number: str, statement: str, kind: str, run: tuple[str, dict[str, Any]], measure: Callable[[Results], float], threshold: str,
           note: str = "") -> Claim:
    name, config = run
    return Claim(id=f"02.{number}", paper="02", statement=statement, kind=kind, experiment=name, configs=[config], measure=measure,
                 threshold=threshold, seeds=SEEDS, needs=MODELS, note=note)


CLAIMS = [
    _claim("G0", "The model sees the group it is asked about.", "gate", AUDIT, _of("seen"), ">= 0.95"),
    _claim("C1", "Fairness paradox, outside: the model usually chooses the fair answer.", "gate", AUDIT, _of("fair_rate"), ">= 0.8"),
    _claim("C1b", "Fairness paradox, inside: behind fair answers one group is clearly ahead.", "gate", AUDIT, _of("paradox"), ">= 0.3"),
    _claim("C2", "The group in the picture matters to an answer that it should not touch.", "gate", AUDIT, _of("tv"), ">= 0.1"),
    _claim("C2b", "It matters more than three times as much as drift of the picture.", "gate", AUDIT,
           lambda results: metric(results[0], "tv") / max(1e-6, metric(results[0], "tv drift")), ">= 3"),
    _claim("C3", "Fairness fluctuates over the layers.", "gate", AUDIT, _of("fluctuation"), ">= 0.1"),
    _claim("C4", "Fairness erodes in the last layers.", "report", AUDIT, _of("erosion"), ">= 0.02", "Not seen in our pilot either."),
    _claim("C5", "In at least half of the layers the two residuals push in opposite ways.", "gate", MAP, _of("disagree"), ">= 0.5"),
    _claim("C6", "Reading a residual agrees with leaving it out.", "report", MAP, _of("agreement"), ">= 0.5"),
    _claim("C7", "Turning residuals down and up makes answers fairer.", "gate", EDIT, _of("gain"), ">= 0.08"),
    _claim("C7b", "It does so without fewer fair answers.", "gate", EDIT, _less("edit fair_rate", "base fair_rate"), ">= -0.01"),
    _claim("C8", "Directions by chance do not do it.", "gate", EDIT, _of("gain over random"), ">= 0.05"),
    _claim("C9", "The paradox falls by a quarter.", "gate", EDIT, _fallen("base paradox", "edit paradox"), ">= 0.25"),
    _claim("C9b", "What the pictured group changes falls by two fifths.", "gate", EDIT, _fallen("base tv", "edit tv"), ">= 0.4"),
    _claim("C10", "What the model could do it still can.", "gate", EDIT, _of("controls lost"), "<= 0.02"),
    _claim("C11", "No harm has moved: hidden trades are still answered 'unknown'.", "gate", EDIT, _of("unknown lost"), "<= 0.05",
           "The hidden trades are the same in every seed."),
    _claim("C11b", "No harm has moved: the lean of the jobs has not grown.", "gate", EDIT, _of("job gap change"), "<= 0"),
    _claim("C12", "Turning down and turning up together beat each alone.", "report", EDIT,
           _less("edit fairness", "down fairness", "up fairness"), ">= 0",
           "Where the dev split chooses to turn up only, both are the same edit: a tie, which this threshold counts as held."),
    _claim("C13", "The edit beats further training.", "report", EDIT, _less("edit fairness", "fair fairness", "uncertain fairness"), ">= 0",
           "The rivals were trained on the verbs and jobs of the calibration split."),
    _claim("C14", "The edit beats removing the difference between groups: fairness.", "report", EDIT,
           _less("edit fairness", "group difference fairness"), ">= 0", "The paper did not test this."),
    _claim("C14b", "The edit beats removing the difference between groups: what the pictured group changes.", "report", EDIT,
           lambda results: metric(results[0], "group difference tv") - metric(results[0], "edit tv"), ">= 0"),
    _claim("C15", "It carries over to the other kind of question, the jobs.", "report", EDIT, _of("job gain"), ">= 0.08",
           "Verbs and scenes of the test were never used to measure or choose; C7 says that it carries over to them."),
    _text("T1", "In a real text model the edit halves the gap between he and she.", "gap fallen", ">= 0.5",
          "SmolLM2 with 135 million parameters. The paper asks about pictures; this question is ours. No setting kept the cost within 5 %, "
          "so the model was not changed and the gap stayed.", "02.C7"),
    _text("T2", "In a real text model the edit costs less than 5 % of perplexity.", "perplexity cost", "<= 0.05",
          "Settings that cost more are not allowed on the dev split. Here nothing was left to choose: the model was not changed, which "
          "costs nothing.", "02.C10"),
]
