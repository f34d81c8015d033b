"""Tools of air and weather. Depth is guessed: the higher in the picture, the further away."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from core.emotion.tools.base import Params, Tool, blurred, clouds_of, diagonal, mix, places, screen

FOG, MURK = (0.80, 0.83, 0.86), (0.45, 0.44, 0.30)


def fog(rgb: np.ndarray, p: Params) -> np.ndarray:
    """Pale fog over (height, width, 3), thicker far away."""
    y, _ = places(rgb)
    thick = (1.15 - 0.65 * y) * (0.7 + 0.3 * clouds_of(rgb, p.seed, 3))
    return mix(rgb, FOG, np.clip(0.75 * p.strength * thick, 0, 1))


def murk(rgb: np.ndarray, p: Params) -> np.ndarray:
    """A dirty yellow-brown haze over (height, width, 3)."""
    thick = 0.55 + 0.45 * clouds_of(rgb, p.seed, 4)
    return mix(rgb, MURK, np.clip(0.7 * p.strength * thick, 0, 1))


def streaks(rgb: np.ndarray, p: Params, count: int, length: float, width: float) -> np.ndarray:
    """Slanted lines (height, width) of 0..1 for (height, width, 3); `length` and `width` as parts of the diagonal."""
    height, across = rgb.shape[:2]
    rng, size, turn = np.random.default_rng(p.seed), diagonal(rgb), np.radians(p.angle)
    paper = Image.new("L", (across, height), 0)
    pen = ImageDraw.Draw(paper)
    for x, y, far in rng.random((count, 3)):
        start = ((1.3 * x - 0.15) * across, (1.3 * y - 0.15) * height)
        reach = length * size * (0.5 + far)
        end = (start[0] + reach * np.cos(turn), start[1] + reach * np.sin(turn))
        pen.line([start, end], fill=int(110 + 145 * far), width=max(1, round(width * size * (0.5 + far))))
    return np.asarray(paper, np.float32) / 255


def rain(rgb: np.ndarray, p: Params) -> np.ndarray:
    """Slanted rain before (height, width, 3), and a greyer day behind it."""
    lines = blurred(streaks(rgb, p, int(120 + 380 * p.strength), 0.05, 0.0012), 0.0006)
    grey = mix(rgb, rgb.mean(-1, keepdims=True), 0.35 * p.strength) * (1 - 0.15 * p.strength)
    return mix(grey, (0.85, 0.88, 0.92), 0.55 * p.strength * lines)


def snow(rgb: np.ndarray, p: Params) -> np.ndarray:
    """Flakes before (height, width, 3)."""
    flakes = streaks(rgb, p, int(80 + 420 * p.strength), 0.001, 0.006)
    return mix(mix(rgb, (0.86, 0.90, 0.96), 0.18 * p.strength), (1.0, 1.0, 1.0), np.clip(blurred(flakes, 0.001) * 0.9, 0, 1))


def overcast(rgb: np.ndarray, p: Params) -> np.ndarray:
    """Grey cloud over the upper part of (height, width, 3)."""
    y, _ = places(rgb)
    cloud = np.clip(1.1 - 1.8 * y, 0, 1) * (0.4 + 0.6 * clouds_of(rgb, p.seed))
    dull = mix(rgb, rgb.mean(-1, keepdims=True), 0.4 * p.strength)
    return mix(dull, (0.52, 0.54, 0.57), 0.8 * p.strength * cloud)


def sun_rays(rgb: np.ndarray, p: Params) -> np.ndarray:
    """Warm rays from x, y over (height, width, 3)."""
    y, x = places(rgb)
    dx, dy = (x - p.x) * rgb.shape[1] / rgb.shape[0], y - (p.y - 0.6)
    beams = 0.5 + 0.5 * np.sin(14 * np.arctan2(dy, dx) + p.seed)
    light = np.exp(-1.4 * np.hypot(dx, dy)) * (0.35 + 0.65 * beams)
    return screen(rgb, 0.8 * p.strength * light[..., None] * np.array([1.0, 0.86, 0.55], np.float32))


def embers(rgb: np.ndarray, p: Params) -> np.ndarray:
    """Glowing sparks and a red light from below over (height, width, 3)."""
    y, _ = places(rgb)
    sparks = blurred(streaks(rgb, p, int(60 + 200 * p.strength), 0.002, 0.003), 0.001)
    light = np.clip(0.45 * p.strength * y**2 * (0.6 + 0.4 * clouds_of(rgb, p.seed)) + 1.2 * sparks * p.strength, 0, 1)
    return screen(rgb, light[..., None] * np.array([1.0, 0.38, 0.10], np.float32))


TOOLS = (
    Tool("fog", "atmosphere", fog, "fog", touches={"contrast": -1, "saturation": -1}, content=True, uses=("seed",)),
    Tool("murk", "atmosphere", murk, "a dirty haze", touches={"contrast": -1}, content=True, uses=("seed",)),
    Tool("rain", "atmosphere", rain, "rain", touches={"saturation": -1}, content=True, uses=("angle", "seed")),
    Tool("snow", "atmosphere", snow, "snow", touches={"saturation": -1}, content=True, uses=("seed",)),
    Tool("overcast", "atmosphere", overcast, "a grey sky", touches={"saturation": -1}, content=True, uses=("seed",)),
    Tool("sun_rays", "atmosphere", sun_rays, "rays of sun", touches={"brightness": 1}, content=True, uses=("x", "y", "seed")),
    Tool("embers", "atmosphere", embers, "sparks and a red light", touches={"warmth": 1}, content=True, uses=("seed",)),
)
