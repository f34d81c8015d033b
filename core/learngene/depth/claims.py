"""The claims of paper 09 as methods/09 section 8 states them, measured on the digits of its calibration (section 9).

The auxiliary model is trained again for every seed (8 layers, 100 epochs); the ancestor is the stored one. T1 to T3 are
arithmetic and stand in tests/learngene; T11 needs the weights of a real DeiT and is left to the linearity probe.
"""

from __future__ import annotations

from typing import Any

from core.engine.claims import Claim

SEEDS = (0, 1, 2)
APART = "difference of shares, mean over seeds"
TRAIN = {"task": "digits", "ancestor": "embedded/learngene-digits-ancestor", "epochs": 100}
TUNE = {"source": "digits", "task": "digits", "learngene": "embedded/learngene-digits", "ancestor": "embedded/learngene-digits-ancestor",
        "retrain": True}
EARLY = [TUNE | {"depth": depth, "epochs": k, "scratch_epochs": k} for depth in (3, 8, 12) for k in (1, 3, 5)]
AT_TWENTY = [TUNE | {"depth": depth, "epochs": 1, "scratch_epochs": 20} for depth in (4, 8, 12)]
LONG = [TUNE | {"depth": depth, "epochs": 20, "scratch_epochs": 100} for depth in (4, 8)]

Results = list[dict[str, Any]]


def _zero_shot(result: dict[str, Any], *depths: int) -> list[float]:
    return [result["metrics"][f"zero-shot {depth}"] for depth in depths]


def _near(results: Results) -> float:
    """Least of Z(d) - Z(8) for d from 5 to 12."""
    return min(_zero_shot(results[0], *range(5, 13))) - _zero_shot(results[0], 8)[0]


def _half(results: Results) -> float:
    return _zero_shot(results[0], 4)[0] - _zero_shot(results[0], 8)[0]


def _against_ancestor(results: Results) -> float:
    return results[0]["metrics"]["auxiliary accuracy"] - results[0]["metrics"]["ancestor accuracy"]


def _least_gain(results: Results) -> float:
    """Least of (inherited - scratch) over the configs."""
    return min(result["metrics"]["end inherited"] - result["metrics"]["end scratch"] for result in results)


def _untrained_gain(results: Results) -> float:
    return min(result["metrics"]["start inherited"] - result["metrics"]["end scratch"] for result in results)


CLAIMS = [
    Claim("09.T4", "09", "The auxiliary model is at most 2 points worse than its ancestor, with a quarter of its numbers.", "report",
          "learngene/train", [TRAIN], _against_ancestor, ">= -0.02", SEEDS, APART, scale="points"),
    Claim("09.T5a", "09", "Depths 5 to 12 work without training: within 5 points of the depth that was trained (8).", "report",
          "learngene/train", [TRAIN], _near, ">= -0.05", SEEDS, APART, scale="points",
          note="The worst of eight depths. Depth 5 is the one that falls behind (2, 6 and 5 points by seed); 6 to 12 stay within 3.1."),
    Claim("09.T5b", "09", "Half the depth works without training: within 12 points.", "report",
          "learngene/train", [TRAIN], _half, ">= -0.12", SEEDS, APART, scale="points",
          note="6, 14 and 15 points by seed: how well four layers do depends on the training, and three seeds cannot say more."),
    Claim("09.T6", "09", "After 1, 3 or 5 epochs a network that inherited is at least 10 points ahead of one from scratch.", "report",
          "learngene/finetune", EARLY, _least_gain, ">= 0.10", SEEDS, APART, scale="points",
          note="Depths 3, 8 and 12; the least of nine differences."),
    Claim("09.T7", "09", "Untrained descendants beat 20 epochs from scratch.", "report",
          "learngene/finetune", AT_TWENTY, _untrained_gain, ">= 0", SEEDS, APART, scale="points",
          note="The least over depths 4, 8 and 12. At 8 and 12 untrained wins in all seeds, by 5 to 15 points; at 4 in one of three."),
    Claim("09.T8", "09", "The slope matters: setting it to zero costs at least 5 points.", "report", "learngene/train", [TRAIN],
          lambda results: results[0]["metrics"]["flat accuracy"] - results[0]["metrics"]["auxiliary accuracy"], "<= -0.05", SEEDS, APART,
          scale="points"),
    Claim("09.T9", "09", "Training with equal layers is no better than training with a slope (1 point allowed).", "report",
          "learngene/train", [TRAIN, TRAIN | {"flat": True}],
          lambda results: results[1]["metrics"]["auxiliary accuracy"] - results[0]["metrics"]["auxiliary accuracy"], "<= 0.01", SEEDS,
          APART, scale="points",
          note="Equal layers were level or up to 1.9 points behind in these seeds: too little to tell with three."),
    Claim("09.T10", "09", "20 epochs after inheriting equal 100 from scratch (1 point allowed; the auxiliary model's 100 not counted).",
          "report", "learngene/finetune", LONG, _least_gain, ">= -0.01", SEEDS, APART, scale="points",
          note="The least over depths 4 and 8: 1.3, 1.2 and 0.7 points behind. On 594 pictures one point is six of them."),
    Claim("09.T12", "09", "Dividing by the depth is no worse than dividing by one less, at a quarter of the depth.", "report",
          "learngene/train", [TRAIN],
          lambda results: results[0]["metrics"]["zero-shot 2"] - results[0]["metrics"]["one-less 2"], ">= 0", SEEDS, APART, scale="points"),
]
