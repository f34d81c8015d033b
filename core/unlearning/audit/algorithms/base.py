"""What every unlearning algorithm is made of: a forget term, and what holds the rest in place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import torch
from torch import Tensor
from transformers import PreTrainedModel

from core.unlearning.answers import Encoded, Losses, sequence_losses


class Forgetting:
    """What a forget term may look at.

    model: the one in training.  frozen: the same model from before.  batch: the whole forget set, tokenised.
    losses: the model's NLL of the forget answers at this step, with gradients.
    """

    def __init__(self, model: PreTrainedModel, frozen: PreTrainedModel, batch: Encoded) -> None:
        self.model, self.frozen, self.batch = model, frozen, batch

    def measure(self) -> None:
        """Renews `losses` for the weights as they are now."""
        self.losses: Losses = sequence_losses(self.model, self.batch)

    @cached_property
    def frozen_losses(self) -> Losses:
        """The frozen model's NLL of the forget answers; it never changes, so it is computed once."""
        with torch.no_grad():
            return sequence_losses(self.frozen, self.batch)


@dataclass(frozen=True)
class Algorithm:
    """One row of the table.

    forget_loss: scalar loss to minimise.  retain: the term added for what should stay, "nll" or None.
    learning_rate: the default, for models of about a million parameters.
    """

    title: str
    forget_loss: Callable[[Forgetting], Tensor]
    retain: Literal["nll"] | None
    learning_rate: float
