"""Refusal training: the model learns to say that it does not know. IdkNLL and IdkDPO, methods/01 section 3."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import logsigmoid

from core.unlearning.algorithms.base import Forgetting

BETA = 0.1


def say_idk(given: Forgetting) -> Tensor:
    """IdkNLL: the NLL per token of a refusal in place of the answer; the answer itself is not touched. A scalar (), in nats."""
    return given.refused_losses.mean.mean()


def prefer_idk(given: Forgetting) -> Tensor:
    """IdkDPO: the refusal is to gain on the true answer, both measured against the model from before; sums over tokens. A scalar ()."""
    refusal = given.frozen_refused_losses.total - given.refused_losses.total
    truth = given.frozen_losses.total - given.losses.total
    return dpo(refusal, truth)


def dpo(winner: Tensor, loser: Tensor, beta: float = BETA) -> Tensor:
    """-2/beta E log sigmoid(beta (winner - loser)) from log-ratios to the frozen model (n,); a scalar.

    The factor 2/beta is open-unlearning's; TOFU's own code has none (trap 5 of the method file): same optimum, 20 times the
    gradient.
    """
    return (-2 / beta * logsigmoid(beta * (winner - loser))).mean()
