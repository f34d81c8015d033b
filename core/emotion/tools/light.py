"""Tools of light: how much of it, how hard, and from where."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from core.emotion.colour import from_lab, to_lab
from core.emotion.tools.base import Params, Tool, blurred, mix, places


def _on_light(rgb: np.ndarray, light) -> np.ndarray:
    lab = to_lab(rgb)
    lab[..., 0] = np.clip(light(lab[..., 0]), 0, 100)
    return from_lab(lab)


def exposure(rgb: np.ndarray, p: Params) -> np.ndarray:
    """A gamma on L* of a picture (height, width, 3)."""
    return _on_light(rgb, lambda light: 100 * (light / 100) ** (2 ** (-1.2 * p.strength)))


def contrast(rgb: np.ndarray, p: Params) -> np.ndarray:
    """Stretches L* of (height, width, 3) away from its mean, or pulls it there."""
    return _on_light(rgb, lambda light: light.mean() + (light - light.mean()) * 2 ** (0.8 * p.strength))


def local_contrast(rgb: np.ndarray, p: Params) -> np.ndarray:
    """Lifts L* of (height, width, 3) over its surroundings of 3 % of the diagonal."""
    return _on_light(rgb, lambda light: light + 0.9 * p.strength * (light - blurred(light, 0.03)))


def relight(rgb: np.ndarray, p: Params) -> np.ndarray:
    """Light from one side of (height, width, 3): brighter towards `angle`, darker away from it."""
    y, x = places(rgb)
    turn = np.radians(p.angle)
    slope = (x - 0.5) * np.cos(turn) - (y - 0.5) * np.sin(turn)
    return _on_light(rgb, lambda light: light * (1 + 0.9 * p.strength * slope))


def spotlight(rgb: np.ndarray, p: Params) -> np.ndarray:
    """Everything of (height, width, 3) darker but a circle round x, y."""
    y, x = places(rgb)
    aspect = rgb.shape[1] / rgb.shape[0]
    far = np.hypot((x - p.x) * aspect, y - p.y)
    lit = np.exp(-((far / 0.35) ** 2))
    return _on_light(rgb, lambda light: light * (1 - 0.75 * p.strength * (1 - lit)))


def golden_hour(rgb: np.ndarray, p: Params) -> np.ndarray:
    """Low sun over (height, width, 3): warm lights, the rest a little dimmer."""
    lab, s = to_lab(rgb), p.strength
    lights = np.clip(lab[..., 0] / 70, 0.2, 1)
    lab[..., 1] += 12 * s * lights
    lab[..., 2] += 34 * s * lights
    lab[..., 0] *= 1 - 0.08 * s
    return from_lab(lab)


def night(rgb: np.ndarray, p: Params) -> np.ndarray:
    """As the eye sees (height, width, 3) at night: dark, blue, little colour."""
    lab, s = to_lab(rgb), p.strength
    lab[..., 0] *= 1 - 0.6 * s
    lab[..., 1:] *= 1 - 0.6 * s
    lab[..., 2] -= 14 * s
    return from_lab(lab)


def glow(rgb: np.ndarray, p: Params) -> np.ndarray:
    """Bright parts of (height, width, 3) shine over their edges."""
    soft = blurred(rgb, 0.02)
    return mix(rgb, 1 - (1 - rgb) * (1 - soft), 0.6 * p.strength)


def sharpen(rgb: np.ndarray, p: Params) -> np.ndarray:
    """Edges of (height, width, 3) are lifted."""
    return _on_light(
        rgb, lambda light: light + 1.2 * p.strength * (light - ndimage.gaussian_filter(light, max(0.5, 0.002 * np.hypot(*light.shape))))
    )


TOOLS = (
    Tool("exposure", "lighting", exposure, "more light", "less light", {"brightness": 1}),
    Tool("contrast", "lighting", contrast, "stronger contrast", "softer contrast", {"contrast": 1}),
    Tool("local_contrast", "lighting", local_contrast, "stronger details", touches={"roughness": 1}),
    Tool("relight", "lighting", relight, "light from one side", uses=("angle",)),
    Tool("spotlight", "lighting", spotlight, "a spotlight", touches={"brightness": -1, "dark": 1}, uses=("x", "y")),
    Tool("golden_hour", "lighting", golden_hour, "low golden sun", touches={"warmth": 1}),
    Tool("night", "lighting", night, "night", touches={"brightness": -1, "warmth": -1, "dark": 1}),
    Tool("glow", "focus", glow, "a soft glow", touches={"brightness": 1}),
    Tool("sharpen", "focus", sharpen, "sharper edges", touches={"roughness": 1}),
)
