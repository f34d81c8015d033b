"""The claims of methods/07 section 10. A seed draws pictures, tests, strangers, noise and training; the painter is one.

Thresholds are signs, but for F7 (the interval of the methods file), F8 (as large as a network) and F9. All were written before any seed
was run; two seeds followed after the first three had been seen and changed none of them. The methods file would have had thresholds
beyond the sign set from the first three: that was not done, so nothing beyond the sign is claimed.
F10, that what carries the uploads changes nothing, is a test: tests/federated/test_flower.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from core.engine.claims import Claim, metric

SEEDS, MORE = (0, 1, 2), (3, 4)  # what is measured with the runs of RUN alone gets two more
Results = list[dict[str, Any]]
RUN: dict[str, Any] = {"rivals": "all"}
PROTOCOL: dict[str, Any] = {"shots": 16}  # methods/07 section 10: four domains, ten classes, 16 pictures of each, three seeds
AS_WRITTEN = "The protocol of the methods file; every network still learns 100 batches of 64."


def _less(one: str, *others: str) -> Callable[[Results], float]:
    """Accuracy of `one` minus the best of the others, at equal pictures."""
    return lambda results: metric(results[0], f"accuracy {one}") - max(metric(results[0], f"accuracy {other}") for other in others)


def _halves(results: Results) -> float:
    """The better half minus public words, or both together plus a point minus the better half, whichever is less."""
    both, words, *halves = (metric(results[0], f"accuracy {name}") for name in ("fedbip", "prompts", "instance", "concept"))
    return min(max(halves) - words, both + 0.01 - max(halves))


def _claim(number: str, statement: str, kind: str, configs: list[dict[str, Any]], measure: Callable[[Results], float], threshold: str,
           note: str = "", scale: str = "points") -> Claim:
    return Claim(id=f"07.{number}", paper="07", statement=statement, kind=kind, experiment="federated/run", configs=configs,
                 measure=measure, threshold=threshold, seeds=SEEDS + MORE if configs == [RUN] else SEEDS, note=note, scale=scale)


CLAIMS = [
    _claim("F1", "What a place sends helps: FedBiP beats public words alone.", "gate", [RUN], _less("fedbip", "prompts"), ">= 1e-06"),
    _claim("F2", "FedBiP beats networks that are averaged once.", "gate", [RUN], _less("fedbip", "fedavg"), ">= 1e-06"),
    _claim("F3", "All pictures in one room are the limit.", "report", [RUN], _less("central", "fedbip"), ">= 0"),
    _claim("F3b", "Half of it is as good as public words, and at most a point better than the whole.", "report", [RUN],
           _halves, ">= 0"),
    _claim("F4", "Words and pictures together beat each alone.", "report", [RUN], _less("fedbip", "instance", "concept"), ">= 1e-06"),
    _claim("F5", "More paintings of the same uploads help less and less.", "report", [{}, {"copies": 5}, {"copies": 10}],
           lambda results: (metric(results[1], "accuracy fedbip") - metric(results[0], "accuracy fedbip"))
           - (metric(results[2], "accuracy fedbip") - metric(results[1], "accuracy fedbip")), ">= 1e-06"),
    _claim("F6", "The lead over averaged networks grows when digits are shared out unevenly.", "report",
           [{"tilt": 0.5}, {"tilt": 0.01}],
           lambda results: _less("fedbip", "fedavg")(results[1:]) - _less("fedbip", "fedavg")(results[:1]), ">= 1e-06"),
    _claim("F7", "The nearest painting does not tell members from strangers: distance of its AUC from 0.5.", "report", [RUN],
           lambda results: abs(metric(results[0], "leak pixels") - 0.5), "<= 0.1", scale="number"),
    _claim("F7b", "Clean latents would tell more than noised ones.", "gate", [RUN],
           lambda results: metric(results[0], "leak clean") - metric(results[0], "leak latents"), ">= 1e-06", scale="number"),
    _claim("F8", "An upload is smaller than a network: upload / network.", "report", [RUN],
           lambda results: metric(results[0], "bytes fedbip") / metric(results[0], "bytes fedavg"), "<= 1", scale="number"),
    _claim("F1p", "With 16 pictures of a digit at each place FedBiP beats public words alone.", "report", [PROTOCOL],
           _less("fedbip", "prompts"), ">= 1e-06", note=AS_WRITTEN),
    _claim("F2p", "With 16 pictures of a digit at each place FedBiP beats networks that are averaged once.", "report", [PROTOCOL],
           _less("fedbip", "fedavg"), ">= 1e-06", note=AS_WRITTEN),
    _claim("F3p", "With 16 pictures of a digit at each place all pictures in one room are the limit.", "report", [PROTOCOL],
           _less("central", "fedbip"), ">= 0", note=AS_WRITTEN),
    _claim("F9", "Where the schedule leaves no signal, noised pictures alone are worth no more than public words.", "report",
           [{"rivals": "all", "t_start": 981, "erase": True}],
           lambda results: abs(metric(results[0], "accuracy instance") - metric(results[0], "accuracy prompts")), "<= 0.05",
           note="Pure noise is sent, as such a schedule would leave it. 5 points: about what 400 pictures cannot tell apart."),
]
