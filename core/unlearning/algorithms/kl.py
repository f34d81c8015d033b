"""KL: stay as close as possible to the model from before on everything that is to be kept. Methods/01 section 3.

Only positions where an answer stands count. Public code averages over the prompt and the padding too, which waters the term
down by how much of either there is (trap 2 of the method file).
"""

from __future__ import annotations

from torch import Tensor

from core.unlearning.algorithms.base import Forgetting, without_gradients


def retain(given: Forgetting) -> Tensor:
    """KL(before || now) over the vocabulary, at each token of the answers to keep, in nats. A scalar ()."""
    before = without_gradients(given.case.frozen, given.retained).logits.log_softmax(-1)
    now = given.kept_scores.logits.log_softmax(-1)
    return given.kept_scores.summed((before.exp() * (before - now)).sum(-1)).mean.mean()
