"""The colours that say something are told apart with every kind of colour blindness, in the light and in the dark."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import numpy as np
import pytest

from core.plots import MEANINGS

PLOT_JS = (Path(__file__).parents[1] / "apps/lab/ui/static/plot.js").read_text(encoding="utf-8")
GROUND = {"light": "#FFFFFF", "dark": "#171F29"}
# Machado, Oliveira and Fernandes (2009), severity 1, on linear RGB.
EYES = {
    "all three cones": np.eye(3),
    "protanopia": np.array([[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]),
    "deuteranopia": np.array([[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]),
    "tritanopia": np.array([[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]),
}
LMS = np.array([[0.4122214708, 0.5363325363, 0.0514459929], [0.2119034982, 0.6806995451, 0.1073969566],
                [0.0883024619, 0.2817188376, 0.6299787005]])
LAB = np.array([[0.2104542553, 0.7936177850, -0.0040720468], [1.9779984951, -2.4285922050, 0.4505937099],
                [0.0259040371, 0.7827717662, -0.8086757660]])
# Blue and green of the palette before were 0.029 apart with tritanopia: one colour. Pink always comes as a ring or an outline.
APART, RINGED = 0.09, 0.06


def linear(colour: str) -> np.ndarray:
    share = np.array([int(colour[i:i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)


def oklab(rgb: np.ndarray) -> np.ndarray:
    return LAB @ np.cbrt(LMS @ rgb)


def contrast(one: str, other: str) -> float:
    low, high = sorted(float(linear(colour) @ (0.2126, 0.7152, 0.0722)) + 0.05 for colour in (one, other))
    return high / low


def shades(theme: str) -> dict[str, str]:
    """What the browser draws for each colour of MEANINGS."""
    if theme == "light":
        return {colour: colour for colour in MEANINGS}
    pairs = re.findall(r"light: \[([^\]]+)\],?\s+dark: \[([^\]]+)\]", PLOT_JS)
    return {light: dark for pair in pairs for light, dark in zip(*(re.findall("#[0-9A-F]{6}", part) for part in pair), strict=True)
            if light in MEANINGS}


@pytest.mark.parametrize("theme", GROUND)
@pytest.mark.parametrize("eye", EYES)
def test_colours_that_mean_something_are_told_apart(theme: str, eye: str) -> None:
    drawn = shades(theme)
    assert set(drawn) == set(MEANINGS)
    seen = {colour: oklab(np.clip(EYES[eye] @ linear(shade), 0, 1)) for colour, shade in drawn.items()}
    *_, pink = MEANINGS
    for one, other in itertools.combinations(MEANINGS, 2):
        assert np.linalg.norm(seen[one] - seen[other]) >= (RINGED if pink in (one, other) else APART), (MEANINGS[one], MEANINGS[other])
    assert all(contrast(shade, GROUND[theme]) >= 3 for shade in drawn.values())


def test_old_runs_are_drawn_in_shades_of_today() -> None:
    earlier = re.search(r"const EARLIER = \{(.+?)\}", PLOT_JS, re.DOTALL)
    assert earlier and set(re.findall(r': "(#[0-9A-F]{6})"', earlier[1])) <= set(MEANINGS)
