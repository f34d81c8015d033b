"""What a chat template puts in front of a question unasked: said on the page, and left out for whoever wants that.

    own_words(tokenizer)                  # "You are a helpful AI assistant named SmolLM, trained by Hugging Face"; "" for none
    bare = without(tokenizer)             # a copy whose chat template puts nothing there

Found by comparison: what the template writes for a question alone, and with a system prompt of ours.
"""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass
from typing import Any, Literal

from core.engine.errors import LabError
from core.engine.templates import written

System = Literal["as it comes", "none"]
_MARK, _QUESTION = "Zq7 Zq7", "Who?"


@dataclass(frozen=True)
class Unasked:
    """words: of the system prompt.  turn: all that is written for it, with its header and its end; "" where it is no turn by itself."""

    words: str
    turn: str


def unasked(tokenizer: Any) -> Unasked | None:
    """The system prompt that the template writes although nobody gave one; None where it writes none."""
    if not tokenizer.chat_template:
        return None
    asked = {"role": "user", "content": _QUESTION}
    try:
        alone, given = (written(tokenizer, turns, add_generation_prompt=True)
                        for turns in ([asked], [{"role": "system", "content": _MARK}, asked]))
    except LabError:  # a template may refuse to write down a system prompt
        return None
    before, mark, behind = given.partition(_MARK)
    if not mark or not alone.startswith(before) or not alone.endswith(behind) or len(alone) <= len(before) + len(behind):
        return None
    words = alone[len(before):len(alone) - len(behind)]
    head = before.removeprefix(tokenizer.bos_token or "")
    opener = max((token for token in {*tokenizer.all_special_tokens, *tokenizer.get_added_vocab()} if head.startswith(token)),
                 key=len, default="")
    until = behind.find(opener, 0, behind.find(_QUESTION)) if opener else -1
    return Unasked(words.strip(), head + words + behind[:until] if until >= 0 else "") if words.strip() else None


def own_words(tokenizer: Any) -> str:
    """The words of the system prompt that the template puts in front by itself; "" where there are none."""
    found = unasked(tokenizer)
    return found.words if found else ""


def can_go(tokenizer: Any) -> bool:
    """Whether there is one that can be left out: Llama 2 writes it into the user's turn, where it stays."""
    found = unasked(tokenizer)
    return found is not None and bool(found.turn)


def said(tokenizer: Any) -> str:
    """A sentence about it, with its length; "" where there is none."""
    found = unasked(tokenizer)
    if found is None:
        return ""
    count = len(tokenizer(found.turn or found.words, add_special_tokens=False).input_ids)
    can = "'System prompt' can leave it out" if found.turn else "it cannot be left out"
    return f"\"{found.words}\" ({count} tokens). Its chat template puts that there; {can}."


def without(tokenizer: Any) -> Any:
    """A copy of the tokenizer whose template leaves its own system prompt out; the tokenizer itself where it has none that can go.

    A system prompt that somebody gives stays, unless it is the very same.
    """
    found = unasked(tokenizer)
    if found is None or not found.turn:
        return tokenizer
    bare = copy.deepcopy(tokenizer)
    # Jinja takes what the template wrote as a text, and writes it without the turn
    turn = json.dumps(found.turn, ensure_ascii=False)
    bare.chat_template = "{% set whole %}" + tokenizer.chat_template + "{% endset %}{{ whole | replace(" + turn + ", '', 1) }}"
    return bare
