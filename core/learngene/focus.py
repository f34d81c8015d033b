"""The one picture that a probe looks at closely, and what a network says about it."""

from __future__ import annotations

import torch
from torch import Tensor

from core.engine.errors import LabError
from core.learngene.data import Task

TOP = 5


def focus_of(task: Task, picture: int, drawing: tuple[tuple[float, ...], ...]) -> tuple[Tensor, str | None]:
    """The drawing if there is one, else the test picture of that number: (1, 1, 16, 16), with its class if that is known."""
    if drawing:
        return torch.tensor(drawing)[None, None], None
    pixels, labels = task.shown
    if picture >= len(labels):
        raise LabError(f"There is no test picture {picture}.", f"They are numbered 0 to {len(labels) - 1}.")
    return pixels[picture, None], task.classes[labels[picture]]


def likeliest(task: Task, scores: Tensor) -> list[tuple[str, float]]:
    """The classes of highest probability by one picture's logits (classes,), likeliest first."""
    best = scores.softmax(-1).topk(min(TOP, len(task.classes)))
    return [(task.classes[i], share) for i, share in zip(best.indices.tolist(), best.values.tolist(), strict=True)]
