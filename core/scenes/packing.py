"""Many questions about one picture in one row: each sees the beginning, the picture and itself, at the positions it would have alone.

    batch = pack([[("what colour is the ball ? answer", "red", True)]], tokenizer)      # one row per picture
    hidden = hidden_states(model, batch, features)                                      # (rows, tokens, width)

A packed question is computed as the same question asked alone, for a fraction of the work.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

IMAGE_TOKENS = 64
IGNORED, NOWHERE = -100, -(10**6)
BEGINNING, PICTURE = 0, 1  # segments

Line = tuple[str, str, bool]  # prompt, what is learned, whether it sees the picture


@dataclass
class Packed:
    """One batch: ids and labels (batch, tokens), where each token belongs, and its position."""

    ids: Tensor
    labels: Tensor
    segments: Tensor  # 0 the beginning, 1 the picture, 2... questions, negative: questions in words alone
    positions: Tensor

    def mask(self) -> Tensor:
        """bool (batch, 1, tokens, tokens): who may look at whom."""
        ask, key = self.segments[:, :, None], self.segments[:, None, :]
        seen = (key == BEGINNING) | (key == ask) | ((key == PICTURE) & (ask > PICTURE))
        count = self.ids.shape[1]
        return (seen & torch.ones(count, count, dtype=torch.bool).tril()[None])[:, None]

    def last(self) -> tuple[Tensor, Tensor]:
        """(rows, places): the last token of each prompt, in the order of the lines: there the answer is said."""
        said = (self.labels[:, 1:] != IGNORED) & (self.labels[:, :-1] == IGNORED)
        return said.nonzero(as_tuple=True)


def pack(rows: list[list[Line]], tokenizer: Any) -> Packed:
    """Every row is one picture with its lines."""
    ids, labels, segments, positions = [], [], [], []
    image = tokenizer.convert_tokens_to_ids(tokenizer.image_token)
    for lines in rows:
        row = [tokenizer.bos_token_id] + [image] * IMAGE_TOKENS
        wanted, owner, place = [IGNORED] * len(row), [BEGINNING] + [PICTURE] * IMAGE_TOKENS, list(range(len(row)))
        for i, (asked, learned, sees) in enumerate(lines):
            before = tokenizer(asked, add_special_tokens=False).input_ids
            after = [*tokenizer(learned, add_special_tokens=False).input_ids, tokenizer.eos_token_id]
            row += before + after
            wanted += [IGNORED] * len(before) + after
            owner += [i + 2 if sees else -i - 1] * (len(before) + len(after))
            start = 1 + IMAGE_TOKENS if sees else 1
            place += range(start, start + len(before) + len(after))
        ids.append(row), labels.append(wanted), segments.append(owner), positions.append(place)
    longest = max(map(len, ids))
    padded = [
        torch.tensor([row + [fill] * (longest - len(row)) for row in rows])
        for rows, fill in ((ids, tokenizer.pad_token_id), (labels, IGNORED), (segments, NOWHERE), (positions, 0))
    ]
    return Packed(*padded)


def inner_model(model: nn.Module) -> nn.Module:
    """The LlavaModel inside, whether or not peft has wrapped it."""
    return model.get_base_model().model if hasattr(model, "get_base_model") else model.model


def hidden_states(model: nn.Module, batch: Packed, features: Tensor) -> Tensor:
    """float (batch, tokens, width) after the last norm; `features` (batch, 64, tower width) stand for the pictures."""
    inner = inner_model(model)
    embedded = inner.language_model.embed_tokens(batch.ids)
    seen = inner.multi_modal_projector(features.float())
    embedded = torch.cat([embedded[:, :1], seen, embedded[:, 1 + IMAGE_TOKENS :]], dim=1)
    mask = batch.mask()
    if inner.language_model.config._attn_implementation == "eager":  # which adds its mask
        mask = torch.zeros(mask.shape).masked_fill(~mask, torch.finfo(torch.float32).min)
    return inner.language_model(
        inputs_embeds=embedded, attention_mask=mask, position_ids=batch.positions, use_cache=False
    ).last_hidden_state
