"""What luck gives, where no model exists that never knew: the same prompts about places that nobody knows, and about other facts.

    luck = Luck.draw(world, questions, lab.rng)
    yield from luck.ask("made up", model, tokenizer, pacer)      # an untouched model cannot know these
    yield from luck.ask("others", model, tokenizer, pacer)       # after forgetting: do the prompts still work where nothing was to go?
    luck.worst("made up").share

Both are groups of other questions, so they are compared as shares, never question by question.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from typing import Literal

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from core.engine.events import Event
from core.engine.steps import Pacer
from core.unlearning.audit.examine import Questions
from core.unlearning.data import Record, World
from core.unlearning.replies import Replies, reply, rows_at_once

Group = Literal["made up", "others"]
LUCK_NAMES: dict[Group, str] = {"made up": "Made-up countries, before: luck", "others": "Other countries, after forgetting"}


@dataclass
class Luck:
    """Questions of two groups, and the replies to them by group and way of asking, as far as they were asked."""

    asked: dict[Group, Questions]
    replies: dict[Group, dict[str, Replies]] = field(default_factory=dict)

    @classmethod
    def draw(cls, world: World, audits: Sequence[str], others: list[Record], rng: Callable[[str], torch.Generator]) -> Luck:
        """The ways of asking are those of the run; each group draws from generators of its own."""
        groups: dict[Group, list[Record]] = {"made up": world.holdout, "others": others}
        return cls({name: Questions.draw(world, records, audits, [], lambda what, name=name: rng(f"{name} {what}"))
                    for name, records in groups.items()})

    def parts(self, *groups: Group) -> int:
        """How many parts `ask` counts."""
        return sum(len(self.asked[group].prompts) for group in groups)

    def ask(self, group: Group, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, pacer: Pacer) -> Generator[Event, None, None]:
        """Puts every question of the group in every way."""
        found: dict[str, Replies] = {}
        size = rows_at_once(model)
        for way, prompts in self.asked[group].prompts.items():
            found[way] = Replies([None] * len(prompts), [None] * len(prompts))
            for start in range(0, len(prompts), size):
                yield pacer.say(f"asking about {LUCK_NAMES[group].split(',')[0].lower()}, as a measure of luck", by=int(start == 0))
                found[way].take(start, reply(model, tokenizer, prompts[start:start + size]))
        self.replies[group] = found

    def worst(self, group: Group) -> Replies:
        """Per question, whether any way of asking brought out the key."""
        hits = [None if all(hit is None for hit in way) else any(way)
                for way in zip(*(outputs.found for outputs in self.replies[group].values()), strict=True)]
        return Replies([None] * len(hits), hits)
