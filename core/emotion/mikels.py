"""The eight emotions of Mikels, their places on the wheel and their anchors, and words that mean one of them. Imports no torch.

Order and wheel: methods/04 section 2. The anchors stand on a coarse grid that is ours: the lexicon's numbers are not shipped.
"""

from __future__ import annotations

EMOTIONS = ("amusement", "awe", "contentment", "excitement", "anger", "disgust", "fear", "sadness")
POSITIVE = frozenset(EMOTIONS[:4])
# degrees, counter-clockwise, in steps of 45 from 22.5
WHEEL = ("amusement", "excitement", "anger", "disgust", "fear", "sadness", "awe", "contentment")
# pleasure and arousal, -1 to 1
ANCHORS = {
    "amusement": (1.0, 0.5),
    "awe": (0.5, 0.25),
    "contentment": (1.0, -0.5),
    "excitement": (1.0, 1.0),
    "anger": (-1.0, 1.0),
    "disgust": (-1.0, 0.5),
    "fear": (-1.0, 0.75),
    "sadness": (-1.0, -0.75),
}
ALIASES = {
    "joy": "amusement",
    "happy": "amusement",
    "fun": "amusement",
    "calm": "contentment",
    "peace": "contentment",
    "horror": "fear",
    "scary": "fear",
    "wonder": "awe",
    "rage": "anger",
    "sad": "sadness",
    "thrill": "excitement",
}
# Of an emotion's colour phrases in the public factor table of EmoEdit, the share in each family (methods/04 section 4.2, percent).
FAMILIES = ("bright", "dark", "warm", "cool", "vivid", "muted", "stark", "soft", "unclean")
SHARES = {
    "amusement": (53, 0, 46, 1, 12, 0, 0, 0, 0),
    "awe": (31, 0, 61, 11, 34, 1, 8, 29, 2),
    "contentment": (4, 0, 81, 3, 0, 0, 0, 65, 0),
    "excitement": (51, 3, 20, 5, 84, 0, 28, 0, 0),
    "anger": (5, 54, 38, 0, 26, 0, 36, 0, 0),
    "disgust": (9, 77, 11, 0, 0, 69, 9, 3, 34),
    "fear": (4, 94, 14, 2, 0, 4, 12, 0, 14),
    "sadness": (4, 81, 6, 2, 0, 70, 0, 2, 2),
}


def angle(emotion: str) -> float:
    """Where an emotion stands on the wheel, in degrees."""
    return 22.5 + 45 * WHEEL.index(emotion)


def distance(one: str, other: str) -> int:
    """Steps on the wheel, and one more between pleasant and unpleasant. For words only, never a gate (methods/04 section 2)."""
    steps = abs(WHEEL.index(one) - WHEEL.index(other))
    return min(steps, len(WHEEL) - steps) + ((one in POSITIVE) != (other in POSITIVE))
