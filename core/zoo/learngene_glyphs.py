"""Draws the letters and symbols of the shipped fonts into one picture, `assets/fonts/glyphs.png`.

    python -m core.zoo.learngene_glyphs

One row per font, one column per character, 32 x 32 pixels each. The picture is what the lab reads, so that another
version of the font renderer does not move a single pixel of anybody's data.
"""

from __future__ import annotations

import json
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from core.engine.settings import ASSETS
from core.learngene.data import GLYPH, LETTERS, SYMBOLS

FONTS = ASSETS / "fonts"
INK = 22  # the longer side of every drawn character, in pixels; the rest of the square is margin


def draw(font: ImageFont.FreeTypeFont, character: str) -> Image.Image:
    """One character, white on black, scaled to `INK` pixels and centred in a square of `GLYPH`."""
    page = Image.new("L", (160, 160))
    ImageDraw.Draw(page).text((40, 30), character, fill=255, font=font)
    box = page.getbbox()
    if box is None:
        raise ValueError(f"{font.getname()[0]} has no glyph for {character!r}")
    cut = page.crop(box)
    scale = INK / max(cut.size)
    cut = cut.resize((max(1, round(cut.width * scale)), max(1, round(cut.height * scale))), Image.Resampling.LANCZOS)
    square = Image.new("L", (GLYPH, GLYPH))
    square.paste(cut, ((GLYPH - cut.width) // 2, (GLYPH - cut.height) // 2))
    return square


def build(folder: Path = FONTS) -> Path:
    """Writes `glyphs.png` and `glyphs.json` (characters by column, font files by row) into `folder`."""
    files = sorted(file for file in folder.iterdir() if file.suffix in (".otf", ".ttf"))
    characters = [*LETTERS, *SYMBOLS]
    sheet = Image.new("L", (GLYPH * len(characters), GLYPH * len(files)))
    for row, file in enumerate(files):
        font = ImageFont.truetype(str(file), 64)
        for column, character in enumerate(characters):
            sheet.paste(draw(font, character), (column * GLYPH, row * GLYPH))
    sheet.save(folder / "glyphs.png", optimize=True)
    listing = {"characters": characters, "fonts": [file.name for file in files]}
    (folder / "glyphs.json").write_text(json.dumps(listing, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return folder / "glyphs.png"


if __name__ == "__main__":
    print(build())
