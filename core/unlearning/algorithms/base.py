"""What every unlearning algorithm is made of: a term that forgets, and perhaps one that holds the rest in place.

A term is a function of a `Forgetting` that gives a scalar to minimise. Within a term, numbers are averaged over the tokens of an
answer first and over questions then, so that a long answer weighs no more than a short one (methods/01 section 3 writes it so;
public code often averages over all tokens at once, which is the same when answers are equally long).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, TypeVar

import torch
from torch import Tensor
from transformers import PreTrainedModel

from core.unlearning.answers import Encoded, Losses, TokenScores, token_scores

T = TypeVar("T")
Term = Callable[["Forgetting"], Tensor]


@dataclass(frozen=True)
class Case:
    """What stays the same from step to step.

    model: the one in training.  frozen: the same model from before.  forget: the whole forget set, tokenised.
    refuse: gives the same prompts with a refusal each, drawn afresh at every call.  rng: for whatever else is drawn.
    """

    model: PreTrainedModel
    frozen: PreTrainedModel
    forget: Encoded
    refuse: Callable[[], Encoded]
    rng: torch.Generator
    _made: dict[Hashable, Any] = field(default_factory=dict)

    def once(self, name: Hashable, make: Callable[[], T]) -> T:
        """What `make` gave the first time this was asked."""
        if name not in self._made:
            self._made[name] = make()
        return self._made[name]

    @cached_property
    def frozen_scores(self) -> TokenScores:
        """The frozen model on the forget answers; it never changes, so it is computed once."""
        return without_gradients(self.frozen, self.forget)


class Forgetting:
    """What a term may look at, at one step. Everything is computed when first asked for.

    case: what stays the same.  retained: this step's random batch of facts to keep, tokenised; as many as are forgotten, None if
    there are none.
    """

    def __init__(self, case: Case, retained: Encoded | None) -> None:
        self.case, self.retained = case, retained

    @cached_property
    def scores(self) -> TokenScores:
        """The model in training on the forget answers, with gradients."""
        return token_scores(self.case.model, self.case.forget)

    @cached_property
    def kept_scores(self) -> TokenScores:
        """The model in training on the answers to keep, with gradients."""
        return token_scores(self.case.model, self.retained)

    @property
    def losses(self) -> Losses:
        """NLL of the forget answers."""
        return self.scores.losses

    @property
    def frozen_losses(self) -> Losses:
        """NLL of the forget answers under the model from before."""
        return self.case.frozen_scores.losses

    @cached_property
    def refused(self) -> Encoded:
        """The forget questions with this step's refusals for answers."""
        return self.case.refuse()

    @cached_property
    def refused_losses(self) -> Losses:
        """NLL of this step's refusals."""
        return token_scores(self.case.model, self.refused).losses

    @cached_property
    def frozen_refused_losses(self) -> Losses:
        """NLL of this step's refusals under the model from before."""
        return without_gradients(self.case.frozen, self.refused).losses


@dataclass(frozen=True)
class Algorithm:
    """One row of the table.

    title: what a visitor reads.  forget, retain: the two terms; loss = forget_weight * forget + retain_weight * retain.
    learning_rate: the default, for models of about a million parameters.  more: shown under "More".  adapter_rate: the default for
    adapters on a large model, None where it was not searched for.
    backwards: None, or the terms train a copy that is then walked away from: weights = before - backwards * (copy - before).
    whole: needs all weights of the model, not adapters.  refusal: whether the loss asks that a refusal is said, or only that it is
    preferred to the true answer; "" where there is none.
    """

    title: str
    forget: Term
    retain: Term | None
    learning_rate: float
    forget_weight: float = 1.0
    more: bool = False
    backwards: float | None = None
    whole: bool = False
    refusal: Literal["", "said", "preferred"] = ""
    adapter_rate: float | None = None


def without_gradients(model: PreTrainedModel, encoded: Encoded) -> TokenScores:
    """`token_scores` for a model that only looks on."""
    with torch.no_grad():
        return token_scores(model, encoded)


def rehearse(given: Forgetting) -> Tensor:
    """The retain term `NLL`: the answers to keep, per token. A scalar (), in nats."""
    return given.kept_scores.losses.mean.mean()
