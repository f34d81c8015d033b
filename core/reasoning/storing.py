"""Thoughts as tensors and plain facts, and back: what the shelf keeps of a set for the ROC lab.

    tensors, facts = packed(generations)
    unpacked(tensors, facts, form)              # equal to what was packed; None if other scores are known by now

`packed_changes` and `unpacked_changes` do the same for the changed digits.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from core.reasoning.data import parse
from core.reasoning.generations import Corruption, Generations, Thought
from core.reasoning.prompts import ROLES, Form
from core.reasoning.spec import SCORE_NAMES


def packed(generations: Generations) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Scores in float64, mean states and entropies in float32, NaN where nothing was thought; texts and token lists beside them.

    scores (outputs, scores), states (outputs, layers + 1, width), entropy (outputs, layers + 1), ids and roles (tokens of all outputs,).
    """
    thoughts = generations.thoughts
    lens = [t.entropy for t in thoughts if t.entropy is not None]
    tensors = {
        "scores": _table([t.scores for t in thoughts]),
        "states": generations.states.float(),
        "entropy": torch.stack([torch.full_like(lens[0], float("nan")) if t.entropy is None else t.entropy for t in thoughts])
        if lens else torch.zeros(0),
        "ids": torch.tensor([number for t in thoughts for number in t.ids]),
        "roles": torch.tensor([ROLES.index(role) for t in thoughts for role in t.roles], dtype=torch.uint8),
    }
    facts = {
        "scores": list(SCORE_NAMES), "scale": generations.scale,
        "thoughts": [[t.problem.prompt, t.trace, t.answer, t.truncated, t.states is not None, t.entropy is not None, len(t.ids),
                      t.prompt_tokens] for t in thoughts],
    }
    return tensors, facts


def unpacked(tensors: dict[str, Tensor], facts: dict[str, Any], form: Form) -> Generations | None:
    """The set again; what is true of each output is judged anew from its text.

    Shapes as in `packed`: scores (outputs, scores) and so on.
    """
    if facts["scores"] != list(SCORE_NAMES):
        return None
    thoughts, start = [], 0
    for row, (prompt, trace, answer, truncated, moved, read, tokens, prompt_tokens) in enumerate(facts["thoughts"]):
        problem, place = parse(prompt), slice(start, start + tokens)
        start += tokens
        thoughts.append(Thought(
            problem, trace, answer, form.judge(problem, trace, answer), truncated,
            dict(zip(SCORE_NAMES, tensors["scores"][row].tolist(), strict=True)),
            tensors["states"][row] if moved else None, tensors["entropy"][row] if read else None,
            tensors["ids"][place].tolist(), [ROLES[number] for number in tensors["roles"][place].tolist()], prompt_tokens))
    return Generations(thoughts, facts["scale"])


def packed_changes(changes: Sequence[Corruption]) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Scores before and after each change, in float64. Both (changes, scores)."""
    tensors = {"before": _table([c.before for c in changes]), "after": _table([c.after for c in changes])}
    return tensors, {"scores": list(SCORE_NAMES), "changes": [[c.problem.prompt, c.step] for c in changes]}


def unpacked_changes(tensors: dict[str, Tensor], facts: dict[str, Any]) -> list[Corruption] | None:
    """The changes again; None if other scores are known by now. before, after: (changes, scores)."""
    if facts["scores"] != list(SCORE_NAMES):
        return None

    def scores(when: str, row: int) -> dict[str, float]:
        return dict(zip(SCORE_NAMES, tensors[when][row].tolist(), strict=True))

    return [Corruption(parse(prompt), step, scores("before", row), scores("after", row))
            for row, (prompt, step) in enumerate(facts["changes"])]


def _table(scores: Sequence[dict[str, float]]) -> Tensor:
    """(outputs, scores) in the order of `SCORE_NAMES`."""
    return torch.tensor([[one[name] for name in SCORE_NAMES] for one in scores], dtype=torch.float64).view(-1, len(SCORE_NAMES))
