"""Task vector: learn the facts even better, see which way the weights went, and go the other way. Methods/01 section 3."""

from __future__ import annotations

from torch import Tensor

from core.unlearning.algorithms.base import Forgetting

ALPHA = 5.0


def learn(given: Forgetting) -> Tensor:
    """The NLL per token of the forget answers, to be minimised on a copy. A scalar (), in nats."""
    return given.losses.mean.mean()
