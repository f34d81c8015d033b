"""A language model of this lab as the planner: no server, no key, nothing leaves the process.

    model = LocalChat(lab.load("got/smollm2", families=()))
    model.invoke([("system", "Answer with JSON."), ("human", "{...}")]).content

It answers greedily, one token after the other, and looks before each whether somebody pressed Stop.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from core.engine.decoding import decode_greedily, end_tokens
from core.engine.errors import LabError
from core.engine.templates import written
from core.engine.thinking import split

if TYPE_CHECKING:
    from core.engine.models import LoadedModel

ROLES = {"system": "system", "human": "user", "ai": "assistant"}
LONGEST = 400  # tokens of an answer: a plan has about a hundred


@dataclass(frozen=True)
class Reply:
    content: str


@dataclass(frozen=True)
class LocalChat:
    """What a chat model of langchain is asked by `chat.py`, for a loaded causal language model."""

    loaded: LoadedModel

    def invoke(self, messages: Sequence[tuple[str, str]]) -> Reply:
        """The answer to (role, text) turns, without what it thinks before. Raises LabError for a model that cannot read them all."""
        model, tokenizer = self.loaded.model, self.loaded.tokenizer
        if tokenizer is None or not getattr(model, "can_generate", lambda: False)():
            raise LabError(f"{self.loaded.ref} does not write text.", "Name a causal language model, such as got/smollm2.")
        ids = self._read(messages)
        room = getattr(model.config, "max_position_embeddings", None) or 10**6
        if ids.shape[1] + LONGEST > room:
            raise LabError(f"The question has {ids.shape[1]} tokens, and {self.loaded.ref} reads {room}.", "Name a model that reads more.")
        said = tokenizer.decode(decode_greedily(model, ids, torch.ones_like(ids), end_tokens(model, tokenizer), LONGEST)[0],
                                skip_special_tokens=True)
        return Reply(split(said).answer)

    def _read(self, messages: Sequence[tuple[str, str]]) -> torch.Tensor:
        tokenizer, turns = self.loaded.tokenizer, [{"role": ROLES[role], "content": text} for role, text in messages]
        templated = bool(tokenizer.chat_template)
        plain = "\n\n".join(text for _, text in messages) + "\n\n"
        text = written(tokenizer, turns, add_generation_prompt=True) if templated else plain
        return tokenizer(text, add_special_tokens=not templated, return_tensors="pt").input_ids
