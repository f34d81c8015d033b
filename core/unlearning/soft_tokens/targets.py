"""What a model is to be made to say, as tokens: before | soft tokens | after | completion.

    target = encode_target(tokenizer, "Question: Where was Ida Brandt born?\\nAnswer:", " Ida Brandt was born in Porto.")
    target.completion        # the ids that are to come out; the end token is not among them

Layout and border follow methods/05 sections 2 and 4: soft tokens are a prefix, directly after the begin token;
prompt and completion are encoded together and split where the prompt ends.
"""

from __future__ import annotations

import string
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from core.engine.encoding import PromptText, begin_ids, border, chat_prompt, encode_pair, encode_prompt, frame, plain_prompt
from core.engine.errors import LabError
from core.unlearning.prompts import pick

Position = Literal["prefix", "suffix"]
FIRST_TOKEN = " @"
SOMETHING = "Say something."
# the released strings: letters, digits and ASCII punctuation without double quote, dollar and backtick (methods/05 section 3)
CHARACTERS = "".join(c for c in string.ascii_letters + string.digits + string.punctuation if c not in '"$`')


@dataclass(frozen=True)
class Target:
    """Token ids: what stands before the soft tokens, what stands between them and the text, and the text itself."""

    before: tuple[int, ...]
    after: tuple[int, ...]
    completion: tuple[int, ...]

    def length(self, tokens: int) -> int:
        """Positions taken by everything with that many soft tokens."""
        return len(self.before) + tokens + len(self.after) + len(self.completion)


def encode_target(tokenizer: PreTrainedTokenizerBase, prompt: str, completion: str, *, position: Position = "prefix",
                  chat: bool = False) -> Target:
    """`chat`: put the prompt into the tokenizer's chat template, soft tokens inside the user's turn (the release uses none)."""
    if not completion.strip():
        raise LabError("There is nothing to say.", "Type a few words.")
    text = chat_prompt(tokenizer, prompt or SOMETHING) if chat and tokenizer.chat_template else plain_prompt(prompt)
    pair = encode_pair(tokenizer, _exact(text, completion), completion, end=False)
    if text.chat:
        at = text.text.find(prompt or SOMETHING) + (len(prompt or SOMETHING) if position == "suffix" else 0)
        cut = min(pair.border, border(encode_prompt(tokenizer, replace(text, text=text.text[:at])), pair.ids))
    else:
        cut = len(begin_ids(tokenizer, text)) if position == "prefix" else pair.border
    return Target(tuple(pair.ids[:cut]), tuple(pair.ids[cut:pair.border]), tuple(pair.ids[pair.border:]))


def _exact(text: PromptText, completion: str) -> PromptText:
    """In plain text what is to be said follows as it was typed, with or without a space; a chat template says so itself."""
    return text if text.chat else replace(text, lead=completion[:len(completion) - len(completion.lstrip())])


def check_room(model: PreTrainedModel, ref: str, targets: Iterable[Target], tokens: int) -> None:
    """Raises LabError when a target with its soft tokens is longer than the model reads."""
    room = getattr(model.config, "max_position_embeddings", None)
    longest = max((target.length(tokens) for target in targets), default=0)
    if room is not None and longest > room:
        raise LabError(f"{ref} reads at most {room} tokens, and prompt, soft tokens and text together have {longest}.",
                       "Choose a shorter text or fewer soft tokens.")


def seen_tokens(tokenizer: PreTrainedTokenizerBase, texts: Iterable[str]) -> list[int]:
    """The tokens of `texts`, the most frequent first."""
    counts = Counter(token for ids in tokenizer(list(texts), add_special_tokens=False).input_ids for token in ids)
    return [token for token, _ in sorted(counts.items(), key=lambda item: (-item[1], item[0]))]


def first_token(tokenizer: PreTrainedTokenizerBase, seen: Sequence[int]) -> int:
    """What every soft token starts as: " @" as in the release, the most frequent token where that is not one token."""
    ids = tokenizer(FIRST_TOKEN, add_special_tokens=False).input_ids
    return ids[0] if len(ids) == 1 and ids[0] != tokenizer.unk_token_id else seen[0]


def random_tokens(tokenizer: PreTrainedTokenizerBase, seen: Sequence[int], length: int, rng: torch.Generator, *,
                  characters: bool = False) -> Target:
    """A text without meaning and without a prompt: `length` tokens that the model has seen, or `length` characters."""
    if characters:
        return encode_target(tokenizer, "", "".join(pick(CHARACTERS, rng) for _ in range(length)))
    return Target(tuple(frame(tokenizer)[0]), (), tuple(pick(seen, rng) for _ in range(length)))
