"""The one picture that a probe looks at closely, and what a network says about it."""

from __future__ import annotations

import torch
from torch import Tensor

from core.engine.answers import data_uri
from core.engine.errors import LabError
from core.engine.lab import Lab
from core.learngene.data import Task
from core.learngene.pictures import from_drawing, read_picture, to_pixels
from core.learngene.spec import SIZE, LookConfig

TOP = 5
ENLARGED = 8  # pixels for each pixel of the picture that a network gets


def focus_of(task: Task, config: LookConfig, lab: Lab) -> tuple[Tensor, str | None]:
    """The drawing if there is one, else the file, else the test picture: (1, 1, 16, 16), with its class if that is known."""
    if config.drawing:
        if len(config.drawing) == SIZE:
            return torch.tensor(config.drawing)[None, None], None
        return from_drawing(torch.tensor(config.drawing).byte().numpy(), task.placed), None
    if config.own:
        return to_pixels(read_picture(lab.data(config.own)), task.placed), None
    pixels, labels = task.shown
    if config.picture >= len(labels):
        raise LabError(f"There is no test picture {config.picture}.", f"They are numbered 0 to {len(labels) - 1}.")
    return pixels[config.picture, None], task.classes[labels[config.picture]]


def likeliest(task: Task, scores: Tensor) -> list[tuple[str, float]]:
    """The classes of highest probability by one picture's logits (classes,), likeliest first."""
    best = scores.softmax(-1).topk(min(TOP, len(task.classes)))
    return [(task.classes[i], share) for i, share in zip(best.indices.tolist(), best.values.tolist(), strict=True)]


def as_picture(focus: Tensor) -> str:
    """What the network gets, (1, 1, 16, 16) in -1..1, as a picture whose pixels can be seen."""
    from PIL import Image

    grey = ((focus[0, 0] + 1) * 127.5).round().clamp(0, 255).byte().numpy()
    return data_uri(Image.fromarray(grey).resize((ENLARGED * SIZE, ENLARGED * SIZE), Image.Resampling.NEAREST))
