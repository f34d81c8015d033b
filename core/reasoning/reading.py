"""Generate or reread a chain of thought and note, token by token, what its states do on their way through the layers.

    reader = Reader(model, Form.of(tokenizer, model))
    for token in reader.generate(prompt_ids, new_tokens=64):     # token: int tensor (rows,), as soon as it is chosen
        reader.prefix()                                          # LayerPath of the reasoning so far, row 0
    reading = reader.readings()[0]                               # mean states per span, energies per token, probabilities

Everything is noted while the tokens are computed: no second pass, and memory is O(layers x width + layers x tokens) per row.
The states of a few tokens wait until they are noted together, which costs half as much; what is asked for is noted at once.
The state at position i is that of input token i; the prediction of token i comes from position i - 1.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel

from core.engine.lens import unembed
from core.engine.trace import Site, sites, trace
from core.reasoning.energy import LayerPath, kinetics, path_of
from core.reasoning.prompts import OFF, PROMPT, ROLES, THINK_ROLE, Form, Spans
from core.reasoning.readings import SPANS, STATS, Reading, TokenStats

CHUNK = 64  # tokens fed at once: bounds what is held of all layers together
HELD = 16  # generated tokens that wait to be noted together
LENS_NUMBERS = 1 << 24  # logits held at once by the logit lens
TEMPERATURE = 0.7  # of the temperature-scaled score when none was fitted (methods/03 section 3)

_NUMBER = {role: number for number, role in enumerate(ROLES)}
_THINK = _NUMBER[THINK_ROLE]


class Reader:
    """Reads rows of equally long prompts together; the layout of a batch is part of its numbers."""

    def __init__(self, model: PreTrainedModel, form: Form, *, lens: bool = True, chain: bool = True,
                 temperature: float = TEMPERATURE, project: Callable[[Tensor], Tensor] | None = None) -> None:
        """lens: note every layer's entropy. chain: note prefixes and steps of row 0. project: of the last mean state of
        every prefix, (tokens, width) -> (tokens, n), what is kept to draw it."""
        self._model, self._form, self._temperature = model, form, temperature
        self._lens, self._chain, self._project = lens, chain, project
        self._sites = [Site(0, "resid_pre"), *sites(model, "resid_post")]
        self._head = model.get_output_embeddings()
        self._ends_step = functools.cache(form.ends_step)

    @torch.no_grad()
    def generate(self, ids: Tensor, new_tokens: int, choose: Callable[[Tensor], Tensor] | None = None) -> Iterator[Tensor]:
        """Continues `ids` (rows, tokens), all without padding, until every row has ended; yields (rows,) per token.

        choose: logits (rows, vocabulary) -> tokens (rows,), the likeliest if None. A row that has ended repeats its end token.
        """
        choose = choose or (lambda logits: logits.argmax(-1))
        self._begin(ids)
        last = self._feed(ids, keep_logits=1)[:, -1]
        for _ in range(new_tokens):
            token = torch.where(self._ended, self._closing, choose(last))
            self._note_choice(last, token)
            yield token
            if self._ended.all():
                return
            last = self._feed(token.unsqueeze(-1))[:, -1]

    @torch.no_grad()
    def read(self, ids: Tensor, prompt_tokens: int) -> Reader:
        """Teacher-forced: the same notes for a given text (rows, tokens) whose first `prompt_tokens` are the prompt."""
        self._begin(ids[:, :prompt_tokens])
        last = self._feed(ids[:, :prompt_tokens], keep_logits=1)[:, -1:]
        for chunk in ids[:, prompt_tokens:].split(CHUNK, dim=-1):
            for column in chunk.T:
                self._take(column)
            logits = self._feed(chunk)
            before = torch.cat([last, logits[:, :-1]], dim=1).transpose(0, 1)
            self._stats += map(self._token_stats, before.split(HELD), chunk.T.split(HELD))
            last = logits[:, -1:]
        return self

    # ---- one feed of tokens ----

    def _begin(self, ids: Tensor) -> None:
        rows, layers = len(ids), len(self._sites) - 1
        width = self._model.get_input_embeddings().embedding_dim
        self._cache, self._fed = DynamicCache(config=self._model.config), 0
        self._prompt_tokens, self._ids = ids.shape[1], [ids]
        self._finders = [Spans(self._form, row) for row in ids.tolist()]
        self._roles = [[PROMPT] * self._prompt_tokens for _ in range(rows)]
        self._ended = torch.zeros(rows, dtype=torch.bool, device=ids.device)
        self._closing = torch.zeros(rows, dtype=torch.long, device=ids.device)
        self._sums = torch.zeros(len(ROLES), rows, layers + 2, width, device=ids.device)
        self._counts = torch.zeros(len(ROLES), rows, device=ids.device)
        self._first: Tensor | None = None  # states of the first token of the prompt, (rows, layers + 2, width)
        self._generated = torch.zeros(rows, layers + 2, width, device=ids.device)
        self._newest = torch.zeros(rows, layers + 2, width, device=ids.device)  # of the generated token that was noted last
        self._lens_sum = torch.zeros(rows, layers + 1, device=ids.device) if self._lens else None
        self._kinetic: list[Tensor] = []
        self._cosine: list[Tensor] = []
        self._stats: list[Tensor] = []
        self._held: list[Tensor] = []  # states that are not noted yet
        self._choices: list[tuple[Tensor, Tensor]] = []  # logits and tokens that are not noted yet
        self._first_row: list[int] = ids[0].tolist()
        self._begin_chain()

    def _begin_chain(self) -> None:
        """Row 0 has thought nothing yet."""
        self._unread: list[Tensor] = []
        self._running: Tensor | float = 0.0
        self._thought, self._read = 0, self._fed
        self._prefixes: list[LayerPath] = []
        self._ends: list[Tensor] = []
        self._steps: list[tuple[int, int, LayerPath]] = []
        self._step_start: int | None = None

    def _feed(self, ids: Tensor, keep_logits: int = 0) -> Tensor:
        logits = [self._feed_chunk(chunk, keep_logits) for chunk in ids.split(CHUNK, dim=-1)]
        return logits[0] if len(logits) == 1 else torch.cat(logits, dim=1)[:, -keep_logits:]

    def _feed_chunk(self, ids: Tensor, keep_logits: int) -> Tensor:
        with trace(self._model, capture=self._sites) as acts:
            normed = self._model.base_model(input_ids=ids, cache=self._cache, use_cache=True).last_hidden_state
        # (layers + 2, rows, tokens, width): embedding, blocks, and the last block again after the final norm
        states = torch.stack([*(acts[site] for site in self._sites), normed]).float()
        self._held.append(states)
        if self._chain:
            self._unread.append(states[:-1, 0])
        if sum(held.shape[2] for held in self._held) >= HELD:
            self._note_held()
        return self._head(normed[:, -keep_logits:]).float()

    def _note_held(self) -> None:
        """Notes every state that waits."""
        if self._held:
            self._note_chain()
            states = torch.cat(self._held, dim=2)
            self._held.clear()
            self._note_states(states)
            self._fed += states.shape[2]

    def _note_states(self, states: Tensor) -> None:
        tokens = states.shape[2]
        numbers = [[_NUMBER[role] for role in row[self._fed:self._fed + tokens]] for row in self._roles]
        roles = torch.tensor(numbers, device=states.device)
        self._note_generated(states)
        kinetic, cosine = kinetics(states[:-1].diff(dim=0).permute(1, 2, 0, 3))
        self._kinetic.append(kinetic)
        self._cosine.append(cosine)
        for role in {role for row in numbers for role in row} - {_NUMBER[OFF]}:
            mask = (roles == role).float()
            self._sums[role] += torch.einsum("rt,lrtw->rlw", mask, states)
            self._counts[role] += mask.sum(-1)
            if role == _THINK and self._lens_sum is not None:
                self._lens_sum += torch.einsum("rt,lrt->rl", mask, self._lens_entropy(states))

    def _note_generated(self, states: Tensor) -> None:
        """Sums what Chain-of-Embedding's authors average: states (layers + 2, rows, tokens, width)."""
        if self._first is None:
            self._first = states[:, :, 0].transpose(0, 1).clone()
        start, stop = max(self._prompt_tokens, self._fed), self._fed + states.shape[2]
        for row, finder in enumerate(self._finders):
            end = min(stop, finder.length - finder.ended)
            if start < end:
                mine = states[:, row, start - self._fed:end - self._fed]
                self._generated[row] += mine.sum(1)
                self._newest[row] = mine[:, -1]

    def _published(self, row: int) -> Tensor:
        """(layers + 2, width)."""
        finder = self._finders[row]
        last = finder.length - 1  # the last generated token was never a question to the next one
        count, total = min(last, self._fed) - self._prompt_tokens, self._generated[row]
        if not finder.ended and self._fed > last:
            total = total - self._newest[row]
        return ((self._first[row] + total) / (1 + max(0, count))).cpu()

    def _lens_entropy(self, states: Tensor) -> Tensor:
        """Entropy of every layer's guess as a share of the largest possible, (layers + 1, rows, tokens)."""
        vocabulary = self._head.weight.shape[0]
        found = []
        for part in states[:-1].flatten(0, 2).split(max(1, LENS_NUMBERS // vocabulary)):
            found.append(_entropy(unembed(self._model, part.to(self._head.weight.dtype)).float()))
        return torch.cat(found).view(states.shape[0] - 1, *states.shape[1:3]) / math.log(vocabulary)

    def _note_chain(self) -> None:
        """Running mean and steps of row 0, for the tokens that were fed since this was last called."""
        if not self._unread:
            return
        states, first = torch.cat(self._unread, dim=1), self._read  # (layers + 1, tokens, width)
        self._unread.clear()
        self._read += states.shape[1]
        places = [i for i, role in enumerate(self._roles[0][first:self._read]) if role == THINK_ROLE]
        if not places:
            return
        if len(places) < states.shape[1]:
            states = states[:, places]
        sums = states.cumsum(1) + self._running
        counts = torch.arange(self._thought + 1, self._thought + len(places) + 1, device=states.device)
        means = (sums / counts[:, None]).transpose(0, 1)
        self._running, self._thought, self._mean = sums[:, -1:], self._thought + len(places), means[-1]
        self._prefixes.append(path_of(means))
        if self._project:
            self._ends.append(self._project(means[:, -1].cpu()))
        self._note_steps(states, [first + i for i in places])

    def _note_steps(self, states: Tensor, places: list[int]) -> None:
        """Closes the steps that end at one of these thinking tokens; states (layers + 1, tokens, width)."""
        start = 0
        for i, at in enumerate(places):
            if self._step_start is None:
                self._step_start, self._step_sum, start = at, 0.0, i
            if self._ends_step(self._first_row[at]):
                mean = (self._step_sum + states[:, start:i + 1].sum(1)) / (at + 1 - self._step_start)
                self._steps.append((self._step_start, at + 1, path_of(mean)))
                self._step_start = None
        if self._step_start is not None:
            self._step_sum = self._step_sum + states[:, start:].sum(1)

    # ---- one chosen token ----

    def _note_choice(self, logits: Tensor, token: Tensor) -> None:
        self._choices.append((logits, token))
        if len(self._choices) >= HELD:
            self._note_choices()
        self._take(token)

    def _note_choices(self) -> None:
        """Notes the certainty of every choice that waits."""
        if self._choices:
            self._stats.append(self._token_stats(*(torch.stack(parts) for parts in zip(*self._choices, strict=True))))
            self._choices.clear()

    def _take(self, token: Tensor) -> None:
        """Knows from here on what part each row's newest token plays."""
        self._ids.append(token.unsqueeze(-1))
        numbers = token.tolist()
        self._first_row.append(numbers[0])
        for row, (finder, number) in enumerate(zip(self._finders, numbers, strict=True)):
            role, restart = finder.feed(number)
            self._roles[row].append(role)
            if restart:
                self._restart(row)
            if finder.ended and not self._ended[row]:
                self._ended[row], self._closing[row] = True, number

    def _restart(self, row: int) -> None:
        """A late opening tag: what was taken for thinking before it was not."""
        self._note_held()
        self._roles[row] = [OFF if role == "think" else role for role in self._roles[row]]
        self._sums[_THINK, row], self._counts[_THINK, row] = 0.0, 0.0
        if self._lens_sum is not None:
            self._lens_sum[row] = 0.0
        if row == 0:
            self._begin_chain()

    def _token_stats(self, logits: Tensor, token: Tensor) -> Tensor:
        """`STATS` of some choices: logits (tokens, rows, vocabulary), token (tokens, rows) -> (5, tokens, rows)."""
        free = logits.logsumexp(-1)
        log_probs = logits - free.unsqueeze(-1)
        chosen = log_probs.gather(-1, token.unsqueeze(-1)).squeeze(-1)
        scaled = logits / self._temperature
        return torch.stack([log_probs.amax(-1).exp(), chosen, -(log_probs.exp() * log_probs).sum(-1), free,
                            (scaled.amax(-1) - scaled.logsumexp(-1)).exp()])

    # ---- what is known ----

    @property
    def newest(self) -> dict[str, float]:
        """The numbers of row 0's newest token, by the names of `STATS`."""
        self._note_choices()
        return dict(zip(STATS, self._stats[-1][:, -1, 0].tolist(), strict=True))

    def role(self) -> str:
        """The part that row 0's newest token plays."""
        return self._roles[0][-1]

    def prefix(self) -> LayerPath | None:
        """The path of row 0's thinking so far (tokens that were fed); None before there is any."""
        self._note_chain()
        return LayerPath(*(part[-1] for part in _parts(self._prefixes[-1]))) if self._prefixes else None

    @property
    def thought(self) -> int:
        """How many thinking tokens of row 0 have gone through the layers."""
        self._note_chain()
        return self._thought

    def ends(self) -> Tensor | None:
        """Where row 0's running mean ended after each thinking token, as `project` gives it, (tokens, n); None before there is any."""
        self._note_chain()
        return torch.cat(self._ends) if self._ends else None

    def mean_states(self) -> Tensor | None:
        """Mean states of row 0's thinking so far, (layers + 1, width)."""
        self._note_chain()
        return self._mean.cpu() if self._thought else None

    def readings(self) -> list[Reading]:
        """One reading per row; call it when the generator is done."""
        self._note_held()
        self._note_choices()
        ids = torch.cat(self._ids, dim=1).tolist()
        kinetic, cosine = torch.cat(self._kinetic, dim=1).cpu(), torch.cat(self._cosine, dim=1).cpu()
        stats = torch.cat(self._stats, dim=1).cpu()
        return [self._reading(row, ids[row], kinetic[row], cosine[row], stats[:, :, row]) for row in range(len(ids))]

    def _reading(self, row: int, ids: list[int], kinetic: Tensor, cosine: Tensor, stats: Tensor) -> Reading:
        finder = self._finders[row]
        length = finder.length
        roles = self._roles[row][:length]
        means, normed = {}, {}
        for span, parts in SPANS.items():
            numbers = [_NUMBER[part] for part in parts]
            count = self._counts[numbers, row].sum()
            if count and (span != "tagged" or self._counts[_THINK, row]):
                mean = (self._sums[numbers, row].sum(0) / count).cpu()
                means[span], normed[span] = mean[:-1], mean[-1]
        published = self._published(row)
        means["published"], normed["published"] = published[:-1], published[-1]
        chain = self._chain and row == 0
        thinking = self._counts[_THINK, row]
        return Reading(
            ids[:length], roles, self._prompt_tokens, finder.truncated, means, normed, _filled(kinetic, length), _filled(cosine, length),
            TokenStats(*stats[:, :length - self._prompt_tokens].unbind(0)),
            (self._lens_sum[row] / thinking).cpu() if self._lens_sum is not None and thinking else None,
            _joined(self._prefixes) if chain and self._prefixes else None, torch.cat(self._ends) if chain and self._ends else None,
            list(self._steps) if chain else [])


def _entropy(logits: Tensor) -> Tensor:
    log_probs = logits.log_softmax(-1)
    return -(log_probs.exp() * log_probs).sum(-1)


def _filled(numbers: Tensor, length: int) -> Tensor:
    """The first `length` rows; the last token may not have been fed and reads NaN."""
    if len(numbers) >= length:
        return numbers[:length].clone()
    return torch.cat([numbers, numbers.new_full((length - len(numbers), numbers.shape[1]), float("nan"))])


def _parts(path: LayerPath) -> tuple[Tensor, Tensor, Tensor]:
    return path.kinetic, path.cosine, path.displacement


def _joined(paths: list[LayerPath]) -> LayerPath:
    return LayerPath(*(torch.cat(parts).cpu() for parts in zip(*map(_parts, paths), strict=True)))
