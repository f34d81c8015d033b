"""Negative preference optimisation: like gradient ascent, but an answer that is gone pulls no longer. Methods/01 section 3."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import logsigmoid

from core.unlearning.algorithms.base import Forgetting

BETA = 0.1


def forget(given: Forgetting) -> Tensor:
    """NPO on the forget set; log-probabilities are summed over each answer, not averaged. A scalar ()."""
    return npo(-given.losses.total, -given.frozen_losses.total)


def npo(log_p: Tensor, frozen_log_p: Tensor, beta: float = BETA) -> Tensor:
    """-2/beta E log sigmoid(-beta log(p / p_frozen)) from sequence log-probabilities (n,); a scalar."""
    return (-2 / beta * logsigmoid(-beta * (log_p - frozen_log_p))).mean()
