"""WHP (Who's Harry Potter): turn down whatever more study of the facts turns up. Methods/01 section 3, the logit form.

A copy studies the forget set one step more at each step. Where it likes a token better than the model from before does, that token
is turned down: logits = before - alpha relu(copy - before). Two models at once cannot be kept as one, so the model in training
learns to answer with these logits, which is what the paper's own second stage is for. That stage trains on the likeliest
token of a text with replaced names; ours, a reconstruction, on the whole distribution.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor

from core.unlearning.algorithms.base import Case, Forgetting, without_gradients
from core.unlearning.answers import token_scores

ALPHA = 5.0  # MUSE has 1, which never changes the likeliest token of a model that is as sure of its facts as ours
STUDY_STEPS = 20
STUDY_RATE = 1e-4


class Student:
    """A copy of the model from before that studies the forget set."""

    def __init__(self, case: Case) -> None:
        self.case, self.studied = case, 0
        self.model = copy.deepcopy(case.frozen).requires_grad_(True)
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=STUDY_RATE)

    def study(self) -> None:
        """One step more, up to 20."""
        if self.studied == STUDY_STEPS:
            return
        self.studied += 1
        self.optimizer.zero_grad(set_to_none=True)
        token_scores(self.model, self.case.forget).losses.mean.mean().backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()


def forget(given: Forgetting) -> Tensor:
    """Cross-entropy to the turned-down distribution, per token of the forget answers. A scalar (), in nats."""
    student = given.case.once("whp student", lambda: Student(given.case))
    if torch.is_grad_enabled():
        student.study()
    wanted = generic(given.case.frozen_scores.logits, without_gradients(student.model, given.case.forget).logits).softmax(-1)
    return given.scores.summed(-(wanted * given.scores.logits.log_softmax(-1)).sum(-1)).mean.mean()


def generic(before: Tensor, studied: Tensor, alpha: float = ALPHA) -> Tensor:
    """The logits of a model that does not know, (..., vocabulary)."""
    return before - alpha * (studied - before).relu()
