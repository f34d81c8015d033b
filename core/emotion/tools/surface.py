"""Tools of texture and focus: grain, dirt, smoothness, dark corners, what is sharp."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from core.emotion.colour import from_lab, to_lab
from core.emotion.tools.base import Params, Tool, blurred, chance, clouds_of, diagonal, mix, places


def grain(rgb: np.ndarray, p: Params) -> np.ndarray:
    """Film grain over (height, width, 3)."""
    lab = to_lab(rgb)
    lab[..., 0] = np.clip(lab[..., 0] + 14 * p.strength * chance(rgb, p.seed), 0, 100)
    return from_lab(lab)


def grime(rgb: np.ndarray, p: Params) -> np.ndarray:
    """Stains of a yellow-green brown on (height, width, 3)."""
    stains = np.clip((clouds_of(rgb, p.seed, 6) - 0.4) * 2.2, 0, 1)
    return mix(rgb, rgb * np.array([0.62, 0.66, 0.30], np.float32), 0.9 * p.strength * stains)


def smooth(rgb: np.ndarray, p: Params) -> np.ndarray:
    """Fine texture of (height, width, 3) wiped away, edges kept: a guided filter with the picture as its own guide (He 2013)."""
    size = max(3, round(0.012 * diagonal(rgb)))
    mean, square = (ndimage.uniform_filter(x, (size, size, 1), mode="nearest") for x in (rgb, rgb * rgb))
    variance = np.maximum(square - mean * mean, 0)
    gain = variance / (variance + 0.012)
    gain, offset = (ndimage.uniform_filter(x, (size, size, 1), mode="nearest") for x in (gain, mean * (1 - gain)))
    return mix(rgb, gain * rgb + offset, p.strength)


def posterise(rgb: np.ndarray, p: Params) -> np.ndarray:
    """Few steps of light in (height, width, 3), like a poster."""
    lab = to_lab(rgb)
    stepped = np.rint(lab[..., 0] / 20) * 20
    lab[..., 0] += p.strength * (stepped - lab[..., 0])
    lab[..., 1:] *= 1 + 0.3 * p.strength
    return from_lab(lab)


def paper(rgb: np.ndarray, p: Params) -> np.ndarray:
    """(height, width, 3) like an old print: yellowed and worn."""
    worn = 0.5 + 0.5 * clouds_of(rgb, p.seed, 6)
    return mix(
        rgb, rgb.mean(-1, keepdims=True) * np.array([1.0, 0.93, 0.76], np.float32) * (0.75 + 0.25 * worn[..., None]), 0.8 * p.strength
    )


def vignette(rgb: np.ndarray, p: Params) -> np.ndarray:
    """Dark corners of (height, width, 3)."""
    y, x = places(rgb)
    far = np.hypot(x - p.x, y - p.y) / 0.7071
    return rgb * (1 - np.clip(0.85 * p.strength * far**2.2, 0, 1))[..., None]


def tilt_shift(rgb: np.ndarray, p: Params) -> np.ndarray:
    """Only a band of (height, width, 3) at height y is sharp."""
    y, _ = places(rgb)
    far = np.broadcast_to(np.clip(np.abs(y - p.y) / 0.3 - 0.4, 0, 1), rgb.shape[:2])
    return mix(rgb, blurred(rgb, 0.009 * p.strength), far)


def motion_blur(rgb: np.ndarray, p: Params) -> np.ndarray:
    """(height, width, 3) as if it rushed by."""
    reach = max(2, round(0.03 * p.strength * diagonal(rgb)))
    return ndimage.uniform_filter1d(rgb, reach, axis=1, mode="nearest")


TOOLS = (
    Tool("grain", "texture", grain, "film grain", touches={"roughness": 1}, uses=("seed",)),
    Tool("grime", "texture", grime, "dirt", touches={"brightness": -1}, content=True, uses=("seed",)),
    Tool("smooth", "texture", smooth, "smoother surfaces", touches={"roughness": -1}),
    Tool("posterise", "texture", posterise, "like a poster", touches={"saturation": 1}),
    Tool("paper", "texture", paper, "an old print", touches={"saturation": -1}, uses=("seed",)),
    Tool("vignette", "focus", vignette, "dark corners", touches={"vignetting": 1, "brightness": -1}, uses=("x", "y")),
    Tool("tilt_shift", "focus", tilt_shift, "a narrow sharp band", touches={"roughness": -1}, uses=("y",)),
    Tool("motion_blur", "focus", motion_blur, "a rushing blur", touches={"roughness": -1}),
)
