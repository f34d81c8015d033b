"""ActPert: shake a person's name inside the model, see how the thoughts move, and push along that direction while it answers.

    shift = perturb(model, tokenizer, [text], [(10, 21)], layers=[2], rng=lab.rng("noise"))
    shift.size[1, 0]                                                  # per token, how far the second layer's state moved
    answers(model, tokenizer, shift, [(0, Cell(2, "last", -1.0))])    # ["Felix Tanaka was born in Oslo."]

Our reconstruction (methods/01 section 6.2) of the activation audit of Chen and others, whose equation is not public. Noise
goes on the embeddings e of the subject's tokens S, R times; after block l the state h moves, on average, by

    delta[l, t] = 1/R sum_r (h[l, t](e) - h[l, t](e + nu * sigma_E * eps_r)),   eps ~ N(0, 1) on S, 0 elsewhere

with sigma_E the standard deviation of the entries of the embedding matrix. While the model answers, alpha * delta is added
after block l: `last` adds the one of the last prompt token there and at every new token, `first` only there (AnonAct's
rule), `prompt` to each prompt token its own. alpha > 0 strengthens what depends on the name, alpha < 0 takes it away.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from core.engine.decoding import decode_greedily, end_tokens, left_padded, positions_of, read_ahead
from core.engine.encoding import PromptText, encode_prompts, offsets
from core.engine.lens import embedding_matrix
from core.engine.thinking import split_ids
from core.engine.trace import Site, sites, trace
from core.unlearning.answers import NEW_TOKENS, cut, padding

Mode = Literal["last", "prompt", "first"]
Span = tuple[int, int]
MODES: tuple[Mode, ...] = ("last", "prompt")
ALPHAS = (-3.0, -1.0, 1.0, 3.0)
DEPTHS = (0.37, 0.6)
DRAWS = 4
NOISED_ROWS = 240
HIDDEN_NOISE = 0.1


@dataclass(frozen=True, order=True)
class Cell:
    """One setting: push after block `layer`, counted from 1, with this factor."""

    layer: int
    mode: Mode
    alpha: float

    def __str__(self) -> str:
        return f"layer {self.layer}, {WHERE[self.mode]}, strength {self.alpha:+g}"


WHERE: dict[Mode, str] = {"last": "from the last word on", "prompt": "on the question", "first": "at the last word only"}


@dataclass(frozen=True)
class Shift:
    """How the states of n questions move when their subjects are shaken.

    ids, mask: long (n, tokens), left-padded.  subject: bool (n, tokens), the shaken tokens.
    delta: by layer, counted from 1, float (n, tokens, width).  size: float (layers, n, tokens), the length of delta after
    every layer.  noise: standard deviation of what was added to the embeddings.
    """

    ids: Tensor
    mask: Tensor
    subject: Tensor
    delta: dict[int, Tensor]
    size: Tensor
    noise: float


def grid_layers(layers: int) -> list[int]:
    """The layers to push at in a model of so many: 37 % and 60 % of the depth and the last but one, counted from 1."""
    return sorted({max(1, int(share * layers)) for share in DEPTHS} | {max(1, layers - 1)})


def grid(layers: int, modes: Sequence[Mode] = MODES, alphas: Sequence[float] = ALPHAS) -> list[Cell]:
    """All cells, mode by mode: those of one mode share a batch."""
    return [Cell(layer, mode, alpha) for mode in modes for layer in grid_layers(layers) for alpha in alphas]


def subject_span(question: str, span: Span | None) -> Span | None:
    """The characters to shake: the given ones, else the last capitalised name that does not begin the question, else None."""
    if span and span[0] < span[1]:
        return tuple(span)
    names: list[Span] = []
    for word in re.finditer(r"[^\W\d_][\w'’-]*", question):
        if not word[0][0].isupper():
            continue
        begin, end = word.span()
        if names and question[names[-1][1]:begin].isspace():
            names[-1] = (names[-1][0], end)
        elif begin:
            names.append((begin, end))
    return names[-1] if names else None


def subject_tokens(tokenizer: PreTrainedTokenizerBase, text: PromptText | str, span: Span) -> list[int]:
    """The numbers of all tokens of `text` that overlap the characters from span[0] to span[1]."""
    return [i for i, (begin, end) in enumerate(offsets(tokenizer, text)) if begin < span[1] and end > span[0]]


def noise_scale(model: PreTrainedModel, noise: float, unit: Literal["relative", "absolute"] = "relative") -> float:
    """Standard deviation of the noise: `noise` itself, or that many times the spread of the embedding entries."""
    return noise if unit == "absolute" else noise * embedding_matrix(model).float().std(correction=0).item()


@torch.no_grad()
def perturb(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, texts: Sequence[PromptText | str], spans: Sequence[Span], *,
            layers: Sequence[int], rng: torch.Generator, noise: float = 1.0, unit: Literal["relative", "absolute"] = "relative",
            draws: int = DRAWS) -> Shift:
    """Measures delta for each prompt; `spans` are the subject's characters in it, `layers` those whose delta is kept.

    One clean forward pass and `draws` noised ones per question; noise is drawn question by question from `rng`.
    """
    rows = encode_prompts(tokenizer, texts)
    ids, mask = left_padded(rows, padding(tokenizer), model.device)
    subject = torch.zeros_like(mask, dtype=torch.bool)
    for i, (text, span) in enumerate(zip(texts, spans, strict=True)):
        subject[i, [mask.shape[1] - len(rows[i]) + t for t in subject_tokens(tokenizer, text, span)]] = True
    scale = noise_scale(model, noise, unit)
    chunk = max(1, NOISED_ROWS // draws)
    moved = [_moved(model, *(part[i:i + chunk] for part in (ids, mask, subject)), scale, draws, rng) for i in range(0, len(ids), chunk)]
    delta = torch.cat(moved, dim=1)
    return Shift(ids, mask, subject, {layer: delta[layer - 1] for layer in layers}, delta.float().norm(dim=-1), scale)


def _moved(model: PreTrainedModel, ids: Tensor, mask: Tensor, subject: Tensor, scale: float, draws: int, rng: torch.Generator) -> Tensor:
    """delta after every layer, (layers, n, tokens, width)."""
    clean = _states(model, ids, mask)
    width = clean.shape[-1]
    noise = clean.new_zeros(len(ids), draws, ids.shape[1], width)
    for i, shaken in enumerate(subject):
        noise[i][:, shaken] = scale * torch.randn(draws, int(shaken.sum()), width, generator=rng).to(noise)
    many = [part.repeat_interleave(draws, dim=0) for part in (ids, mask)]
    noised = _states(model, *many, {Site(0, "resid_pre"): lambda x: x + noise.flatten(0, 1)})
    return clean - noised.unflatten(1, (len(ids), draws)).mean(2)


def _states(model: PreTrainedModel, ids: Tensor, mask: Tensor, edit: dict[Site, Callable[[Tensor], Tensor]] | None = None) -> Tensor:
    wanted = sites(model, "resid_post")
    with trace(model, capture=wanted, edit=edit) as acts:
        model.base_model(input_ids=ids, attention_mask=mask, position_ids=positions_of(mask), use_cache=False)
    return torch.stack([acts[site] for site in wanted])


def random_like(shift: Shift, rng: torch.Generator) -> Shift:
    """The control: every delta replaced by a random direction of the same length."""
    def turned(delta: Tensor) -> Tensor:
        drawn = torch.randn(delta.shape, generator=rng).to(delta)
        return drawn * (delta.norm(dim=-1, keepdim=True) / drawn.norm(dim=-1, keepdim=True))

    return replace(shift, delta={layer: turned(delta) for layer, delta in sorted(shift.delta.items())})


@torch.no_grad()
def answers(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, shift: Shift, asked: Sequence[tuple[int, Cell]],
            new_tokens: int = NEW_TOKENS) -> list[str]:
    """The greedy answers to (question number, cell) pairs in one batch; all cells of a batch have the same mode."""
    questions = torch.tensor([question for question, _ in asked], device=shift.ids.device)
    push = Push(shift, questions, [cell for _, cell in asked])
    ahead = None if push.mode == "prompt" else read_ahead(model, shift.ids, shift.mask, push.tokens - 1, questions)
    with trace(model, edit=push.edits()):
        said = decode_greedily(model, shift.ids[questions], shift.mask[questions], end_tokens(model, tokenizer), new_tokens,
                               cache=ahead, watch=push.watch)
    return [cut(split_ids(tokenizer, row).answer) for row in said]


@torch.no_grad()
def noised_answer(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, shift: Shift, layer: int, rng: torch.Generator,
                  strength: float = HIDDEN_NOISE, new_tokens: int = NEW_TOKENS) -> str:
    """The greedy answer to question 0 while `hidden_noise` falls on every state after block `layer`, counted from 1."""
    edit = {Site(layer - 1, "resid_post"): hidden_noise(rng, strength)}
    with trace(model, edit=edit):
        said = decode_greedily(model, shift.ids[:1], shift.mask[:1], end_tokens(model, tokenizer), new_tokens)
    return cut(split_ids(tokenizer, said[0]).answer)


def hidden_noise(rng: torch.Generator, strength: float) -> Callable[[Tensor], Tensor]:
    """h + strength * std(h) * eps on states (rows, tokens, width): a cheap control without any direction, and not ActPert, though a
    third-party project calls it so (methods/01, "Added 28 November"). std(h) is each token's own, over the width, so that a token
    is shaken alike whether it is read with others or alone."""
    def edit(states: Tensor) -> Tensor:
        eps = torch.randn(states.shape, generator=rng).to(states)
        return states + strength * states.std(-1, keepdim=True, correction=0) * eps

    return edit


class Push:
    """The edits of one batch whose rows have cells of their own: a row is moved at its layer and by zero at the others."""

    def __init__(self, shift: Shift, questions: Tensor, cells: Sequence[Cell]) -> None:
        modes = {cell.mode for cell in cells}
        assert len(modes) == 1, "one batch, one mode"
        self.mode, self.tokens, self.rows = modes.pop(), shift.ids.shape[1], slice(None)
        self._amounts: dict[int, Tensor] = {}
        for layer in sorted({cell.layer for cell in cells}):
            alphas = torch.tensor([cell.alpha if cell.layer == layer else 0.0 for cell in cells]).to(shift.delta[layer])
            delta = shift.delta[layer][questions]
            self._amounts[layer] = alphas[:, None, None] * (delta if self.mode == "prompt" else delta[:, -1:])

    def watch(self, rows: Tensor) -> None:
        """These rows are left. Long (rows left,)."""
        self.rows = rows

    def edits(self) -> dict[Site, Callable[[Tensor, int], Tensor]]:
        """For `trace`: what happens to the residual stream after each layer. Each takes and gives states (rows, tokens, width)."""
        def after(amounts: Tensor) -> Callable[[Tensor, int], Tensor]:
            return lambda states, offset: self._move(states, offset, amounts)

        return {Site(layer - 1, "resid_post"): after(amounts) for layer, amounts in self._amounts.items()}

    def _move(self, states: Tensor, offset: int, amounts: Tensor) -> Tensor:
        """states: (rows, tokens, width), of which the first is token `offset` of the padded sequence."""
        last = self.tokens - 1 - offset  # where the last prompt token stands in `states`; below 0 once it has passed
        if self.mode == "prompt":
            begin, end = 0, last + 1
        else:
            begin, end = max(0, last), states.shape[1] if self.mode == "last" else last + 1
        if end <= begin:
            return states
        moved = states.clone()
        moved[:, begin:end] += amounts[self.rows, offset:offset + end] if self.mode == "prompt" else amounts[self.rows]
        return moved
