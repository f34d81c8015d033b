"""PDU: flatten what it would say about the facts, under the condition that the rest is still said as before. Methods/01 section 3.

The condition is kept by its price: the weight of the rehearsal rises by the loss on the facts to keep after every step, once
training has warmed up. One of our steps is a whole pass over the forget set, so the five epochs of the released settings are five steps.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from core.unlearning.algorithms.base import Forgetting, rehearse

ALLOWED = 0.0  # nats per token that the facts to keep may cost
DUAL_STEP = 1.0
WARM_UP = 5


@dataclass
class Price:
    """The dual variable, and how many steps it has seen."""

    weight: float = 1.0
    steps: int = 0

    def update(self, excess: float) -> None:
        """After a step in which the facts to keep cost so much more than is allowed."""
        self.steps += 1
        if self.steps > WARM_UP:
            self.weight = max(0.0, self.weight + DUAL_STEP * excess)


def forget(given: Forgetting) -> Tensor:
    """The squared distance of the largest logit from the mean logit, per token of the forget answers. A scalar ()."""
    logits = given.scores.logits
    return given.scores.summed((logits.amax(-1) - logits.mean(-1)).square()).mean.mean()


def retain(given: Forgetting) -> Tensor:
    """The price times what the facts to keep cost beyond what is allowed. A scalar (), in nats."""
    price, excess = given.case.once("pdu price", Price), rehearse(given) - ALLOWED
    loss = price.weight * excess
    if torch.is_grad_enabled():
        price.update(excess.item())
    return loss
