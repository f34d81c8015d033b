"""The claims of paper 10 as methods/10 section 7 states them, on digits; both models are made again for every seed.

L1 to L4 and L12 are arithmetic and stand in tests/learngene. The pool is the dense one (large model matched at three
depths), because one of the ways to begin needs it; methods/10 section 10 measured both kinds.
"""

from __future__ import annotations

from typing import Any

from core.engine.claims import Claim

SEEDS = (0, 1, 2)
APART = "difference of shares, mean over seeds"
FEW, FULL = 6, 40

Results = list[dict[str, Any]]


def _made(source: str) -> dict[str, Any]:
    return {"task": "digits", "source": source, "epochs": 50}


def _stitched(init: str, epochs: int, source: str = "distilled") -> dict[str, Any]:
    return {"task": "digits", "init": init, "epochs": epochs, "retrain": source}


def _difference(results: Results) -> float:
    """Mean over stitched paths, first config minus second."""
    return results[0]["metrics"]["stitched after"] - results[1]["metrics"]["stitched after"]


def _small_difference(results: Results) -> float:
    return results[0]["metrics"]["end small"] - results[1]["metrics"]["end small"]


def _large_difference(results: Results) -> float:
    return results[0]["metrics"]["end large"] - results[1]["metrics"]["end large"]


def _worst_loss(results: Results) -> float:
    metrics = results[0]["metrics"]
    return min(metrics[f"after {name}"] - metrics[f"before {name}"] for name in ("small", "large"))


def _against_random(init: str, number: str, statement: str, more: str = "") -> Claim:
    return Claim(number, "10", statement, "report", "learngene/stitch", [_stitched(init, FEW), _stitched("random", FEW)], _difference,
                 ">= 0", SEEDS, APART, scale="points", note=f"After 6 epochs; mean over the 16 stitched paths.{more}")


CLAIMS = [
    Claim("10.L5a", "10", "The small model learns more from the ancestor than from labels alone.", "report", "learngene/pool",
          [_made("distilled"), _made("labels")], _small_difference, ">= 0", SEEDS, APART, scale="points",
          note="0.7 points behind, then 2.7 and 0.5 ahead: on 594 easy pictures three seeds cannot tell."),
    Claim("10.L5b", "10", "The large model learns more from the ancestor than from labels alone.", "report", "learngene/pool",
          [_made("distilled"), _made("labels")], _large_difference, ">= 0", SEEDS, APART, scale="points"),
    Claim("10.L6", "10", "Untrained, stitches by least squares are at least 5 points ahead of random ones.", "report", "learngene/stitch",
          [_stitched("least_squares", 0), _stitched("random", 0)], _difference, ">= 0.05", SEEDS, APART, scale="points"),
    _against_random("transpose", "10.L7a", "The paper's way to begin (the transposed matrix) is no worse than a random one.",
                    " It was 1, 3 and 9 points worse: trained matrices shrink what passes, and the transpose shrinks it again."),
    _against_random("scaled", "10.L7b", "The transposed matrix, scaled, is no worse than a random one."),
    _against_random("chain", "10.L7c", "Going through the ancestor by both models' matrices is no worse than a random start."),
    Claim("10.L8", "10", "After full training the paper's way to begin is no worse than least squares.", "report", "learngene/stitch",
          [_stitched("transpose", FULL), _stitched("least_squares", FULL)], _difference, ">= 0", SEEDS, APART, scale="points",
          note="40 epochs of digits; the paper's own comparison is 50 epochs of ImageNet. Least squares stayed 6 to 8 points ahead."),
    Claim("10.L9", "10", "Blocks distilled from one ancestor stitch better than blocks of models trained alone.", "report",
          "learngene/stitch", [_stitched("least_squares", FEW), _stitched("least_squares", FEW, "labels")], _difference, ">= 0", SEEDS,
          APART, scale="points",
          note="Least squares and 6 epochs for both."),
    Claim("10.L10", "10", "Costlier paths are better: rank correlation of multiply-adds and accuracy.", "report", "learngene/stitch",
          [_stitched("least_squares", FULL)], lambda results: results[0]["metrics"]["rank correlation"], ">= 0.5", SEEDS,
          scale="correlation",
          note="Digits are easy: most paths are near the top, which leaves little to rank: 0.77, -0.32 and 0.12 by seed."),
    Claim("10.L11", "10", "Training the pool costs the two unstitched models at most 2 points.", "report", "learngene/stitch",
          [_stitched("least_squares", FULL)], _worst_loss, ">= -0.02", SEEDS, APART, scale="points",
          note="The worse of the two gained 0.3 points, then lost 1.4 and 0.2; three seeds leave an interval of 2.5 points' loss."),
]
