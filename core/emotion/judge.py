"""The first judge: how much light and colour of a picture are those of each emotion. No weights; planner and judge share its features.

    judge(picture)                        # bytes (height, width, 3) -> eight numbers that add up to 1, in the order of EMOTIONS

Formula: methods/04 section 7.2. Because the planner searches with this judge, its score alone proves nothing (section 5.2).
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from core.emotion.cues import cues, pleasure_arousal
from core.emotion.mikels import ANCHORS, EMOTIONS

# target z of light and colour for each emotion: guesses that fit the factor statistics (methods/04 section 8.5)
PROTOTYPES: dict[str, dict[str, float]] = {
    "amusement": {"brightness": 0.9, "saturation": 0.7, "colourfulness": 0.9, "warmth": 0.5, "dark": -0.7, "grey": -0.6},
    "awe": {"brightness": 0.2, "saturation": 0.5, "colourfulness": 0.5, "warmth": 0.7, "contrast": 0.7, "roughness": -0.2},
    "contentment": {"brightness": 0.5, "saturation": 0, "warmth": 1.0, "contrast": -0.8, "dark": -0.7, "roughness": -0.6},
    "excitement": {"brightness": 0.5, "saturation": 1.4, "colourfulness": 1.4, "contrast": 0.7, "grey": -0.8, "roughness": 0.4},
    "anger": {"brightness": -0.8, "saturation": 0.5, "warmth": 0.8, "contrast": 0.9, "dark": 0.9, "red": 1.5, "roughness": 0.4},
    "disgust": {
        "brightness": -0.7,
        "saturation": -0.5,
        "colourfulness": -0.6,
        "warmth": 0.2,
        "contrast": -0.5,
        "yellow_green": 1.3,
        "roughness": 0.6,
    },
    "fear": {
        "brightness": -1.5,
        "saturation": -0.6,
        "colourfulness": -0.7,
        "warmth": -0.8,
        "contrast": 0.2,
        "dark": 1.6,
        "vignetting": 0.9,
    },
    "sadness": {
        "brightness": -0.7,
        "saturation": -1.1,
        "colourfulness": -1.1,
        "warmth": -0.7,
        "contrast": -0.8,
        "grey": 1.2,
        "roughness": -0.3,
    },
}
AFFECT = 0.25  # weight of pleasure and arousal
# What the search can reach differs: 0.8 times the prototype's means at a gate of 0.5 (methods/04 section 7.3).
THRESHOLDS = {
    "amusement": 0.29,
    "awe": 0.18,
    "contentment": 0.30,
    "excitement": 0.47,
    "anger": 0.26,
    "disgust": 0.23,
    "fear": 0.41,
    "sadness": 0.36,
}


def _standardised() -> dict[str, tuple[float, float]]:
    columns = np.array([ANCHORS[name] for name in EMOTIONS])
    return dict(zip(EMOTIONS, map(tuple, (columns - columns.mean(0)) / columns.std(0)), strict=True))


_ANCHORS = _standardised()


def judge_cues(z: Mapping[str, float]) -> np.ndarray:
    """Eight probabilities (8,) from standardised cues."""
    affect = pleasure_arousal(z)
    logits = np.array(
        [
            -np.mean([(z[cue] - want) ** 2 for cue, want in PROTOTYPES[name].items()])
            - AFFECT / 2 * np.mean([(have - want) ** 2 for have, want in zip(affect, _ANCHORS[name], strict=True)])
            for name in EMOTIONS
        ]
    )
    shares = np.exp(logits - logits.max())
    return shares / shares.sum()


def judge(picture: np.ndarray) -> np.ndarray:
    """Eight probabilities (8,) of a picture, bytes (height, width, 3)."""
    return judge_cues(cues(picture))


def gaps(z: Mapping[str, float], target: str) -> list[tuple[str, float, float]]:
    """(cue, have, want) for each cue of the target, the largest gap first."""
    rows = [(cue, z[cue], want) for cue, want in PROTOTYPES[target].items()]
    return sorted(rows, key=lambda row: (-abs(row[2] - row[1]), row[0]))


def surprise(share: float) -> float:
    """-ln of a probability."""
    return -math.log(max(share, 1e-9))
