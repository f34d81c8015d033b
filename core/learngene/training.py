"""One training loop for everything in this domain.

    for step in fit(model.named_parameters(), loss_of, task, Recipe(epochs=20, rate=2e-3), generator):
        step.epoch, step.loss                  # after every step; `loss_of(pixels, labels)` gives the loss to follow

AdamW, weight decay 0.05 (none on one-dimensional tensors, tokens and positions), cosine to 1 % of the rate, gradient
clipped at 1 (methods/09 sections 3.2 and 9).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from core.learngene.data import Task

Loss = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Recipe:
    """`rate`: peak learning rate.  `warm_up`: share of the steps it takes to reach it."""

    epochs: int
    rate: float
    warm_up: float = 0.1
    batch: int = 64
    weight_decay: float = 0.05
    clip: float = 1.0





@dataclass(frozen=True)
class Step:
    """`done` of `total` steps; `epoch` counts finished epochs; `loss` of this step."""

    done: int
    total: int
    epoch: int
    loss: float


def fit(parameters: Iterable[tuple[str, nn.Parameter]], loss_of: Loss, task: Task, recipe: Recipe,
        generator: torch.Generator) -> Iterator[Step]:
    """Trains what `parameters` names, one step per item. Pictures and their order come from `generator` alone."""
    plain, decayed = [], []
    for name, parameter in parameters:
        if parameter.requires_grad:
            small = parameter.dim() < 2 or "token" in name or "position" in name
            (plain if small else decayed).append(parameter)
    groups = [{"params": decayed, "weight_decay": recipe.weight_decay}, {"params": plain, "weight_decay": 0.0}]
    optimiser = torch.optim.AdamW(groups, lr=recipe.rate, fused=True)
    per_epoch = math.ceil(task.per_epoch / recipe.batch)
    total, done = recipe.epochs * per_epoch, 0
    for epoch in range(recipe.epochs):
        pixels, labels = task.epoch(generator)
        for picked, given in zip(pixels.split(recipe.batch), labels.split(recipe.batch), strict=True):
            for group in optimiser.param_groups:
                group["lr"] = recipe.rate * schedule(done, total, recipe.warm_up)
            with torch.enable_grad():
                loss = loss_of(picked, given)
                optimiser.zero_grad()
                loss.backward()
            nn.utils.clip_grad_norm_(decayed + plain, recipe.clip)
            optimiser.step()
            done += 1
            yield Step(done, total, epoch + (done % per_epoch == 0), loss.item())


def steps_of(task: Task, recipe: Recipe) -> int:
    """How many steps a training takes."""
    return recipe.epochs * math.ceil(task.per_epoch / recipe.batch)


@contextmanager
def born_from(generator: torch.Generator) -> Iterator[None]:
    """Random weights made inside depend on this generator's seed alone, whatever was drawn before. Never yield events inside."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(generator.initial_seed())
        yield


def schedule(step: int, total: int, warm_up: float) -> float:
    """Share of the peak rate at `step`: a line up, then half a cosine down to 1 %."""
    rise = round(warm_up * total)
    if step < rise:
        return (step + 1) / rise
    return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1, total - rise)))


def supervised(scores_of: Callable[[Tensor], Tensor]) -> Loss:
    """Cross-entropy with the labels. Of logits (batch, classes); a scalar (), in nats."""
    return lambda pixels, labels: F.cross_entropy(scores_of(pixels), labels)


def soft_distillation(scores_of: Callable[[Tensor], Tensor], teacher: Callable[[Tensor], Tensor], *, alpha: float = 1.0,
                      tau: float = 1.0, legacy: bool = False) -> Loss:
    """(1 - alpha) * cross-entropy + alpha * tau^2 * KL(teacher || student), methods/09 section 3.1.

    Divided by the batch; `legacy` divides by batch * classes as the authors' code does. With alpha = 1 no label is used.
    Teacher and student see the same distorted picture.
    Both functions give logits (batch, classes) for pictures (batch, 1, 16, 16); the loss is a scalar (), in nats.
    """
    def loss_of(pixels: Tensor, labels: Tensor) -> Tensor:
        scores = scores_of(pixels)
        with torch.no_grad():
            target = F.log_softmax(teacher(pixels) / tau, -1)
        kl = F.kl_div(F.log_softmax(scores / tau, -1), target, reduction="sum", log_target=True)
        kl = kl * tau**2 / (scores.numel() if legacy else len(scores))
        return kl if alpha == 1 else (1 - alpha) * F.cross_entropy(scores, labels) + alpha * kl

    return loss_of
