"""What a model answers, and how likely it finds a given answer.

    answer(model, tokenizer, ["Question: Where was Ida Brandt born?\\nAnswer:"])     # ["Ida Brandt was born in Porto."]
    losses = answer_losses(model, tokenizer, prompts, ["Ida Brandt was born in Porto."])
    losses.mean.neg().exp()                                                          # probability, methods/01 section 4

Prompts are `encoding.PromptText`, or bare strings, which are plain text. Decoding is greedy, in batches whose layout is part of the
numbers. Works for every causal language model: with or without a chat template, a padding token or an end token, and for one that
thinks before it answers.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice

import torch
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel, PreTrainedTokenizerBase

from core.engine.decoding import (
    READ_AT_ONCE,
    cache_argument,
    decode_greedily,
    end_tokens,
    left_padded,
    positions_of,
    read_ahead,
    read_in_parts,
)
from core.engine.encoding import PromptText, all_ids, as_prompt, encode_pairs, encode_prompt, encode_prompts
from core.engine.families import family_name
from core.engine.lens import scaled
from core.engine.thinking import Said, split_ids, thinks

NEW_TOKENS = 30
THINKING_TOKENS = 512  # that a model may think before its answer gets the room that it has without
THINKING_STEP = 64
BEGUN = 8
MOST_TOKENS = 200  # methods/01 section 4: what TOFU's long answers get
SPARE_TOKENS = 10
BATCH = 60
IGNORED = -100
SHARED = 16  # tokens that all prompts of a batch begin with, such as a system prompt: from there on they are worth reading only once
WORTH_IT = 50_000_000  # parameters; below, the numbers of the embedded models stay what they were to the last digit


@dataclass(frozen=True)
class Encoded:
    """Rows of tokens, right-padded: ids, mask and labels, each (n, tokens); labels are IGNORED off the scored text."""

    ids: Tensor
    mask: Tensor
    labels: Tensor


@dataclass(frozen=True)
class Losses:
    """Negative log-likelihood of each scored text: `total` in nats, `tokens` how many; both (n,)."""

    total: Tensor
    tokens: Tensor

    @property
    def mean(self) -> Tensor:
        """Per token, so that long and short answers compare. (n,), in nats."""
        return self.total / self.tokens


@dataclass(frozen=True)
class TokenScores:
    """What a model gives for every labelled token, row after row.

    rows: how many rows there are.  row: the row of each token, (tokens,).  wanted: the labelled token, (tokens,).
    logits: what the model gave in its place, (tokens, vocabulary), with gradients if they were on.
    """

    rows: int
    row: Tensor
    wanted: Tensor
    logits: Tensor

    @cached_property
    def log_p(self) -> Tensor:
        """Log-probability of each labelled token, in nats, (tokens,)."""
        return -torch.nn.functional.cross_entropy(self.logits, self.wanted, reduction="none")

    @property
    def losses(self) -> Losses:
        """NLL of each row."""
        return self.summed(-self.log_p)

    @property
    def place(self) -> Tensor:
        """Which token of its row each one is, from 0, (tokens,)."""
        return torch.arange(len(self.row), device=self.row.device) - torch.searchsorted(self.row, self.row)

    def summed(self, values: Tensor) -> Losses:
        """Sums one value per token, (tokens,), into rows."""
        total = torch.zeros(self.rows, dtype=values.dtype, device=values.device).index_add(0, self.row, values)
        return Losses(total, torch.bincount(self.row, minlength=self.rows))


def answer(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, prompts: Sequence[PromptText | str], *,
           new_tokens: int = NEW_TOKENS, batch: int = BATCH) -> list[str]:
    """The greedy answer to each prompt, cut at the end token or the first line break; "" while a model is still thinking."""
    return [cut(said.answer) for said in speak(model, tokenizer, prompts, new_tokens=new_tokens, batch=batch)]


@torch.no_grad()
def speak(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, prompts: Sequence[PromptText | str], *,
          new_tokens: int = NEW_TOKENS, batch: int = BATCH) -> list[Said]:
    """How the model goes on, greedily, up to its end token, its thinking apart. Room for the thinking comes on top of `new_tokens`."""
    ends, found = end_tokens(model, tokenizer), []
    for start in range(0, len(prompts), batch):
        part = [as_prompt(prompt) for prompt in prompts[start:start + batch]]
        rows = encode_prompts(tokenizer, part)
        said = _decoded(model, tokenizer, rows, ends, new_tokens)
        found += _thought_through(model, tokenizer, part, rows, said, ends, new_tokens)
    return found


def _decoded(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, rows: Sequence[Sequence[int]], ends: set[int],
             new_tokens: int) -> list[list[int]]:
    plain, longest = model.get_base_model() if hasattr(model, "get_base_model") else model, max(map(len, rows))
    begin = alike(rows) if len(rows) > 1 and _takes_gaps(plain, longest + new_tokens) else 0
    if begin < SHARED and len(rows) * longest <= READ_AT_ONCE:
        return decode_greedily(model, *left_padded(rows, padding(tokenizer), model.device), ends, new_tokens)
    begin = begin if begin >= SHARED else 0
    ids, mask, cache = read_in_parts(plain, rows[0][:begin], [row[begin:] for row in rows], padding(tokenizer))
    return decode_greedily(model, ids, mask, ends, new_tokens, cache=cache)


def alike(rows: Sequence[Sequence[int]]) -> int:
    """How many tokens all rows begin with, the last of each row apart: that one is still to be read."""
    shortest = min(map(len, rows)) - 1
    return next((i for i in range(shortest) if any(row[i] != rows[0][i] for row in rows)), max(shortest, 0))


def _takes_gaps(model: PreTrainedModel, length: int) -> bool:
    """Whether a common beginning is read once: by a model large enough that attends by mask and position alone, within no window, so
    that the gap behind it is nothing."""
    config = model.config.get_text_config()
    window = getattr(config, "sliding_window", None)
    fits = family_name(config.model_type) == "llama" and (not window or length <= window)
    return fits and model.num_parameters() >= WORTH_IT


def _thought_through(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, prompts: Sequence[PromptText], rows: Sequence[list[int]],
                     said: list[list[int]], ends: set[int], new_tokens: int) -> list[Said]:
    """Lets those go on who were thinking: to the end of their thoughts, and then for as long as an answer may be."""
    done = [len(own) < new_tokens for own in said]
    while True:
        found = [split_ids(tokenizer, own, prompt.turn) for own, prompt in zip(said, prompts, strict=True)]
        more = [0 if over else min(_still_to_say(tokenizer, own, len(ids), new_tokens), _room(model) - len(row) - len(ids))
                for own, ids, row, over in zip(found, said, rows, done, strict=True)]
        going = [i for i, wanted in enumerate(more) if wanted > 0]
        if not going:
            return found
        longer = _decoded(model, tokenizer, [rows[i] + said[i] for i in going], ends, max(more[i] for i in going))
        for i, ids in zip(going, longer, strict=True):
            said[i] = said[i] + ids[:more[i]]
            done[i] = len(ids) < more[i]


def _still_to_say(tokenizer: PreTrainedTokenizerBase, own: Said, tokens: int, new_tokens: int) -> int:
    """How many tokens a model that has said so many may add before it is looked at again."""
    if own.state == "none" or tokens >= THINKING_TOKENS + 2 * new_tokens:
        return 0
    if own.state == "unfinished":
        return min(THINKING_STEP, THINKING_TOKENS - tokens)
    return new_tokens - len(tokenizer(own.answer, add_special_tokens=False).input_ids)


def after_thinking(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase,
                   prompts: Sequence[PromptText | str]) -> list[PromptText]:
    """The prompts as they stand where this model's answer begins: behind its own thoughts, for a model that thinks first."""
    given = [as_prompt(prompt) for prompt in prompts]
    if not thinks(tokenizer):
        return given
    said = speak(model, tokenizer, given, new_tokens=BEGUN)  # so far into the answer that nothing more of the thinking can follow
    return [prompt.after(own.thinking) if own.state == "ended" else prompt for prompt, own in zip(given, said, strict=True)]


def answer_room(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, prompts: Sequence[PromptText | str],
                answers: Sequence[str]) -> int:
    """How many tokens to decode so that the longest of these true answers could be said: 30, or up to 200 where the model has room."""
    longest = max(map(len, all_ids(tokenizer, answers)), default=0)
    wanted = max(NEW_TOKENS, min(MOST_TOKENS, longest + SPARE_TOKENS))
    return max(1, min(wanted, room_left(model, tokenizer, prompts)))


def room_left(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, prompts: Sequence[PromptText | str]) -> int:
    """How many tokens the model can still read or write after the longest of these prompts."""
    return _room(model) - max(map(len, encode_prompts(tokenizer, prompts)), default=0)


def _room(model: PreTrainedModel) -> int:
    """How many tokens the model can read."""
    room = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    return sys.maxsize if room is None else room


def cut(text: str) -> str:
    """The first line of an output, which is the answer."""
    return text.strip().split("\n", 1)[0].strip()


def encode_answers(tokenizer: PreTrainedTokenizerBase, prompts: Sequence[PromptText | str], answers: Sequence[str], *,
                   end: bool = True) -> Encoded:
    """Prompt, answer and (unless told not to) the end token in one row each; only the prompt is not labelled."""
    pairs = encode_pairs(tokenizer, prompts, answers, end=end)
    longest, pad = max(len(pair.ids) for pair in pairs), padding(tokenizer)
    ids, mask, labels = [], [], []
    for pair in pairs:
        gap = longest - len(pair.ids)
        ids.append(pair.ids + [pad] * gap)
        mask.append([1] * len(pair.ids) + [0] * gap)
        labels.append([IGNORED] * pair.border + pair.ids[pair.border:] + [IGNORED] * gap)
    return Encoded(torch.tensor(ids), torch.tensor(mask), torch.tensor(labels))


def padding(tokenizer: PreTrainedTokenizerBase) -> int:
    """Any token will do where the mask is zero."""
    return tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id or 0


def token_scores(model: PreTrainedModel, encoded: Encoded) -> TokenScores:
    """One forward pass; the vocabulary is only computed where a label stands. Works for a model under adapters too.

    What all rows begin with, such as a system prompt, is read once, with its gradients, where the model takes that.
    """
    ids, mask, labels = (part.to(model.device) for part in (encoded.ids, encoded.mask, encoded.labels))
    plain = model.get_base_model() if hasattr(model, "get_base_model") else model
    begin = _begin(ids, mask, labels)
    if begin < SHARED or len(ids) == 1 or not _takes_gaps(plain, ids.shape[1]):
        begin, read = 0, {"attention_mask": mask, "use_cache": False}
    else:
        cache = DynamicCache()
        plain.base_model(input_ids=ids[:1, :begin], use_cache=True, **{cache_argument(plain): cache})
        cache.batch_repeat_interleave(len(ids))
        read = {"attention_mask": mask, "use_cache": True, "position_ids": positions_of(mask)[:, begin:], cache_argument(plain): cache}
    hidden = plain.base_model(input_ids=ids[:, begin:], **read).last_hidden_state[:, :-1]
    wanted = labels[:, begin + 1:]
    asked = wanted != IGNORED
    return TokenScores(len(ids), asked.nonzero()[:, 0], wanted[asked], scaled(plain, plain.get_output_embeddings()(hidden[asked])))


def _begin(ids: Tensor, mask: Tensor, labels: Tensor) -> int:
    """How many tokens all rows begin with, up to the last one that nothing is asked of."""
    same = (ids == ids[:1]).all(0) & (mask == 1).all(0) & (labels == IGNORED).all(0)
    alike = int(same.cumprod(0).sum())
    return max(alike - 1, 0)


def sequence_losses(model: PreTrainedModel, encoded: Encoded) -> Losses:
    """The NLL of the labelled tokens of each row, with gradients if they are on."""
    return token_scores(model, encoded).losses


@torch.no_grad()
def answer_losses(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, prompts: Sequence[PromptText | str],
                  answers: Sequence[str], *, end: bool = True, batch: int = BATCH) -> Losses:
    """Teacher-forced NLL of one given answer per prompt, without gradients, on the CPU."""
    parts = [sequence_losses(model, encode_answers(tokenizer, prompts[i:i + batch], answers[i:i + batch], end=end))
             for i in range(0, len(prompts), batch)]
    return Losses(torch.cat([p.total.cpu() for p in parts]), torch.cat([p.tokens.cpu() for p in parts]))


@torch.no_grad()
def rival_losses(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, prompts: Sequence[PromptText | str],
                 rivals: Sequence[Sequence[str]], *, batch: int = BATCH) -> list[list[float]]:
    """Teacher-forced NLL per token, end token included, of several answers to each prompt, which is read only once."""
    most = max(map(len, rivals), default=0)
    together = max(1, batch // max(1, most))
    found: list[list[float]] = []
    for start in range(0, len(prompts) if most else 0, together):
        found += _rivals_of_few(model, tokenizer, prompts[start:start + together], rivals[start:start + together])
    return found or [[] for _ in prompts]


def _rivals_of_few(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, prompts: Sequence[PromptText | str],
                   rivals: Sequence[Sequence[str]]) -> list[list[float]]:
    plain, pad = model.get_base_model() if hasattr(model, "get_base_model") else model, padding(tokenizer)
    every = iter(encode_pairs(tokenizer, [prompt for prompt, texts in zip(prompts, rivals, strict=True) for _ in texts],
                              [text for texts in rivals for text in texts]))
    pairs = [list(islice(every, len(texts))) for texts in rivals]
    rows = torch.tensor([row for row, own in enumerate(pairs) for _ in own], device=plain.device)
    if not len(rows):
        return [[] for _ in prompts]
    # what all rivals of a prompt begin with: an answer may change how the end of its prompt is cut
    shared = [max(1, min((pair.border for pair in own), default=1)) for own in pairs]
    heads = [own[0].ids[:length] if own else encode_prompt(tokenizer, prompt)[:1] or [pad]
             for own, length, prompt in zip(pairs, shared, prompts, strict=True)]
    ids, mask = left_padded(heads, pad, plain.device)
    read = ids.shape[1] - 1
    cache = read_ahead(plain, ids, mask, read, rows)
    tails = [(pair.ids[length:], max(0, pair.border - length)) for own, length in zip(pairs, shared, strict=True) for pair in own]
    longest = max(len(tail) for tail, _ in tails)
    rest = torch.tensor([tail + [pad] * (longest - len(tail)) for tail, _ in tails], device=plain.device)
    there = torch.tensor([[1] * len(tail) + [0] * (longest - len(tail)) for tail, _ in tails], device=plain.device)
    asked = torch.tensor([[skip <= i < len(tail) for i in range(longest)] for tail, skip in tails], device=plain.device)
    # from the last token of the prompt to the last but one of the answer: each is asked for the one after it
    step = torch.cat([ids[rows, read:], rest[:, :-1]], dim=-1)
    seen = torch.cat([mask[rows], there[:, :-1].to(mask)], dim=-1)
    hidden = plain.base_model(input_ids=step, attention_mask=seen, position_ids=positions_of(seen)[:, read:], use_cache=True,
                              **{cache_argument(plain): cache}).last_hidden_state
    words = scaled(plain, plain.get_output_embeddings()(hidden[asked]))
    scores = TokenScores(len(rows), asked.nonzero()[:, 0], rest[asked], words)
    means = iter(scores.losses.mean.tolist())
    return [[next(means) for _ in texts] for texts in rivals]
