"""What a model answers, and how likely it finds a given answer.

    answer(model, tokenizer, ["Question: Where was Ida Brandt born?\\nAnswer:"])     # ["Ida Brandt was born in Porto."]
    losses = answer_losses(model, tokenizer, prompts, [" Ida Brandt was born in Porto."])
    losses.mean.neg().exp()                                                          # probability, methods/01 section 4

Decoding is greedy, in batches whose layout is part of the numbers. Works for every causal language model: with or
without a chat template, a padding token or an end token.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from core.unlearning.decoding import cache_argument, decode_greedily, left_padded, positions_of, read_ahead

NEW_TOKENS = 30
MOST_TOKENS = 200  # methods/01 section 4: what TOFU's long answers get
SPARE_TOKENS = 10
BATCH = 60
IGNORED = -100


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
        """Per token, so that long and short answers compare."""
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


def encode_prompt(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    """Token ids of a prompt. A chat template has already written the special tokens of its text."""
    return tokenizer(text, add_special_tokens=not tokenizer.chat_template).input_ids


def end_tokens(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> set[int]:
    """The tokens at which this model ends an answer, as tokenizer and generation config have them."""
    named = getattr(model.generation_config, "eos_token_id", None)
    named = named if isinstance(named, list) else [named]
    return {token for token in (tokenizer.eos_token_id, *named) if token is not None}


def answer(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, prompts: Sequence[str], *,
           new_tokens: int = NEW_TOKENS, batch: int = BATCH) -> list[str]:
    """The greedy answer to each prompt, cut at the end token or the first line break."""
    return [cut(text) for text in continue_texts(model, tokenizer, prompts, new_tokens=new_tokens, batch=batch)]


@torch.no_grad()
def continue_texts(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, prompts: Sequence[str], *,
                   new_tokens: int = NEW_TOKENS, batch: int = BATCH) -> list[str]:
    """How the model goes on, greedily, up to its end token."""
    ends = end_tokens(model, tokenizer)
    found: list[str] = []
    for start in range(0, len(prompts), batch):
        rows = [encode_prompt(tokenizer, prompt) for prompt in prompts[start:start + batch]]
        ids, mask = left_padded(rows, padding(tokenizer), model.device)
        said = decode_greedily(model, ids, mask, ends, new_tokens)
        found += [tokenizer.decode(row, skip_special_tokens=True) for row in said]
    return found


def answer_room(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, prompts: Sequence[str], answers: Sequence[str]) -> int:
    """How many tokens to decode so that the longest of these true answers could be said: 30, or up to 200 where the model has room."""
    longest = max((len(tokenizer(text, add_special_tokens=False).input_ids) for text in answers), default=0)
    wanted = max(NEW_TOKENS, min(MOST_TOKENS, longest + SPARE_TOKENS))
    return max(1, min(wanted, room_left(model, tokenizer, prompts)))


def room_left(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, prompts: Sequence[str]) -> int:
    """How many tokens the model can still read or write after the longest of these prompts."""
    room = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    longest = max((len(encode_prompt(tokenizer, prompt)) for prompt in prompts), default=0)
    return sys.maxsize if room is None else room - longest


def cut(text: str) -> str:
    """The first line of an output, which is the answer."""
    return text.strip().split("\n", 1)[0].strip()


def encode_answers(tokenizer: PreTrainedTokenizerBase, prompts: Sequence[str], answers: Sequence[str], *,
                   end: bool = True) -> Encoded:
    """Prompt, answer and (unless told not to) the end token in one row each; only the prompt is not labelled."""
    tail = [tokenizer.eos_token_id] if end and tokenizer.eos_token_id is not None else []
    rows = [(encode_prompt(tokenizer, p), tokenizer(a, add_special_tokens=False).input_ids + tail)
            for p, a in zip(prompts, answers, strict=True)]
    longest = max(len(p) + len(a) for p, a in rows)
    pad = padding(tokenizer)
    ids, mask, labels = [], [], []
    for prompt, completion in rows:
        gap = longest - len(prompt) - len(completion)
        ids.append(prompt + completion + [pad] * gap)
        mask.append([1] * (longest - gap) + [0] * gap)
        labels.append([IGNORED] * len(prompt) + completion + [IGNORED] * gap)
    return Encoded(torch.tensor(ids), torch.tensor(mask), torch.tensor(labels))


def padding(tokenizer: PreTrainedTokenizerBase) -> int:
    """Any token will do where the mask is zero."""
    return tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id or 0


def token_scores(model: PreTrainedModel, encoded: Encoded) -> TokenScores:
    """One forward pass; the vocabulary is only computed where a label stands. Works for a model under adapters too."""
    ids, mask, labels = (part.to(model.device) for part in (encoded.ids, encoded.mask, encoded.labels))
    plain = model.get_base_model() if hasattr(model, "get_base_model") else model
    hidden = plain.base_model(input_ids=ids, attention_mask=mask, use_cache=False).last_hidden_state[:, :-1]
    wanted = labels[:, 1:]
    asked = wanted != IGNORED
    return TokenScores(len(ids), asked.nonzero()[:, 0], wanted[asked], plain.get_output_embeddings()(hidden[asked]))


def sequence_losses(model: PreTrainedModel, encoded: Encoded) -> Losses:
    """The NLL of the labelled tokens of each row, with gradients if they are on."""
    return token_scores(model, encoded).losses


@torch.no_grad()
def answer_losses(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, prompts: Sequence[str],
                  answers: Sequence[str], *, end: bool = True, batch: int = BATCH) -> Losses:
    """Teacher-forced NLL of one given answer per prompt, without gradients, on the CPU."""
    parts = [sequence_losses(model, encode_answers(tokenizer, prompts[i:i + batch], answers[i:i + batch], end=end))
             for i in range(0, len(prompts), batch)]
    return Losses(torch.cat([p.total.cpu() for p in parts]), torch.cat([p.tokens.cpu() for p in parts]))


@torch.no_grad()
def rival_losses(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, prompts: Sequence[str],
                 rivals: Sequence[Sequence[str]], *, batch: int = BATCH) -> list[list[float]]:
    """Teacher-forced NLL per token, end token included, of several answers to each prompt, which is read only once."""
    most = max(map(len, rivals), default=0)
    together = max(1, batch // max(1, most))
    found: list[list[float]] = []
    for start in range(0, len(prompts) if most else 0, together):
        found += _rivals_of_few(model, tokenizer, prompts[start:start + together], rivals[start:start + together])
    return found or [[] for _ in prompts]


def _rivals_of_few(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, prompts: Sequence[str],
                   rivals: Sequence[Sequence[str]]) -> list[list[float]]:
    plain, pad = model.get_base_model() if hasattr(model, "get_base_model") else model, padding(tokenizer)
    ids, mask = left_padded([encode_prompt(tokenizer, prompt) for prompt in prompts], pad, plain.device)
    rows = torch.tensor([row for row, texts in enumerate(rivals) for _ in texts], device=plain.device)
    if not len(rows):
        return [[] for _ in prompts]
    read = ids.shape[1] - 1
    cache = read_ahead(plain, ids, mask, read, rows)
    end = [tokenizer.eos_token_id] if tokenizer.eos_token_id is not None else []
    answers = [tokenizer(text, add_special_tokens=False).input_ids + end for texts in rivals for text in texts]
    longest = max(map(len, answers))
    wanted = torch.tensor([answer + [IGNORED] * (longest - len(answer)) for answer in answers], device=plain.device)
    asked = wanted != IGNORED
    # from the last token of the prompt to the last but one of the answer: each is asked for the one after it
    step = torch.cat([ids[rows, read:], wanted[:, :-1].masked_fill(~asked[:, :-1], pad)], dim=-1)
    seen = torch.cat([mask[rows], asked[:, :-1].to(mask)], dim=-1)
    hidden = plain.base_model(input_ids=step, attention_mask=seen, position_ids=positions_of(seen)[:, read:], use_cache=True,
                              **{cache_argument(plain): cache}).last_hidden_state
    scores = TokenScores(len(rows), asked.nonzero()[:, 0], wanted[asked], plain.get_output_embeddings()(hidden[asked]))
    means = iter(scores.losses.mean.tolist())
    return [[next(means) for _ in texts] for texts in rivals]
