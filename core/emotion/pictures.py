"""The pictures that agents work on: the lab's photographs, a visitor's own, parts of them, and how they are shown and handed out.

source = load(lab, config)                       # Source: bytes (height, width, 3) and its name
mask = part_of(lab, config, source.pixels)       # (height, width) in 0..1, or None for everywhere
"""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image
from scipy import ndimage

from core.emotion.colour import to_lab
from core.emotion.cues import small
from core.emotion.region import region_of
from core.emotion.spec import PHOTOGRAPHS, PartConfig, PictureConfig
from core.emotion.tools import stretched
from core.engine.errors import LabError
from core.engine.reader import apart
from core.engine.settings import ASSETS

if TYPE_CHECKING:
    from core.engine.lab import Lab

FILES = {"cat": "cat.png", "coffee": "coffee.png", "rocket": "rocket.jpg"}
WORK, FULL, SHOWN = 640, 3200, 420  # longest side: while agents work, repeated at full size, shown on the page
UNSURE = 0.02  # a guessed part smaller than this share of the picture, or larger than the rest of it, is no part


@dataclass(frozen=True)
class Source:
    """pixels: bytes (height, width, 3).  was: width and height of the file."""

    pixels: np.ndarray
    name: str
    was: tuple[int, int]


def load(lab: Lab, config: PictureConfig, most: int = WORK) -> Source:
    """The picture that a config names, no side longer than `most`. Raises LabError for a file that is no still picture."""
    if not config.own:
        pixels = photograph(config.picture)
        return Source(pixels, PHOTOGRAPHS[config.picture], (pixels.shape[1], pixels.shape[0]))
    path = lab.data(config.own)
    for facts, data in apart("core.emotion.opened:picture", path=str(path), name=path.name, most=most, stop=lambda: lab.cancelled):
        pixels = np.frombuffer(data, np.uint8).reshape(facts["height"], facts["width"], 3)
        return Source(pixels, facts["name"], tuple(facts["was"]))
    raise LabError("That file holds no picture.", "Use a PNG, JPEG, BMP, WebP, TIFF or GIF file.")


@functools.cache
def photograph(name: str) -> np.ndarray:
    """One of the lab's photographs, bytes (height, width, 3)."""
    with Image.open(ASSETS / "pictures" / FILES[name]) as opened:
        pixels = np.array(opened.convert("RGB"))
    pixels.flags.writeable = False
    return pixels


def part_of(lab: Lab, config: PartConfig, picture: np.ndarray) -> np.ndarray | None:
    """Where edits are allowed, (height, width) in 0..1 for a picture (height, width, 3); None: everywhere.

    A guess that is too small or nearly everything is not trusted: then edits work everywhere (methods/04 section 6.3). Raises LabError
    where nothing is painted, or a file is black all over."""
    if config.part == "whole":
        return None
    if config.part == "painted":
        return stretched(_painted(lab, config), picture.shape[:2])
    seen = small(picture)
    found = sky(seen) if config.part == "sky" else subject(seen)
    found = 1 - found if config.part == "background" else found
    share = float((found > 0.5).mean())
    return stretched(found.astype(np.float32), picture.shape[:2]) if UNSURE <= share <= 1 - UNSURE else None


def _painted(lab: Lab, config: PartConfig) -> np.ndarray:
    if config.region or not config.mask:
        return region_of(config.region)
    found = (load(lab, PictureConfig(own=config.mask)).pixels.mean(-1) / 255).astype(np.float32)
    if not (found > 0.5).any():
        raise LabError("The mask is black all over, so no edit would be allowed anywhere.", "White is where edits are allowed.")
    return found


def sky(picture: np.ndarray) -> np.ndarray:
    """Smooth, blue, grey or white places that hang together with the upper rim of bytes (height, width, 3): (height, width) of 0 and 1."""
    lab = to_lab(picture)
    rough = np.abs(lab[..., 0] - ndimage.gaussian_filter(lab[..., 0], 2))
    likely = (ndimage.uniform_filter(rough, 5) < 1.6) & (lab[..., 2] < 6) & (lab[..., 1] < 14)
    parts, _ = ndimage.label(ndimage.binary_closing(likely, iterations=2))
    at_top = set(np.unique(parts[:3])) - {0}
    return np.isin(parts, list(at_top)).astype(np.float32)


def subject(picture: np.ndarray) -> np.ndarray:
    """What stands out of bytes (height, width, 3), nearer the middle: spectral residual (Hou and Zhang 2007), (height, width) in 0..1."""
    light = to_lab(picture)[..., 0]
    tiny = stretched(light, (64, round(64 * light.shape[1] / light.shape[0])))
    spectrum = np.fft.fft2(tiny)
    logs = np.log(np.abs(spectrum) + 1e-9)
    residual = np.exp(logs - ndimage.uniform_filter(logs, 3) + 1j * np.angle(spectrum))
    out = ndimage.gaussian_filter(np.abs(np.fft.ifft2(residual)) ** 2, 3.5)
    y, x = np.mgrid[-1 : 1 : out.shape[0] * 1j, -1 : 1 : out.shape[1] * 1j]
    out *= np.exp(-(x**2 + y**2) / 0.6)
    marked = (out > out.mean() + 0.4 * out.std()).astype(np.float32)
    return (stretched(ndimage.binary_closing(marked, iterations=3).astype(np.float32), light.shape) > 0.5).astype(np.float32)


def shown(picture: np.ndarray, most: int = SHOWN) -> Image.Image:
    """Bytes (height, width, 3) as a picture for the page, no side longer than `most`."""
    image = Image.fromarray(picture)
    image.thumbnail((most, most), Image.Resampling.BOX)
    return image


def masked(picture: np.ndarray, mask: np.ndarray) -> Image.Image:
    """Bytes (height, width, 3) with the places that a mask (height, width) leaves alone in red."""
    red = np.array([214, 40, 40])
    away = (1 - mask)[..., None] * 0.55
    return shown((picture * (1 - away) + red * away).astype(np.uint8))


def side_by_side(pictures: Sequence[np.ndarray], each: int = 300) -> Image.Image:
    """Several pictures of bytes, each (height, width, 3), in rows of three."""
    small_ones = [shown(picture, each) for picture in pictures]
    width, height = max(one.width for one in small_ones), max(one.height for one in small_ones)
    columns = min(3, len(small_ones))
    sheet = Image.new("RGB", (columns * (width + 6) - 6, -(-len(small_ones) // 3) * (height + 6) - 6), (255, 255, 255))
    for i, one in enumerate(small_ones):
        sheet.paste(one, ((i % 3) * (width + 6), (i // 3) * (height + 6)))
    return sheet


def with_settings(picture: np.ndarray, settings: dict[str, Any]) -> Image.Image:
    """Bytes (height, width, 3) as a picture whose PNG will hold its settings as text, and nothing else besides pixels."""
    from PIL.PngImagePlugin import PngInfo

    image, notes = Image.fromarray(picture), PngInfo()
    notes.add_text("Software", "Glassbox Lab")
    notes.add_itxt("glassbox", json.dumps(settings, ensure_ascii=False))
    image.info["pnginfo"] = notes
    return image
