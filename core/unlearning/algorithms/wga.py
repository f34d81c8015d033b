"""Weighted gradient ascent: tokens that are still likely are pushed hardest. Methods/01 section 3."""

from __future__ import annotations

from torch import Tensor

from core.unlearning.algorithms.base import Forgetting

BETA = 1.0


def forget(given: Forgetting) -> Tensor:
    """E[p^beta log p] per token of the forget answers, the weight p^beta without gradient. A scalar ()."""
    log_p = given.scores.log_p
    return given.scores.summed(log_p.detach().mul(BETA).exp() * log_p).mean.mean()
