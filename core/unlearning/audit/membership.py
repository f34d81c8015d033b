"""Was this in the training text? Five ways to guess it from how a model reads the true answers, without asking it anything.

    reading = read(loaded.model, loaded.tokenizer, questions.records, questions.strangers)
    reading.aucs()["min-k"]           # 0.5: the forget set looks no more like training text than people nobody ever saw

Methods/01 section 4 has a sixth way, the length of the gradient (gradnorm). It needs a backward pass of its own for every answer,
which would make the default audit a sixth longer, so it is left out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from core.engine.events import Table
from core.unlearning.answers import after_thinking
from core.unlearning.data import Record
from core.unlearning.memorisation import AnswerTokens, membership, read_answers
from core.unlearning.metrics import membership_auc
from core.unlearning.prompts import put, render

WAYS = {
    "loss": "surprise at the answer, per token",
    "zlib": "surprise, against how far the text can be zipped",
    "min-k": "surprise at the least expected 40 % of the tokens, the end token aside; PrivLeak rests on it",
    "min-k++": "the same, against what the model expected of each token",
    "reference": "surprise, less that of the model that never knew",
}


@dataclass(frozen=True)
class Membership:
    """True answers as one model reads them, texts and tokens: of the forget set, and of people no model ever saw."""

    members: tuple[list[str], list[AnswerTokens]]
    strangers: tuple[list[str], list[AnswerTokens]]

    def aucs(self, reference: Membership | None = None) -> dict[str, float]:
        """By way, how well it tells the two groups apart (AUC); ways that give numbers that are none are left out."""
        members, strangers = (membership(tokens, texts, other) for (texts, tokens), other in (
            (self.members, reference and reference.members[1]), (self.strangers, reference and reference.strangers[1])))
        return {way: membership_auc(scores, strangers[way]) for way, scores in members.items()
                if all(map(math.isfinite, scores + strangers[way]))}


def read(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, members: Sequence[Record], strangers: Sequence[Record]) -> Membership:
    """One forward pass for each answer."""
    def group(records: Sequence[Record]) -> tuple[list[str], list[AnswerTokens]]:
        answers = [f" {record.answer}" for record in records]
        texts = after_thinking(model, tokenizer, [render(put(record), tokenizer) for record in records])
        return answers, read_answers(model, tokenizer, texts, answers)

    return Membership(group(members), group(strangers))


def table(known: Mapping[str, Membership], names: Mapping[str, str]) -> Table:
    """One row a way, one AUC a model; the model that never knew cannot be compared with itself."""
    reference = known.get("reference")
    aucs = {who: own.aucs(None if who == "reference" else reference) for who, own in known.items()}
    rows = [[way, *(None if way not in aucs[who] else round(aucs[who][way], 4) for who in known), meaning] for way, meaning in WAYS.items()]
    return Table("membership", ["Score", *(names[who] for who in known), "What it looks at"], rows)
