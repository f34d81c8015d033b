"""What light and colour say about a mood: eleven cues of a picture, standardised, and what follows from them.

    seen = cues(picture)                  # bytes (height, width, 3)
    seen["brightness"]                    # z: 0 as usual, 1 one standard deviation more
    pleasure_arousal(seen)                # Valdez and Mehrabian 1994

All formulas: methods/04 section 8. They read light and colour, not what is in the picture.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from PIL import Image
from scipy import ndimage

from core.emotion.colour import to_lab

SIDE = 160  # the shorter side at which cues are read: roughness and vignetting depend on scale
CUES = ("brightness", "saturation", "colourfulness", "warmth", "contrast", "dark", "grey", "red", "yellow_green", "roughness", "vignetting")
WORDS = {
    "brightness": "brightness",
    "saturation": "strength of colour",
    "colourfulness": "colourfulness",
    "warmth": "warmth",
    "contrast": "contrast",
    "dark": "dark share",
    "grey": "grey share",
    "red": "red share",
    "yellow_green": "sickly green share",
    "roughness": "roughness",
    "vignetting": "dark corners",
}
_SCALE = {"colourfulness": 109, "warmth": 30, "contrast": 30, "roughness": 6, "vignetting": 30}
# mean and standard deviation of pictures as usual: guesses (methods/04 section 8.5)
USUAL = {
    "brightness": (0.50, 0.15),
    "saturation": (0.33, 0.18),
    "colourfulness": (0.36, 0.20),
    "warmth": (0.20, 0.40),
    "contrast": (0.75, 0.25),
    "dark": (0.22, 0.18),
    "grey": (0.30, 0.25),
    "red": (0.05, 0.08),
    "yellow_green": (0.10, 0.12),
    "roughness": (0.70, 0.35),
    "vignetting": (0.15, 0.50),
}
LARGEST_Z = 3.0
Cues = dict[str, float]


def small(picture: np.ndarray, side: int = SIDE) -> np.ndarray:
    """Bytes (height, width, 3) with the shorter side `side`, averaged over areas; the longer side at most four times that."""
    height, width = picture.shape[:2]
    scale = side / min(height, width)
    size = (min(4 * side, max(1, round(width * scale))), min(4 * side, max(1, round(height * scale))))
    if size == (width, height):
        return picture
    return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BOX if scale < 1 else Image.Resampling.BICUBIC))


def raw_cues(picture: np.ndarray) -> Cues:
    """The cues of a picture that is small already, bytes (height, width, 3), in units of methods/04 section 8.1."""
    lab = to_lab(picture)
    light, a, b = lab[..., 0], lab[..., 1], lab[..., 2]
    chroma = np.hypot(a, b)
    rgb = picture.astype(np.float32)
    strongest, weakest = rgb.max(-1), rgb.min(-1)
    strength = np.divide(strongest - weakest, strongest, out=np.zeros_like(strongest), where=strongest > 0)
    hue = _hue(rgb, strongest, weakest)
    rg, yb = rgb[..., 0] - rgb[..., 1], (rgb[..., 0] + rgb[..., 1]) / 2 - rgb[..., 2]
    found = {
        "brightness": light.mean() / 100,
        "saturation": chroma.mean() / 60,
        "colourfulness": math.sqrt(rg.var() + yb.var()) + 0.3 * math.hypot(rg.mean(), yb.mean()),
        "warmth": (a * math.cos(math.radians(60)) + b * math.sin(math.radians(60))).mean(),
        "contrast": light.std(),
        "dark": (light < 25).mean(),
        "grey": (chroma < 8).mean(),
        "red": (((hue <= 18) | (hue >= 342)) & (strength > 0.35) & (strongest > 0.2 * 255)).mean(),
        "yellow_green": ((hue >= 45) & (hue <= 110) & (strength > 0.2)).mean(),
        "roughness": np.abs(light - ndimage.gaussian_filter(light, 2, mode="nearest")).mean(),
        "vignetting": _centre_minus_corners(light),
    }
    return {name: float(found[name]) / _SCALE.get(name, 1) for name in CUES}


def standard(raw: Mapping[str, float]) -> Cues:
    """Cues in standard deviations from the usual, at most 3 either way."""
    return {name: max(-LARGEST_Z, min(LARGEST_Z, (raw[name] - USUAL[name][0]) / USUAL[name][1])) for name in CUES}


def cues(picture: np.ndarray) -> Cues:
    """The standardised cues of a picture of any size, bytes (height, width, 3)."""
    return standard(raw_cues(small(picture)))


def pleasure_arousal(z: Mapping[str, float]) -> tuple[float, float]:
    """P = 0.69 B + 0.22 S and A = -0.31 B + 0.60 S (Valdez and Mehrabian 1994, standardised variables)."""
    return 0.69 * z["brightness"] + 0.22 * z["saturation"], -0.31 * z["brightness"] + 0.60 * z["saturation"]


def dominance(z: Mapping[str, float]) -> float:
    """D = -0.76 B + 0.32 S: the brightness term is negative in the paper; much code has it positive (methods/04 section 8.2)."""
    return -0.76 * z["brightness"] + 0.32 * z["saturation"]


def _hue(rgb: np.ndarray, strongest: np.ndarray, weakest: np.ndarray) -> np.ndarray:
    spread = np.maximum(strongest - weakest, 1e-6)
    r, g, b = rgb[..., 0], rgb[..., 1], rgb[..., 2]
    sector = np.where(strongest == r, ((g - b) / spread) % 6, np.where(strongest == g, (b - r) / spread + 2, (r - g) / spread + 4))
    return 60 * sector


def _centre_minus_corners(light: np.ndarray) -> float:
    height, width = light.shape
    v, h = max(1, height // 5), max(1, width // 5)
    centre = light[height // 2 - v : height // 2 + v + 1, width // 2 - h : width // 2 + h + 1].mean()
    corners = np.mean([light[:v, :h].mean(), light[:v, -h:].mean(), light[-v:, :h].mean(), light[-v:, -h:].mean()])
    return float(centre - corners)
