"""Colours as people see them: sRGB to CIE Lab (D65) and back, in float32; likeness of two pictures.

lab = to_lab(rgb)                    # rgb: float (height, width, 3) in 0..1
rgb = from_lab(lab)                  # clipped to 0..1
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

_TO_XYZ = np.array([[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]])
_WHITE = np.array([0.95047, 1.0, 1.08883])
_FORWARD = (_TO_XYZ / _WHITE[:, None]).astype(np.float32)
_BACK = np.linalg.inv(_TO_XYZ / _WHITE[:, None]).astype(np.float32)
_EPSILON, _KAPPA = 216 / 24389, 24389 / 27
_BYTES = np.arange(256, dtype=np.float64) / 255
_LINEAR = np.where(_BYTES <= 0.04045, _BYTES / 12.92, ((_BYTES + 0.055) / 1.055) ** 2.4).astype(np.float32)
C1, C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
WINDOW = 7


def to_float(picture: np.ndarray) -> np.ndarray:
    """Bytes (height, width, 3) as 0..1."""
    return picture.astype(np.float32) / 255


def to_bytes(rgb: np.ndarray) -> np.ndarray:
    """0..1 (height, width, 3) as bytes."""
    return np.clip(np.rint(rgb * 255), 0, 255).astype(np.uint8)


def to_lab(rgb: np.ndarray) -> np.ndarray:
    """sRGB (height, width, 3), bytes or 0..1, as L* 0..100, a*, b*."""
    linear = _LINEAR[rgb] if rgb.dtype == np.uint8 else np.where(rgb <= 0.04045, rgb / 12.92, ((np.maximum(rgb, 0) + 0.055) / 1.055) ** 2.4)
    xyz = linear.astype(np.float32) @ _FORWARD.T
    f = np.where(xyz > _EPSILON, np.cbrt(xyz), (_KAPPA * xyz + 16) / 116)
    return np.stack([116 * f[..., 1] - 16, 500 * (f[..., 0] - f[..., 1]), 200 * (f[..., 1] - f[..., 2])], -1).astype(np.float32)


def from_lab(lab: np.ndarray) -> np.ndarray:
    """L*, a*, b* (height, width, 3) as sRGB 0..1; colours that no screen shows are cut off."""
    y = (lab[..., 0] + 16) / 116
    f = np.stack([y + lab[..., 1] / 500, y, y - lab[..., 2] / 200], -1)
    xyz = np.where(f > 6 / 29, f**3, (116 * f - 16) / _KAPPA)
    linear = np.clip(xyz.astype(np.float32) @ _BACK.T, 0, 1)
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055).astype(np.float32)


class Likeness:
    """SSIM of pictures with one source, whose part is computed once: mean over colours and places, window 7 x 7 (Wang 2004).

    `source`, and what is compared: bytes (height, width, 3).
    """

    def __init__(self, source: np.ndarray) -> None:
        self._x = source.astype(np.float32)
        self._mean = _blur(self._x)
        self._variance = _blur(self._x**2) - self._mean**2

    def to(self, other: np.ndarray, where: np.ndarray | None = None) -> float:
        """1 for the same picture (height, width, 3). where: weights (height, width) of the places that count."""
        y = other.astype(np.float32)
        mean = _blur(y)
        unbiased = WINDOW**2 / (WINDOW**2 - 1)
        variance, together = unbiased * (_blur(y**2) - mean**2), unbiased * (_blur(self._x * y) - self._mean * mean)
        mine = unbiased * self._variance
        value = ((2 * self._mean * mean + C1) * (2 * together + C2)) / ((self._mean**2 + mean**2 + C1) * (mine + variance + C2))
        edge = WINDOW // 2
        inside = value[edge:-edge, edge:-edge].mean(-1)
        if where is None:
            return float(inside.mean())
        weights = where[edge:-edge, edge:-edge]
        return float((inside * weights).sum() / weights.sum()) if weights.sum() > 0 else 1.0


def _blur(x: np.ndarray) -> np.ndarray:
    return ndimage.uniform_filter(x, (WINDOW, WINDOW, 1), mode="reflect")


def ssim(one: np.ndarray, other: np.ndarray) -> float:
    """Likeness of two pictures of bytes (height, width, 3): 1 for the same."""
    return Likeness(one).to(other)


def psnr(one: np.ndarray, other: np.ndarray) -> float:
    """Peak signal to noise in dB of two pictures of bytes (height, width, 3); 99 for the same."""
    error = float(((one.astype(np.float64) - other) ** 2).mean())
    return 99.0 if error == 0 else min(99.0, float(10 * np.log10(255**2 / error)))
