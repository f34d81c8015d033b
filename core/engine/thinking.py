"""Models that think before they answer: what of their words is the answer, and whether a template can switch the thinking off.

    said = split("<think>\\nA person.\\n</think>\\n\\nIn Porto.")
    said.answer, said.state                                # "In Porto.", "ended"
    switches(tokenizer)                                    # {"off": {"enable_thinking": False}}
    quiet = switched(tokenizer, "off")                     # a copy whose chat template asks for no thinking

Only what a model writes in its own turn counts: tags in a question or a system prompt are somebody else's words.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from core.engine.templates import written

State = Literal["none", "ended", "unfinished"]
Thinking = Literal["as it comes", "on", "off"]
# the tags of the models in use: Qwen and DeepSeek and many more, Magistral, Cohere, GPT-OSS, Kimi, MedGemma, and those of older fine-tunes
TAGS = (("<think>", "</think>"), ("[THINK]", "[/THINK]"), ("<|START_THINKING|>", "<|END_THINKING|>"),
        ("<|channel|>analysis<|message|>", "<|channel|>final<|message|>"), ("<thinking>", "</thinking>"), ("<thought>", "</thought>"),
        ("<reasoning>", "</reasoning>"), ("◁think▷", "◁/think▷"), ("<unused94>thought", "<unused95>"),
        ("<scratchpad>", "</scratchpad>"), ("<seed:think>", "</seed:think>"), ("<|begin_of_thought|>", "<|end_of_thought|>"))
# the names under which templates take the wish, and what each is given to think or not to
_SWITCHES = (*({"on": {name: True}, "off": {name: False}} for name in ("enable_thinking", "thinking", "think", "reasoning")),
             {"on": {"thinking_budget": -1}, "off": {"thinking_budget": 0}})
_ASKED = [{"role": "user", "content": "Who?"}]


@dataclass(frozen=True)
class Said:
    """thinking: all of it with its tags, up to where the answer begins.  answer: "" while the thinking has not ended."""

    thinking: str
    answer: str
    state: State


def split(said: str, turn: str = "") -> Said:
    """What a model said, after `turn`, which stands in its own turn already: a template may open the thinking for it."""
    for opening, closing in TAGS:
        begun = opening in turn and closing not in turn.rpartition(opening)[2]
        if not (begun or opening in said or closing in said):
            continue
        last, again = said.rfind(closing), said.rfind(opening)
        if again > last or (begun and last < 0):
            return Said(said, "", "unfinished")
        end = last + len(closing)
        end += len(said[end:]) - len(said[end:].lstrip())
        return Said(said[:end], said[end:], "ended")
    return Said("", said, "none")


def thinks(tokenizer: Any) -> bool:
    """Whether the tokenizer or its chat template knows the tags of thinking: who does not will hardly write them."""
    known, template = tokenizer.get_added_vocab(), str(tokenizer.chat_template or "")
    return any(closing in known or closing in template for _, closing in TAGS)


def kept_ids(tokenizer: Any, ids: Sequence[int]) -> list[int]:
    """Tokens without the special ones, but for those that a tag is written with."""
    special = set(tokenizer.all_special_ids)
    if special.isdisjoint(ids):
        return list(ids)
    tags = {token for pair in TAGS for tag in pair for token in tokenizer(tag, add_special_tokens=False).input_ids}
    names = {token for token in special & tags if any(tokenizer.convert_ids_to_tokens(token) in tag for pair in TAGS for tag in pair)}
    return [token for token in ids if token not in special or token in names]


def split_ids(tokenizer: Any, ids: Sequence[int], turn: str = "") -> Said:
    """`split` of new tokens."""
    return split(tokenizer.decode(kept_ids(tokenizer, ids), skip_special_tokens=False), turn)


def switches(tokenizer: Any) -> dict[str, dict[str, bool | int]]:
    """How the chat template is asked to let a model think, and not to: "on" and "off" as far as they change what it writes."""
    if not tokenizer.chat_template:
        return {}

    def asked(given: dict[str, bool | int]) -> str:
        return written(tokenizer, _ASKED, add_generation_prompt=True, **given)

    usual = asked({})
    for choice in _SWITCHES:
        if asked(choice["on"]) != asked(choice["off"]):
            return {name: given for name, given in choice.items() if asked(given) != usual}
    return {}


def switched(tokenizer: Any, choice: Thinking) -> Any:
    """A copy of the tokenizer whose template is asked so; the tokenizer itself where that is how it writes anyway.

    The wish is written into the template, so that whoever uses the copy need not know of it.
    """
    wish = switches(tokenizer).get(choice)
    if not wish:
        return tokenizer
    asked = copy.deepcopy(tokenizer)
    asked.chat_template = "".join(f"{{%- set {name} = {str(value).lower()} -%}}" for name, value in wish.items()) + tokenizer.chat_template
    return asked


def can_switch(tokenizer: Any) -> bool:
    """Whether the template knows thinking on and off."""
    return bool(switches(tokenizer))
