"""The critic: scores a picture, says what is missing, and decides what happens next (methods/04 sections 7.3 and 7.4).

critic = Critic(source, target="fear", gate=0.8)
seen = critic.judge(edited)                  # Score
critic.verdict(seen, before=last)            # "keep", "rollback", ...
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from core.emotion.colour import Likeness
from core.emotion.cues import WORDS, Cues, cues, small
from core.emotion.judge import THRESHOLDS, gaps, judge_cues
from core.emotion.mikels import EMOTIONS

GATES = {"subtle": 0.8, "normal": 0.65, "bold": 0.5}
OUTSIDE = 0.9  # likeness that the part outside a mask has to keep
CLIPPED = 0.03  # more of the picture may be pure black or white than before
WORSE, BETTER = -0.01, 0.01
LENGTH_PENALTY = 0.02


@dataclass(frozen=True)
class Score:
    """What the first judge and the gates say of one picture. q: eight probabilities.  likeness: SSIM with the source, at a fixed size.

    j: the critic's score.  clipped: share of pixels cut off beyond what is allowed.  passes: whether all gates hold.
    """

    z: Cues
    q: tuple[float, ...]
    share: float
    gain: float
    margin: float
    likeness: float
    clipped: float
    j: float
    passes: bool

    @property
    def felt(self) -> str:
        """The likeliest emotion."""
        return EMOTIONS[int(np.argmax(self.q))]

    def plain(self) -> dict[str, Any]:
        """As plain data, for a state that is stored."""
        return {
            "share": self.share,
            "gain": self.gain,
            "margin": self.margin,
            "likeness": self.likeness,
            "j": self.j,
            "passes": self.passes,
            "felt": self.felt,
            "q": list(self.q),
            "z": dict(self.z),
        }


@dataclass
class Critic:
    """Judges pictures with one source, bytes (height, width, 3). strictness: how many times the usual threshold has to be reached.

    gate: the least likeness.  mask: where edits are allowed (height, width); outside almost nothing may change.
    """

    source: np.ndarray
    target: str
    gate: float = 0.8
    strictness: float = 1.0
    mask: np.ndarray | None = None
    evaluations: int = 0
    _likeness: Likeness = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.small = small(self.source)
        self._likeness = Likeness(self.small)
        self._outside = None if self.mask is None else 1 - _fitted(self.mask, self.small.shape[:2])
        self._clipped = _clipped(self.small)
        z = cues(self.small)
        self.first = self._score(z, judge_cues(z), 1.0, 0.0, 0.0)

    @property
    def index(self) -> int:
        return EMOTIONS.index(self.target)

    @property
    def threshold(self) -> float:
        """The probability of the target from which it counts as reached."""
        return min(0.95, THRESHOLDS[self.target] * self.strictness)

    def judge(self, picture: np.ndarray) -> Score:
        """The score of a picture of bytes (height, width, 3)."""
        self.evaluations += 1
        seen = small(picture)
        z = cues(seen)
        q, likeness = judge_cues(z), self._likeness.to(seen)
        clipped = max(0.0, _clipped(seen) - self._clipped - CLIPPED)
        outside = 1.0 if self._outside is None else self._likeness.to(seen, self._outside)
        return self._score(z, q, likeness, clipped, max(0.0, OUTSIDE - outside))

    def _score(self, z: Cues, q: np.ndarray, likeness: float, clipped: float, spilled: float) -> Score:
        share, others = float(q[self.index]), float(np.delete(q, self.index).max())
        start = self.first.share if hasattr(self, "first") else share
        gate = self.gate if self.mask is None else 0.0
        j = (share - start) + 0.3 * max(0.0, share - others) - 0.5 * max(0.0, gate - likeness) - 0.3 * clipped
        return Score(
            z,
            tuple(float(p) for p in q),
            share,
            share - start,
            share - others,
            likeness,
            clipped,
            float(j),
            bool(likeness >= gate and clipped == 0 and spilled == 0),
        )

    def reached(self, score: Score) -> bool:
        """Whether the target is the likeliest emotion, likely enough, and all gates hold."""
        return score.passes and score.margin > 0 and score.share >= self.threshold

    def diagnosis(self, score: Score) -> list[dict[str, Any]]:
        """What is still missing: [{"cue", "have", "want", "gap"}], the largest gap first."""
        return [
            {"cue": cue, "have": round(have, 2), "want": want, "gap": round(want - have, 2)}
            for cue, have, want in gaps(score.z, self.target)
        ]


def advice(z: Mapping[str, float], target: str) -> str:
    """The largest gap, as somebody who stands before the picture would say it."""
    cue, have, want = gaps(z, target)[0]
    return f"{'more' if want > have else 'less'} {WORDS[cue]}"


def _clipped(picture: np.ndarray) -> float:
    return float(((picture == 0).all(-1) | (picture == 255).all(-1)).mean())


def _fitted(mask: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    from core.emotion.tools import stretched

    return stretched(mask.astype(np.float32), shape)
