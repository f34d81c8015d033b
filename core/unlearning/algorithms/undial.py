"""UNDIAL: copy the model from before, but with the true token made less likely. Methods/01 section 3.

Only the tokens of the answer count: public code leaves the prompt in, where a label of -100 means a word from the end of the
vocabulary (trap 3 of the method file).
"""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import one_hot

from core.unlearning.algorithms.base import Forgetting

BETA = 10.0


def forget(given: Forgetting) -> Tensor:
    """Cross-entropy to softmax(logits before - beta at the true token), per token of the forget answers. A scalar (), in nats."""
    before, now = given.case.frozen_scores, given.scores
    wanted = (before.logits - BETA * one_hot(before.wanted, before.logits.shape[-1])).softmax(-1)
    return now.summed(-(wanted * now.logits.log_softmax(-1)).sum(-1)).mean.mean()
