"""A visitor's picture, read in the reading process (core/engine/reader.py): its header first, then its pixels, without torch.

    for facts, data in picture("mine.jpg", most=768): ...        # {"name", "width", "height", "was"}, RGB bytes

What a picture says about where and when it was taken stays behind: only pixels come through.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from core.engine.errors import LabError
from core.scenes.seen import in_plain_colours, turned

MB = 1024**2
KINDS = ("PNG", "JPEG", "BMP", "WEBP", "GIF", "TIFF")
LARGEST_FILE, LARGEST_PIXELS, FEWEST_PIXELS, LONGEST_SHAPE = 20 * MB, 45_000_000, 16, 20
WHICH = "Use a PNG, JPEG, BMP, WebP, TIFF or GIF file."


def picture(path: str, name: str = "", most: int = 768) -> Iterator[tuple[dict[str, Any], bytes]]:
    """One still picture as RGB, no side longer than `most`, on white where it was transparent. Raises LabError for anything else."""
    from PIL import Image, UnidentifiedImageError

    source = Path(path)
    name = (name or source.name)[:60]
    if source.stat().st_size > LARGEST_FILE:
        raise LabError(f"{name} is larger than {LARGEST_FILE // MB} MB.", "Save the picture smaller and try again.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # the sides are checked
            with Image.open(source, formats=KINDS) as opened:
                yield _decoded(opened, name, most)
    except LabError:
        raise
    except Image.DecompressionBombError:  # the library's own limit, met before ours can name the sides
        raise LabError(f"{name} is far too large.", f"At most {LARGEST_PIXELS // 10**6} million pixels; make it smaller first.") from None
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError):
        raise LabError(f"{name} is not a picture that can be read.", WHICH) from None


def _decoded(opened: Any, name: str, most: int) -> tuple[dict[str, Any], bytes]:
    from PIL import Image

    width, height = opened.size
    if width * height > LARGEST_PIXELS:
        raise LabError(
            f"{name} has {width * height / 1e6:,.0f} million pixels.", f"At most {LARGEST_PIXELS // 10**6} million; make it smaller first."
        )
    if min(width, height) < FEWEST_PIXELS or max(width, height) > LONGEST_SHAPE * min(width, height):
        raise LabError(
            f"{name} is {width} x {height} pixels.",
            f"At least {FEWEST_PIXELS} on a side, and at most {LONGEST_SHAPE} times as long as wide.",
        )
    if getattr(opened, "is_animated", False):
        raise LabError(f"{name} is animated.", "Save one of its pictures on its own.")
    if opened.format == "JPEG":
        opened.draft("RGB", (2 * most, 2 * most))
    shrink = max(opened.size) // (2 * most)
    small = opened.reduce(shrink) if shrink > 1 and opened.mode in ("RGB", "RGBA", "L", "LA", "CMYK") else opened
    if small is not opened:
        small.info = dict(opened.info)
    upright = turned(small if small is not opened else opened) if small is opened else _turned_like(small, opened)
    seen = in_plain_colours(upright)
    paper = Image.new("RGBA", seen.size, (255, 255, 255, 255))
    flat = Image.alpha_composite(paper, seen).convert("RGB")
    flat.thumbnail((most, most), Image.Resampling.LANCZOS)
    return {"name": name, "width": flat.width, "height": flat.height, "was": [width, height]}, flat.tobytes()


def _turned_like(small: Any, opened: Any) -> Any:
    """A reduced copy turned as the note of the file says; the copy itself has lost the note."""
    from PIL import Image

    ways = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_270,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_90,
    }
    try:
        way = ways.get(opened.getexif().get(0x0112))
    except (ValueError, SyntaxError, KeyError, TypeError, OverflowError, OSError):
        way = None
    if way is None:
        return small
    made = small.transpose(way)
    made.info = dict(small.info)
    return made
