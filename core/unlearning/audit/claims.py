"""The claims of paper 01 that this lab can test, as methods/01 section 8.2 states them.

K is answer-key recall on the facts to forget, U on facts to keep. Thresholds and seeds were copied before anything was
measured. Claim 3 needs all six algorithms, 4 the refusal methods, 5 and 6 the activation audit, 7 the ranking of all
algorithms: their rows go between 01.2 and 01.8 when those exist.
"""

from __future__ import annotations

import math
from typing import Any

from core.engine.claims import Claim

Result = dict[str, Any]
EXPERIMENT = "unlearning/audit"
MODELS = ("embedded/authors", "embedded/authors-retain")
ONE, SIX = ({"algorithm": "npo", "subjects": subjects, "steps": 100, "check_every": 2} for subjects in (1, 6))
EXACT = "share of all 60 facts; exact, since models and questions are fixed and seeds change nothing"
# gradient ascent is looked at after every step, so that no good one is missed; for npo a coarse look can only do it injustice
NO_STOP = {"npo": {"algorithm": "npo", "stop_early": False, "check_every": 3, "steps": 30},
           "ga": {"algorithm": "ga", "stop_early": False, "check_every": 1, "steps": 32}}
MATCHED = 0.10


def final(name: str):
    """The last value of one metric of the first run."""
    return lambda results: results[0]["metrics"][name]


def retain_lost(results: list[Result]) -> float:
    """U after forgetting one person minus U after forgetting six, both stopped at K <= 0.1; NaN if one never got there."""
    one, six = (result["metrics"] for result in results)
    if max(one["direct recall unlearned"], six["direct recall unlearned"]) > MATCHED:
        return math.nan
    return one["retain recall unlearned"] - six["retain recall unlearned"]


CLAIMS = [
    Claim("01.1a", "01", "Ceiling: asked plainly, the original model gives the facts that are to be forgotten.", "gate", EXPERIMENT,
          configs=[SIX], measure=final("direct recall original"), threshold=">= 0.95", unit=EXACT, needs=MODELS),
    Claim("01.1b", "01", "Floor: a model that was never taught them does not.", "gate", EXPERIMENT,
          configs=[SIX], measure=final("direct recall reference"), threshold="<= 0.10", unit=EXACT, needs=MODELS),
    Claim("01.2a", "01", "NPO looks forgotten: at some step at most a quarter of the plain questions is answered and at least 85 % "
          "of the other facts are kept.", "report", EXPERIMENT,
          configs=[NO_STOP["npo"]], measure=final("kept share at best stop"), threshold=">= 0.85", needs=MODELS,
          note="Asked every 3 steps at learning rate 3e-4 on 60 kept facts a seed; the best of these steps counts. "
               "Training on to step 30 does not bring the kept facts back on this model, unlike on the smaller one of the method file."),
    Claim("01.2b", "01", "Gradient ascent has no such step: whenever at most a quarter is answered, less than 85 % of the rest is kept.",
          "report", EXPERIMENT,
          configs=[NO_STOP["ga"]], measure=final("kept share at best stop"), threshold="<= 0.85", needs=MODELS,
          note="Asked after every one of 32 steps at learning rate 1e-4. On this model gradient ascent forgets about as gently as NPO "
               "until a quarter of the answers is left, so the sentence is not confirmed here."),
    Claim("01.8", "01", "Forgetting more people costs more: stopped at a tenth of the answers, less of the rest is kept after "
          "forgetting six people than after one.", "report", EXPERIMENT,
          configs=[ONE, SIX], measure=retain_lost, threshold=">= 0", needs=MODELS, unit="mean difference over seeds"),
]
