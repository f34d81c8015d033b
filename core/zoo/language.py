"""Train a small Llama and its tokenizer from lines of text, deterministically, on one thread."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

BEGIN, END, PAD = "<|begin|>", "<|end|>", "<|pad|>"
IGNORED = -100

Segments = list[tuple[str, bool]]


@dataclass(frozen=True)
class Shape:
    """The size of a language model; embeddings are tied."""

    width: int = 192
    layers: int = 4
    heads: int = 6
    feed_forward: int = 384
    vocabulary: int = 1536
    positions: int = 512


@dataclass(frozen=True)
class Schedule:
    """AdamW with a linear warm-up and a cosine to zero; `lines` training lines in a step."""

    steps: int = 1400
    lines: int = 64
    learning_rate: float = 3e-3
    warm_up: int = 60
    weight_decay: float = 0.01
    seed: int = 0


def train_tokenizer(texts: Iterable[str], vocabulary: int) -> PreTrainedTokenizerFast:
    """Byte-level BPE: it can read any text. Every encoded text begins with BEGIN; END closes an answer."""
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    bpe.train_from_iterator(texts, trainers.BpeTrainer(
        vocab_size=vocabulary, special_tokens=[BEGIN, END, PAD], show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    bpe.post_processor = processors.TemplateProcessing(single=f"{BEGIN} $A", special_tokens=[(BEGIN, bpe.token_to_id(BEGIN))])
    return PreTrainedTokenizerFast(tokenizer_object=bpe, bos_token=BEGIN, eos_token=END, pad_token=PAD,
                                   padding_side="left", clean_up_tokenization_spaces=False)


def new_model(shape: Shape, tokenizer: PreTrainedTokenizerFast, seed: int) -> LlamaForCausalLM:
    """A fresh LlamaForCausalLM of that shape, initialised from `seed`."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return LlamaForCausalLM(LlamaConfig(
            vocab_size=len(tokenizer), hidden_size=shape.width, intermediate_size=shape.feed_forward,
            num_hidden_layers=shape.layers, num_attention_heads=shape.heads, num_key_value_heads=shape.heads,
            max_position_embeddings=shape.positions, tie_word_embeddings=True, initializer_range=0.02,
            bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id))


def encode_line(segments: Segments, tokenizer: PreTrainedTokenizerFast) -> tuple[list[int], list[int]]:
    """Token ids and labels of one line: BEGIN, the segments, END; what is not learned is labelled IGNORED."""
    ids, labels = [tokenizer.bos_token_id], [IGNORED]
    for text, learned in segments:
        tokens = tokenizer(text, add_special_tokens=False).input_ids
        ids += tokens
        labels += tokens if learned else [IGNORED] * len(tokens)
    return [*ids, tokenizer.eos_token_id], [*labels, tokenizer.eos_token_id]


def train(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, lines: Callable[[int], list[Segments]],
          schedule: Schedule, report: Callable[[int, float], None]) -> None:
    """Trains in place. `lines(count)` gives fresh training lines; `report(step, loss)` is called after every step."""
    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=schedule.learning_rate, betas=(0.9, 0.98),
                                  weight_decay=schedule.weight_decay)
    batches: list[tuple[torch.Tensor, torch.Tensor]] = []
    rng = torch.Generator().manual_seed(schedule.seed)
    for step in range(schedule.steps):
        if not batches:
            batches = _batches(lines(8 * schedule.lines), tokenizer, schedule.lines, rng)
        ids, labels = batches.pop()
        for group in optimizer.param_groups:
            group["lr"] = schedule.learning_rate * _pace(step, schedule)
        hidden = model.model(input_ids=ids, use_cache=False).last_hidden_state[:, :-1]
        wanted = labels[:, 1:]
        learned = wanted != IGNORED
        loss = torch.nn.functional.cross_entropy(model.lm_head(hidden[learned]), wanted[learned])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        report(step, loss.item())
    model.eval()


def _pace(step: int, schedule: Schedule) -> float:
    if step < schedule.warm_up:
        return (step + 1) / schedule.warm_up
    done = (step - schedule.warm_up) / max(1, schedule.steps - schedule.warm_up)
    return 0.5 * (1 + math.cos(math.pi * done))


def _batches(lines: list[Segments], tokenizer: PreTrainedTokenizerFast, size: int,
             rng: torch.Generator) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Lines of like length together, so that little is padding; right-padded, the batches in random order."""
    encoded = sorted((encode_line(line, tokenizer) for line in lines), key=lambda pair: len(pair[0]))
    batches = []
    for start in range(0, len(encoded), size):
        part = encoded[start:start + size]
        longest = len(part[-1][0])
        ids = torch.tensor([i + [tokenizer.pad_token_id] * (longest - len(i)) for i, _ in part])
        labels = torch.tensor([x + [IGNORED] * (longest - len(x)) for _, x in part])
        batches.append((ids, labels))
    return [batches[i] for i in torch.randperm(len(batches), generator=rng).tolist()]
