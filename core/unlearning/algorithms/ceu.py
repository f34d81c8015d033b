"""CE-U: copy yourself, but with the true token ruled out. Methods/01 section 3."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import cross_entropy

from core.unlearning.algorithms.base import Forgetting


def forget(given: Forgetting) -> Tensor:
    """Cross-entropy to the model's own distribution without the true token; the first token of an answer is left alone.

    A scalar (), in nats.
    """
    scores = given.scores
    wanted = scores.logits.detach().scatter(-1, scores.wanted[:, None], -float("inf")).softmax(-1)
    later = (scores.place > 0).to(wanted)
    counted = scores.summed(later * cross_entropy(scores.logits, wanted, reduction="none"))
    return (counted.total / scores.summed(later).total.clamp(min=1)).mean()
