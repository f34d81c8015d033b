"""The second judge: a small ViT that learned emotions from drawn scenes (core/zoo/emotion.py). The planner cannot see into it.

    second = SecondJudge.of(lab)
    second.read(picture)                  # (8,) probabilities
    second.facts["accuracy"]              # measured on scenes that it never saw

Who draws those scenes stands on a higher floor of the house: nothing in this room can read or change how.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from PIL import Image

from core.emotion.mikels import EMOTIONS
from core.engine.errors import LabError

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from core.engine.lab import Lab

SIDE, PATCH = 64, 8
FACTS = "facts.json"
MODEL = "embedded/emotion-judge"
ENOUGH = 0.60  # held-out accuracy below which its word counts for nothing
TOO_ALIKE = 0.80  # agreement with the first judge on unedited pictures above which it is no second opinion


def seen(picture: np.ndarray) -> np.ndarray:
    """What it gets of a picture of bytes (height, width, 3): the whole of it as (3, 64, 64), -1 to 1."""
    square = Image.fromarray(picture).resize(
        (SIDE, SIDE), Image.Resampling.BOX if min(picture.shape[:2]) >= SIDE else Image.Resampling.BILINEAR
    )
    return np.asarray(square, np.float32).transpose(2, 0, 1) / 127.5 - 1


@dataclass(frozen=True)
class SecondJudge:
    """facts: {"accuracy", "interval", "n", "agreement", "agreement_n"} as its recipe measured them, see `usable`."""

    model: PreTrainedModel
    facts: dict[str, Any]

    @classmethod
    def of(cls, lab: Lab, ref: str = MODEL) -> SecondJudge:
        """The one that a reference names. Raises LabError for a model that does not name the eight emotions of colour pictures."""
        model, config = lab.load(ref).model, None
        config = model.config
        names = tuple(getattr(config, "id2label", {}).get(i) for i in range(getattr(config, "num_labels", 0)))
        if names != EMOTIONS or getattr(config, "num_channels", 3) != 3 or getattr(config, "image_size", SIDE) != SIDE:
            raise LabError(f"{ref} does not tell the eight emotions of pictures of {SIDE} x {SIDE} pixels.", f"Use {MODEL}.")
        facts = {}
        if ref.startswith("embedded/"):
            facts = json.loads((lab.folder(ref.removeprefix("embedded/")) / FACTS).read_text(encoding="utf-8"))
        return cls(model, facts)

    def read_all(self, pictures: Sequence[np.ndarray]) -> np.ndarray:
        """Probabilities (pictures, 8) of pictures of bytes, each (height, width, 3)."""
        pixels = torch.from_numpy(np.stack([seen(picture) for picture in pictures]))
        with torch.inference_mode():
            return self.model(pixel_values=pixels).logits.float().softmax(-1).numpy().astype(np.float64)

    def read(self, picture: np.ndarray) -> np.ndarray:
        """Eight probabilities (8,) of a picture of bytes (height, width, 3)."""
        return self.read_all([picture])[0]

    @property
    def why_not(self) -> str:
        """Why its word does not count, in a sentence; "" where it does."""
        accuracy, agreement = self.facts.get("accuracy"), self.facts.get("agreement")
        if accuracy is None:
            return "Nobody has measured how good the second judge is."
        if accuracy < ENOUGH:
            return f"The second judge is right on only {accuracy:.0%} of pictures that it never saw."
        if agreement > TOO_ALIKE:
            return f"The two judges say the same of {agreement:.0%} of unedited pictures: that is no second opinion."
        return ""
