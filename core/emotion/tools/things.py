"""Tools that add a drawn thing or take one away. What is drawn is simple on purpose and matched in light; it never pretends to be real."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw
from scipy import ndimage

from core.emotion.tools.base import Params, Tool, blurred, diagonal, mix, places, screen, stretched

CONFETTI = ((240, 80, 90), (250, 190, 60), (90, 190, 110), (70, 150, 230), (190, 110, 210))


def _drawn(rgb: np.ndarray, draw) -> tuple[np.ndarray, np.ndarray]:
    """Colours (height, width, 3) and opacity (height, width) of what `draw` draws on a transparent sheet."""
    height, width = rgb.shape[:2]
    sheet = Image.new("RGBA", (width, height), (0, 0, 0, 0))
    draw(ImageDraw.Draw(sheet), width, height)
    array = np.asarray(sheet, np.float32) / 255
    return array[..., :3], array[..., 3]


def confetti(rgb: np.ndarray, p: Params) -> np.ndarray:
    """Bright paper falling before (height, width, 3)."""
    rng, size = np.random.default_rng(p.seed), diagonal(rgb)

    def draw(pen, width, height):
        for x, y, turn, big in rng.random((int(30 + 150 * p.strength), 4)):
            a, reach = 2 * np.pi * turn, size * (0.006 + 0.008 * big)
            corners = [
                (x * width + reach * np.cos(a + k) * (1.4 if k in (0, np.pi) else 0.8), y * height + reach * np.sin(a + k))
                for k in (0, np.pi / 2, np.pi, 3 * np.pi / 2)
            ]
            pen.polygon(corners, fill=(*CONFETTI[int(5 * big) % 5], 235))

    colours, opacity = _drawn(rgb, draw)
    return mix(rgb, colours, opacity)


def lanterns(rgb: np.ndarray, p: Params) -> np.ndarray:
    """Warm lights hanging in the upper part of (height, width, 3)."""
    rng = np.random.default_rng(p.seed)
    y, x = places(rgb)
    aspect, light = rgb.shape[1] / rgb.shape[0], np.zeros(rgb.shape[:2], np.float32)
    for px, py, big in rng.random((int(4 + 12 * p.strength), 3)):
        far = np.hypot((x - px) * aspect, y - 0.55 * py)
        light += np.exp(-((far / (0.012 + 0.012 * big)) ** 2)) + 0.28 * np.exp(-((far / 0.07) ** 2))
    return screen(rgb, p.strength * np.clip(light, 0, 1)[..., None] * np.array([1.0, 0.78, 0.40], np.float32))


def moon(rgb: np.ndarray, p: Params) -> np.ndarray:
    """A pale moon with a halo at x, y of (height, width, 3)."""
    y, x = places(rgb)
    far = np.hypot((x - p.x) * rgb.shape[1] / rgb.shape[0], y - 0.4 * p.y)
    disc = np.clip((0.07 - far) / 0.004, 0, 1)
    halo = 0.5 * np.exp(-((far / 0.16) ** 2)) * p.strength
    return mix(
        screen(rgb, halo[..., None] * np.array([0.75, 0.82, 1.0], np.float32)), (0.93, 0.94, 0.90), 0.95 * min(1.0, 2 * p.strength) * disc
    )


def birds(rgb: np.ndarray, p: Params) -> np.ndarray:
    """A dark flock, like bats, in the upper part of (height, width, 3)."""
    rng, size = np.random.default_rng(p.seed), diagonal(rgb)

    def draw(pen, width, height):
        for x, y, big in rng.random((int(6 + 24 * p.strength), 3)):
            cx, cy, r = x * width, 0.6 * y * height, size * (0.008 + 0.018 * big)
            pen.polygon(
                [
                    (cx - r, cy - 0.5 * r),
                    (cx - 0.4 * r, cy - 0.1 * r),
                    (cx, cy - 0.3 * r),
                    (cx + 0.4 * r, cy - 0.1 * r),
                    (cx + r, cy - 0.5 * r),
                    (cx + 0.3 * r, cy + 0.35 * r),
                    (cx, cy + 0.1 * r),
                    (cx - 0.3 * r, cy + 0.35 * r),
                ],
                fill=(16, 16, 22, 240),
            )

    colours, opacity = _drawn(rgb, draw)
    return mix(rgb, colours, opacity)


def remove(rgb: np.ndarray, p: Params) -> np.ndarray:
    """A smooth blend of the whole of (height, width, 3); under a mask see `fill`, which `apply` uses."""
    return blurred(rgb, 0.05 * p.strength)


def fill(rgb: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """What is masked in (height, width, 3) is filled from its rim, coarse to fine (pull and push, Gortler 1996). hole: (height, width)."""
    if min(rgb.shape[:2]) <= 2 or not hole.any():
        return rgb
    known = 1 - hole.astype(np.float32)
    half = (max(1, rgb.shape[0] // 2), max(1, rgb.shape[1] // 2))
    weight = stretched(known, half)
    colour = np.stack([stretched(rgb[..., c] * known, half) for c in range(3)], -1) / np.maximum(weight, 1e-6)[..., None]
    coarse = fill(colour.astype(np.float32), weight < 1e-3)
    grown = np.stack([stretched(np.ascontiguousarray(coarse[..., c]), rgb.shape[:2]) for c in range(3)], -1)
    soft = ndimage.binary_dilation(hole > 0)[..., None]
    return np.where(soft, grown, rgb)


TOOLS = (
    Tool("confetti", "object", confetti, "confetti", touches={"roughness": 1}, content=True, uses=("seed",)),
    Tool("lanterns", "object", lanterns, "warm lanterns", touches={"brightness": 1}, content=True, uses=("seed",)),
    Tool("moon", "object", moon, "a moon", content=True, uses=("x", "y")),
    Tool("birds", "object", birds, "a dark flock", content=True, uses=("seed",)),
    Tool("remove", "object", remove, "the marked thing is gone", content=True),
)
