"""From a config to a study, and to the diffusion model that belongs to it. What is the same is made once for all visitors.

study = study_of(config, lab)
model = yield from denoiser_of(config, lab, study, "source")
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import numpy as np

from core.engine.events import Event, Metric, Progress
from core.engine.lab import Lab
from core.factors import own_table, prices
from core.factors.denoiser import FactorDenoiser, new_denoiser
from core.factors.diffusion import train_denoiser
from core.factors.grid import conditions
from core.factors.spec import EMBEDDED, MarketConfig
from core.factors.study import Rows, Study, prepare
from core.factors.worlds import made_market

MOST_WINDOWS = 60_000  # that a diffusion model is trained on; of more, so many are drawn
MADE_SEED = 0  # of the market that the embedded denoiser knows


def study_of(config: MarketConfig, lab: Lab, seed: int | None = None) -> Study:
    """The visitor's table, the real prices, or the market with this seed; the lab's seed unless told."""
    seed = lab.seed if seed is None else seed
    made = config.data == "simulated" and not config.table
    key = ("factors study", config.table or config.data, *((config.kappa, config.targets, config.train_days, seed) if made else ()))
    if (known := lab.cache.get(key)) is not None:
        return known
    if config.table:
        study = prepare(own_table.read(lab.data(config.table), stop=lambda: lab.cancelled))
    elif config.data == "prices":
        study = prepare(prices.read(lab.got("sp500")))
    else:
        panel, split = made_market(seed, kappa=config.kappa, targets=config.targets, train=config.train_days)
        study = prepare(panel, **split)
    lab.cache[key] = study
    return study


def is_embedded(config: MarketConfig, seed: int) -> bool:
    """Whether the model that comes with the lab was trained on just this market."""
    fields = type(config).model_fields
    same = all(getattr(config, name) == fields[name].default for name in ("data", "table", "kappa", "train_days", "denoiser_steps"))
    return same and seed == MADE_SEED and config.denoiser == EMBEDDED


def denoiser_of(config: MarketConfig, lab: Lab, study: Study, universe: str, *, tell: bool = False) -> Iterator[Event]:
    """The generator's value: a trained denoiser of the "source" or the "target" universe.  tell: its loss on the way, too."""
    seed = lab.seed
    if universe == "source" and (is_embedded(config, seed) or config.denoiser != EMBEDDED):
        return fitting(lab.load(config.denoiser).model, study)
    small = universe == "target" and not study.panel.target.all()
    what = hashlib.sha256(np.ascontiguousarray(study.x).tobytes()).hexdigest()
    key = ("factors denoiser", what, small, seed, config.denoiser_steps)
    if (known := lab.cache.get(key)) is not None:
        model, losses = known
        yield from losses if tell else ()
        return model
    rng, losses = lab.rng(f"denoiser {universe}"), []
    rows = rows_of(study, small, rng)
    model = new_denoiser(study.names, int(study.panel.industry.max()) + 1, rng, study.panel.source)
    for step in train_denoiser(model, *conditions(study, rows), steps=config.denoiser_steps, rng=rng):
        if step.done % 10 == 0 or step.done == step.total:
            losses.append(Metric("training loss", step.loss, step.done))
            yield Progress(step.done, step.total, f"training a diffusion model on {len(rows):,} windows")
            if tell:
                yield losses[-1]
    model.requires_grad_(False)
    lab.cache[key] = model, losses
    return model


def rows_of(study: Study, small: bool, rng: object) -> Rows:
    """The training windows that have a label, at most MOST_WINDOWS of them."""
    import torch

    rows = study.rows("train", target=small)
    if len(rows) <= MOST_WINDOWS:
        return rows
    return rows[torch.randperm(len(rows), generator=rng)[:MOST_WINDOWS].sort().values.numpy()]


def fitting(model: FactorDenoiser, study: Study) -> FactorDenoiser:
    """The model, if it reads the factors of this study. Raises LabError for another kind of model, or other factors."""
    from core.engine.errors import LabError

    if not isinstance(model, FactorDenoiser):
        raise LabError("This is no diffusion model of factors.", f"Choose {EMBEDDED}, or one that 'Train a diffusion model' kept.")
    if tuple(model.config.factors) != study.names:
        raise LabError(
            f"This diffusion model knows {len(model.config.factors)} factors, these prices give {len(study.names)} others.",
            f"Choose {EMBEDDED} to have one trained for your prices.",
        )
    return model
