"""Losses against closed forms in float64; identities of methods/01 section 3."""

from __future__ import annotations

import math

import pytest
import torch

from core.unlearning.answers import encode_answers, sequence_losses
from core.unlearning.audit.algorithms import ALGORITHMS, Forgetting
from core.unlearning.audit.algorithms.npo import BETA, npo
from tests.engine.tiny_models import tiny, tiny_tokenizer

BETAS = (0.01, 0.1, 0.5, 2.0)


def gradient(log_p: torch.Tensor, frozen: torch.Tensor, beta: float) -> torch.Tensor:
    log_p = log_p.clone().requires_grad_()
    (npo(log_p, frozen, beta) * len(log_p)).backward()  # times n: the gradient of one sample
    return log_p.grad


def draws(rng: torch.Generator, n: int = 50) -> tuple[torch.Tensor, torch.Tensor]:
    return -20 * torch.rand(n, generator=rng, dtype=torch.float64), -20 * torch.rand(n, generator=rng, dtype=torch.float64)


@pytest.mark.parametrize("beta", BETAS)
def test_npo_gradient_has_the_weight_of_the_closed_form(beta: float, rng: torch.Generator) -> None:
    log_p, frozen = draws(rng)
    weight = 2 * log_p.mul(beta).exp() / (log_p.mul(beta).exp() + frozen.mul(beta).exp())
    torch.testing.assert_close(gradient(log_p, frozen, beta), weight, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("beta", BETAS)
def test_npo_starts_as_gradient_ascent_for_every_beta(beta: float, rng: torch.Generator) -> None:
    log_p, _ = draws(rng)
    torch.testing.assert_close(gradient(log_p, log_p, beta), torch.ones(50, dtype=torch.float64), rtol=0, atol=1e-12)


def test_npo_tends_to_gradient_ascent_for_small_beta(rng: torch.Generator) -> None:
    log_p, frozen = draws(rng)
    far, near = ((gradient(log_p, frozen, beta) - 1).abs().max().item() for beta in (1e-2, 1e-5))
    assert near < 1e-3 * far * 1.5 and near < 2e-4


def test_npo_gradient_vanishes_when_forgotten() -> None:
    gone, frozen = torch.tensor([-400.0], dtype=torch.float64), torch.tensor([-1.0], dtype=torch.float64)
    assert gradient(gone, frozen, BETA).item() < 1e-16
    assert npo(gone, frozen).item() < 1e-15


def test_dpo_with_an_indifferent_winner_is_npo(rng: torch.Generator) -> None:
    """DPO of methods/01 section 3, written out here, with the refusal's log-ratio at zero."""
    log_p, frozen = draws(rng)
    winner = torch.zeros_like(log_p)
    dpo = -2 / BETA * torch.log(1 / (1 + torch.exp(-BETA * (winner - (log_p - frozen))))).mean()
    torch.testing.assert_close(npo(log_p, frozen), dpo, rtol=1e-12, atol=0)


@pytest.fixture(scope="module")
def batch() -> Forgetting:
    """Two different models, three answers of different length, in float64."""
    prompts = ["Question: Where was Ida born?\nAnswer:", "Question: Who?\nAnswer:", "Where?"]
    encoded = encode_answers(tiny_tokenizer(), prompts, [" In the old town by the sea.", " Ida.", " Porto, in the old town."])
    given = Forgetting(tiny("llama", seed=0).double(), tiny("llama", seed=1).double(), encoded)
    given.measure()
    return given


def by_hand(model: torch.nn.Module, given: Forgetting, row: int) -> list[float]:
    """Log-probability of each labelled token, one row at a time, without padding, from the plain forward."""
    length = int(given.batch.mask[row].sum())
    ids = given.batch.ids[row, :length]
    logits = model(input_ids=ids[None]).logits[0].log_softmax(-1)
    return [logits[t - 1, ids[t]].item() for t in range(1, length) if given.batch.labels[row, t] != -100]


def test_losses_of_a_padded_batch_equal_single_rows(batch: Forgetting) -> None:
    for row in range(3):
        logs = by_hand(batch.model, batch, row)
        assert batch.losses.total[row].item() == pytest.approx(-sum(logs), rel=1e-10)
        assert batch.losses.tokens[row].item() == len(logs)


def test_the_end_token_counts_as_part_of_the_answer(batch: Forgetting) -> None:
    tokenizer = tiny_tokenizer()
    last = [int(row[row != -100][-1]) for row in batch.batch.labels]
    assert last == [tokenizer.eos_token_id] * 3


def test_ga_is_minus_the_mean_of_length_normalised_losses(batch: Forgetting) -> None:
    logs = [by_hand(batch.model, batch, row) for row in range(3)]
    expected = sum(sum(row) / len(row) for row in logs) / 3
    assert ALGORITHMS["ga"].forget_loss(batch).item() == pytest.approx(expected, rel=1e-10)


def test_npo_sums_log_probabilities_over_the_answer(batch: Forgetting) -> None:
    ratios = [sum(by_hand(batch.model, batch, row)) - sum(by_hand(batch.frozen, batch, row)) for row in range(3)]
    expected = sum(-2 / BETA * math.log(1 / (1 + math.exp(BETA * ratio))) for ratio in ratios) / 3
    assert ALGORITHMS["npo"].forget_loss(batch).item() == pytest.approx(expected, rel=1e-9)


def test_only_npo_rehearses_what_should_stay() -> None:
    assert {name: row.retain for name, row in ALGORITHMS.items()} == {"ga": None, "npo": "nll"}


def test_losses_carry_gradients_only_when_asked(batch: Forgetting) -> None:
    model = tiny("llama").requires_grad_(True)
    assert sequence_losses(model, batch.batch).total.requires_grad
    with torch.no_grad():
        assert not sequence_losses(model, batch.batch).total.requires_grad
