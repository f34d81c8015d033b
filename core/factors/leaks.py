"""Does anything know the future? Everything that is made of prices is made again from a series that is cut off, and compared bit for bit.

    for check in audit(panel, day=300):
        check.name, check.same, check.differs

A factor, a scaler, the weights of a diffusion model and its edits may not change up to a day when what comes after is cut away or replaced.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch

from core.factors.alpha import ALPHA158, alpha, available
from core.factors.denoiser import new_denoiser
from core.factors.diffusion import edit, train_denoiser
from core.factors.grid import conditions, sample
from core.factors.panel import Panel
from core.factors.study import Study, prepare

STEPS, EDITED, STRENGTH = 8, 64, 300  # enough to let any leak into the weights


@dataclass(frozen=True)
class Check:
    """One thing that was made twice.  compared: how many numbers.  differs: of those, how many are not the same, bit for bit."""

    name: str
    compared: int
    differs: int

    @property
    def same(self) -> bool:
        return self.differs == 0


def compare(name: str, once: np.ndarray, again: np.ndarray) -> Check:
    """Two arrays of one shape (...); two missing numbers are the same."""
    unlike = ~((once == again) | (np.isnan(once) & np.isnan(again)))
    return Check(name, unlike.size, int(unlike.sum()))


def audit_factors(panel: Panel, day: int, make: Callable[[Panel], dict[str, np.ndarray]] | None = None) -> Iterator[Check]:
    """Each factor (days, shares) of the first `day` days, from the whole table and from those days alone; `make`: other factors."""
    make = make or (lambda given: alpha(given.bars, available(given.bars, ALPHA158)))
    whole, cut = make(panel), make(panel.cut(day))
    for name, values in whole.items():
        yield compare(name, values[:day], cut[name])


def audit_training(panel: Panel, split: dict[str, int]) -> Iterator[Check]:
    """Scaler, weights and edits, from the table and from one whose prices after the last training label are other ones."""
    whole = prepare(panel, **split)
    other = prepare(panel.changed_after(whole.last_train_day + 1, np.random.default_rng(0)), **split)
    yield compare("scaler", np.stack([whole.scaler.median, whole.scaler.scale]), np.stack([other.scaler.median, other.scaler.scale]))
    weights, edits = zip(*(_trained(study) for study in (whole, other)), strict=True)
    yield compare("weights of the diffusion model", *weights)
    yield compare("edited windows", *edits)


def _trained(study: Study) -> tuple[np.ndarray, np.ndarray]:
    rng = torch.Generator().manual_seed(0)
    with torch.random.fork_rng():  # making a network draws from the generator that all share
        model = new_denoiser(study.names, int(study.panel.industry.max()) + 1, rng)
    rows = study.rows("train", target=False)
    with torch.enable_grad():  # a probe is asked without
        for _ in train_denoiser(model, *conditions(study, rows), steps=STEPS, rng=rng):
            pass
    few = sample(study, rows, EDITED, np.random.default_rng(0))
    made = edit(model, *conditions(study, few), strength=STRENGTH, guidance=2, rng=torch.Generator().manual_seed(1))
    return torch.cat([p.detach().flatten() for p in model.parameters()]).numpy(), made.numpy()
