"""The claims of paper 05 as methods/05 section 8.3 states them; thresholds and seeds were copied before measuring.

ASR is the share of 20 targets (of 30, three forgotten authors) that came out. Every attack had at most 200 steps, and 60 at
one soft token, where nothing happens after the first few: our choice, since a small machine measures this. Claims 1, 3 and
4 speak of every algorithm: the six of the auditor that are documented in TOFU, RWKU or open-unlearning.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from core.engine.claims import Claim

Results = list[dict[str, Any]]
EXPERIMENT = "unlearning/soft-tokens"
NEEDS = ("embedded/worlds", "embedded/worlds-retain")
ALGORITHMS = {"npo": "NPO", "ga": "gradient ascent", "graddiff": "GradDiff", "kl": "KL", "idk_dpo": "learning to prefer a refusal",
              "rmu": "RMU"}
MAIN = {"targets": 20, "steps": 200, "extras": False, "surface_targets": 0}
BLANK = MAIN | {"tokens": 16, "extras": True, "hard_candidates": 0, "sentence_steps": 1}
MAP = {"what": "string", "targets": 2, "steps": 200, "surface_targets": 4}
OPENING = MAIN | {"mode": "opening", "tokens": 8}
UNIT = "mean over seeds, 20 targets each"
A, B, C, D, N, F = ("original, true answer", "unlearned, true answer", "never knew, true answer", "unlearned, false answer",
                    "original, stranger", "random weights, true answer")


def with_tokens(k: int, algorithm: str = "npo") -> dict[str, Any]:
    """The runs that most claims rest on."""
    return MAIN | {"tokens": k, "algorithm": algorithm, "steps": 60 if k == 1 else 200}


def success(cell: str, run: int = 0) -> Callable[[Results], float]:
    """Attack success rate of a cell."""
    return lambda results: results[run]["metrics"][f"success {cell}"]


def apart(one: str, other: str) -> Callable[[Results], float]:
    """|ASR - ASR| of two cells."""
    return lambda results: abs(success(one)(results) - success(other)(results))


def steps_ratio(one: str, other: str) -> Callable[[Results], float]:
    """Median steps of one cell over that of another; NaN where one never succeeded. Steps count from one, as looking takes one."""
    def ratio(results: Results) -> float:
        metrics = results[0]["metrics"]
        steps = [metrics.get(f"median steps {cell}", math.nan) + 1 for cell in (one, other)]
        return steps[0] / steps[1]

    return ratio


def asr_spread(results: Results) -> float:
    """Largest ASR minus smallest over the algorithms: if it is zero there is nothing to correlate with what they left behind."""
    shares = [success(B, run)(results) for run in range(len(results))]
    return max(shares) - min(shares)


def longest(k: int) -> Callable[[Results], float]:
    """Longest random in-vocabulary text with ASR of at least one half."""
    return lambda results: results[0]["metrics"][f"longest random text {k} tokens"]


REAL_MODEL = "got/smollm2"
ALONE = {"what": "alone", "model": REAL_MODEL, "world": "capitals", "targets": 6, "steps": 60}
REAL_NOTE = "SmolLM2 with 135 million parameters, six texts of each kind. The interval is over texts."


def said_alone(cell: str) -> Callable[[Results], float]:
    """Share of such texts that 10 soft tokens brought out of one real model."""
    return lambda results: results[0]["metrics"][f"success {cell}, 10 soft tokens"]


def _spread_alone(text: str) -> Callable[[Results], tuple[float, float]]:
    return lambda results: tuple(results[0]["verdict"]["evidence"]["10"][text]["interval"])


def _real(number: str, statement: str, cell: str, text: str, beside: str = "") -> Claim:
    return Claim(f"05.{number}", "05", f"SmolLM2 (135 million parameters): {statement}", "report", EXPERIMENT, configs=[ALONE],
                 measure=said_alone(cell), threshold=">= 0.5", seeds=(0,), unit="one run, interval over texts", scale="share",
                 needs=(REAL_MODEL,), note=REAL_NOTE, spread=_spread_alone(text), beside=beside)


LEAST = 50  # characters: the first rung of the ladder


MINUTES = 15  # by the clock, of a rung beyond `QUICK` characters: one that has not come out by then is undecided
QUICK = 100


def rung(characters: int) -> dict[str, Any]:
    """One step of the ladder: so many random characters, one text, 10 soft tokens."""
    limit = {} if characters <= QUICK else {"minutes": MINUTES}
    return {"what": "string", "model": REAL_MODEL, "random_kind": "characters", "random_length": characters, "tokens": 10, "targets": 1,
            "learning_rate": 0.1, "steps": 600, "extras": False, "surface_targets": 0} | limit


def right(results: Results) -> float:
    """Share of the pieces of the random text that were right at best."""
    return results[0]["metrics"]["right tokens original, random text"]


def reached(results: Results) -> tuple[float, float]:
    """The same share, and up to all of them where the time ran out first: nobody knows what more of it would have brought."""
    share = right(results)
    return share, 1.0 if results[0]["metrics"].get("undecided original, random text") else share


def _rung(characters: int) -> Claim:
    most = "600 steps" if characters <= QUICK else f"600 steps and {MINUTES} minutes by the clock"
    said = f"SmolLM2 (135 million parameters): 10 soft tokens carry {characters} random characters without a mistake."
    return Claim(f"05.R-{characters}", "05", said, "report", EXPERIMENT, configs=[rung(characters)], measure=right, threshold=">= 1",
                 seeds=(0,), unit="share of its pieces right at best, one text", scale="share", needs=(REAL_MODEL,),
                 spread=reached, beside="05.5a" if characters == LEAST else "",
                 note=f"At most {most}. A text that came out shows that it can; one that did not only that this search failed.")


def _claim(number: str, statement: str, configs: list[dict[str, Any]], measure: Callable[[Results], float], threshold: str, *,
           unit: str = UNIT, note: str = "") -> Claim:
    return Claim(f"05.{number}", "05", statement, "report", EXPERIMENT, configs=configs, measure=measure, threshold=threshold, unit=unit,
                 note=note, needs=NEEDS)


CLAIMS = [
    *(_claim(f"1-{key}", f"Regardless of the algorithm: 8 soft tokens get the answers out of a model that forgot by {name}.",
             [with_tokens(8, key)], success(B), ">= 0.9") for key, name in ALGORITHMS.items()),
    _claim("2a", "Regardless of training: 16 soft tokens get the answers out of a model that never read them.",
           [BLANK], success(C), ">= 0.9"),
    _claim("2b", "Regardless of training: 16 soft tokens get facts about a stranger, whom no model ever met.",
           [BLANK], success(N), ">= 0.9"),
    *(_claim(f"3-{key}-{k}", f"Truth does not matter: with {k} soft tokens true and false answers come out equally often after {name}.",
             [with_tokens(k, key)], apart(B, D), "<= 0.1") for key, name in ALGORITHMS.items() for k in (4, 8)),
    _claim("4", "So the attack cannot rank: with 8 soft tokens all algorithms show the same success, whatever they left behind.",
           [with_tokens(8, key) for key in ALGORITHMS], asr_spread, "<= 0.1",
           note="Where all success rates are equal a correlation has no value, so their spread stands in for it."),
    _claim("5a", "Few tokens, any content: 16 soft tokens carry a random text of at least 16 pieces of words.", [MAP], longest(16), ">= 16",
           unit="mean over seeds, 4 texts of each length"),
    _claim("5b", "The length grows with the number of soft tokens: 16 carry more than 4.", [MAP],
           lambda results: longest(16)(results) - longest(4)(results), ">= 1", unit="mean difference over seeds, 4 texts of each length"),
    _claim("5c", "The length grows with the width of the model: 16 soft tokens carry more at width 256 than at 128.",
           [MAP | {"model": f"embedded/worlds-{width}"} for width in (256, 128)],
           lambda results: longest(16)(results) - longest(16)(results[1:]), ">= 1",
           unit="mean difference over seeds, 4 texts of each length",
           note="Lengths are tried in doublings and with 200 steps: a seed shows no difference or one of 16. In a trial with 400 steps "
                "both carried 32."),
    _claim("6", "It needs a trained model: 16 soft tokens get nothing out of random weights.", [BLANK], success(F), "<= 0.1"),
    _claim("7", "Boundary, against the slogan: one soft token still tells a model that knows from one that was made to forget.",
           [with_tokens(1)], lambda results: success(A)(results) - success(B)(results), ">= 0.4",
           note="Most successes on the model that knows come before the first step, so one soft token adds little to simply asking."),
    _claim("8a", "Effort is a weak signal: with 4 soft tokens the model that knows gives in at least twice as fast as one that never knew.",
           [with_tokens(4)], steps_ratio(A, C), "<= 0.5", unit="mean over seeds of the ratio of median steps"),
    _claim("8b", "But no basis for a verdict: on the same model true answers take at least 0.4 times the steps of false ones.",
           [with_tokens(4)], steps_ratio(B, D), ">= 0.4", unit="mean over seeds of the ratio of median steps"),
    _claim("8c", "Nor more than 1.6 times the steps.", [with_tokens(4)], steps_ratio(B, D), "<= 1.6",
           unit="mean over seeds of the ratio of median steps"),
    _claim("9a", "Told only how the answer begins, the attack gets the facts from a model that knows.", [OPENING], success(A), ">= 0.5"),
    _claim("9b", "Told only how the answer begins, it gets hardly any from a model that never knew.", [OPENING], success(C), "<= 0.1"),
    _real("R1", "10 soft tokens bring out more than half of the true answers.", "original, true answer", "true answer"),
    _real("R2", "10 soft tokens bring out more than half of the false answers.", "original, false answer", "false answer"),
    _real("R3", "10 soft tokens bring out more than half of the answers about countries that do not exist.", "original, stranger",
          "a stranger's fact", "05.2b"),
    *(_rung(characters) for characters in (50, 100, 200, 400)),
    _claim("10", "Where the attack succeeds, the model really writes the text on its own.", [with_tokens(8)],
           lambda results: results[0]["metrics"]["generated as promised"], ">= 1", unit="mean over seeds, every success of all cells"),
]
