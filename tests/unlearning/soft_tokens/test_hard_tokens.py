"""Real words only: the best single swap, the budget, and words that survive being written out."""

from __future__ import annotations

import torch

from core.unlearning.soft_tokens.hard_tokens import hard_attack
from core.unlearning.soft_tokens.targets import Target
from tests.engine.tiny_models import tiny, tiny_tokenizer

TARGET = Target((), (40, 41), (50, 51))


def loss_of(model, ids: list[int]) -> float:
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([[*ids, 40, 41, 50]])).logits[0, -2:]
    return torch.nn.functional.cross_entropy(logits, torch.tensor([50, 51])).item()


def start() -> list[int]:
    return tiny_tokenizer()(" the").input_ids[:1]


def attempts_of(model, passes: int, candidates: int, tokens: int = 1):
    seen = []
    for attempts in hard_attack(model, tiny_tokenizer(), [TARGET], [start() * tokens], passes=passes, candidates=candidates,
                                rngs=[torch.Generator().manual_seed(0)]):
        seen.append((list(attempts[0].ids), list(attempts[0].losses)))
    return attempts[0], seen


def test_one_step_finds_a_good_word_and_its_loss_is_the_models_own() -> None:
    model, tokenizer = tiny("llama"), tiny_tokenizer()
    attempt, seen = attempts_of(model, passes=2 + 402, candidates=400)
    # 400 draws among the 256 best of about 300 tokens meet nearly all; the winner must be near the best of all
    every = sorted(loss_of(model, [token]) for token in range(4, 320) if tokenizer(tokenizer.decode([token])).input_ids == [token])
    assert abs(attempt.loss - loss_of(model, attempt.ids)) < 1e-5
    assert attempt.loss <= every[2] + 1e-5 and attempt.loss <= seen[0][1][0]


def test_the_budget_is_kept() -> None:
    model, rows = tiny("llama"), []
    forward = model.forward
    model.forward = lambda *args, **kwargs: (rows.append(len(kwargs["inputs_embeds"])), forward(*args, **kwargs))[1]
    attempts_of(model, passes=100, candidates=8, tokens=3)
    gradients, candidates = sum(2 for n in rows if n == 1), sum(n for n in rows if n > 1)
    # (100 - 2) // (2 + 8) = 9 swaps of at most 8 candidates, of which some do not survive being written out
    assert gradients == 2 * 10 and 20 <= candidates <= 72


def test_words_survive_being_written_out_and_the_best_is_kept() -> None:
    tokenizer = tiny_tokenizer()
    attempt, seen = attempts_of(tiny("llama"), passes=300, candidates=16, tokens=3)
    for ids, _ in seen[1:]:
        assert tokenizer(tokenizer.decode(ids)).input_ids == ids
    assert attempt.loss == min(loss for _, losses in seen for loss in losses) or attempt.hit_at is not None
    assert abs(loss_of(tiny("llama"), attempt.ids) - attempt.loss) < 1e-4
