"""What a probe shows the model: the scene that the fields describe, or the visitor's own picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from core.engine.answers import data_uri
from core.engine.errors import LabError
from core.engine.reader import apart
from core.scenes.render import SIZE, render
from core.scenes.scene import FACTORS, Scene
from core.steering.data import pixels

if TYPE_CHECKING:
    from core.engine.lab import Lab
    from core.steering.spec import LookConfig

SHOWN = 288


def scene_of(config: LookConfig) -> Scene:
    """The scene that the fields describe."""
    return Scene(**{name: getattr(config, name) for name in FACTORS}, seed=config.seed)


def picture(lab: Lab, config: LookConfig, side: int) -> Image.Image:
    """What is shown, `side` pixels wide and high. Raises LabError for a file that is no picture."""
    if not config.picture:
        return Image.fromarray(render(scene_of(config), side))
    for facts, data in apart("core.steering.opened:square", path=str(lab.data(config.picture).resolve()), side=side,
                             stop=lambda: lab.cancelled):
        return Image.fromarray(np.frombuffer(data, np.uint8).reshape(facts["side"], facts["side"], 3))
    raise LabError("Your picture could not be read.", "Use a PNG or JPEG file.")


def values(lab: Lab, config: LookConfig) -> Tensor:
    """The same as the little model gets it: float (1, 3, 64, 64) in [-2, 2]."""
    if not config.picture:
        return pixels(scene_of(config))
    seen = torch.from_numpy(np.asarray(picture(lab, config, SIZE)).copy())
    return ((seen.permute(2, 0, 1)[None].float() / 255) - 0.5) / 0.25


def address(lab: Lab, config: LookConfig) -> str:
    """The same for people, as a data URI; one's own picture as coarse as the model sees it."""
    shown = picture(lab, config, SIZE if config.picture else SHOWN)
    return data_uri(shown.resize((4 * SIZE, 4 * SIZE), Image.Resampling.NEAREST) if config.picture else shown)
