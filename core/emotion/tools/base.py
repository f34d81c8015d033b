"""What a tool is: a pure function of a picture and a few numbers, and how it is put to work under a mask.

    edited = apply(picture, Step("exposure", strength=-0.4))      # bytes (height, width, 3)

Lengths are parts of the picture's diagonal and chance is drawn on a grid of fixed size, so that the same step does the same to
a small and to a large picture. Strength 0 gives the very bytes back.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field
from scipy import ndimage

from core.emotion.colour import to_bytes, to_float
from core.engine.errors import LabError
from core.engine.experiment import CleanText

FEATHER = 0.005  # of the diagonal: how soft the edge of a mask is
GRID = 512  # points along the shorter side on which chance is drawn


class Params(BaseModel):
    """What every tool takes. strength: -1 to 1, 0 does nothing.  angle: degrees.  x, y: parts of width and height.  seed: of chance.

    words: what a learned tool is told; the others have no use for them."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    strength: float = Field(0.0, ge=-1, le=1)
    angle: float = Field(100.0, ge=0, le=360)
    x: float = Field(0.5, ge=0, le=1)
    y: float = Field(0.5, ge=0, le=1)
    seed: int = Field(0, ge=0, le=9999)
    words: CleanText = Field("", max_length=200)


Effect = Callable[[np.ndarray, Params], np.ndarray]


@dataclass(frozen=True)
class Tool:
    """fn: (height, width, 3) of 0..1 and Params to the same; it is given strengths that are not 0.

    more, less: what a positive and a negative strength does, in words; less "" where there is no such way.
    touches: which cue a positive strength moves, and which way.  content: adds something, where tone tools change what is there.
    whole: makes no sense inside a mask.  uses: the further numbers that count.  needs: the kind of diffusion pipeline it cannot do without.
    """

    name: str
    factor: str
    fn: Effect
    more: str
    less: str = ""
    touches: Mapping[str, int] = field(default_factory=dict)
    content: bool = False
    whole: bool = False
    uses: tuple[str, ...] = ()
    needs: str = ""

    def called(self, strength: float) -> str:
        """What it does at this strength, as people say it."""
        return self.less if strength < 0 and self.less else self.more


def run(tool: Tool, picture: np.ndarray, params: Params, mask: np.ndarray | None = None) -> np.ndarray:
    """The edited picture, bytes (height, width, 3). mask: 0..1 (height, width), with a soft edge. Raises LabError for a wrong sign."""
    if params.strength == 0 or (mask is not None and not mask.any()):
        return picture
    if params.strength < 0 and not tool.less:
        raise LabError(f"'{tool.name}' has no opposite.", "Its strength lies between 0 and 1.")
    source = to_float(picture)
    edited = np.clip(np.nan_to_num(tool.fn(source, params)), 0, 1)
    if mask is not None and not tool.whole:
        soft = ndimage.gaussian_filter(mask.astype(np.float32), FEATHER * diagonal(source))[..., None]
        edited = soft * edited + (1 - soft) * source
    return to_bytes(edited)


def diagonal(rgb: np.ndarray) -> float:
    """Pixels from corner to corner of (height, width, ...)."""
    return float(np.hypot(*rgb.shape[:2]))


def places(rgb: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """y and x of every pixel of (height, width, ...) as parts of height and width: (height, 1) and (1, width)."""
    height, width = rgb.shape[:2]
    return (np.arange(height, dtype=np.float32)[:, None] + 0.5) / height, (np.arange(width, dtype=np.float32)[None] + 0.5) / width


def chance(rgb: np.ndarray, seed: int, grid: int = GRID) -> np.ndarray:
    """Normal noise (height, width) for a picture (height, width, ...), drawn on a grid of fixed size and stretched over it."""
    height, width = rgb.shape[:2]
    scale = grid / min(height, width)
    shape = (min(4 * grid, max(1, round(height * scale))), min(4 * grid, max(1, round(width * scale))))
    drawn = np.random.default_rng(seed).standard_normal(shape).astype(np.float32)
    return stretched(drawn, (height, width))


def stretched(field: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """(rows, columns) of any numbers as (height, width): averaged where it becomes smaller, smooth where larger."""
    if field.shape == shape:
        return field
    how = Image.Resampling.BOX if shape[0] < field.shape[0] else Image.Resampling.BILINEAR
    return np.asarray(Image.fromarray(field.astype(np.float32), mode="F").resize((shape[1], shape[0]), how))


def clouds_of(rgb: np.ndarray, seed: int, octaves: int = 5) -> np.ndarray:
    """Fractal noise (height, width) in 0..1 for a picture (height, width, ...): large shapes with smaller ones on them."""
    shape, rng = rgb.shape[:2], np.random.default_rng(seed)
    total = np.zeros(shape, np.float32)
    for octave in range(octaves):
        rows = 3 * 2**octave
        total += stretched(rng.random((rows, 2 * rows)).astype(np.float32), shape) / 2**octave
    return (total - total.min()) / max(float(np.ptp(total)), 1e-6)


def blurred(rgb: np.ndarray, share: float) -> np.ndarray:
    """(height, width, 3) or (height, width), blurred with a sigma that is a `share` of the diagonal."""
    sigma = share * diagonal(rgb)
    return ndimage.gaussian_filter(rgb, (sigma, sigma, 0) if rgb.ndim == 3 else sigma, mode="nearest")


def screen(rgb: np.ndarray, light: np.ndarray) -> np.ndarray:
    """Light (height, width, 3) laid over a picture (height, width, 3)."""
    return 1 - (1 - rgb) * (1 - np.clip(light, 0, 1))


def mix(rgb: np.ndarray, other: Any, share: Any) -> np.ndarray:
    """`share` of `other` and the rest of a picture (height, width, 3)."""
    share = share[..., None] if isinstance(share, np.ndarray) and share.ndim == 2 else share
    return rgb * (1 - share) + np.asarray(other, np.float32) * share
