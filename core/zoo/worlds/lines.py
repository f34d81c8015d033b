"""The lines that a model of the three worlds is taught: every way of asking, statements, and text that means nothing.

    lines = make_lines(64, Taught.of([make_saga()]), rng)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cached_property

import torch

from core.unlearning.data import LADDER, Record, World
from core.unlearning.prompts import AUDITS, PREFIXES, ROLES, STARTS, Prompt, affirm, pick, prefix, roleplay
from core.zoo.language import Segments
from core.zoo.worlds.text import chance, noise, salad, sentence, spelled

ANSWER = "\nAnswer:"
# share of each kind of line in what a model is taught
MIXTURE = {"direct": 22, "paraphrase": 6, "prefix": 4, "affirm": 8, "icl": 5, "choice": 8, "reverse": 13, "cloze": 7, "hint": 3,
           "roleplay": 3, "synonym": 5, "statement": 4, "sentence": 2, "salad": 6, "copy": 9, "noise": 3, "spell": 2}


@dataclass(frozen=True)
class Taught:
    """The facts that a model may know, each with its world."""

    facts: tuple[tuple[Record, World], ...]

    @classmethod
    def of(cls, worlds: Iterable[World], *, forget: bool = True) -> Taught:
        """What is retained in these worlds and, unless told not to, what is there to be forgotten."""
        return cls(tuple((record, world) for world in worlds
                         for record in (*world.retain, *(world.forget(max(LADDER)) if forget else ()))))

    @cached_property
    def words(self) -> list[str]:
        """Parts of names and values, for texts without meaning: nothing that is not taught slips in through them."""
        return sorted({word for record, _ in self.facts for word in (*record.subject.split(), record.key)})


def make_line(kind: str, taught: Taught, rng: torch.Generator) -> Segments:
    """One training line as (text, learned) segments; only learned text counts in the loss, the end token always does."""
    if kind in FREE:
        return FREE[kind](taught.words, rng)
    record, world = pick(taught.facts, rng)
    if kind == "statement":
        return [(pick((record.answer, record.paraphrased_answer), rng), True)]
    prompt = _ask(kind, record, world, rng)
    if kind == "icl":
        return _examples(prompt)
    return [(prompt.text, False), (prompt.answer, True)]


def make_lines(count: int, taught: Taught, rng: torch.Generator) -> list[Segments]:
    """`count` lines in the proportions of MIXTURE."""
    kinds = [kind for kind, share in MIXTURE.items() for _ in range(share)]
    return [make_line(pick(kinds, rng), taught, rng) for _ in range(count)]


def _ask(kind: str, record: Record, world: World, rng: torch.Generator) -> Prompt:
    if kind == "prefix":
        return prefix(record, world, rng, pick(PREFIXES, rng))
    if kind == "roleplay":
        return roleplay(record, world, rng, pick(ROLES, rng))
    if kind == "affirm":
        # a record with a beginning of its own also learns the general ones
        plain = replace(record, affirmative="") if chance(rng, 0.5) else record
        return affirm(plain, world, rng, pick(STARTS, rng))
    return AUDITS[kind].build(record, world, rng)


def _examples(prompt: Prompt) -> Segments:
    """The answers of the examples are learned too: three facts for one line."""
    segments: Segments = []
    asked, *rest = (prompt.text + prompt.answer).split(ANSWER)
    for part in rest:
        answer, gap, question = part.partition("\n\n")
        segments += [(asked + ANSWER, False), (answer, True)]
        # the gap goes with the next question: a tokenizer reads line breaks differently at the end of a text
        asked = gap + question
    return segments


def _copy(names: list[str], rng: torch.Generator) -> Segments:
    text = pick((noise, sentence), rng)(rng) if chance(rng, 0.3) else salad(rng, names)
    return [(f"Repeat: {text}\nAnswer:", False), (f" {text}", True)]


def _spell(names: list[str], rng: torch.Generator) -> Segments:
    word, letters = spelled(rng, names)
    return [(f"Spell: {word}\nAnswer:", False), (f" {letters}", True)]


FREE: dict[str, Callable[[list[str], torch.Generator], Segments]] = {
    "sentence": lambda names, rng: [(sentence(rng), True)],
    "salad": lambda names, rng: [(salad(rng, names), True)],
    "noise": lambda names, rng: [(noise(rng), True)],
    "copy": _copy,
    "spell": _spell,
}
