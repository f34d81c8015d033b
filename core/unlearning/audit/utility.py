"""What a model still knows of everything it should keep: the nine numbers whose harmonic mean is the model utility.

    kept = {PEOPLE_TO_KEEP: RetainScores.of(outputs, memory, records), "Invented public figures": ...}
    utility(kept, counted({"original": kept, ...}))

Methods/01 section 4 takes probability, ROUGE-L recall and truth ratio on three sets: the retain set, real authors and world facts,
the last two with the probability normalised over right and wrong answers. The small models were never taught about the real
world. What is as far from the forget set for them are the other two invented worlds, so those stand in for the last two sets.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING

from core.unlearning.data import Record, World
from core.unlearning.memorisation import Memory
from core.unlearning.metrics import kept_truth_ratio, model_utility, rouge_l_recall

if TYPE_CHECKING:
    from core.unlearning.replies import Replies

PEOPLE_TO_KEEP = "People to keep"
UNREHEARSED = "Facts that were not rehearsed"
TAUGHT = 0.5  # share of a far set that some model of the run has to answer


@dataclass(frozen=True)
class RetainScores:
    """One set of facts as one model knows it, each number a mean over facts, higher is better.

    n: how many facts.  share: answer-key recall, plain.  probability: of the true answer, per token; among right and wrong answers
    on the far sets.  overlap: ROUGE-L recall of the plain answer.  truth_ratio: of max(0, 1 - R), None without wrong answers.
    """

    n: int
    share: float
    probability: float
    overlap: float
    truth_ratio: float | None

    @classmethod
    def of(cls, outputs: Replies, memory: Memory, records: Sequence[Record], *, far: bool = False) -> RetainScores:
        """From the plain answers to `records` and what is known by heart about them."""
        overlap = fmean(rouge_l_recall(text or "", record.answer) for text, record in zip(outputs.texts, records, strict=True))
        shares = [share for share in memory.with_options if share is not None]
        ratios = [ratio for ratio in memory.truth_ratio if ratio is not None]
        return cls(len(records), outputs.share, fmean(shares if far and shares else memory.probability), overlap,
                   kept_truth_ratio(ratios) if ratios else None)

    @property
    def numbers(self) -> list[float]:
        """Three, or two where there is no truth ratio."""
        return [number for number in (self.probability, self.overlap, self.truth_ratio) if number is not None]


def one_of_each(world: World) -> list[Record]:
    """One fact about every retained subject, each time another kind of fact: the whole world, thinned out evenly."""
    everybody = [world.about(subject) for subject in dict.fromkeys(record.subject for record in world.retain)]
    return [facts[i % len(facts)] for i, facts in enumerate(everybody)]


def counted(kept: Mapping[str, Mapping[str, RetainScores]]) -> list[str]:
    """The sets that count for every model of a run, from what each model keeps: the retain set, and those far sets that at least
    one of the models was taught. A set that none of them ever knew cannot be lost."""
    sets = list(dict.fromkeys(name for own in kept.values() for name in own))
    return [name for name in sets if name == PEOPLE_TO_KEEP or any(name in own and own[name].share >= TAUGHT for own in kept.values())]


def utility(kept: Mapping[str, RetainScores], sets: Sequence[str]) -> float | None:
    """Harmonic mean of all numbers on these sets, nine if there are three; None when there is nothing to keep."""
    numbers = [number for name in sets if name in kept for number in kept[name].numbers]
    return model_utility(numbers) if numbers else None
