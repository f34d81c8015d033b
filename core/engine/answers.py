"""What a probe gives so that a desk can show it: any dataclass; fields with these names are shown, each ready as it is.

    @dataclass(frozen=True)
    class Look(Answer):
        layer: int                        # whatever else programs want to know

    return Look(layer=3, says="After layer 3 it would say Porto.", numbers={"certainty": Measure(0.83, remark="of 1")},
                figures={"lens": figures.lens(...)}, images={"seen": data_uri(image)}, sets={"tried": [1, 2, 3]})
"""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass(frozen=True)
class Measure:
    """One number with its unit ("share" is read as per cent) and a few words below it."""

    value: float | None
    unit: str = ""
    remark: str = ""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What desks show, by name as the page's `shows` declares it (engine/outputs.py); all of it may be left out.

    says, aside: a sentence about the answer, and a smaller one.  numbers: Measure, or a bare number.  figures: Plotly JSON.
    tables: {"columns", "rows"}, with "customdata" (an object for each row) if rows belong to points of a figure.  texts: words of a model.
    images: addresses that `data_uri` gives.  sets: what the fields of the question are to be from now on.
    """

    says: str = ""
    aside: str = ""
    numbers: dict[str, Any] = field(default_factory=dict)
    figures: dict[str, Any] = field(default_factory=dict)
    tables: dict[str, Any] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    images: dict[str, str] = field(default_factory=dict)
    sets: dict[str, Any] = field(default_factory=dict)


def data_uri(image: Image) -> str:
    """A picture (PIL) as an address that holds it: PNG as base64."""
    packed = io.BytesIO()
    image.save(packed, "PNG")
    return f"data:image/png;base64,{base64.b64encode(packed.getvalue()).decode()}"
