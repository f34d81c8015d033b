"""Tools of colour: how strong, how warm, and towards which hue. All work in Lab."""

from __future__ import annotations

import numpy as np

from core.emotion.colour import from_lab, to_lab
from core.emotion.tools.base import Params, Tool

# mean of a*, b* and a factor on their spread, for the transfer of a palette (Reinhard 2001): autumn to winter
_WARM_PALETTE, _COLD_PALETTE = ((14, 26), 1.1), ((-3, -18), 0.8)


def _shifted(rgb: np.ndarray, a: float, b: float, light: float = 0.0) -> np.ndarray:
    lab = to_lab(rgb)
    middle = np.clip(1 - np.abs(lab[..., 0] - 50) / 60, 0.15, 1)  # black and white keep their colour
    lab[..., 0] += light
    lab[..., 1] += a * middle
    lab[..., 2] += b * middle
    return from_lab(lab)


def saturation(rgb: np.ndarray, p: Params) -> np.ndarray:
    """Chroma of (height, width, 3) times a factor; -1 leaves grey."""
    lab = to_lab(rgb)
    lab[..., 1:] *= 1 + (0.9 if p.strength > 0 else 1) * p.strength
    return from_lab(lab)


def temperature(rgb: np.ndarray, p: Params) -> np.ndarray:
    """Warmer or cooler (height, width, 3)."""
    return _shifted(rgb, 14 * p.strength, 32 * p.strength)


def tint_red(rgb: np.ndarray, p: Params) -> np.ndarray:
    """Everything in (height, width, 3) towards red."""
    return _shifted(rgb, 60 * p.strength, 34 * p.strength)


def tint_green(rgb: np.ndarray, p: Params) -> np.ndarray:
    """Everything in (height, width, 3) towards a sickly yellow-green."""
    return _shifted(rgb, -26 * p.strength, 44 * p.strength)


def tint_blue(rgb: np.ndarray, p: Params) -> np.ndarray:
    """Everything in (height, width, 3) towards blue."""
    return _shifted(rgb, 2 * p.strength, -42 * p.strength)


def split_tone(rgb: np.ndarray, p: Params) -> np.ndarray:
    """Shadows of (height, width, 3) towards blue-green, lights towards orange, or the other way round."""
    lab = to_lab(rgb)
    lean = np.clip(lab[..., 0] / 50 - 1, -1, 1) * p.strength
    lab[..., 1] += 12 * lean
    lab[..., 2] += 26 * lean
    return from_lab(lab)


def red_accent(rgb: np.ndarray, p: Params) -> np.ndarray:
    """Reds of (height, width, 3) stronger, all other colours weaker."""
    lab = to_lab(rgb)
    away = np.abs((np.degrees(np.arctan2(lab[..., 2], lab[..., 1])) - 35 + 180) % 360 - 180)
    near = np.clip(1 - away / 45, 0, 1)[..., None]
    lab[..., 1:] *= 1 + p.strength * (0.9 * near - 0.5 * (1 - near))
    return from_lab(lab)


def palette(rgb: np.ndarray, p: Params) -> np.ndarray:
    """Mean and spread of the colours of (height, width, 3) as of another picture, autumn or winter (Reinhard 2001)."""
    lab = to_lab(rgb)
    (a, b), spread = _WARM_PALETTE if p.strength > 0 else _COLD_PALETTE
    now = lab[..., 1:].mean((0, 1))
    wanted = np.array([a, b], np.float32) + (lab[..., 1:] - now) * spread
    lab[..., 1:] += abs(p.strength) * (wanted - lab[..., 1:])
    return from_lab(lab)


def monochrome(rgb: np.ndarray, p: Params) -> np.ndarray:
    """(height, width, 3) in greys, a little harder."""
    lab = to_lab(rgb)
    lab[..., 1:] *= 1 - p.strength
    lab[..., 0] = np.clip(lab[..., 0] + 0.15 * p.strength * (lab[..., 0] - lab[..., 0].mean()), 0, 100)
    return from_lab(lab)


TOOLS = (
    Tool("saturation", "colour", saturation, "stronger colours", "paler colours", {"saturation": 1, "colourfulness": 1}),
    Tool("temperature", "colour", temperature, "warmer", "cooler", {"warmth": 1}),
    Tool("tint_red", "colour", tint_red, "a red tint", touches={"red": 1, "warmth": 1}),
    Tool("tint_green", "colour", tint_green, "a sickly green tint", touches={"yellow_green": 1}),
    Tool("tint_blue", "colour", tint_blue, "a blue tint", touches={"warmth": -1}),
    Tool("split_tone", "colour", split_tone, "blue shadows and orange lights", "orange shadows and blue lights"),
    Tool("red_accent", "colour", red_accent, "only red stands out"),
    Tool("palette", "colour", palette, "autumn colours", "winter colours"),
    Tool("monochrome", "colour", monochrome, "black and white", touches={"saturation": -1, "grey": 1}),
)
