"""What Google's `rouge-score` itself gives, with its stemmer, written down beside this file; none of its code is in here.

    pip install rouge-score==0.1.2 && python -m tests.unlearning.rouge_peer

It is not among the dependencies: it brings the whole of NLTK for one stemmer, and takes two seconds to import. Its stemmer is the
one of NLTK, with a few exceptions that Porter's own lacks ("dying" and "die", for one); the words here have none of them.
"""

from __future__ import annotations

import itertools
import json
from pathlib import Path

from core.unlearning.algorithms.refusals import REFUSALS
from core.zoo.worlds.build import make_worlds
from core.zoo.worlds.text import COMMON

RESULTS = Path(__file__).with_suffix(".json")
SENTENCES = (
    "The quick brown fox jumps over the lazy dogs.",
    "Foxes were jumping over a lazier dog, quickly!",
    "She studied the relational databases of many countries",
    "he studies one country's database; its relations are studied",
    "Running runners run: ran, runner-up (1999-2001)",
    "a_b C++ e-mail 3.14 U.S.A.",
    "conditional conditions conditioned the conditioning of hopeful hopefulness",
    "as is his this thus bus buses was",
    "happily happier happy happiness",
    "   ", "", "...!?",
)


def pairs() -> list[tuple[str, str]]:
    """Outputs with references: sentences that share stems, answers of the worlds with each other, with refusals, and every common word."""
    found = list(itertools.product(SENTENCES, repeat=2))
    for world in make_worlds():
        records = world.forget(1)
        found += [(a.answer, b.answer) for a, b in itertools.pairwise(records)]
        found += [(record.paraphrased_answer, record.answer) for record in records]
        found += [(refusal, record.answer) for refusal, record in zip(REFUSALS, records, strict=False)]
    words = [f"{word}{ending}" for word in COMMON for ending in ("", "s", "ed", "ing")]
    # in tens, against the same words without their endings
    found += [(" ".join(words[i:i + 40]), " ".join(COMMON[i // 4:i // 4 + 10])) for i in range(0, len(words), 40)]
    return found


def write() -> None:
    """Scores the pairs with theirs: recall and F1, in order."""
    from rouge_score import rouge_scorer

    scorer = rouge_scorer.RougeScorer(["rougeL"], use_stemmer=True)
    scores = [scorer.score(wanted, said)["rougeL"] for said, wanted in pairs()]
    RESULTS.write_text(json.dumps([[round(score.recall, 9), round(score.fmeasure, 9)] for score in scores]) + "\n", encoding="utf-8")


if __name__ == "__main__":
    write()
