"""A blind test with people: the planned edit against an edit by chance that changes the picture as much, left or right by lot.

    pair = pair_of(lab, config, number=3)            # Pair: target, planned and chance, and which of them stands on the left
    votes_of("1L 2R 3=")                             # {1: "L", 2: "R", 3: "="}

Nobody is asked for a name. Votes are a line of the run's config: they stay in this lab, and go when the run is deleted.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from core.emotion import figures, pictures
from core.emotion.control import random_edit
from core.emotion.critic import GATES, Critic
from core.emotion.cues import small
from core.emotion.judge import judge
from core.emotion.mikels import EMOTIONS
from core.emotion.planner import Search, found_for
from core.emotion.second_judge import SecondJudge
from core.emotion.spec import MOST_PAIRS, PHOTOGRAPHS, PairConfig, PictureConfig, StudyConfig
from core.emotion.tools import apply_all
from core.engine.answers import Answer, data_uri
from core.engine.errors import LabError
from core.engine.events import Event, Figure, Metric, Progress, Table, Verdict
from core.stats import wilson

if TYPE_CHECKING:
    from core.engine.lab import Lab

SIDE = 360  # longest side at which a pair is made and shown
CHOICES = {"L": "left", "R": "right", "=": "no difference"}
_VOTE = re.compile(r"(\d{1,2})([LR=])")


@dataclass(frozen=True)
class Pair:
    """planned, chance: bytes (height, width, 3).  left: whether the planned one stands on the left."""

    target: str
    planned: np.ndarray
    chance: np.ndarray
    left: bool
    picture: str


@dataclass(frozen=True)
class Shown(Answer):
    """What one is asked, and nothing of which is which."""

    target: str


def votes_of(text: str) -> dict[int, str]:
    """{number of the pair: "L", "R" or "="}; a later vote on a pair replaces an earlier one. Raises LabError for other words."""
    words = text.split()
    found = [_VOTE.fullmatch(word) for word in words]
    if not all(found) or any(not 1 <= int(one[1]) <= MOST_PAIRS for one in found):
        raise LabError("These are no votes.", f"A vote is the number of a pair, 1 to {MOST_PAIRS}, and L, R or =: for example 1L 2R 3=.")
    return {int(one[1]): one[2] for one in found}


def lot_of(number: int, own: str = "") -> bytes:
    """What chance decides about a pair: an odd first byte puts the planned edit on the left, the second seeds the edit by chance."""
    return hashlib.sha256(f"{number}/{own}".encode()).digest()


def pair_of(lab: Lab, config: PairConfig | StudyConfig, number: int) -> Pair:
    """The pair with a number, 1 to 12: the same for the same picture. Raises LabError for a picture that cannot be read."""
    name = list(PHOTOGRAPHS)[(number - 1) % len(PHOTOGRAPHS)]
    source = pictures.load(lab, PictureConfig(own=config.own, picture=name), SIDE).pixels
    source = np.asarray(pictures.shown(source, SIDE))
    target = EMOTIONS[(5 * number) % len(EMOTIONS)]  # 5 and 8 have no common part: all eight come in turn
    lot = lot_of(number, config.own)
    critic = Critic(source, target, GATES["normal"])
    plans = Search(critic).plans(found_for(critic, by_gap=True), 1)
    steps = plans[0].steps if plans else ()
    planned = apply_all(source, steps)
    likeness = plans[0].expected.likeness if plans else 1.0
    chosen, _, _ = random_edit(critic.small, likeness, max(1, len(steps)), np.random.default_rng(lot[1]))
    return Pair(target, planned, apply_all(source, chosen), bool(lot[0] % 2), "your picture" if config.own else PHOTOGRAPHS[name])


def pair(config: PairConfig, lab: Lab) -> Shown:
    """Two edits of one picture, side by side and without names."""
    made = pair_of(lab, config, config.number)
    sides = [made.planned, made.chance] if made.left else [made.chance, made.planned]
    images = {name: data_uri(pictures.shown(one, SIDE)) for name, one in zip(("left", "right"), sides, strict=True)}
    return Shown(target=made.target, says=f"Pair {config.number} of {MOST_PAIRS}: which one feels more like {made.target}?", images=images)


def study(config: StudyConfig, lab: Lab) -> Iterator[Event]:
    """Counts votes: how often the planned edit was chosen, and how often the judges would have chosen it."""
    votes = votes_of(config.votes)
    yield Progress(0, max(1, len(votes)), "counting")
    rows, chosen, judges = [], [], []
    second = SecondJudge.of(lab, config.judge) if votes else None
    for done, (number, vote) in enumerate(sorted(votes.items())):
        made = pair_of(lab, config, number)
        at = EMOTIONS.index(made.target)
        likes = [judge(small(made.planned))[at] > judge(small(made.chance))[at],
                 second.read(made.planned)[at] > second.read(made.chance)[at]]
        mine = None if vote == "=" else (vote == "L") == made.left
        words = {None: "no difference", True: "the planned one", False: "the one by chance"}
        rows.append([number, made.picture, made.target, words[mine], *(words[bool(one)] for one in likes)])
        chosen.append(mine)
        judges.append([bool(one) for one in likes])
        yield Progress(done + 1, len(votes), f"pair {number}")
        yield Table("votes", ["Pair", "Picture", "Emotion", "You chose", "First judge prefers", "Second judge prefers"], list(rows))
    yield from _counted(chosen, judges)


def _counted(chosen: list[bool | None], judges: list[list[bool]]) -> Iterator[Event]:
    clear = [one for one in chosen if one is not None]
    hits, n = sum(clear), len(clear)
    low, high = wilson(hits, n)
    alike = [[one == theirs[k] for one, theirs in zip(chosen, judges, strict=True) if one is not None] for k in (0, 1)]
    counts = {"votes": len(chosen), "planned": hits, "chance": n - hits, "no difference": len(chosen) - n}
    for name, value in counts.items():
        yield Metric(name, float(value))
    for name, agree in zip(("with first", "with second"), alike, strict=True):
        if agree:
            yield Metric(name, sum(agree) / len(agree))
    if n:
        yield Figure("chosen", figures.chosen(counts))
    yield _verdict(hits, n, len(chosen), (low, high), alike)


def _verdict(hits: int, n: int, votes: int, interval: tuple[float, float], alike: list[list[bool]]) -> Verdict:
    low, high = interval
    if not votes:
        words = "There are no votes yet: look at the first pair and choose."
        return Verdict(words, {"votes": 0}, words)
    than = "more" if low > 0.5 else "less" if high < 0.5 else ""
    said = f"{than} often than guessing would" if than else "which guessing may do too"
    headline = f"You chose the planned edit in {hits} of {n} pairs, {said}." if n else "You saw no difference in any pair."
    text = (
        f"{headline} 95 % interval of the share: {low:.0%} to {high:.0%}; guessing gives 50 %. "
        + (f"You agree with the first judge in {sum(alike[0])} and with the second in {sum(alike[1])} of {n}. " if n else "")
        + "One person and so few pairs say little about people; both edits change the picture as much, so only the kind of edit counts."
    )
    evidence: dict[str, Any] = {"votes": votes, "planned edit chosen": hits, "of clear votes": n, "95 % interval": [low, high]}
    return Verdict(text, evidence, headline)
