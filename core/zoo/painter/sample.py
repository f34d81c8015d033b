"""Draws the sample that shows how own places should be packed: `assets/samples/places.zip`, three places with six pictures of each digit.

    python -m core.zoo.painter.sample
"""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import torch

from core.engine.settings import ASSETS
from core.federated.places import CLASSES, PLACES, STYLES, draw, read_bank

SAMPLE = ASSETS / "samples" / "places.zip"
EACH = 6
LOOKS = {"dock": PLACES["harbour"], "library": STYLES["ink"], "playground": STYLES["chalk"]}


def build(file: Path = SAMPLE) -> Path:
    """Writes the ZIP file; the same every time."""
    from PIL import Image

    file.parent.mkdir(parents=True, exist_ok=True)
    generator = torch.Generator().manual_seed(0)
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for place, look in LOOKS.items():
            pixels, labels = draw(look, read_bank().test, EACH * len(CLASSES), generator)
            for number, (picture, label) in enumerate(zip(pixels, labels.tolist(), strict=True)):
                array = ((picture + 1) * 127.5).round().byte().permute(1, 2, 0).numpy()
                stream = io.BytesIO()
                Image.fromarray(array).save(stream, "JPEG", quality=90)
                archive.writestr(zipfile.ZipInfo(f"places/{place}/{label}/{number:02}.jpg", (2026, 1, 1, 0, 0, 0)), stream.getvalue())
    return file


if __name__ == "__main__":
    print(build())
