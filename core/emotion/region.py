"""A part of a picture in one short text: a box that somebody typed, or what a brush painted.

    region_of("20 10 70 60")          # left, top, right, bottom in percent of the picture
    region_of("brush:00ff...")        # 32 rows of 32 cells, 4 a hex digit, from the upper left

Short, so that it stands in a link and in the record of a run.
"""

from __future__ import annotations

import re

import numpy as np

from core.engine.errors import LabError

SIDE, FINE = 32, 200  # cells of the brush, and of a box, along each side
BRUSH = "brush:"
_PAINTED = re.compile(rf"{BRUSH}[0-9a-f]{{{SIDE * SIDE // 4}}}")
HOW = "Paint over the picture, or type left, top, right and bottom in percent, such as 20 10 70 60."


def region_of(text: str) -> np.ndarray:
    """Where the region is, 0 and 1 (rows, columns) for a picture of any shape. Raises LabError for an empty one and for other words."""
    words = text.strip().lower()
    found = _painted(words) if words.startswith(BRUSH) else _box(words)
    if not found.any():
        raise LabError("Nothing is marked yet, so no edit would be allowed anywhere.", HOW)
    return found


def _painted(words: str) -> np.ndarray:
    if not _PAINTED.fullmatch(words):
        raise LabError("That is not what the brush writes.", HOW)
    bits = np.unpackbits(np.frombuffer(bytes.fromhex(words.removeprefix(BRUSH)), np.uint8))
    return bits.reshape(SIDE, SIDE).astype(np.float32)


def _box(words: str) -> np.ndarray:
    made, given = np.zeros((FINE, FINE), np.float32), [part for part in re.split(r"[\s,;%]+", words) if part]
    if not given:
        return made
    try:
        left, top, right, bottom = map(float, given)
        if not (0 <= left < right <= 100 and 0 <= top < bottom <= 100):
            raise ValueError
    except ValueError:
        raise LabError("A box is four numbers from 0 to 100: left, top, right, bottom.", HOW) from None
    made[_part(top, bottom), _part(left, right)] = 1
    return made


def _part(start: float, end: float) -> slice:
    """At least one row or column of a box, however thin it is."""
    first = min(FINE - 1, round(start * FINE / 100))
    return slice(first, max(first + 1, round(end * FINE / 100)))
