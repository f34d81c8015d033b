"""What may evoke an emotion, and the retriever that picks what this picture lacks (methods/04 section 4.3).

    found = retrieve("fear", cues(picture), used={"fog": 1})
    found[0].phrase, found[0].leaves                   # "deep darkness", (("exposure", -1), ("night", 1))

score = weight x gap x fit x novelty: `gap` prefers what the picture lacks, `fit` is 0 for what this computer cannot do, `novelty`
halves with each use. Free text is matched by TF-IDF over the phrases.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from core.emotion.mikels import EMOTIONS
from core.emotion.tools import TOOLS

FILE = Path(__file__).with_name("factors.txt")
TOP, EACH_FACTOR = 8, 3
WISH = 8.0  # a factor named in the words of the visitor comes before all others
LARGEST_GAP = 2.0
Leaf = tuple[str, int]  # tool, and +1 or -1


@dataclass(frozen=True)
class Factor:
    """One line of factors.txt. aims: z by cue.  weight: how common it is for its emotion, 0 to 1.  needs: cpu, or gpu: listed, not done."""

    emotion: str
    factor: str
    phrase: str
    aims: Mapping[str, float]
    leaves: tuple[Leaf, ...]
    weight: float
    needs: str


@dataclass(frozen=True)
class Found:
    """A factor with its score and the parts of it."""

    factor: Factor
    score: float
    gap: float
    novelty: float


@functools.cache
def knowledge() -> tuple[Factor, ...]:
    """All factors, in the order of the file. Raises ValueError for a line that is wrong: a test reads them all."""
    lines = [line for line in FILE.read_text(encoding="utf-8").splitlines() if line.strip() and not line.startswith("#")]
    return tuple(_factor(line) for line in lines)


def _factor(line: str) -> Factor:
    emotion, factor, phrase, aims, leaves, weight, needs = (part.strip() for part in line.split("|"))
    parsed = tuple((leaf.strip()[:-1], 1 if leaf.strip()[-1] == "+" else -1) for leaf in leaves.split(",") if leaf != "-")
    if emotion not in EMOTIONS or needs not in ("cpu", "gpu") or any(tool not in TOOLS for tool, _ in parsed):
        raise ValueError(line)
    wanted = {pair.split()[0]: float(pair.split()[1]) for pair in aims.split(",")}
    return Factor(emotion, factor, phrase, wanted, parsed, float(weight), needs)


def whitelist(target: str) -> tuple[Leaf, ...]:
    """Every leaf of an emotion's tree that this computer can do, once, in the order of the file."""
    return tuple(dict.fromkeys(leaf for one in knowledge() if one.emotion == target for leaf in one.leaves))


def gap(aims: Mapping[str, float], z: Mapping[str, float]) -> float:
    """How much a picture lacks of what a factor aims at: mean of |wanted - had|, cut off at 2, halved (0 to 1)."""
    parts = [min(LARGEST_GAP, abs(want - z[cue])) for cue, want in aims.items()]
    return sum(parts) / len(parts) / LARGEST_GAP


def retrieve(
    target: str,
    z: Mapping[str, float],
    query: str = "",
    k: int = TOP,
    *,
    used: Mapping[str, int] | None = None,
    masked: bool = False,
    by_gap: bool = True,
) -> list[Found]:
    """The k best factors of an emotion for a picture with cues `z`, at most 3 of a kind, best first.

    query: words of the visitor, which then count more than the rest.  used: how often each tool was used in this run.
    masked: a part of the picture is marked.  by_gap: False ranks by weight alone, the ablation.
    """
    words = _likeness(query, target) if query else {}
    found = []
    for one in knowledge():
        if one.emotion != target or one.needs != "cpu" or not one.leaves:
            continue
        lacks = gap(one.aims, z) if by_gap else 1.0
        novelty = 0.5 ** min((used or {}).get(tool, 0) for tool, _ in one.leaves)
        found.append(Found(one, one.weight * lacks * novelty * (1 + WISH * words.get(one.phrase, 0.0)), lacks, novelty))
    found.sort(key=lambda item: (-item.score, item.factor.phrase))
    kept, kinds = [], Counter[str]()
    for item in found:
        if kinds[item.factor.factor] < EACH_FACTOR and len(kept) < k:
            kept.append(item)
            kinds[item.factor.factor] += 1
    return kept


def _likeness(query: str, target: str) -> dict[str, float]:
    from sklearn.feature_extraction.text import TfidfVectorizer

    phrases = [one.phrase for one in knowledge() if one.emotion == target]
    matrix = TfidfVectorizer(sublinear_tf=True, analyzer="char_wb", ngram_range=(3, 5)).fit_transform([*phrases, query[:400]])
    likeness = (matrix[:-1] @ matrix[-1].T).toarray()[:, 0]
    return dict(zip(phrases, map(float, likeness), strict=True))
