"""Many predictors trained as one: every seed of every arm is a layer of one stack of weights, and sees only its own arm's rows.

fit = Fit("mlp", arms, study, seeds=5)
for state in fit.train(steps=400, rng=rng):
    state.loss, state.ic                       # (arms, seeds): so far
fit.predictions                                # (arms, seeds, days, shares) of the test split, by the weights that validation chose
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.func import functional_call, stack_module_state

from core.factors.predictors import PREDICTORS
from core.factors.signal import daily_ic
from core.factors.study import Rows, Study

BATCH, LOOK_EVERY, SWAP = 256, 20, 0.5
AT_ONCE = 4096


@dataclass(frozen=True)
class Arm:
    """What one kind of predictor learns from.

    windows: float (n, window, factors).  labels: float (n,).  rows: whose they are.  copies: edited ones (k, n, window, factors), with
    one of which a row is swapped in half of the cases; None: never. So the number of steps is the same for all.
    """

    windows: Tensor
    labels: Tensor
    rows: Rows
    copies: Tensor | None = None


@dataclass(frozen=True)
class State:
    """After `step` of `total`: loss on own rows and IC on validation days, float (arms, seeds)."""

    step: int
    total: int
    loss: np.ndarray
    ic: np.ndarray


class Fit:
    """One stack of predictors; `train` is a loop that may be left. arms: by name, in order."""

    def __init__(self, predictor: str, arms: Mapping[str, Arm], study: Study, seeds: int, rng: torch.Generator) -> None:
        self.kind, self.arms, self.study, self.seeds, self._rng = PREDICTORS[predictor], dict(arms), study, seeds, rng
        # the same first weights for one seed in all arms: differences are paired
        models = [self._made() for _ in range(seeds)]
        self._skeleton = self._made().to("meta")
        params, buffers = stack_module_state(models)
        repeat = len(self.arms)
        self._params = {name: p.detach().repeat(repeat, *[1] * (p.ndim - 1)).requires_grad_() for name, p in params.items()}
        self._buffers = {name: b.repeat(repeat, *[1] * (b.ndim - 1)) for name, b in buffers.items()}
        self._best = {name: p.detach().clone() for name, p in self._params.items()}
        self.best_ic = np.full((len(self.arms), seeds), -np.inf)
        self.predictions: np.ndarray | None = None

    def _made(self) -> torch.nn.Module:
        made = self.kind.make(len(self.study.names))
        with torch.no_grad():
            for weights in made.parameters():
                bound = 1 / np.sqrt(weights.shape[-1]) if weights.ndim > 1 else 0.0
                weights.copy_((2 * torch.rand(weights.shape, generator=self._rng) - 1) * bound)
            for module in made.modules():
                if isinstance(module, torch.nn.LayerNorm):
                    module.weight.fill_(1.0)
        return made

    def train(self, steps: int) -> Iterator[State]:
        """Adam on the mean squared error; the best weights by IC on validation days are kept, each seed its own."""
        optimiser = torch.optim.Adam(self._params.values(), lr=self.kind.rate, weight_decay=1e-5)
        count = len(self.arms) * self.seeds
        loss_sum = torch.zeros(count)
        for step in range(1, steps + 1):
            x, y, industry = self._batch()
            self._skeleton.train()
            errors = self._apply(self._params, x, industry, 0) - y
            loss = (errors**2).mean(1)
            optimiser.zero_grad()
            loss.sum().backward()
            optimiser.step()
            loss_sum += loss.detach()
            if step % LOOK_EVERY == 0 or step == steps:
                ic = self._look()
                yield State(step, steps, self._by_arm(loss_sum / _since(step)), ic)
                loss_sum.zero_()
            else:
                yield State(step, steps, np.empty(0), np.empty(0))
        self.predictions = self._predicted(self._best, "test")

    def _look(self) -> np.ndarray:
        made = self._predicted(self._params, "valid")
        ic = np.array([[np.nanmean(daily_ic(one, self._label("valid"))) for one in arm] for arm in made])
        better = ic > self.best_ic
        self.best_ic = np.where(better, ic, self.best_ic)
        chosen = torch.from_numpy(better.reshape(-1))
        for name, best in self._best.items():
            best[chosen] = self._params[name].detach()[chosen]
        return ic

    def _label(self, split: str) -> np.ndarray:
        days = self.study.splits[split]
        return self.study.y[days.start : days.stop][:, self.study.panel.target]

    def _by_arm(self, values: Tensor) -> np.ndarray:
        return values.reshape(len(self.arms), self.seeds).numpy().copy()

    def _apply(self, params: Mapping[str, Tensor], x: Tensor, industry: Tensor, own: int | None) -> Tensor:
        """own: 0 if every model has its own batch (models, n, ...), None if all see the same one (n, ...)."""

        def one(p: dict[str, Tensor], b: dict[str, Tensor], x: Tensor, industry: Tensor) -> Tensor:
            return functional_call(self._skeleton, (p, b), (x, industry))

        return torch.vmap(one, in_dims=(0, 0, own, own), randomness="different")(dict(params), self._buffers, x, industry)

    def _batch(self) -> tuple[Tensor, Tensor, Tensor]:
        """Every arm draws for each seed; the same seed draws the same places in all arms of one size."""
        parts = [self._drawn(arm, seed) for arm in self.arms.values() for seed in self._draws()]
        x, y, industry = (torch.stack(list(part)) for part in zip(*parts, strict=True))
        return x, y, industry

    def _draws(self) -> list[torch.Generator]:
        if not hasattr(self, "_seeded"):
            starts = torch.randint(2**31, (self.seeds,), generator=self._rng).tolist()
            self._seeded = [[torch.Generator().manual_seed(start) for start in starts] for _ in self.arms]
            self._turn = 0
        drawn = self._seeded[self._turn % len(self.arms)]
        self._turn += 1
        return drawn

    def _drawn(self, arm: Arm, rng: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        places = self._day_places(arm, rng) if self.kind.whole_days else torch.randint(len(arm.labels), (BATCH,), generator=rng)
        x = arm.windows[places]
        swap, which = torch.rand(len(places), generator=rng) < SWAP, torch.rand(len(places), generator=rng)
        if self.kind.whole_days:
            swap = swap[:1].expand(len(places))  # a day is swapped whole
        if arm.copies is not None:
            edited = arm.copies[(which * len(arm.copies)).long(), places]
            x = torch.where(swap[:, None, None], edited, x)
        return x, arm.labels[places], torch.from_numpy(self.study.panel.industry[arm.rows.share[places.numpy()]]).long()

    def _day_places(self, arm: Arm, rng: torch.Generator) -> Tensor:
        """One day; as many shares of it as every day has, so that all batches have one size."""
        if not hasattr(self, "_size"):
            self._size = min(int(np.unique(one.rows.day, return_counts=True)[1].min()) for one in self.arms.values())
        days = np.unique(arm.rows.day)
        day = days[int(torch.randint(len(days), (1,), generator=rng))]
        places = torch.from_numpy(np.flatnonzero(arm.rows.day == day))
        return places[torch.randperm(len(places), generator=rng)[: self._size]]

    @torch.no_grad()
    def read(self, windows: Tensor, rows: Rows) -> np.ndarray:
        """What the first predictor of the stack says to windows (n, window, factors) whose rows are given: (n,)."""
        self._skeleton.eval()
        industry = torch.from_numpy(self.study.panel.industry[rows.share]).long()
        return self._apply(self._best, windows, industry, None)[0].numpy()

    @torch.no_grad()
    def _predicted(self, params: Mapping[str, Tensor], split: str) -> np.ndarray:
        """Scores of the target's shares on each day of a split, NaN where there is no price: float (arms, seeds, days, shares)."""
        self._skeleton.eval()
        study, days = self.study, self.study.splits[split]
        rows = study.rows(split, target=True, labelled=False)
        shares = np.flatnonzero(study.panel.target)
        made = np.full((len(self.arms) * self.seeds, len(days), len(shares)), np.nan)
        column = np.full(len(study.panel.names), -1)
        column[shares] = np.arange(len(shares))
        at = (
            [np.flatnonzero(rows.day == day) for day in days]
            if self.kind.whole_days
            else np.array_split(np.arange(len(rows)), max(1, len(rows) // AT_ONCE))
        )
        for places in at:
            if not len(places):
                continue
            part = rows[places]
            x, industry = torch.from_numpy(study.windows(part)), torch.from_numpy(study.panel.industry[part.share]).long()
            made[:, part.day - days.start, column[part.share]] = self._apply(params, x, industry, None).numpy()
        return made.reshape(len(self.arms), self.seeds, len(days), len(shares))


def _since(step: int) -> int:
    return LOOK_EVERY if step % LOOK_EVERY == 0 else step % LOOK_EVERY
