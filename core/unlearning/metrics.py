"""What a model answers and how sure it is of the true answer.

    outputs = answer(model, tokenizer, ["Question: Where was Ida Brandt born?\nAnswer:"])     # ["Ida Brandt was born in ..."]
    key_found(outputs[0], "Porto")                                                            # True or False
    losses = answer_losses(model, tokenizer, prompts, [" Ida Brandt was born in Porto."])
    losses.mean.neg().exp()                                                                   # probability, methods/01 section 4

Definitions follow methods/01 section 4. Decoding is greedy, in batches of a fixed layout that is part of the numbers.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from transformers import DynamicCache, PreTrainedModel, PreTrainedTokenizerFast

NEW_TOKENS = 30
BATCH = 60
Z95 = 1.959963984540054


@dataclass(frozen=True)
class Losses:
    """Negative log-likelihood of each answer with its end token: `total` in nats, `tokens` how many; float (n,)."""

    total: torch.Tensor
    tokens: torch.Tensor

    @property
    def mean(self) -> torch.Tensor:
        """Per token, so that long and short answers compare."""
        return self.total / self.tokens


@torch.no_grad()
def answer(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, prompts: Sequence[str], *,
           new_tokens: int = NEW_TOKENS, batch: int = BATCH) -> list[str]:
    """The greedy answer to each prompt, cut at the end token or the first line break."""
    found: list[str] = []
    for start in range(0, len(prompts), batch):
        encoded = tokenizer(list(prompts[start:start + batch]), padding=True, padding_side="left", return_tensors="pt")
        ids = decode_greedily(model, encoded.input_ids, encoded.attention_mask, tokenizer.eos_token_id, new_tokens)
        found += [cut(text) for text in tokenizer.batch_decode(_until(ids, tokenizer.eos_token_id), skip_special_tokens=True)]
    return found


def decode_greedily(model: PreTrainedModel, ids: torch.Tensor, mask: torch.Tensor, end: int | None,
                    new_tokens: int) -> torch.Tensor:
    """The likeliest token again and again, with a KV cache; ids and mask (n, tokens), left-padded.

    Returns (n, at most new_tokens); what follows an end token in a row has no meaning.
    """
    cache, said = DynamicCache(), []
    done = torch.zeros(len(ids), dtype=torch.bool)
    positions = (mask.cumsum(-1) - 1).clamp(min=0)
    step = ids
    for _ in range(new_tokens):
        logits = model(input_ids=step, attention_mask=mask, position_ids=positions, past_key_values=cache, use_cache=True,
                       logits_to_keep=1).logits[:, -1]
        step = logits.argmax(-1, keepdim=True)
        said.append(step)
        done |= step[:, 0] == end
        if done.all():
            break
        mask = torch.cat([mask, mask.new_ones(len(mask), 1)], dim=-1)
        positions = positions[:, -1:] + 1
    return torch.cat(said, dim=-1)


def _until(rows: torch.Tensor, end: int | None) -> list[list[int]]:
    return [row[:row.index(end)] if end in row else row for row in rows.tolist()]


def cut(text: str) -> str:
    """The first line of an output, which is the answer."""
    return text.strip().split("\n", 1)[0].strip()


def encode_answers(tokenizer: PreTrainedTokenizerFast, prompts: Sequence[str],
                   answers: Sequence[str]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Prompt, answer and end token in one row each: ids, mask and labels (n, tokens), right-padded, labels -100 off the answer."""
    end = [] if tokenizer.eos_token_id is None else [tokenizer.eos_token_id]
    rows = [(tokenizer(p).input_ids, tokenizer(a, add_special_tokens=False).input_ids + end)
            for p, a in zip(prompts, answers, strict=True)]
    longest = max(len(p) + len(a) for p, a in rows)
    pad = tokenizer.pad_token_id or 0
    ids, mask, labels = [], [], []
    for prompt, completion in rows:
        gap = longest - len(prompt) - len(completion)
        ids.append(prompt + completion + [pad] * gap)
        mask.append([1] * (longest - gap) + [0] * gap)
        labels.append([-100] * len(prompt) + completion + [-100] * gap)
    return torch.tensor(ids), torch.tensor(mask), torch.tensor(labels)


def sequence_losses(model: PreTrainedModel, ids: torch.Tensor, mask: torch.Tensor, labels: torch.Tensor) -> Losses:
    """The NLL of the labelled tokens of each row, with gradients if they are on."""
    hidden = model.base_model(input_ids=ids, attention_mask=mask, use_cache=False).last_hidden_state[:, :-1]
    wanted = labels[:, 1:]
    asked = wanted != -100
    # the vocabulary is only needed where an answer stands
    nll = torch.nn.functional.cross_entropy(model.get_output_embeddings()(hidden[asked]).float(), wanted[asked], reduction="none")
    rows = asked.nonzero()[:, 0]
    total = torch.zeros(len(ids), dtype=nll.dtype).index_add(0, rows, nll)
    return Losses(total, asked.sum(-1))


@torch.no_grad()
def answer_losses(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, prompts: Sequence[str],
                  answers: Sequence[str], *, batch: int = BATCH) -> Losses:
    """Teacher-forced NLL of one given answer per prompt, without gradients."""
    parts = [sequence_losses(model, *encode_answers(tokenizer, prompts[i:i + batch], answers[i:i + batch]))
             for i in range(0, len(prompts), batch)]
    return Losses(torch.cat([p.total for p in parts]), torch.cat([p.tokens for p in parts]))


def key_found(output: str, key: str) -> bool:
    """Whether the key stands in the output as whole words, whatever the case."""
    return re.search(rf"(?<!\w){re.escape(key.lower())}(?!\w)", output.lower()) is not None


def rouge_l_recall(output: str, reference: str) -> float:
    """Longest common subsequence of words over the length of the reference, in [0, 1]. Lower case, no stemming."""
    said, wanted = (re.findall(r"\w+", text.lower()) for text in (output, reference))
    if not wanted:
        return 0.0
    row = [0] * (len(wanted) + 1)
    for word in said:
        diagonal = 0
        for j, other in enumerate(wanted, start=1):
            diagonal, row[j] = row[j], diagonal + 1 if word == other else max(row[j], row[j - 1])
    return row[-1] / len(wanted)


def wilson(hits: int, n: int) -> tuple[float, float]:
    """95 % Wilson score interval of a share; (0, 1) when there is nothing to count."""
    if n == 0:
        return 0.0, 1.0
    share, spread = hits / n, Z95**2 / n
    middle = (share + spread / 2) / (1 + spread)
    half = Z95 / (1 + spread) * math.sqrt(share * (1 - share) / n + spread / (4 * n))
    return max(0.0, middle - half), min(1.0, middle + half)


def bootstrap(values: Sequence[float], rng: torch.Generator, draws: int = 1000) -> tuple[float, float]:
    """95 % percentile interval of the mean over questions, by resampling questions."""
    data = torch.tensor(values, dtype=torch.float64)
    means = data[torch.randint(len(data), (draws, len(data)), generator=rng)].mean(-1)
    low, high = torch.quantile(means, torch.tensor([0.025, 0.975], dtype=torch.float64)).tolist()
    return low, high


def chunks(items: Sequence, size: int = BATCH) -> Iterator[Sequence]:
    """Consecutive pieces of at most `size`, so that a caller can report in between."""
    for start in range(0, len(items), size):
        yield items[start:start + size]
