"""One picture of a visitor's, read where nothing can be lost (core/engine/reader.py): its middle square, 64 x 64, RGB. No torch here."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from core.engine.errors import LabError

KINDS = ("PNG", "JPEG", "BMP", "WEBP", "GIF")
LARGEST_FILE, LARGEST_SIDE, SIDE = 20 * 2**20, 8000, 64


def square(path: str, side: int = SIDE) -> Iterator[tuple[dict[str, Any], bytes]]:
    """({"side"}, RGB bytes) of the picture's middle square. Raises LabError for what is no picture, or far too large."""
    from PIL import Image, ImageOps, UnidentifiedImageError

    source = Path(path)
    if source.stat().st_size > LARGEST_FILE:
        raise LabError(f"{source.name} is larger than {LARGEST_FILE // 2**20} MB.", "Save the picture smaller and try again.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(source, formats=KINDS) as found:
                if max(found.size) > LARGEST_SIDE:
                    raise LabError(f"{source.name} is {found.size[0]} x {found.size[1]} pixels.", f"At most {LARGEST_SIDE} on a side.")
                seen = ImageOps.fit(ImageOps.exif_transpose(found).convert("RGB"), (side, side))
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise LabError(f"{source.name} is not a picture that can be read.", "Use a PNG, JPEG, BMP, WebP or GIF file.") from None
    yield {"side": side}, seen.tobytes()
