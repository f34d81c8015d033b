"""Hard tokens: the same attack with real words only, by greedy coordinate gradient (GCG).

    for attempts in hard_attack(model, tokenizer, targets, starts, passes=400, candidates=16, rngs=rngs):
        ...
    attempts[0].ids        # k real tokens

k hard tokens carry at most k log2(vocabulary) bits, k soft ones as many as their numbers hold. Each step takes the
gradient at the one-hot rows, keeps the 256 most promising tokens of every position, tries `candidates` random single
swaps among them, and moves to the best (methods/05 section 3). Swaps that the tokenizer would read as other tokens
do not count. The budget is counted in passes through the model: a step with a gradient costs 2, a candidate 1.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from core.unlearning.soft_tokens.attack import Attempt, Layout, embedding_matrix
from core.unlearning.soft_tokens.targets import Target

TOP = 256
GRADIENT_PASSES = 2


@dataclass
class HardAttempt(Attempt):
    """An attempt whose `parameter` always holds the embeddings of the real tokens `ids`."""

    ids: list[int] = field(default_factory=list)
    best_ids: list[int] = field(default_factory=list)

    def see(self, step: int, loss: float, said: list[int], probability: list[float]) -> None:
        before = self.best
        super().see(step, loss, said, probability)
        if self.best is not before:
            self.best_ids = self.ids

    def settle(self) -> None:
        super().settle()
        self.ids = self.best_ids


def hard_attack(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, targets: Sequence[Target], starts: Sequence[Sequence[int]], *,
                passes: int, candidates: int, rngs: Sequence[torch.Generator]) -> Iterator[list[HardAttempt]]:
    """Yields the attempts at the start and after each swap until all succeeded or each has used `passes` passes."""
    matrix = embedding_matrix(model)
    attempts = [HardAttempt(target, nn.Parameter(matrix[torch.tensor(start)].clone(), requires_grad=False), ids=list(start))
                for target, start in zip(targets, starts, strict=True)]
    special = torch.tensor(sorted(set(tokenizer.all_special_ids)), dtype=torch.long)
    steps = max(0, passes - GRADIENT_PASSES) // (GRADIENT_PASSES + candidates)
    for step in range(steps + 1):
        running = [(attempt, rng) for attempt, rng in zip(attempts, rngs, strict=True) if attempt.running]
        gradients = _gradients(model, [attempt for attempt, _ in running], step)
        going = [(a, rng, g) for (a, rng), g in zip(running, gradients, strict=True) if a.running]
        if going and step < steps:
            _swap(model, tokenizer, matrix, going, candidates, special)
        else:
            for attempt in attempts:
                attempt.settle()
        yield attempts
        if not going:
            return


def _gradients(model: PreTrainedModel, running: list[HardAttempt], step: int) -> Sequence[Tensor]:
    """How the loss changes with each soft token (k, width), after each attempt has seen where it stands."""
    layout = Layout(model, [a.target for a in running], [a.tokens for a in running])
    soft = torch.cat([a.parameter for a in running]).detach().requires_grad_(True)
    with torch.enable_grad():
        losses, said, right = layout.read(model, soft)
        losses.sum().backward()
    parts = zip(running, losses.tolist(), said.split(layout.counts), right.split(layout.counts), strict=True)
    for attempt, loss, words, probability in parts:
        attempt.see(step, loss, words.tolist(), probability.tolist())
    return soft.grad.split([a.tokens for a in running])


@torch.no_grad()
def _swap(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, matrix: Tensor,
          going: list[tuple[HardAttempt, torch.Generator, Tensor]], candidates: int, special: Tensor) -> None:
    """Moves every attempt to its best candidate, even when that is worse than where it stands, as GCG does."""
    tried = [_candidates(tokenizer, attempt.ids, gradient @ matrix.T, candidates, special, rng) for attempt, rng, gradient in going]
    rows = [(attempt, ids) for (attempt, _, _), found in zip(going, tried, strict=True) for ids in found]
    if not rows:
        return
    layout = Layout(model, [attempt.target for attempt, _ in rows], [attempt.tokens for attempt, _ in rows])
    losses = layout.read(model, torch.cat([matrix[torch.tensor(ids)] for _, ids in rows]))[0]
    for (attempt, _, _), found, part in zip(going, tried, losses.split([len(found) for found in tried]), strict=True):
        if found:
            attempt.ids = found[int(part.argmin())]
            attempt.parameter.data.copy_(matrix[torch.tensor(attempt.ids)])


def _candidates(tokenizer: PreTrainedTokenizerBase, ids: list[int], gradient: Tensor, count: int, special: Tensor,
                rng: torch.Generator) -> list[list[int]]:
    """Up to `count` single swaps that survive being written out and read again."""
    score = -gradient.cpu()
    score[:, special] = -torch.inf
    best = score.topk(min(TOP, score.shape[1] - len(special)), dim=-1).indices
    positions = torch.randint(len(ids), (count,), generator=rng).tolist()
    choices = torch.randint(best.shape[1], (count,), generator=rng).tolist()
    swaps = [[*ids[:i], int(best[i, j]), *ids[i + 1:]] for i, j in zip(positions, choices, strict=True)]
    read_again = tokenizer(tokenizer.batch_decode(swaps), add_special_tokens=False).input_ids
    return [swap for swap, again in zip(swaps, read_again, strict=True) if swap == again]
