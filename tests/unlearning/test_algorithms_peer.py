"""Our losses and gradients against open-unlearning's own on a fixed batch; `open_unlearning.py` wrote its numbers down."""

from __future__ import annotations

import json

import pytest
import torch

from core.unlearning.algorithms import ALGORITHMS, Case, Forgetting
from core.unlearning.answers import Encoded
from tests.unlearning.open_unlearning import RESULTS, fixed_direction, fixed_ids, fixed_model, labels_of, summary

THEIRS = json.loads(RESULTS.read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", THEIRS)
def test_loss_and_gradient_equal_open_unlearning(name: str) -> None:
    forget, retain, refusal = (Encoded(ids, torch.ones_like(ids), labels_of(ids)) for ids in map(fixed_ids, (0, 1, 2)))
    model = fixed_model(0)
    case = Case(model, fixed_model(1).requires_grad_(False), forget, lambda: refusal, torch.Generator())
    case.once("rmu target", fixed_direction)
    given, row = Forgetting(case, retain), ALGORITHMS[name]
    loss = row.forget_weight * row.forget(given)
    if row.retain:
        loss = loss + row.retain(given)
    assert summary(loss, model) == pytest.approx(THEIRS[name], rel=1e-5)
