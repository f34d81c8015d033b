"""How a world of question-answer records is dealt out from templates and shared pools.

First names, surnames and all values come from pools, and every part of a subject to forget also belongs to a retained
one: a model that never met the subject can still guess, so chance is not zero and the reference is an honest floor.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from core.unlearning.data import LADDER, Record, World, new_world
from core.unlearning.prompts import shuffled

PERTURBED = 4


@dataclass(frozen=True)
class Fact:
    """Templates of one attribute with {s} for the subject and {v} for the value; `values` are single words.

    clause follows "Which author ...".  affirmative ends where the value begins.  cloze has ___ for the value.
    """

    question: str
    answer: str
    asked_otherwise: str
    said_otherwise: str
    clause: str
    values: str
    affirmative: str = ""
    cloze: str = ""

    def record(self, attribute: str, subject: str, value: str, split: str, rng: torch.Generator) -> Record:
        """This fact about one subject, with wrong answers drawn from `rng`."""
        fill = {"s": subject, "v": value}
        wrong = [v for v in shuffled(self.values.split(), rng) if v != value][:PERTURBED]
        start = self.question.index("{s}")
        return Record(self.question.format(**fill), self.answer.format(**fill), value, subject, (start, start + len(subject)),
                      attribute, split, self.asked_otherwise.format(**fill), self.said_otherwise.format(**fill),
                      tuple(self.answer.format(s=subject, v=v) for v in wrong), self.clause.format(**fill),
                      self.affirmative.format(**fill), self.cloze.format(**fill))


@dataclass(frozen=True)
class Cast:
    """Who is in a world: `retained` and `held_out` subjects besides the six to forget, and the parts of their names.

    The lengths of `first` and `last` have no common divisor, so that walking through both gives only different names.
    """

    retained: int
    held_out: int
    first: str
    last: str


def deal_world(name: str, cast: Cast, facts: Mapping[str, Fact], seed: int) -> World:
    """The same world for the same seed; pools are dealt out like cards so that values repeat evenly."""
    rng = torch.Generator().manual_seed(seed)
    small, middle, large = LADDER
    splits = (["forget1"] * small + ["forget3"] * (middle - small) + ["forget6"] * (large - middle)
              + ["retain"] * cast.retained + ["holdout"] * cast.held_out)
    firsts, lasts = shuffled(cast.first.split(), rng), shuffled(cast.last.split(), rng)
    names = [f"{firsts[i % len(firsts)]} {lasts[i % len(lasts)]}" for i in range(len(splits))]
    hands = {attribute: _deal(fact.values.split(), splits, rng) for attribute, fact in facts.items()}
    return new_world(name, [fact.record(attribute, subject, hands[attribute][i], split, rng)
                            for i, (subject, split) in enumerate(zip(names, splits, strict=True)) for attribute, fact in facts.items()])


def _deal(values: Sequence[str], splits: Sequence[str], rng: torch.Generator) -> list[str]:
    """One value per subject; the retained subjects together hold every value at least once."""
    retained = splits.count("retain")
    deck = [value for _ in range(retained // len(values) + 1) for value in shuffled(values, rng)][:retained]
    kept, others = iter(shuffled(deck, rng)), iter(shuffled(values, rng))
    return [next(kept) if split == "retain" else next(others) for split in splits]
