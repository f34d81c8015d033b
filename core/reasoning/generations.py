"""Many problems thought through by one model: what it said, what is true of it, and every score of it.

    for progress in think_through(model, form, problems, into=found): ...      # found: list of `Thought`
    table = Generations(found)                                                # arrays over all thoughts

Problems of equal length share a batch (no padding); that layout is fixed, for it is part of the numbers. Both loops yield
about four times a second, so that a run can be stopped inside a batch.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedModel

from core.reasoning.data import VALUES, Check, Problem, corrupt
from core.reasoning.energy import LayerPath, energy, path_of
from core.reasoning.metrics import score_all
from core.reasoning.prompts import Form
from core.reasoning.reading import TEMPERATURE, Reader
from core.reasoning.readings import Reading
from core.reasoning.spec import DEFAULT, GAMMA, SCORE_NAMES

BATCH = 100
REREAD = 25  # changed outputs that are reread together
NEWS_S = 0.25  # seconds between two signs of life


@dataclass(frozen=True)
class Thought:
    """One output: text of thinking and answer, the verdict of the checker, scores by name, and mean states (L+1, width)."""

    problem: Problem
    trace: str
    answer: str
    check: Check
    truncated: bool
    scores: dict[str, float]
    states: Tensor | None
    entropy: Tensor | None
    ids: list[int]
    roles: list[str]
    prompt_tokens: int


def longest(problem: Problem, form: Form) -> int:
    """New tokens that a whole output of this problem needs at most: tags, steps, answer and end, with one step to spare."""
    return len(problem.trace) + 12 if form.chains else 1024


def texts(reading: Reading, form: Form) -> tuple[str, str]:
    """Thinking and answer of a reading as text."""
    return tuple(form.tokenizer.decode([reading.ids[i] for i in reading.span(name)]).strip() for name in ("think", "answer"))


def thought_of(reading: Reading, problem: Problem, form: Form, **scoring: float) -> Thought:
    """Judges and scores one reading."""
    trace, answer = texts(reading, form)
    check = form.judge(problem, trace, answer)
    return Thought(problem, trace, answer, check, reading.truncated, score_all(reading, **scoring), reading.states(), reading.lens,
                   reading.ids, reading.roles, reading.prompt_tokens)


def think_through(model: PreTrainedModel, form: Form, problems: Sequence[Problem], into: list[Thought], *, batch: int = BATCH,
                  choose: Callable[[Tensor], Tensor] | None = None, temperature: float = TEMPERATURE, **scoring: float) -> Iterator[int]:
    """Appends one `Thought` per problem, in order; yields how many are done, several times a second.

    `choose`: logits (rows, vocabulary) -> tokens (rows,).
    """
    beat = _Beat()
    for group in batches(problems, batch if form.chains else 1):
        ids = torch.cat([form.ask(problem.prompt)[0] for problem in group]).to(model.device)
        reader = Reader(model, form, chain=False, temperature=temperature)
        for _ in reader.generate(ids, longest(group[0], form), choose):
            if beat.due():
                yield len(into)
        for reading, problem in zip(reader.readings(), group, strict=True):
            into.append(thought_of(reading, problem, form, **scoring))
            if beat.due():
                yield len(into)
        yield len(into)


def drawn_certainty(model: PreTrainedModel, form: Form, problems: Sequence[Problem], times: int, rng: torch.Generator, into: list[float],
                    *, batch: int = BATCH) -> Iterator[int]:
    """Length-normalised entropy, turned so that more is surer: the mean log-probability per token of `times` outputs of each problem,
    drawn token by token, averaged over these (methods/03 section 3). Appends one number per problem; yields how many outputs are done.
    """
    def choose(logits: Tensor) -> Tensor:
        return torch.multinomial(logits.softmax(-1).cpu(), 1, generator=rng)[:, 0].to(logits.device)

    beat, done = _Beat(), 0
    for group in batches(problems, batch if form.chains else 1):
        ids = torch.cat([form.ask(problem.prompt)[0] for problem in group]).to(model.device)
        means = torch.zeros(len(group))
        for _ in range(times):
            reader = Reader(model, form, lens=False, chain=False)
            for _ in reader.generate(ids, longest(group[0], form), choose):
                if beat.due():
                    yield done
            means += torch.stack([reading.stats.log_prob.mean() for reading in reader.readings()]) / times
            done += len(group)
            yield done
        into += means.tolist()


class _Beat:
    """True about four times a second."""

    def __init__(self) -> None:
        self._last = time.monotonic()

    def due(self) -> bool:
        now = time.monotonic()
        if now - self._last < NEWS_S:
            return False
        self._last = now
        return True


def batches(problems: Sequence[Problem], size: int) -> list[list[Problem]]:
    """Consecutive problems with equally many operations, at most `size` together."""
    groups: list[list[Problem]] = []
    for problem in problems:
        if groups and len(groups[-1]) < size and len(groups[-1][0].operations) == len(problem.operations):
            groups[-1].append(problem)
        else:
            groups.append([problem])
    return groups


class Generations:
    """All thoughts of one set as arrays; `scale` is the mean kinetic energy of the calibration set."""

    def __init__(self, thoughts: Sequence[Thought], scale: float = 1.0) -> None:
        self.thoughts, self.scale = list(thoughts), scale

    def __len__(self) -> int:
        return len(self.thoughts)

    def positive(self, label: str) -> np.ndarray:
        """Who is correct, or who is sound; bool (n,)."""
        return np.array([getattr(thought.check, label) for thought in self.thoughts], dtype=bool)

    @cached_property
    def labels(self) -> np.ndarray:
        """sound, lucky or wrong, (n,)."""
        return np.array([thought.check.label for thought in self.thoughts])

    @cached_property
    def lengths(self) -> np.ndarray:
        """Operations of each problem, (n,): the strata."""
        return np.array([len(thought.problem.operations) for thought in self.thoughts])

    @cached_property
    def truncated(self) -> np.ndarray:
        """Whose output was cut off before its end; bool (n,)."""
        return np.array([thought.truncated for thought in self.thoughts], dtype=bool)

    @cached_property
    def table(self) -> dict[str, np.ndarray]:
        """Every score of everybody, name -> float (n,)."""
        return {name: np.array([thought.scores[name] for thought in self.thoughts]) for name in SCORE_NAMES}

    @cached_property
    def states(self) -> Tensor:
        """Mean thinking states, (n, layers + 1, width), NaN where nothing was thought."""
        known = next((thought.states for thought in self.thoughts if thought.states is not None), torch.zeros(1, 1))
        return torch.stack([torch.full_like(known, float("nan")) if t.states is None else t.states for t in self.thoughts])

    @cached_property
    def path(self) -> LayerPath:
        """Layer paths of everybody, each field (n, ...)."""
        entropy = torch.tensor([float("nan") if t.entropy is None else float(t.entropy.mean()) for t in self.thoughts])
        return path_of(self.states, entropy, self.scale)

    def energies(self, variant: str = DEFAULT, gamma: float = GAMMA) -> np.ndarray:
        """Energies of everybody, without the model, (n,)."""
        return energy(self.path, variant, gamma).numpy()


@dataclass(frozen=True)
class Corruption:
    """One sound thought before and after one result in it was changed."""

    problem: Problem
    step: int
    before: dict[str, float]
    after: dict[str, float]


def corrupt_all(model: PreTrainedModel, form: Form, thoughts: Sequence[Thought], rng: torch.Generator,
                into: list[Corruption], **scoring: float) -> Iterator[int]:
    """Changes one result in each sound thought and rereads it; yields how many are done, often."""
    by_length: dict[int, list[Thought]] = {}
    for thought in thoughts:
        by_length.setdefault(len(thought.ids), []).append(thought)
    for group in by_length.values():
        for start in range(0, len(group), REREAD):
            part = group[start:start + REREAD]
            changed = [_corrupted(thought, form, rng) for thought in part]
            before = _reread(model, form, [thought.ids for thought in part], part[0].prompt_tokens, scoring)
            yield len(into)
            after = _reread(model, form, [ids for ids, _ in changed], part[0].prompt_tokens, scoring)
            into += [Corruption(thought.problem, step, one, other)
                     for thought, (_, step), one, other in zip(part, changed, before, after, strict=True)]
            yield len(into)


def _corrupted(thought: Thought, form: Form, rng: torch.Generator) -> tuple[list[int], int]:
    step = int(torch.randint(len(thought.problem.operations), (1,), generator=rng))
    others = [value for value in VALUES[thought.problem.kind] if value != thought.problem.results[step]]
    value = others[int(torch.randint(len(others), (1,), generator=rng))]
    return swap_trace(thought.ids, thought.prompt_tokens, thought.trace, corrupt(thought.problem, thought.trace, step, value), form), step


def swap_trace(ids: list[int], prompt_tokens: int, trace: str, new: str, form: Form) -> list[int]:
    """The token ids of an output of the embedded reasoner with its thinking replaced by one of equal length."""
    start = ids.index(form.open_id, prompt_tokens) + 1
    tokens = form.tokenizer(new, add_special_tokens=False).input_ids
    assert len(tokens) == len(form.tokenizer(trace, add_special_tokens=False).input_ids)
    return ids[:start] + tokens + ids[start + len(tokens):]


def _reread(model: PreTrainedModel, form: Form, rows: list[list[int]], prompt_tokens: int, scoring: dict) -> list[dict[str, float]]:
    readings = Reader(model, form, chain=False).read(torch.tensor(rows, device=model.device), prompt_tokens).readings()
    return [score_all(reading, **scoring) for reading in readings]
