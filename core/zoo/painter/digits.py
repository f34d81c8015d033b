"""Draws the ten digits of the shipped fonts into one picture, `assets/fonts/digits.png`: a row per font, a column per digit.

    python -m core.zoo.painter.digits

As with the letters (core/zoo/learngene_glyphs.py), the picture is what the lab reads, so that no font renderer moves a pixel.
"""

from __future__ import annotations

import json
from pathlib import Path

from PIL import Image, ImageFont

from core.federated.places import CLASSES, SIZE
from core.zoo.learngene_glyphs import FONTS, draw


def build(folder: Path = FONTS) -> Path:
    """Writes `digits.png`; the fonts and their order are those of `glyphs.json`."""
    files = json.loads((folder / "glyphs.json").read_text(encoding="utf-8"))["fonts"]
    sheet = Image.new("L", (SIZE * len(CLASSES), SIZE * len(files)))
    for row, file in enumerate(files):
        font = ImageFont.truetype(str(folder / file), 64)
        for column, digit in enumerate(CLASSES):
            sheet.paste(draw(font, digit), (column * SIZE, row * SIZE))
    sheet.save(folder / "digits.png", optimize=True)
    return folder / "digits.png"


if __name__ == "__main__":
    print(build())
