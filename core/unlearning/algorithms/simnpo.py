"""SimNPO: NPO without the model from before; each answer is judged by its NLL per token. Methods/01 section 3."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import logsigmoid

from core.unlearning.algorithms.base import Forgetting

BETA = 4.5
DELTA = 0.0


def forget(given: Forgetting) -> Tensor:
    """-2/beta E log sigmoid(beta (NLL per token - delta)); an answer that is unlikely already pulls no longer. A scalar ()."""
    return (-2 / BETA * logsigmoid(BETA * (given.losses.mean - DELTA))).mean()
