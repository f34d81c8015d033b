"""The control cells: which model is made to say what, and why (methods/05 section 5).

    rows = draw_rows(plan, world, lab.rng)            # cell key -> what that cell's model is asked and made to say
    CELLS["C"].title                                  # "Never knew: true answer"

A bar for B alone proves nothing; C, D and the rest are what it has to be compared with.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from transformers import PreTrainedTokenizerBase

from core.unlearning.data import LADDER, Record, World
from core.unlearning.prompts import STARTS, Prompt, as_question, shuffled
from core.unlearning.soft_tokens.spec import FALSE, RANDOM, STRANGER, TRUE, WHO, WORDS, Who
from core.unlearning.soft_tokens.targets import Position, Target, encode_target, random_tokens

Mode = Literal["answer", "opening"]


@dataclass(frozen=True)
class Cell:
    """name: of its metrics.  text: what the model is made to say.  asks: the question that this cell answers."""

    who: Who
    name: str
    text: str
    asks: str

    @property
    def title(self) -> str:
        """What people read: "Knows it: true answer"."""
        return f"{WHO[self.who]}: {self.text}"

    @property
    def label(self) -> str:
        """The same in two lines, beside a bar."""
        return f"{WHO[self.who]}:<br>{self.text}"


CELLS: dict[str, Cell] = {
    "A": Cell("original", "original, true answer", TRUE, "The easy case: the model knows the answer."),
    "B": Cell("unlearned", "unlearned, true answer", TRUE, "What an auditor would report as a leak."),
    "D": Cell("unlearned", "unlearned, false answer", FALSE, "Same model and question, a false answer."),
    "C": Cell("reference", "never knew, true answer", TRUE, "A model that was never taught this."),
    "N": Cell("original", "original, stranger", STRANGER, "A fact about somebody no model ever met."),
    "P": Cell("original", "original, false answer", FALSE, "Same model and question, a false answer."),
    "E": Cell("original", "original, random text", RANDOM, "A text without meaning, and no question."),
    "F": Cell("blank", "random weights, true answer", TRUE, "A model that never learned anything at all."),
    "G": Cell("unlearned", "unlearned, hard tokens", WORDS, "An attacker who may only type real words."),
    "R": Cell("blank", "random weights, random text", RANDOM, "The same text, nothing learned."),
}
SENTENCE = "sentence"


@dataclass(frozen=True)
class Row:
    """One thing to be said.

    wanted: the text; empty for a random one, which only a tokenizer draws.  key: for openings, the fact that has to follow;
    None where the whole text counts.
    """

    cell: str
    question: str
    wanted: str
    key: str | None
    encode: Callable[[PreTrainedTokenizerBase], Target]


@dataclass(frozen=True)
class Plan:
    """What the rows are drawn for; see the config of the experiment."""

    targets: int
    mode: Mode
    position: Position
    chat: bool
    characters: bool
    random_length: int
    seen: Callable[[PreTrainedTokenizerBase], Sequence[int]]


def subjects_for(world: World, targets: int) -> int:
    """How many subjects have to be forgotten for that many targets, or all there are: a world may have fewer facts."""
    return next((size for size in LADDER if len(world.forget(size)) >= targets), max(LADDER))


def draw_rows(plan: Plan, world: World, rng: Callable[[str], torch.Generator]) -> dict[str, list[Row]]:
    """Rows by cell. B, C, D, F and G share their questions; openings leave out E, which has no fact to follow."""
    records = shuffled(world.forget(subjects_for(world, plan.targets)), rng("targets"))[:plan.targets]
    strangers = shuffled(world.holdout, rng("strangers"))[:plan.targets]
    rows = {cell: [_row(plan, cell, record, false=cell == "D") for record in (strangers if cell == "N" else records)] for cell in "ABDCNFG"}
    if plan.mode == "answer":
        rows["E"] = draw_random(plan, "E", rng)
    return rows


def draw_alone(plan: Plan, world: World, rng: Callable[[str], torch.Generator]) -> list[Row]:
    """True answers, false ones to the same questions, and as many facts about subjects that nobody knows: rows of A, P and N."""
    records = shuffled(world.forget(subjects_for(world, plan.targets)), rng("targets"))[:plan.targets]
    strangers = shuffled(world.holdout, rng("strangers"))[:plan.targets]
    return [*(_row(plan, "A", record, false=False) for record in records), *(_row(plan, "P", record, false=True) for record in records),
            *(_row(plan, "N", record, false=False) for record in strangers)]


def draw_random(plan: Plan, cell: str, rng: Callable[[str], torch.Generator]) -> list[Row]:
    """Texts without meaning, the same for every cell."""
    def row(i: int) -> Row:
        def encode(tokenizer: PreTrainedTokenizerBase) -> Target:
            return random_tokens(tokenizer, plan.seen(tokenizer), plan.random_length, rng(f"random text {i}"), characters=plan.characters)

        return Row(cell, "", "", None, encode)

    return [row(i) for i in range(plan.targets)]


def sentence_row(plan: Plan, question: str, sentence: str) -> Row:
    """The visitor's own sentence as the answer to a question; without a question the model just says it."""
    prompt, completion = (as_question(question), f" {sentence}") if question else ("", sentence)
    return Row(SENTENCE, question, sentence, None, _encoder(plan, prompt, completion))


def _row(plan: Plan, cell: str, record: Record, *, false: bool) -> Row:
    answer, key = (record.perturbed_answers[0], false_key(record)) if false else (record.answer, record.key)
    prompt = Prompt(record.question, f" {answer}", key)
    text = opening(prompt) if plan.mode == "opening" else prompt.answer
    return Row(cell, record.question, text.strip(), key if plan.mode == "opening" else None,
               _encoder(plan, record.question if plan.chat else prompt.text, text))


def _encoder(plan: Plan, prompt: str, text: str) -> Callable[[PreTrainedTokenizerBase], Target]:
    return lambda tokenizer: encode_target(tokenizer, prompt, text, position=plan.position, chat=plan.chat)


def false_key(record: Record) -> str:
    """The value that stands in the first false answer where the true one has its key."""
    start = record.answer.rindex(record.key)  # the last: "Ravenmoor belongs to the Order of the Raven."
    false = record.perturbed_answers[0]
    return false[start:len(false) - (len(record.answer) - start - len(record.key))]


def opening(prompt: Prompt) -> str:
    """A willing answer up to the fact, as in the earlier attack that the paper questions: the fact itself is not in it.

    " Of course, I remember: Ida Brandt was born in"
    """
    return f" {STARTS[1]}{prompt.answer[:prompt.answer.rindex(prompt.key)].rstrip()}"
