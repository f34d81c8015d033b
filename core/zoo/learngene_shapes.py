"""Draws the sample that shows how own pictures should be packed: `assets/samples/shapes.zip`, four shapes in four folders.

    python -m core.zoo.learngene_shapes
"""

from __future__ import annotations

import io
import math
import random
import zipfile
from pathlib import Path

from PIL import Image, ImageDraw

from core.engine.settings import ASSETS

SAMPLE = ASSETS / "samples" / "shapes.zip"
SIDE, LARGE, EACH = 32, 4, 40  # drawn four times as large and made smaller, for soft edges
CORNERS = {"square": 4, "triangle": 3}


def draw(kind: str, chance: random.Random) -> Image.Image:
    """One shape, dark on white, somewhere, of some size, turned, by a pen of some width."""
    side = SIDE * LARGE
    page = Image.new("L", (side, side), 255)
    pen, width = ImageDraw.Draw(page), round(side * chance.uniform(0.06, 0.11))
    radius, turn = side * chance.uniform(0.26, 0.38), chance.uniform(-0.35, 0.35)
    x, y = (side / 2 + side * chance.uniform(-0.08, 0.08) for _ in range(2))

    def at(angle: float) -> tuple[float, float]:
        return x + radius * math.cos(angle + turn), y + radius * math.sin(angle + turn)

    if kind == "circle":
        flat = chance.uniform(0.85, 1)
        pen.ellipse([x - radius, y - flat * radius, x + radius, y + flat * radius], outline=40, width=width)
    elif kind == "cross":
        for angle in (math.pi / 4, 3 * math.pi / 4):
            pen.line([at(angle), at(angle + math.pi)], fill=40, width=width)
    else:
        corners = CORNERS[kind]
        points = [at(2 * math.pi * i / corners + (math.pi / 4 if corners == 4 else -math.pi / 2)) for i in range(corners)]
        pen.line([*points, points[0], points[1]], fill=40, width=width, joint="curve")
    return page.resize((SIDE, SIDE), Image.Resampling.LANCZOS)


def build(file: Path = SAMPLE) -> Path:
    """Writes the ZIP file; the same every time."""
    file.parent.mkdir(parents=True, exist_ok=True)
    chance = random.Random(0)
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for kind in ("circle", "cross", "square", "triangle"):
            for number in range(EACH):
                stream = io.BytesIO()
                draw(kind, chance).save(stream, "PNG", optimize=True)
                archive.writestr(zipfile.ZipInfo(f"shapes/{kind}/{number:02}.png", (2026, 1, 1, 0, 0, 0)), stream.getvalue())
    return file


if __name__ == "__main__":
    print(build())
