"""Prompts made ready once and asked again and again: all but the last token of a prompt is computed a single time.

    deck = Deck(model, tokenizer, items)
    base, edited = deck.ask([{}, edits])           # Answers: option probabilities (items, options), averaged over the options' orders
    states = deck.states()                         # the residual stream at the answering position

Edits act at the answering position alone (methods/02 section 7), so keys and values of everything before it never change: an
edited pass is one token per prompt. Prompts about one picture share a row; each sees the common beginning and itself, at the
positions it would have alone. Options of several tokens are said on after the answering token, each by itself, and edited there too
(core/bias/pieces.py). Families: llama, qwen_vl, and llava with a llama text tower.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel

from core.bias.forms import Form
from core.bias.items import Item
from core.bias.pieces import Pieces
from core.bias.spelling import Spelling
from core.engine.errors import LabError
from core.engine.families import family_of
from core.engine.lens import unembed
from core.engine.trace import Edit, Site, sites, trace

Edits = Mapping[Site, Edit]
SEGMENTS = 24  # prompts that share one row
ROWS = 4  # rows of a batch: small, so that Stop is heard
COLUMNS = 96  # further tokens of options that share one row
AT_ONCE = 256  # slots that are read together: a vocabulary is wide
MOST_BYTES = 2**30  # of what is kept while options of several tokens are followed through the layers
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
    MLP output. `owner`: the item of each prompt.  more: the same in every slot of options of several tokens, None without such."""

    start: Tensor
    parts: Tensor
    owner: Tensor
    more: States | None = None

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
    further: dict[str, Tensor]  # what options of several tokens feed after that, {} without such
    slots: list[tuple[int, int, int]]  # (row, column, slot)


@dataclass
class _Prompt:
    ids: list[int]
    options: list[list[Spelling]]  # spellings of each option, in the order of Item.options
    item: int
    first: bool


@dataclass
class _Heard:
    """What is read of the options: z (prompts, options) of those of one token, whole (prompts,); first (spellings,), later (slots,)."""

    z: Tensor
    whole: Tensor
    first: Tensor
    later: Tensor


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
                single = [one[0] for one in spelled if len(one) == 1]
                self.ids[number, i, : len(single)] = torch.tensor(single, dtype=torch.long)
        self.pieces = Pieces.of([prompt.options for prompt in self.prompts])
        self.owner = torch.tensor([prompt.item for prompt in self.prompts])
        self._kept: list[_Batch] | None = [] if keep else None

    @torch.no_grad()
    def ask(self, plans: Sequence[Edits]) -> list[Answers]:
        """The answers under each set of edits; {} is the model as it is."""
        return _last(self.asking(plans))

    def asking(self, plans: Sequence[Edits]) -> Iterator[list[Answers] | tuple[int, int]]:
        """The same, telling (prompts done, prompts) after each batch; the last thing given is the list of answers."""
        heard, done = [self._silence() for _ in plans], 0
        batches = self._batches()
        while True:
            with torch.no_grad():  # not held over a yield: whoever listens has a mode of their own
                if (batch := next(batches, None)) is None:
                    break
            where = torch.tensor([place for *_, place in batch.places])
            for i, plan in enumerate(plans):
                with torch.no_grad():
                    (hidden, *_), *further = self._step(batch, plan, last_only=True)
                    self._hear(heard[i], hidden, where)
                    for hidden, *_ in further:
                        self._hear_on(heard[i], hidden, torch.tensor([slot for *_, slot in batch.slots]))
                if i % 4 == 0:
                    yield done + len(where) * (i + 1) // len(plans), len(self.prompts)
            done += len(where)
        with torch.no_grad():
            answers = [self._answers(*self._joined(one)) for one in heard]
        yield answers

    def states(self) -> States:
        """The residual stream at the answering position of every prompt, computed in the model's own forward."""
        *_, made = self.reading()
        return made

    def reading(self) -> Iterator[States | tuple[int, int]]:
        """The same, telling (prompts done, prompts) after each batch; the last thing given is the states."""
        width, slots = self.model.get_input_embeddings().weight.shape[1], len(self.pieces.owner)
        if 8 * slots * self.layers * width > MOST_BYTES:
            raise LabError("These options have too many pieces together to be followed through the layers.",
                           "Take fewer occupations or wordings, or options that the model writes in fewer pieces.")
        made = [States(torch.zeros(n, width), torch.zeros(n, self.layers, 2, width), owner)
                for n, owner in ((len(self.prompts), self.owner), (slots, self.owner[self.pieces.prompt][self.pieces.owner]))]
        batches, done = self._batches(), 0
        while True:
            with torch.no_grad():  # not held over a yield: whoever listens has a mode of their own
                if (batch := next(batches, None)) is None:
                    break
                taken = self._step(batch, {}, last_only=False)
                for states, places, (_, start, parts) in zip(made, (batch.places, batch.slots), taken, strict=False):
                    where = torch.tensor([place for *_, place in places])
                    states.start[where], states.parts[where] = start, parts
            done += len(batch.places)
            yield done, len(self.prompts)
        yield replace(made[0], more=made[1]) if slots else made[0]

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

    def read(self, hidden: Tensor, more: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """z (prompts, options) before the softmax over options, -inf where there is none, and mass (prompts,); `hidden` (prompts, width),
        and in every slot `more` (slots, width), are read by the model's own norm and head."""
        heard = self._silence()
        self._hear(heard, hidden, torch.arange(len(self.prompts)))
        if len(self.pieces):
            self._hear_on(heard, more, torch.arange(len(more)))
        return self._joined(heard)

    def _silence(self) -> _Heard:
        sizes = (len(self.prompts), self.width), (len(self.prompts),), (len(self.pieces),), (len(self.pieces.owner),)
        return _Heard(*(torch.zeros(size) for size in sizes))

    def _words(self, hidden: Tensor) -> Tensor:
        return unembed(self.model, hidden.to(self.model.device)).float().cpu()

    def _hear(self, heard: _Heard, hidden: Tensor, prompts: Tensor) -> None:
        """Reads the streams (n, width) where these prompts (n,) are answered."""
        ids, words = self.ids[prompts], self._words(hidden)
        heard.whole[prompts] = whole = words.logsumexp(-1)
        spelled = words.gather(1, ids.clamp(min=0).flatten(1)).view(ids.shape).masked_fill(ids < 0, -torch.inf)
        heard.z[prompts] = spelled.logsumexp(-1)
        row = torch.full((len(self.prompts),), -1)
        row[prompts] = torch.arange(len(prompts))
        own = (row[self.pieces.prompt] >= 0).nonzero()[:, 0]
        at = row[self.pieces.prompt[own]]
        heard.first[own] = words[at, self.pieces.first[own]] - whole[at]

    def _hear_on(self, heard: _Heard, hidden: Tensor, slots: Tensor) -> None:
        """Reads the streams (n, width) in these slots (n,)."""
        for i in range(0, len(slots), AT_ONCE):
            some = slots[i:i + AT_ONCE]
            said = self._words(hidden[i:i + AT_ONCE]).log_softmax(-1)
            heard.later[some] = said.gather(1, self.pieces.next[some][:, None])[:, 0]

    def _joined(self, heard: _Heard) -> tuple[Tensor, Tensor]:
        return self.pieces.joined(heard.z, heard.whole, heard.first, heard.later)

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
        most = max(1, min(SEGMENTS, COLUMNS * len(self.prompts) // max(1, len(self.pieces.owner))))
        rows = [group[i : i + most] for group in by_picture.values() for i in range(0, len(group), most)]
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
        mask = torch.cat([before, torch.eye(most).bool().expand(len(rows), -1, -1)], -1)
        return _Batch(cache, self._inputs(last, mask, at), [(r, c, n) for r, row in enumerate(rows) for c, n in enumerate(row)],
                      *self._further(rows, mask, at))

    def _inputs(self, ids: Tensor, mask: Tensor, at: Tensor) -> dict[str, Tensor]:
        device = self.model.device
        return {"inputs_embeds": self.model.get_input_embeddings()(ids.to(device)), "attention_mask": mask[:, None].to(device),
                "position_ids": at.to(device)}

    def _further(self, rows: list[list[int]], mask: Tensor, at: Tensor) -> tuple[dict[str, Tensor], list[tuple[int, int, int]]]:
        """Inputs of the tokens that options of several tokens go on with, and the slots where they stand: each sees what the answering
        token of its prompt sees, that token, and those before it in its own spelling."""
        if not len(self.pieces):
            return {}, []
        spelled = [[(c, slots) for c, n in enumerate(row) for slots in self.pieces.slots_of(n)] for row in rows]
        if not (longest := max(sum(len(slots) for _, slots in row) for row in spelled)):
            return {}, []
        ids, place = torch.zeros(len(rows), longest, dtype=torch.long), torch.zeros(len(rows), longest, dtype=torch.long)
        sees, found = torch.zeros(len(rows), longest, mask.shape[-1] + longest).bool(), []
        sees[:, :, mask.shape[-1]:] = torch.eye(longest).bool()
        for r, row in enumerate(spelled):
            column = 0
            for c, slots in row:
                for i, slot in enumerate(slots):
                    ids[r, column], place[r, column] = self.pieces.said[slot], at[r, c] + 1 + i
                    sees[r, column, :mask.shape[-1]] = mask[r, c]
                    sees[r, column, mask.shape[-1] + column - i:mask.shape[-1] + column + 1] = True
                    found.append((r, column, slot))
                    column += 1
        return self._inputs(ids, sees, place), found

    def _step(self, batch: _Batch, plan: Edits, last_only: bool) -> list[tuple[Tensor, Tensor | None, Tensor | None]]:
        """The answering tokens alone: (n, width) after the last layer, and where asked for the start and the parts. Then the same for
        what options of several tokens go on with, if there are any."""
        end, fed, made = Site(self.layers - 1, "resid_post"), 0, []
        wanted = [end] if last_only else [end, Site(0, "resid_pre"), *sites(self.model, "attn_out", "mlp_out")]
        try:
            for inputs, places in ((batch.inputs, batch.places), (batch.further, batch.slots)):
                if not inputs:
                    continue
                rows, columns = (torch.tensor(axis) for axis in list(zip(*places, strict=True))[:2])
                fed += inputs["inputs_embeds"].shape[1]
                with trace(self.model, capture=wanted, edit=plan) as acts:
                    self._tower(**inputs, cache=batch.cache, use_cache=True)
                    made.append(self._taken({site: acts[site][rows, columns] for site in wanted}, last_only))
        finally:
            batch.cache.crop(-fed)
        return made

    def _taken(self, taken: Mapping[Site, Tensor], last_only: bool) -> tuple[Tensor, Tensor | None, Tensor | None]:
        end = taken[Site(self.layers - 1, "resid_post")]
        if last_only:
            return end, None, None
        parts = torch.stack(
            [torch.stack([taken[Site(layer, part)] for part in ("attn_out", "mlp_out")], 1) for layer in range(self.layers)], 1
        )
        return end, taken[Site(0, "resid_pre")].cpu(), parts.cpu()

    @property
    def _tower(self) -> torch.nn.Module:
        inner = self.model.base_model
        return inner.language_model if self.form.sees else inner


def _last(steps: Iterator) -> list[Answers]:
    *_, answers = steps
    return answers
