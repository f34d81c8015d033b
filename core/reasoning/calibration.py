"""What is usual for one model: the yardstick beside every reading, measured on problems that nothing else uses.

    calibration = Calibration.read(lab.folder("reasoner-70"), loaded.fingerprint, "numbers")   # None for a model without one
    calibration.percentile("MaxProb think", 0.97)                                      # in % of the calibration outputs

Raw energies of two models do not compare; percentiles and differences from the mean profile do (methods/03 section 2.4).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedModel

from core.reasoning.data import END_THINK, THINK, Problem
from core.reasoning.energy import LayerPath, path_of
from core.reasoning.generations import Generations
from core.reasoning.metrics import MISSING, percentile
from core.reasoning.prompts import Form
from core.reasoning.spec import Kind

FILE = "calibration.json"
QUANTILES = 101
DIGITS = 5
TEMPERATURES = [round(0.3 + 0.05 * i, 2) for i in range(55)]


@dataclass(frozen=True)
class Calibration:
    """Numbers over n outputs whose labels were used for nothing but the two mean paths that are drawn.

    quantiles: score -> 101 values from smallest to largest. scale: mean kinetic energy. temperature: fitted by NLL.
    profile: mean kinetic energy (L,) and curvature energy (L-1,) per layer. centre (width,) and axes (2, width): the plane
    in which paths are drawn, with the share of variance that each axis holds. groups: "right" and "wrong" -> mean path
    (L+1, 2) and its standard deviation in that plane.
    """

    fingerprint: str
    n: int
    accuracy: float
    scale: float
    temperature: float
    quantiles: dict[str, list[float]]
    kinetic: list[float]
    curvature_energy: list[float]
    centre: list[float]
    axes: list[list[float]]
    variance: list[float]
    groups: dict[str, dict[str, list[list[float]]]]

    def percentile(self, score: str, value: float) -> float:
        """Where `value` stands among the calibration outputs, 0 to 100; NaN if that score is unknown here."""
        return percentile(value, np.array(self.quantiles[score])) if self.quantiles.get(score) else MISSING

    def project(self, states: Tensor) -> Tensor:
        """States (..., width) in the plane of the drawing, (..., 2)."""
        return (states - torch.tensor(self.centre)) @ torch.tensor(self.axes).T

    @property
    def mean_profile(self) -> tuple[Tensor, Tensor]:
        """Mean kinetic energy (L,) of every step and mean curvature energy (L-1,) between them, over the calibration outputs."""
        return torch.tensor(self.kinetic), torch.tensor(self.curvature_energy)

    @classmethod
    def read(cls, folder: Path, fingerprint: str, kind: Kind) -> Calibration | None:
        """None when there is none for that kind of problem, or when it was measured on other weights."""
        if not (folder / FILE).is_file():
            return None
        stored = json.loads((folder / FILE).read_text(encoding="utf-8"))
        found = cls(**stored[kind]) if kind in stored else None
        return found if found and found.fingerprint == fingerprint else None


def write(folder: Path, calibrations: Mapping[Kind, Calibration]) -> None:
    """Stores one yardstick per kind of problem beside an embedded model."""
    stored = {kind: _rounded(asdict(calibration)) for kind, calibration in calibrations.items()}
    (folder / FILE).write_text(json.dumps(stored) + "\n", encoding="utf-8")


def calibrate(generations: Generations, fingerprint: str, temperature: float) -> Calibration:
    """The yardstick from a set of generations; their problems are all of the calibration split."""
    assert all(thought.problem.split == "calibration" for thought in generations.thoughts)
    path = path_of(generations.states)
    thought = ~torch.isnan(path.displacement)
    centre, axes, variance = plane(generations.states[thought])
    right = torch.tensor(generations.positive("correct"))
    groups = {}
    for name, members in (("right", right & thought), ("wrong", ~right & thought)):
        if members.sum() >= 2:
            places = (generations.states[members] - centre) @ axes.T
            groups[name] = {"mean": places.mean(0).tolist(), "sd": places.std(0).tolist()}
    return Calibration(
        fingerprint, len(generations), float(right.float().mean()), float(path.kinetic[thought].mean()), temperature,
        {name: _quantiles(values) for name, values in generations.table.items()},
        path.kinetic[thought].mean(0).tolist(), path.curvature_energy[thought].mean(0).tolist(),
        centre.tolist(), axes.tolist(), variance, groups)


def plane(states: Tensor) -> tuple[Tensor, Tensor, list[float]]:
    """Centre, the two directions of largest variance and their shares, of all states (n, L+1, width) together."""
    flat = states.flatten(0, -2)
    centre = flat.mean(0)
    _, strength, directions = torch.linalg.svd(flat - centre, full_matrices=False)
    directions = directions[:2]
    # a singular vector has no sign of its own: make the largest entry positive, so that pictures do not flip
    directions = directions * directions.gather(1, directions.abs().argmax(1, keepdim=True)).sign()
    return centre, directions, (strength.square()[:2] / strength.square().sum()).tolist()


@torch.no_grad()
def fit_temperature(model: PreTrainedModel, form: Form, problems: list[Problem]) -> float:
    """The temperature under which the true chains of these problems are likeliest; only for the embedded reasoner."""
    kept, wanted = [], []
    for problem in problems:
        prompt = form.tokenizer(problem.prompt).input_ids
        rest = form.tokenizer(f"{THINK}{problem.trace}{END_THINK}{problem.answer}", add_special_tokens=False).input_ids
        logits = model(input_ids=torch.tensor([prompt + rest], device=model.device)).logits[0, len(prompt) - 1:-1]
        kept.append(logits.float())
        wanted.append(torch.tensor(rest, device=logits.device))
    logits, targets = torch.cat(kept), torch.cat(wanted)
    return min(TEMPERATURES, key=lambda t: float(torch.nn.functional.cross_entropy(logits / t, targets)))


def mean_difference(path: LayerPath, calibration: Calibration | None, gamma: float) -> tuple[Tensor, Tensor]:
    """Kinetic (L,) and gamma times curvature energy (L-1,) of one path, minus what is usual if that is known."""
    kinetic, bent = path.kinetic, path.curvature_energy
    if calibration is None:
        return kinetic, gamma * bent
    usual_kinetic, usual_bent = calibration.mean_profile
    return kinetic - usual_kinetic, gamma * (bent - usual_bent)


def _quantiles(values: np.ndarray) -> list[float]:
    known = values[~np.isnan(values)]
    return np.quantile(known, np.linspace(0, 1, QUANTILES)).tolist() if len(known) else []


def _rounded(value):
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_rounded(item) for item in value]
    return float(f"{value:.{DIGITS + 1}g}") if isinstance(value, float) else value
