"""The soft token attack: a few free vectors in front of the prompt, moved until the model says the target.

    for attempts in attack(model, targets, starts, AttackSettings(steps=200)):
        print([attempt.accuracy for attempt in attempts])      # each attempt ends on its own when it has succeeded
    speak(model, attempts, extra=12)                           # what the model really generates

The model is frozen and may be shared. Only the soft tokens S (k, width) of each target are trained, on the mean cross
entropy of the target's tokens under teacher forcing (methods/05 section 2). In `space="vocabulary"`, as released,
S = Z W and Adam moves Z (k, vocabulary); in "embedding" it moves S itself. Targets in a batch do not touch each other:
their losses are summed, and Adam works coordinate by coordinate.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, one_hot
from transformers import GenerationConfig, PreTrainedModel

from core.engine.errors import LabError
from core.engine.lens import embedding_matrix
from core.unlearning.soft_tokens.targets import Target

Space = Literal["embedding", "vocabulary"]
EMBEDDING_RATE = 0.4  # of the spread of the embedding matrix, methods/05 section 8.2
VOCABULARY_RATE = 5e-3


@dataclass(frozen=True)
class AttackSettings:
    """`learning_rate` None: 0.4 x std(W) for embeddings, 0.005 for vocabulary coefficients.

    clear_gradients False is how the released example loops behave: gradients pile up from step to step.  minutes: by the clock, after
    which a step is the last; 0: as many as the steps take.
    """

    steps: int = 200
    space: Space = "embedding"
    learning_rate: float | None = None
    clear_gradients: bool = True
    minutes: float = 0


@dataclass
class Attempt:
    """One target under attack, as it stands after `steps` changes.

    said: the likeliest token at every target position.  probability: of the right token there.  hit_at: the step at which
    all of `said` was right.  broken: the numbers stopped being numbers; `parameter` is back at the best step.  late: its time was over.
    losses: one per step, in nats per token.
    """

    target: Target
    parameter: nn.Parameter
    steps: int = 0
    losses: list[float] = field(default_factory=list)
    said: list[int] = field(default_factory=list)
    probability: list[float] = field(default_factory=list)
    hit_at: int | None = None
    broken: bool = False
    late: bool = False
    best: tuple[float, float, Tensor] | None = None

    @property
    def running(self) -> bool:
        return self.hit_at is None and not self.broken and not self.late

    @property
    def tokens(self) -> int:
        """k."""
        return self.parameter.shape[0]

    @property
    def loss(self) -> float:
        """The smallest loss among the steps with the most right tokens."""
        return self.best[1] if self.best else math.nan

    @property
    def accuracy(self) -> float:
        """The largest share of target positions at which the likeliest token was right."""
        return self.best[0] if self.best else 0.0

    def see(self, step: int, loss: float, said: list[int], probability: list[float]) -> None:
        """Takes in what the model says at this step."""
        if not math.isfinite(loss):
            self.broken = True
            return
        self.steps, self.said, self.probability = step, said, probability
        self.losses.append(loss)
        right = sum(a == b for a, b in zip(said, self.target.completion, strict=True)) / len(said)
        if self.best is None or (right, -loss) > (self.best[0], -self.best[1]):
            self.best = (right, loss, self.parameter.detach().clone())
        if right == 1.0:
            self.hit_at = step

    def settle(self) -> None:
        """Back to the best soft tokens that were found."""
        if self.best is not None:
            self.parameter.data.copy_(self.best[2])


def check_speaks(model: PreTrainedModel, ref: str) -> None:
    """Raises LabError for a model that takes no soft tokens or writes no text."""
    if not model.can_generate() or model.get_output_embeddings() is None:
        raise LabError(f"{ref} is not a model that writes text.", "Choose a language model, for example embedded/worlds.")


class Layout:
    """Rows of one model, right-padded: where the soft tokens go and where the target is predicted.

    No mask is needed: a causal model never looks right, and the padding stands on the right.
    """

    def __init__(self, model: PreTrainedModel, targets: Sequence[Target], tokens: Sequence[int]) -> None:
        embed, device = model.get_input_embeddings(), model.device
        shapes = list(zip(targets, tokens, strict=True))
        longest = max(target.length(k) for target, k in shapes) - 1  # the last token is predicted, never read
        ids = torch.zeros(len(shapes), longest, dtype=torch.long)
        soft, asked = [], []
        for row, (target, k) in enumerate(shapes):
            start, end = len(target.before), len(target.before) + k
            known = [*target.after, *target.completion[:-1]]
            ids[row, :start] = torch.tensor(target.before, dtype=torch.long)
            ids[row, end:end + len(known)] = torch.tensor(known, dtype=torch.long)
            soft += [(row, position) for position in range(start, end)]
            first = end + len(target.after) - 1
            asked += [(row, first + i) for i in range(len(target.completion))]
        with torch.no_grad():
            self.fixed = embed(ids.to(device))
        self.soft = torch.tensor(soft, device=device).T
        self.rows, positions = torch.tensor(asked, device=device).T
        self.window = torch.arange(int(positions.min()), int(positions.max()) + 1, device=device)
        self.columns = positions - self.window[0]
        self.wanted = torch.tensor([token for target in targets for token in target.completion], device=device)
        self.counts = [len(target.completion) for target in targets]

    def inputs(self, soft: Tensor) -> Tensor:
        """Embeddings (rows, positions, width) with the soft tokens (all k of all rows, width) in their places."""
        return self.fixed.index_put((self.soft[0], self.soft[1]), soft)

    def read(self, model: PreTrainedModel, soft: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Mean loss per row (rows,), likeliest token and probability of the right one per asked position (asked,)."""
        logits = model(inputs_embeds=self.inputs(soft), use_cache=False, logits_to_keep=self.window).logits
        asked = logits[self.rows, self.columns]
        asked = asked.to(torch.promote_types(asked.dtype, torch.float32))
        nll = cross_entropy(asked, self.wanted, reduction="none")
        counts = torch.tensor(self.counts, device=nll.device, dtype=nll.dtype)
        mean = torch.zeros(len(self.counts), device=nll.device, dtype=nll.dtype).index_add(0, self.rows, nll) / counts
        return mean, asked.detach().argmax(-1), nll.detach().neg().exp()


def attack(model: PreTrainedModel, targets: Sequence[Target], starts: Sequence[Sequence[int]],
           settings: AttackSettings) -> Iterator[list[Attempt]]:
    """Yields the attempts, one per target, once for every step looked at; ends when none is left running.

    What an attempt says is from this step, its parameter already moved on to the next, until it ends: then it is the best.

    starts: the k token ids that each target's soft tokens begin as, so k may differ from target to target.
    """
    matrix = embedding_matrix(model)
    attempts = [Attempt(target, _parameter(start, matrix, settings.space)) for target, start in zip(targets, starts, strict=True)]
    rate = settings.learning_rate or default_rate(matrix, settings.space)
    optimizer = torch.optim.Adam([attempt.parameter for attempt in attempts], lr=rate)
    layout, laid_out = None, None
    end = time.monotonic() + 60 * settings.minutes if settings.minutes else math.inf
    for step in range(settings.steps + 1):
        running = [attempt for attempt in attempts if attempt.running]
        if laid_out != len(running):
            layout, laid_out = Layout(model, [a.target for a in running], [a.tokens for a in running]), len(running)
        losses = _look(model, layout, running, matrix, settings.space, step, learn=step < settings.steps)
        for attempt in running:
            attempt.late = attempt.running and time.monotonic() >= end
        going = [attempt.running for attempt in running]
        if step < settings.steps and any(going):
            _move(optimizer, losses, running, going, settings.clear_gradients)
        else:
            for attempt in attempts:
                attempt.settle()
        yield attempts
        if not any(going):
            return


def default_rate(matrix: Tensor, space: Space) -> float:
    """The learning rate of methods/05 section 8.2. `matrix`: (vocabulary, width)."""
    return EMBEDDING_RATE * float(matrix.std()) if space == "embedding" else VOCABULARY_RATE


def soft_tokens(parameter: Tensor, matrix: Tensor, space: Space) -> Tensor:
    """S (k, width) from what is trained."""
    return parameter if space == "embedding" else parameter @ matrix


def _parameter(start: Sequence[int], matrix: Tensor, space: Space) -> nn.Parameter:
    ids = torch.tensor(start, device=matrix.device)
    value = matrix[ids].clone() if space == "embedding" else one_hot(ids, len(matrix)).to(matrix.dtype)
    return nn.Parameter(value)


def _look(model: PreTrainedModel, layout: Layout, running: list[Attempt], matrix: Tensor, space: Space, step: int, *,
          learn: bool) -> Tensor:
    with torch.set_grad_enabled(learn):
        losses, said, right = layout.read(model, torch.cat([soft_tokens(a.parameter, matrix, space) for a in running]))
    parts = zip(running, losses.tolist(), said.split(layout.counts), right.split(layout.counts), strict=True)
    for attempt, loss, words, probability in parts:
        attempt.see(step, loss, words.tolist(), probability.tolist())
    return losses


def _move(optimizer: torch.optim.Optimizer, losses: Tensor, running: list[Attempt], going: list[bool], clear: bool) -> None:
    if clear:
        optimizer.zero_grad(set_to_none=True)
    losses[torch.tensor(going, device=losses.device)].sum().backward()
    for attempt in running:
        if not attempt.running:
            attempt.parameter.grad = None  # Adam leaves it where it succeeded
    optimizer.step()


@torch.no_grad()
def speak(model: PreTrainedModel, attempts: Sequence[Attempt], space: Space, *, extra: int) -> list[list[int]]:
    """Greedy generation from [before; S; after], as many tokens as the target has and `extra` more: no teacher, a KV cache.

    Left-padded; an end token does not stop it, because targets have none.
    """
    if not attempts:
        return []
    embed, matrix = model.get_input_embeddings(), embedding_matrix(model)

    def known(ids: Sequence[int]) -> Tensor:
        return embed(torch.tensor(ids, dtype=torch.long, device=model.device))

    rows = [torch.cat([known(a.target.before), soft_tokens(a.parameter.detach(), matrix, space), known(a.target.after)]) for a in attempts]
    longest, room = max(map(len, rows)), getattr(model.config, "max_position_embeddings", None)
    inputs = torch.stack([nn.functional.pad(row, (0, 0, longest - len(row), 0)) for row in rows])
    mask = torch.tensor([[0] * (longest - len(row)) + [1] * len(row) for row in rows], device=model.device)
    new = max(len(a.target.completion) for a in attempts) + extra
    if room is not None:
        new = max(min(new, room - longest), 1)
    plain = GenerationConfig(max_new_tokens=new, do_sample=False, num_beams=1, repetition_penalty=1.0, pad_token_id=0,
                             eos_token_id=len(matrix))  # no such token: targets have no end
    said = model.generate(inputs_embeds=inputs, attention_mask=mask, generation_config=plain).tolist()
    return [row[:len(a.target.completion) + extra] for row, a in zip(said, attempts, strict=True)]
