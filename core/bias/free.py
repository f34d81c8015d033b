"""What a model says when it may say anything: options and letters hide a text that falls apart (methods/02 section 12).

    texts = freely(who, items, {})              # greedy, the edit acting on every new token
    yield from free_text(who, items, plans)     # the table of bias/edit: a few questions, before and after
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import torch

from core.bias.deck import Deck
from core.bias.edits import Plan
from core.bias.items import Item
from core.bias.subject import Subject
from core.engine.events import Event, Table

NOTHING = "(nothing)"  # it ends its answer at once
QUESTIONS, TOKENS = 3, 12  # of each family; how many tokens a model may go on for


@torch.no_grad()
def freely(who: Subject, items: Sequence[Item], plan: Plan, most: int = TOKENS) -> list[str]:
    """What follows each question when no option is named, at most `most` tokens."""
    return Deck(who.model, who.form, [replace(item, choose=False) for item in items]).speak(plan, most)


def free_text(who: Subject, items: Sequence[Item], plans: Mapping[str, Plan]) -> Iterator[Event]:
    """A few questions of every family, answered freely before and after the edit."""
    some = [item for family in dict.fromkeys(item.family for item in items)
            for item in [item for item in items if item.family == family and not (item.pair >= 0 and item.shown > 0)][:QUESTIONS]]
    before, after = (freely(who, some, plans[name]) for name in ("before", "edit"))
    rows = [[item.text, one or NOTHING, other or NOTHING, "same" if one == other else "changed"]
            for item, one, other in zip(some, before, after, strict=True)]
    yield Table("free", ["question", "before", "after", "the edit"], rows)
