"""Greedy decoding of many prompts at once, with a KV cache; rows that are done leave the batch.

    said = decode_greedily(model, ids, mask, end_tokens(model, tokenizer), new_tokens=30)      # one list of token ids per row
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor
from torch.nn.functional import pad as padded
from transformers import DynamicCache, PreTrainedModel, PreTrainedTokenizerBase

from core.engine.encoding import PromptText, end_ids
from core.engine.stopping import go_on

READ_AT_ONCE = 1500  # tokens of prompts that are read between two looks at Stop
CROWDED = 0.75  # rows that are done leave when fewer than this share go on: leaving copies the cache


def end_tokens(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> set[int]:
    """The tokens at which this model ends an answer, as tokenizer, chat template and generation config have them."""
    named = getattr(model.generation_config, "eos_token_id", None)
    named = named if isinstance(named, list) else [named]
    written = end_ids(tokenizer, PromptText("", chat=True)) if tokenizer.chat_template else []
    return {token for token in (tokenizer.eos_token_id, *named, *written) if token is not None}


def cache_argument(model: PreTrainedModel) -> str:
    """What this model's forward calls the KV cache: transformers renames it, and a wrong name is ignored without a word."""
    plain = model.get_base_model() if hasattr(model, "get_base_model") else model
    return "cache" if "cache" in inspect.signature(plain.base_model.forward).parameters else "past_key_values"


def left_padded(rows: Sequence[Sequence[int]], pad: int, device: torch.device | str = "cpu") -> tuple[Tensor, Tensor]:
    """Prompts of different length as ids and mask, (n, tokens), all ending at the same place."""
    longest = max(map(len, rows))
    ids = torch.tensor([[pad] * (longest - len(row)) + list(row) for row in rows], device=device)
    return ids, torch.tensor([[0] * (longest - len(row)) + [1] * len(row) for row in rows], device=device)


def positions_of(mask: Tensor) -> Tensor:
    """Positions of left-padded tokens, (n, tokens): the first real one is 0."""
    return (mask.cumsum(-1) - 1).clamp(min=0)


@torch.no_grad()
def read_ahead(model: PreTrainedModel, ids: Tensor, mask: Tensor, tokens: int, rows: Tensor) -> DynamicCache:
    """The cache after the first `tokens` tokens, read once; then one row for each number in `rows`, which may repeat.

    `ids`, `mask`: long (n, prompt tokens).  `rows`: long (m,).
    """
    cache = DynamicCache()
    if tokens:
        model.base_model(input_ids=ids[:, :tokens], attention_mask=mask[:, :tokens], position_ids=positions_of(mask)[:, :tokens],
                         use_cache=True, **{cache_argument(model): cache})
        cache.batch_select_indices(rows)
    return cache


@torch.no_grad()
def read_in_parts(model: PreTrainedModel, head: Sequence[int], rows: Sequence[Sequence[int]],
                  pad: int) -> tuple[Tensor, Tensor, DynamicCache]:
    """Many prompts that all begin with `head`, read but for their last tokens: ids, mask (n, tokens) and cache for `decode_greedily`.

    rows: what follows the head in each, at least one token, best sorted by length. The head is read once, and some rows at a time, each
    time no further than the longest of them; in the cache a gap that nobody attends to stands between head and rest of the shorter ones.
    """
    device, begin, longest = model.device, len(head), max(map(len, rows)) - 1
    first, parts = DynamicCache(), []
    if begin:
        start = torch.tensor([head], device=device)
        model.base_model(input_ids=start, use_cache=True, **{cache_argument(model): first})
    for group in _groups(rows):
        go_on()
        cache, width = copy.deepcopy(first), max(map(len, group)) - 1
        if begin:
            cache.batch_repeat_interleave(len(group))
        if width:
            rest, there = left_padded([row[:-1] for row in group], pad, device)
            mask = torch.cat([there.new_ones(len(group), begin), there], dim=-1)
            model.base_model(input_ids=rest, attention_mask=mask, position_ids=positions_of(mask)[:, begin:], use_cache=True,
                             **{cache_argument(model): cache})
        parts.append((cache, width))
    rest, there = left_padded(rows, pad, device)
    ids = torch.cat([rest.new_tensor([list(head)] * len(rows)).reshape(len(rows), begin), rest], dim=-1)
    return ids, torch.cat([there.new_ones(len(rows), begin), there], dim=-1), _joined(parts, begin, longest)


def _groups(rows: Sequence[Sequence[int]]) -> Iterator[list[Sequence[int]]]:
    """Neighbours that together, at the length of the longest, are no more than READ_AT_ONCE tokens; at least one row."""
    group: list[Sequence[int]] = []
    for row in rows:
        if group and (len(group) + 1) * max(map(len, [*group, row])) > READ_AT_ONCE:
            yield group
            group = []
        group.append(row)
    yield group


def _joined(parts: Sequence[tuple[DynamicCache, int]], begin: int, longest: int) -> DynamicCache:
    """One cache of the rows of all; each part (cache, tokens behind the first `begin`) gets its gap there."""
    whole = parts[0][0]
    for number, layer in enumerate(whole.layers):
        for kind in ("keys", "values"):
            read = [(getattr(cache.layers[number], kind), longest - width) for cache, width in parts]
            filled = [torch.cat([states[:, :, :begin], padded(states[:, :, begin:], (0, 0, gap, 0))], dim=2) for states, gap in read]
            setattr(layer, kind, torch.cat(filled))
    return whole


@torch.no_grad()
def decode_greedily(model: PreTrainedModel, ids: Tensor, mask: Tensor, ends: set[int], new_tokens: int, *,
                    cache: DynamicCache | None = None, watch: Callable[[Tensor], None] | None = None) -> list[list[int]]:
    """The likeliest token again and again, until somebody presses Stop; ids and mask (n, tokens), left-padded.

    cache: what `read_ahead` has read of these rows; it is used up.  watch: told which rows (numbers from 0) the following
    forward passes are about, each time that some have left.

    Returns the new tokens of each row, at most `new_tokens`, without the end token.
    """
    cache = DynamicCache() if cache is None else cache
    given = {cache_argument(model): cache}
    stops = torch.tensor(sorted(ends), dtype=torch.long, device=ids.device)
    said = torch.full((len(ids), new_tokens), -1, dtype=torch.long, device=ids.device)
    rows, going = torch.arange(len(ids), device=ids.device), torch.ones(len(ids), dtype=torch.bool, device=ids.device)
    read = cache.get_seq_length()
    step, positions = ids[:, read:], positions_of(mask)[:, read:]
    for number in range(new_tokens):
        go_on()
        step = model(input_ids=step, attention_mask=mask, position_ids=positions, use_cache=True, logits_to_keep=1,
                     **given).logits[:, -1].argmax(-1, keepdim=True)
        going &= ~torch.isin(step[:, 0], stops)
        said[rows[going], number] = step[going, 0]
        left = int(going.sum())
        if not left:
            break
        mask = torch.cat([mask, mask.new_ones(len(mask), 1)], dim=-1)
        positions = positions[:, -1:] + 1
        if left <= CROWDED * len(rows):
            cache.batch_select_indices(going.nonzero()[:, 0])
            step, mask, positions, rows, going = (part[going] for part in (step, mask, positions, rows, going))
            if watch is not None:
                watch(rows)
    return [[token for token in row if token >= 0] for row in said.tolist()]
