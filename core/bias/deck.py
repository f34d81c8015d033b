"""Prompts made ready once and asked again and again: all but the last token of a prompt is computed a single time.

    deck = Deck(model, tokenizer, items)
    base, edited = deck.ask([{}, edits])           # Answers: option probabilities (items, options), averaged over the options' orders
    states = deck.states()                         # the residual stream at the answering position

Edits act at the answering position alone (methods/02 section 7), so keys and values of everything before it never change: an
edited pass is one token per prompt. Prompts about one picture share a row; each sees the common beginning and itself, at the
positions it would have alone. Families: llama, qwen_vl, and llava with a llama text tower.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel

from core.bias.forms import Form
from core.bias.items import Item
from core.engine.families import family_of
from core.engine.lens import unembed
from core.engine.trace import Edit, Site, sites, trace

Edits = Mapping[Site, Edit]
SEGMENTS = 24  # prompts that share one row
ROWS = 4  # rows of a batch: small, so that Stop is heard
NOWHERE = -(10**6)


@dataclass
class Answers:
    """What the options get.

    p: float array (items, options), in the order of `Item.options`, padded with 0; averaged over the orders of the options.
    first: the same for the order as written, not averaged.  mass: (items,) what the options get of all words together.
    """

    p: np.ndarray
    first: np.ndarray
    mass: np.ndarray


@dataclass
class States:
    """The residual stream where the answer is said, per prompt: start (prompts, width), parts (prompts, layers, 2, width) attention and
    MLP output. `owner`: the item of each prompt."""

    start: Tensor
    parts: Tensor
    owner: Tensor

    @property
    def after(self) -> Tensor:
        """h_0 ... h_L: (prompts, layers + 1, width)."""
        return torch.cat([self.start[:, None], self.start[:, None] + self.parts.sum(2).cumsum(1)], 1)

    @property
    def between(self) -> Tensor:
        """m_1 ... m_L, after attention and before the MLP: (prompts, layers, width)."""
        return self.after[:, :-1] + self.parts[:, :, 0]


@dataclass
class _Batch:
    cache: DynamicCache
    inputs: dict[str, Tensor]
    places: list[tuple[int, int, int]]  # (row, column, prompt)


@dataclass
class _Prompt:
    ids: list[int]
    options: list[list[int]]  # spellings of each option, in the order of Item.options
    item: int
    first: bool


class Deck:
    """Items with their prompts, encoded for one model. `keep`: hold the computed beginnings in memory (a few prompts; the live page)."""

    def __init__(self, model: PreTrainedModel, form: Form, items: Sequence[Item], *, every_order: bool = True, keep: bool = False) -> None:
        self.model, self.form, self.items = model, form, list(items)
        self.layers = len(family_of(model).layers(model))
        self.prompts = [
            _Prompt(*form.encode(item, order), number, i == 0)
            for number, item in enumerate(self.items)
            for i, order in enumerate(item.orders(every_order))
        ]
        self.width = max(len(item.options) for item in self.items)
        spellings = max(len(spelled) for prompt in self.prompts for spelled in prompt.options)
        self.ids = torch.full((len(self.prompts), self.width, spellings), -1)
        for number, prompt in enumerate(self.prompts):
            for i, spelled in enumerate(prompt.options):
                self.ids[number, i, : len(spelled)] = torch.tensor(spelled)
        self.owner = torch.tensor([prompt.item for prompt in self.prompts])
        self._kept: list[_Batch] | None = [] if keep else None

    @torch.no_grad()
    def ask(self, plans: Sequence[Edits]) -> list[Answers]:
        """The answers under each set of edits; {} is the model as it is."""
        return _last(self.asking(plans))

    def asking(self, plans: Sequence[Edits]) -> Iterator[list[Answers] | tuple[int, int]]:
        """The same, telling (prompts done, prompts) after each batch; the last thing given is the list of answers."""
        logits = [torch.zeros(len(self.prompts), self.width) for _ in plans]
        mass, done = [torch.zeros(len(self.prompts)) for _ in plans], 0
        batches = self._batches()
        while True:
            with torch.no_grad():  # not held over a yield: whoever listens has a mode of their own
                if (batch := next(batches, None)) is None:
                    break
            where = torch.tensor([place for *_, place in batch.places])
            for i, plan in enumerate(plans):
                with torch.no_grad():
                    hidden = self._step(batch, plan, last_only=True)[0]
                    logits[i][where], mass[i][where] = self.read(hidden, where)
                if i % 4 == 0:
                    yield done + len(where) * (i + 1) // len(plans), len(self.prompts)
            done += len(where)
        with torch.no_grad():
            answers = [self._answers(z, m) for z, m in zip(logits, mass, strict=True)]
        yield answers

    def states(self) -> States:
        """The residual stream at the answering position of every prompt, computed in the model's own forward."""
        *_, made = self.reading()
        return made

    def reading(self) -> Iterator[States | tuple[int, int]]:
        """The same, telling (prompts done, prompts) after each batch; the last thing given is the states."""
        width = self.model.get_input_embeddings().weight.shape[1]
        start, parts = torch.zeros(len(self.prompts), width), torch.zeros(len(self.prompts), self.layers, 2, width)
        batches, done = self._batches(), 0
        while True:
            with torch.no_grad():  # not held over a yield: whoever listens has a mode of their own
                if (batch := next(batches, None)) is None:
                    break
                where = torch.tensor([place for *_, place in batch.places])
                _, start[where], parts[where] = self._step(batch, {}, last_only=False)
            done += len(batch.places)
            yield done, len(self.prompts)
        yield States(start, parts, self.owner)

    @torch.no_grad()
    def speak(self, plan: Edits, most: int) -> list[str]:
        """What each item is answered freely, greedily and at most `most` tokens long; the edit acts on every new token."""
        said: dict[int, list[int]] = {}
        for batch in self._batches():
            for number, ids in self._spoken(batch, plan, most):
                said.setdefault(self.prompts[number].item, ids)
        return [" ".join(self.form.tokenizer.decode(said[i], skip_special_tokens=True).split()) for i in range(len(self.items))]

    def _spoken(self, batch: _Batch, plan: Edits, most: int) -> list[tuple[int, list[int]]]:
        rows, columns = (list(axis) for axis in list(zip(*batch.places, strict=True))[:2])
        inputs, end, embed = dict(batch.inputs), Site(self.layers - 1, "resid_post"), self.model.get_input_embeddings()
        count = inputs["inputs_embeds"].shape[1]
        own, stop, steps, ids = torch.eye(count).bool(), self.form.tokenizer.eos_token_id, 0, [[] for _ in batch.places]
        try:
            while steps < most and not all(row and row[-1] == stop for row in ids):
                with trace(self.model, capture=[end], edit=plan) as acts:
                    self._tower(**inputs, cache=batch.cache, use_cache=True)
                    hidden = acts[end][rows, columns]
                steps += 1
                new = unembed(self.model, hidden).argmax(-1)
                for row, token in zip(ids, new.tolist(), strict=True):
                    if not row or row[-1] != stop:
                        row.append(token)
                tokens = torch.zeros(inputs["inputs_embeds"].shape[:2], dtype=torch.long, device=new.device)
                tokens[rows, columns] = new
                mask = inputs["attention_mask"]
                grown = torch.cat([mask, own.to(mask.device).expand(*mask.shape[:2], -1, -1)], -1)
                inputs = {"inputs_embeds": embed(tokens), "attention_mask": grown, "position_ids": inputs["position_ids"] + 1}
        finally:
            batch.cache.crop(-count * steps)
        return [(number, row[:-1] if row[-1] == stop else row) for (*_, number), row in zip(batch.places, ids, strict=True)]

    def read(self, hidden: Tensor, prompts: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """z (n, options) before the softmax over options, -inf where there is none, and mass (n,); `hidden` (n, width) is read by the
        model's own norm and head. `prompts`: which prompts these are, all by default."""
        ids = self.ids if prompts is None else self.ids[prompts]
        words = unembed(self.model, hidden.to(self.model.device)).float().cpu()
        whole = words.logsumexp(-1)
        spelled = words.gather(1, ids.clamp(min=0).flatten(1)).view(ids.shape).masked_fill(ids < 0, -torch.inf)
        options = spelled.logsumexp(-1)
        return options, (options.logsumexp(-1) - whole).exp()

    def by_item(self, values: Tensor) -> Tensor:
        """Means over the orders of each item: (prompts, ...) -> (items, ...)."""
        total = torch.zeros(len(self.items), *values.shape[1:]).index_add_(0, self.owner, values)
        count = torch.zeros(len(self.items)).index_add_(0, self.owner, torch.ones(len(values)))
        return total / count.view(-1, *[1] * (values.dim() - 1))

    def _answers(self, options: Tensor, mass: Tensor) -> Answers:
        p = options.softmax(-1)
        first = torch.tensor([i for i, prompt in enumerate(self.prompts) if prompt.first])
        return Answers(self.by_item(p).numpy(), p[first].numpy(), self.by_item(mass).numpy())

    # ---- the two forwards ----

    def _batches(self) -> Iterator[_Batch]:
        if self._kept:
            yield from self._kept
            return
        rows = self._rows()
        for start in range(0, len(rows), ROWS):
            batch = self._prefix(rows[start : start + ROWS])
            if self._kept is not None:
                self._kept.append(batch)
            yield batch

    def _rows(self) -> list[list[int]]:
        """Prompts that share a picture, at most SEGMENTS in a row; rows of like length follow each other."""
        by_picture: dict[object, list[int]] = {}
        for number, prompt in enumerate(self.prompts):
            by_picture.setdefault(self.items[prompt.item].picture, []).append(number)
        rows = [group[i : i + SEGMENTS] for group in by_picture.values() for i in range(0, len(group), SEGMENTS)]
        return sorted(rows, key=lambda row: sum(len(self.prompts[n].ids) for n in row))

    def _prefix(self, rows: list[list[int]]) -> _Batch:
        pictures = [self.items[self.prompts[row[0]].item].picture for row in rows]
        begin = self.form.beginning(pictures)  # (rows, common, width)
        common = begin.shape[1]
        counted, after = self.form.places(common) if hasattr(self.form, "places") else (torch.arange(common), common)
        heads, segments, positions = [], [], []
        for row in rows:
            ids, owner, place = [], [], []
            for i, number in enumerate(row):
                before = self.prompts[number].ids[:-1]
                ids += before
                owner += [i + 1] * len(before)
                place += range(after, after + len(before))
            heads.append(ids), segments.append([0] * common + owner), positions.append([0] * common + place)
        longest, most = max(map(len, heads)), max(map(len, rows))
        ids = torch.tensor([row + [0] * (longest - len(row)) for row in heads], dtype=torch.long).view(len(rows), longest)
        seen = torch.tensor([row + [NOWHERE] * (common + longest - len(row)) for row in segments])
        place = torch.tensor([row + [0] * (common + longest - len(row)) for row in positions])
        if counted.dim() == 2:  # in time, height and width
            place = place.expand(3, -1, -1).clone()
            place[:, :, :common] = counted[:, None]
        else:
            place[:, :common] = counted
        embed = self.model.get_input_embeddings()
        cache = DynamicCache(config=self._tower.config)
        allowed = ((seen[:, None, :] == 0) | (seen[:, None, :] == seen[:, :, None])) & torch.ones(
            common + longest, common + longest
        ).tril().bool()
        self._tower(
            inputs_embeds=torch.cat([begin, embed(ids.to(self.model.device))], 1),
            attention_mask=allowed[:, None].to(self.model.device),
            position_ids=place.to(self.model.device),
            cache=cache,
            use_cache=True,
            **(self.form.extras(pictures, common + longest) if hasattr(self.form, "extras") else {}),
        )
        last = torch.tensor([[self.prompts[n].ids[-1] for n in row] + [0] * (most - len(row)) for row in rows])
        at = torch.tensor([[after + len(self.prompts[n].ids) - 1 for n in row] + [0] * (most - len(row)) for row in rows])
        own = torch.arange(1, most + 1)
        before = (seen[:, None, :] == 0) | (seen[:, None, :] == own[None, :, None])
        mask = torch.cat([before, torch.eye(most).bool().expand(len(rows), -1, -1)], -1)[:, None]
        return _Batch(
            cache,
            {"inputs_embeds": embed(last.to(self.model.device)), "attention_mask": mask.to(self.model.device),
             "position_ids": at.to(self.model.device)},
            [(r, c, n) for r, row in enumerate(rows) for c, n in enumerate(row)],
        )

    def _step(self, batch: _Batch, plan: Edits, last_only: bool) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """The answering tokens alone: (n, width) after the last layer, and where asked for the start and the parts."""
        end = Site(self.layers - 1, "resid_post")
        wanted = [end] if last_only else [end, Site(0, "resid_pre"), *sites(self.model, "attn_out", "mlp_out")]
        count = batch.inputs["inputs_embeds"].shape[1]
        rows, columns = (torch.tensor(axis) for axis in list(zip(*batch.places, strict=True))[:2])
        with trace(self.model, capture=wanted, edit=plan) as acts:
            try:
                self._tower(**batch.inputs, cache=batch.cache, use_cache=True)
                taken = {site: acts[site][rows, columns] for site in wanted}  # before the tokens are taken back
            finally:
                batch.cache.crop(-count)
        if last_only:
            return taken[end], None, None
        parts = torch.stack(
            [torch.stack([taken[Site(layer, part)] for part in ("attn_out", "mlp_out")], 1) for layer in range(self.layers)], 1
        )
        return taken[end], taken[Site(0, "resid_pre")].cpu(), parts.cpu()

    @property
    def _tower(self) -> torch.nn.Module:
        inner = self.model.base_model
        return inner.language_model if self.form.sees else inner


def _last(steps: Iterator) -> list[Answers]:
    *_, answers = steps
    return answers
