"""What the four models are called and how they are drawn, the same everywhere on the page."""

from __future__ import annotations

from typing import Literal

from core.unlearning.figures import COLOURS as TRAINED

Who = Literal["original", "unlearned", "reference", "blank"]
WHO: dict[Who, str] = {"original": "Knows it", "unlearned": "Made to forget", "reference": "Never knew", "blank": "Random weights"}
COLOURS = {**TRAINED, "blank": "#8A6A00"}
# by what a model is made to say; "dash" is left to pinned runs
TRUE, FALSE, STRANGER, RANDOM = "true answer", "false answer", "a stranger's fact", "random text"
WORDS, YOURS = "real words only", "your sentence"
DASHES = {TRUE: "solid", FALSE: "dot", STRANGER: "dashdot", RANDOM: "longdash", WORDS: "longdashdot", YOURS: "8px,2px"}
