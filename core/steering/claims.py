"""The claims of methods/06 section 9, with the thresholds written there. A seed draws pictures, questions, starts and batches.

From one comparison per seed: the same questions in the same order for every row, learning rates of the table, which were chosen on
validation questions of a seed that no claim uses (`python -m benchmarks.steering rates`). T11 has a comparison of its own. A sentence
with two thresholds is two claims. T1, T2 and T7 must hold exactly and are unit tests (tests/steering/test_steer.py); T12 is a benchmark.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from core.engine.claims import Claim, Scale, metric

MODELS = ("embedded/scenes-base",)
SEEDS = (0, 1, 2)
Results = list[dict[str, Any]]
RUN: dict[str, Any] = {}  # as the page compares them: the recorded comparison that it opens with is the run of seed 0
FEW: dict[str, Any] = {"methods": ["mores", "full"], "steps": 50, "pictures": 125, "rate": 2e-4}  # eight different questions a picture


def _ratio(one: str, other: str) -> Callable[[Results], float]:
    return lambda results: metric(results[0], one) / max(1e-9, metric(results[0], other))


def _minus(one: str, *others: str) -> Callable[[Results], float]:
    """`one` minus the largest of the others."""
    return lambda results: metric(results[0], one) - max(metric(results[0], other) for other in others)


def _claim(number: str, statement: str, kind: str, measure: Callable[[Results], float], threshold: str, scale: Scale = "points",
           note: str = "", run: dict[str, Any] = RUN) -> Claim:
    return Claim(id=f"06.{number}", paper="06", statement=statement, kind=kind, experiment="steering/compare", configs=[run],
                 measure=measure, threshold=threshold, seeds=SEEDS, needs=MODELS, note=note, scale=scale)


CLAIMS = [
    _claim("T2", "LoRA of rank 16 trains at least a hundred times as many numbers inside the language model.", "gate",
           _ratio("lora-16 inside", "mores inside"), ">= 100", "number", "Counted, not estimated: rank 16 against rank 1."),
    _claim("T2b", "With the connector, which both train, it is at least ten times as many.", "report",
           _ratio("lora-16 total", "mores total"), ">= 10", "number", "The paper does not count the connector. Threshold ours."),
    _claim("T3", "Steering keeps nine tenths of LoRA's right answers.", "gate", _ratio("mores mean", "lora-16 mean"), ">= 0.9", "number"),
    _claim("T3b", "It keeps nineteen twentieths of them.", "report", _ratio("mores mean", "lora-16 mean"), ">= 0.95", "number"),
    _claim("T4", "Steering is within two points of IA3, which trains more.", "report",
           lambda results: abs(metric(results[0], "mores mean") - metric(results[0], "ia3 mean")), "<= 0.02"),
    _claim("T5", "On 'is there a ...?' steering is within half a point of the best of LoRA and IA3.", "report",
           _minus("mores existence", "lora-16 existence", "ia3 existence"), ">= -0.005"),
    _claim("T6", "Steering gives the picture more attention than LoRA and full fine-tuning do: mean LMAR.", "report",
           _minus("mores lmar", "lora-16 lmar", "full lmar"), ">= 0", "number"),
    _claim("T6b", "Steering is better balanced than LoRA: B.", "report",
           lambda results: metric(results[0], "lora-16 balance") - metric(results[0], "mores balance"), ">= 0", "number"),
    _claim("T7", "Text is answered as before: words-only questions right, steered minus untouched.", "gate",
           lambda results: abs(metric(results[0], "mores words") - metric(results[0], "base words")), "<= 0", "points",
           "Bit for bit in the unit tests."),
    _claim("T8", "Nine steered patches are as good as all.", "report", _minus("mores-f4l5 mean", "mores mean"), ">= -0.01"),
    _claim("T9", "Rank 8 is hardly better than rank 1.", "report", _minus("mores-8 mean", "mores mean"), "<= 0.01"),
    _claim("T10", "Every second layer is enough.", "report",
           lambda results: abs(metric(results[0], "mores-every2 mean") - metric(results[0], "mores mean")), "<= 0.01"),
    _claim("T11", "From a thousand questions, at the paper's learning rate, steering learns more than full fine-tuning.", "report",
           _minus("mores mean", "full mean"), ">= 0", run=FEW,
           note="2e-4 for both, as in the paper's third stage; our 50 steps are far fewer than its ten rounds."),
    _claim("T13", "Steering adds something to the connector, which alone is trained beside it.", "report",
           _minus("mores mean", "connector mean"), ">= 0", note="The control that the paper lacks."),
    _claim("T13b", "Steering alone, with the connector as it was, beats the untouched model.", "report",
           _minus("mores-frozen mean", "base mean"), ">= 0"),
    _claim("T14", "Beside another picture steering loses at least as much as LoRA: it sees, not only looks.", "report",
           _minus("mores drop", "lora-16 drop"), ">= 0"),
    _claim("T15", "The claim about LoRA holds against the smallest LoRA too: nine tenths of rank 1.", "report",
           _ratio("mores mean", "lora-1 mean"), ">= 0.9", "number", "LoRA of rank 1 trains 9.5 times as many numbers inside."),
]
