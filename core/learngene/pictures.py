"""Pictures that visitors bring: checked by their header before a single pixel is decoded.

    picture = read_picture(path)                 # PIL, mode "LA"
    pixels = to_pixels(picture, task.placed)     # (1, 1, 16, 16), ink 1, paper -1, placed as in the pictures of that task
    pixels = from_drawing(array, task.placed)    # the same from what somebody drew

Whole folders of pictures are read by collection.py.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import functional as F

from core.engine.errors import LabError
from core.engine.opened import LARGEST_SIDE
from core.engine.reader import apart
from core.learngene.data import Placed
from core.learngene.spec import SIZE
from core.scenes.seen import on_paper

if TYPE_CHECKING:
    from PIL.Image import Image

LETTER_INK = 11.0  # longer side of the ink in a picture of 16 pixels, as in the letters the models were taught
SCAN = 8  # side of a scanned digit before it was enlarged; its ink touches two edges
FULL = 0.8  # of a scan's inked pixels this share is at most as dark as what counts as full ink: a pen drawn thin leaves few full ones


def read_picture(source: Path, name: str = "") -> Image:
    """A still picture as a viewer shows it, in shades of grey (mode "LA"). Raises LabError for anything else, before decoding it.

    It is read in a process of its own. `name`: what sentences call it.
    """
    [(facts, data)] = apart("core.learngene.opened:picture", path=str(Path(source).resolve()), name=name or Path(source).name)
    return as_picture(facts, data)


def as_picture(facts: dict[str, Any], data: bytes) -> Image:
    """What the reading process said of one picture."""
    from PIL import Image

    return Image.frombytes("LA", (facts["width"], facts["height"]), data)


def to_pixels(picture: Image, placed: Placed) -> Tensor:
    """(1, 1, 16, 16) in -1..1, like the pictures of a task whose pictures are `placed` so.

    Transparent counts as paper; dark ink on light paper is turned round, a visitor's pictures as it was decided for all of them.
    """
    ink = ink_of(picture)
    if placed in ("whole", "turned"):
        return squeeze(ink) * (-1 if placed == "turned" else 1)
    return _light_on_dark(ink, placed)


def ink_of(picture: Image) -> Tensor:
    """(height, width) in 0..1: how light a picture is, or how opaque where parts of it are transparent."""
    import numpy as np

    grey = torch.from_numpy(np.array(picture.convert("LA"), dtype="float32"))
    grey, alpha = grey[..., 0] / 255, grey[..., 1] / 255
    return alpha if bool((alpha < 0.5).any()) else grey


def is_light(ink: Tensor) -> bool:
    """Whether the border is light, as paper is. `ink`: float (height, width) in 0..1."""
    return torch.cat([ink[0], ink[-1], ink[:, 0], ink[:, -1]]).mean().item() > 0.5


def squeeze(ink: Tensor) -> Tensor:
    """(1, 1, 16, 16) in -1..1: the whole picture, whatever its sides."""
    return F.interpolate(ink[None, None], size=(SIZE, SIZE), mode="area") * 2 - 1


def from_drawing(array: Any, placed: Placed) -> Tensor:
    """(1, 1, 16, 16) from an array (h, w), (h, w, 3) or (h, w, 4) of bytes or of numbers 0..1. Raises LabError when empty."""
    import numpy as np
    from PIL import Image

    array = np.asarray(array)
    if array.ndim not in (2, 3) or array.size == 0 or array.ndim == 3 and array.shape[2] not in (1, 3, 4):
        raise LabError("That is not a drawing.", "Draw on the square, with the mouse or a finger.")
    if max(array.shape[:2]) > LARGEST_SIDE:
        raise LabError("That drawing is too large.", f"At most {LARGEST_SIDE} pixels on a side.")
    if array.dtype != np.uint8:
        array = (np.clip(np.nan_to_num(array.astype("float64")), 0, 1) * 255).astype(np.uint8)
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[..., 0]
    pixels = _light_on_dark(ink_of(on_paper(Image.fromarray(array).convert("RGBA"))), placed)
    if pixels.max() < -0.9:
        raise LabError("Nothing is drawn yet.", "Draw large, in the middle.")
    return pixels


def _light_on_dark(ink: Tensor, placed: Placed) -> Tensor:
    """Ink (h, w), light or dark, as a picture of light ink."""
    ink = 1 - ink if is_light(ink) else ink
    return {"letter": _as_letter, "digit": _as_digit, "whole": squeeze, "turned": squeeze}[placed](ink)


def _as_letter(ink: Tensor) -> Tensor:
    """Cut out, its longer side 11 of 16 pixels, centred."""
    small = _cut_out(ink, LETTER_INK)
    return _centred(small / small.max().clamp(min=1e-6), SIZE)


def _as_digit(ink: Tensor) -> Tensor:
    """As the digits were scanned: 8 x 8, the ink as tall as the picture, then enlarged twice."""
    small = _cut_out(ink, SCAN)
    inked = small[small > 0.25]
    full = inked.quantile(FULL) if len(inked) else small.max()
    return _centred(small / full.clamp(min=1e-6), SCAN).repeat_interleave(2, 2).repeat_interleave(2, 3)


def _cut_out(ink: Tensor, longer: float) -> Tensor:
    """(1, 1, h, w): the ink alone, its longer side made `longer` pixels; one pixel of paper when there is no ink."""
    marked = (ink > 0.25).nonzero()
    if len(marked) == 0:
        return torch.zeros(1, 1, 1, 1)
    (top, left), (bottom, right) = marked.min(0).values.tolist(), (marked.max(0).values + 1).tolist()
    cut = ink[top:bottom, left:right][None, None]
    scale = longer / max(cut.shape[-2:])
    return F.interpolate(cut, size=[max(1, round(side * scale)) for side in cut.shape[-2:]], mode="area")


def _centred(small: Tensor, side: int) -> Tensor:
    """(1, 1, side, side) in -1..1: ink of 0..1 in the middle of paper; more than 1 counts as 1."""
    down, across = (side - small.shape[-2]) // 2, (side - small.shape[-1]) // 2
    edges = (across, side - small.shape[-1] - across, down, side - small.shape[-2] - down)
    return F.pad(small.clamp(0, 1), edges) * 2 - 1
