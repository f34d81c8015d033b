"""SatImp: push hardest on tokens that are known well, but not the ones that are certain anyway. Methods/01 section 3."""

from __future__ import annotations

from torch import Tensor

from core.unlearning.algorithms.base import Forgetting

BETA_SATURATION, BETA_IMPORTANCE = 5.0, 1.0


def forget(given: Forgetting) -> Tensor:
    """E[p^5 (1 - p) log p] per token of the forget answers, the weight p^5 (1 - p) without gradient. A scalar ()."""
    log_p = given.scores.log_p
    p = log_p.detach().exp()
    return given.scores.summed(p.pow(BETA_SATURATION) * (1 - p).pow(BETA_IMPORTANCE) * log_p).mean.mean()
