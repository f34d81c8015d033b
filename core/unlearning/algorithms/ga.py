"""Gradient ascent: make the true answers less likely, whatever else happens. GA and GradDiff, methods/01 section 3."""

from __future__ import annotations

from torch import Tensor

from core.unlearning.algorithms.base import Forgetting


def forget(given: Forgetting) -> Tensor:
    """Minus the per-token NLL, averaged over questions; it has no floor. A scalar (), in nats."""
    return -given.losses.mean.mean()
