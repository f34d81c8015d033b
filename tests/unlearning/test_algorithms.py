"""Losses against closed forms in float64; identities of methods/01 section 3."""

from __future__ import annotations

import copy
import dataclasses
from typing import get_args

import pytest
import torch
from torch import Tensor, nn

from core.unlearning.algorithms import ALGORITHMS, Case, Forgetting, idk, kl, rmu, whp
from core.unlearning.algorithms.npo import BETA, npo
from core.unlearning.algorithms.refusals import REFUSALS, draw, is_refusal
from core.unlearning.answers import Encoded, encode_answers, sequence_losses
from core.unlearning.audit.forgetting import History
from core.unlearning.audit.spec import AuditConfig
from core.unlearning.soft_tokens.spec import SoftTokensConfig
from tests.engine.tiny_models import tiny, tiny_tokenizer

SIX = ("ga", "graddiff", "kl", "npo", "idk_dpo", "rmu")  # methods/01 section 3
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
    log_p, frozen = draws(rng)
    torch.testing.assert_close(idk.dpo(torch.zeros_like(log_p), log_p - frozen), npo(log_p, frozen), rtol=1e-12, atol=0)


def test_dpo_is_the_closed_form_and_pulls_both_ways(rng: torch.Generator) -> None:
    winner, loser = (ratio.requires_grad_() for ratio in draws(rng))
    expected = -2 / BETA * torch.log(1 / (1 + torch.exp(-BETA * (winner - loser)))).mean()
    loss = idk.dpo(winner, loser)
    torch.testing.assert_close(loss, expected, rtol=1e-12, atol=0)
    loss.backward()
    assert (winner.grad < 0).all() and torch.equal(winner.grad, -loser.grad)


PROMPTS = ["Question: Where was Ida born?\nAnswer:", "Question: Who?\nAnswer:", "Where?"]
ANSWERS = [" In the old town by the sea.", " Ida.", " Porto, in the old town."]
KEPT = [" The sea.", " By the town, by the sea, by the author.", " Old."]
IDK = [" I do not know.", " No idea at all.", " Sorry."]


@pytest.fixture(scope="module")
def given() -> Forgetting:
    """Two different models, answers of different length, in float64."""
    tokenizer = tiny_tokenizer()
    forget, kept, refusals = (encode_answers(tokenizer, PROMPTS, answers) for answers in (ANSWERS, KEPT, IDK))
    model = tiny("llama", seed=0).double().requires_grad_(True)
    case = Case(model, tiny("llama", seed=1).double(), forget, lambda: refusals, torch.Generator().manual_seed(3))
    return Forgetting(case, kept)


def rows(model: nn.Module, encoded: Encoded) -> list[tuple[Tensor, Tensor]]:
    """Per row: log-probabilities over the vocabulary at each labelled token, and those tokens; one row at a time, without padding."""
    found = []
    for ids, mask, labels in zip(encoded.ids, encoded.mask, encoded.labels, strict=True):
        length = int(mask.sum())
        logits = model(input_ids=ids[None, :length]).logits[0]
        at = [t for t in range(1, length) if labels[t] != -100]
        found.append((logits[[t - 1 for t in at]], ids[at]))
    return found


def log_probs(model: nn.Module, encoded: Encoded) -> list[Tensor]:
    return [logits.log_softmax(-1)[range(len(ids)), ids] for logits, ids in rows(model, encoded)]


def averaged(values: list[Tensor]) -> Tensor:
    """Over the tokens of an answer, then over answers."""
    return torch.stack([row.mean() for row in values]).mean()


def by_hand(name: str, given: Forgetting) -> Tensor:
    """Each forget term from the formulas of methods/01 section 3, row by row."""
    model, frozen = given.case.model, given.case.frozen
    now, before = log_probs(model, given.case.forget), log_probs(frozen, given.case.forget)
    truth = torch.stack([(a - b).sum() for a, b in zip(now, before, strict=True)])
    refused = [log_probs(m, given.refused) for m in (model, frozen)]
    refusal = torch.stack([(a - b).sum() for a, b in zip(*refused, strict=True)])
    mean = torch.stack([row.mean() for row in now])
    if name in ("ga", "graddiff", "kl"):
        return mean.mean()
    if name == "npo":
        return (-2 / 0.1 * torch.log(1 / (1 + torch.exp(0.1 * truth)))).mean()
    if name == "idk_dpo":
        return (-2 / 0.1 * torch.log(1 / (1 + torch.exp(-0.1 * (refusal - truth))))).mean()
    if name == "idk_nll":
        return -averaged(refused[0])
    if name == "simnpo":
        return 0.125 * (-2 / 4.5 * torch.log(1 / (1 + torch.exp(4.5 * mean)))).mean()
    if name == "wga":
        return averaged([row.exp().detach() * row for row in now])
    if name == "satimp":
        return averaged([(row.exp() ** 5 * (1 - row.exp())).detach() * row for row in now])
    if name == "pdu":
        return averaged([(z.max(-1)[0] - z.sum(-1) / z.shape[-1]) ** 2 for z, _ in rows(model, given.case.forget)])
    if name == "task_vector":
        return -mean.mean()
    if name == "undial":
        return averaged([_softened(z, z0, ids) for (z, ids), (z0, _) in zip(rows(model, given.case.forget),
                                                                            rows(frozen, given.case.forget), strict=True)])
    assert name == "ceu"
    return averaged([_without_truth(z, ids)[1:] for z, ids in rows(model, given.case.forget)])


def _softened(logits: Tensor, before: Tensor, ids: Tensor) -> Tensor:
    target = before.clone()
    target[range(len(ids)), ids] -= 10
    return -(target.softmax(-1) * logits.log_softmax(-1)).sum(-1)


def _without_truth(logits: Tensor, ids: Tensor) -> Tensor:
    """The expectation under the renormalised rest of the distribution."""
    p = logits.detach().softmax(-1).clone()
    p[range(len(ids)), ids] = 0
    return -(p / p.sum(-1, keepdim=True) * logits.log_softmax(-1)).sum(-1)


def gradients(loss: Tensor, model: nn.Module) -> Tensor:
    return torch.cat([g.flatten() for g in torch.autograd.grad(loss, list(model.parameters()))])


@pytest.mark.parametrize("name", sorted(set(ALGORITHMS) - {"rmu", "whp"}))
def test_forget_terms_and_their_gradients_equal_the_formulas(name: str, given: Forgetting) -> None:
    fresh = Forgetting(given.case, given.retained)
    row = ALGORITHMS[name]
    loss, expected = row.forget_weight * row.forget(fresh), by_hand(name, fresh)
    torch.testing.assert_close(loss, expected, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(gradients(loss, given.case.model), gradients(expected, given.case.model), rtol=1e-7, atol=1e-10)


def test_kl_is_torchs_own_at_answer_tokens_only(given: Forgetting) -> None:
    pairs = zip(rows(given.case.model, given.retained), rows(given.case.frozen, given.retained), strict=True)
    expected = torch.stack([torch.nn.functional.kl_div(now.log_softmax(-1), before.log_softmax(-1), log_target=True, reduction="batchmean")
                            for (now, _), (before, _) in pairs]).mean()
    torch.testing.assert_close(kl.retain(Forgetting(given.case, given.retained)), expected, rtol=1e-10, atol=0)


def test_kl_is_zero_and_flat_before_anything_changed(given: Forgetting) -> None:
    case = dataclasses.replace(given.case, frozen=given.case.model)
    loss = kl.retain(Forgetting(case, given.retained))
    assert abs(loss.item()) < 1e-12 and gradients(loss, case.model).abs().max() < 1e-10


def test_the_price_of_pdu_rises_by_what_the_rest_costs_once_training_is_warm(given: Forgetting) -> None:
    case = dataclasses.replace(given.case, _made={})
    nll = float(-averaged(log_probs(case.model, given.retained)))
    weights = [float(ALGORITHMS["pdu"].retain(Forgetting(case, given.retained))) / nll for _ in range(8)]
    assert weights == pytest.approx([1] * 6 + [1 + nll, 1 + 2 * nll], rel=1e-9)
    with torch.no_grad():
        for _ in range(2):  # only looking changes no price
            assert float(ALGORITHMS["pdu"].retain(Forgetting(case, given.retained))) / nll == pytest.approx(1 + 3 * nll, rel=1e-9)


def test_rehearsal_is_the_nll_of_what_is_kept(given: Forgetting) -> None:
    loss = ALGORITHMS["npo"].retain(Forgetting(given.case, given.retained))
    torch.testing.assert_close(loss, -averaged(log_probs(given.case.model, given.retained)), rtol=1e-10, atol=0)


def hidden(model: nn.Module, encoded: Encoded) -> list[Tensor]:
    """What leaves layer 2 of 4 at the answer tokens, row by row, by the library's own hidden states."""
    found = []
    for ids, mask, labels in zip(encoded.ids, encoded.mask, encoded.labels, strict=True):
        length = int(mask.sum())
        states = model(input_ids=ids[None, :length], output_hidden_states=True).hidden_states[3][0]
        found.append(states[labels[:length] != -100])
    return found


def test_rmu_pulls_to_one_random_direction_and_pins_the_rest(given: Forgetting) -> None:
    fresh = Forgetting(given.case, given.retained)
    loss, aim = rmu.forget(fresh), rmu.target(dataclasses.replace(given.case, rng=torch.Generator().manual_seed(3)))
    assert (aim >= 0).all()
    usual = torch.cat(hidden(given.case.frozen, given.case.forget)).norm(dim=-1).mean()
    torch.testing.assert_close(aim.norm(), usual, rtol=1e-10, atol=0)
    expected = torch.stack([((row - aim) ** 2).sum() / row.numel() for row in hidden(given.case.model, given.case.forget)]).mean()
    torch.testing.assert_close(loss, expected, rtol=1e-10, atol=0)
    torch.testing.assert_close(rmu.forget(fresh), loss, rtol=0, atol=0, msg="the direction is drawn once")
    pairs = zip(hidden(given.case.model, given.retained), hidden(given.case.frozen, given.retained), strict=True)
    expected = torch.stack([((now - before) ** 2).sum() / now.numel() for now, before in pairs]).mean()
    torch.testing.assert_close(rmu.retain(fresh), expected, rtol=1e-10, atol=0)


def test_whp_turns_down_what_more_study_turns_up(given: Forgetting) -> None:
    """The study and the target written out with torch alone, row by row, for two steps."""
    case, studied = dataclasses.replace(given.case, _made={}), copy.deepcopy(given.case.frozen).requires_grad_(True)
    optimizer = torch.optim.AdamW(studied.parameters(), lr=1e-4)
    for _ in range(2):
        optimizer.zero_grad()
        (-averaged(log_probs(studied, case.forget))).backward()
        torch.nn.utils.clip_grad_norm_(studied.parameters(), 1.0)
        optimizer.step()
        loss, found = whp.forget(Forgetting(case, given.retained)), []
        for (z, _), (before, _), (after, _) in zip(*(rows(m, case.forget) for m in (case.model, case.frozen, studied)), strict=True):
            rise = torch.where(after > before, after - before, 0.0)
            found.append(-((before - 5 * rise).softmax(-1).detach() * z.log_softmax(-1)).sum(-1))
        torch.testing.assert_close(loss, averaged(found), rtol=1e-6, atol=0)
    with torch.no_grad():
        torch.testing.assert_close(whp.forget(Forgetting(case, given.retained)), averaged(found).detach(), rtol=1e-6, atol=0,
                                   msg="only looking is no study")


def test_npo_starts_as_gradient_ascent_on_the_summed_nll(given: Forgetting) -> None:
    """The identity of section 3 on a whole model, all parameters."""
    fresh = Forgetting(dataclasses.replace(given.case, frozen=given.case.model, _made={}), given.retained)
    ascent = gradients(-fresh.losses.total.mean(), given.case.model)
    fresh = Forgetting(fresh.case, given.retained)
    torch.testing.assert_close(gradients(ALGORITHMS["npo"].forget(fresh), given.case.model), ascent, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("name", ["ga", "npo", "idk_dpo", "simnpo", "undial", "ceu", "wga"])
def test_the_first_step_makes_the_answers_less_likely(name: str, given: Forgetting) -> None:
    """While the model is still the one from before."""
    start = Forgetting(dataclasses.replace(given.case, frozen=given.case.model, _made={}), given.retained)
    up = gradients(start.losses.mean.mean(), given.case.model)
    step = -gradients(ALGORITHMS[name].forget(Forgetting(start.case, given.retained)), given.case.model)
    assert step @ up > 0


def test_rmu_leaves_the_layers_above_alone(given: Forgetting) -> None:
    grads = dict(zip((name for name, _ in given.case.model.named_parameters()), torch.autograd.grad(
        rmu.forget(Forgetting(given.case, given.retained)), list(given.case.model.parameters()), allow_unused=True), strict=True))
    moved = {int(name.split(".")[2]) for name, grad in grads.items() if ".layers." in name and grad is not None}
    assert moved == {0, 1, 2}


def test_both_experiments_offer_every_algorithm_in_words() -> None:
    for config in (AuditConfig, SoftTokensConfig):
        field = config.model_fields["algorithm"]
        assert set(get_args(field.annotation)) == set(ALGORITHMS) == set(field.json_schema_extra["labels"]), config
    assert all(row.title and row.more == (name not in SIX) for name, row in ALGORITHMS.items())


def test_refusals_are_many_varied_and_drawn_from_the_generator() -> None:
    assert len(set(REFUSALS)) == 100 and all(text[0].isupper() and text.endswith(".") for text in REFUSALS)
    first, same, other = (draw(30, torch.Generator().manual_seed(seed)) for seed in (0, 0, 1))
    assert first == same != other and len(set(first)) > 15 and all(text.startswith(" ") for text in first)


def test_a_stammer_is_no_refusal() -> None:
    assert all(map(is_refusal, REFUSALS)) and is_refusal("in truth, I do not know")
    assert not any(map(is_refusal, ("Sorry, I I I", "I do not sure.", "Felix Tanaka was born in Krakow.", "", None)))


@pytest.mark.parametrize(("name", "recall", "refused", "stops"), [
    ("idk_nll", 0.0, 0.0, False), ("idk_nll", 0.1, 0.8, True), ("idk_nll", 0.2, 0.8, False), ("npo", 0.0, 0.0, True),
    ("idk_dpo", 0.1, 0.0, True)])
def test_what_is_taught_to_be_said_has_to_be_said_before_it_stops(name: str, recall: float, refused: float, stops: bool) -> None:
    history = History(recalls=[(6, recall, 1.0)], refused=refused)
    assert history.forgotten_at(6, ALGORITHMS[name]) == stops and not history.forgotten_at(7, ALGORITHMS[name])


def test_losses_carry_gradients_only_when_asked(given: Forgetting) -> None:
    assert sequence_losses(given.case.model, given.case.forget).total.requires_grad
    with torch.no_grad():
        assert not sequence_losses(given.case.model, given.case.forget).total.requires_grad
    assert not given.case.frozen_scores.logits.requires_grad


def test_losses_of_a_padded_batch_equal_single_rows(given: Forgetting) -> None:
    for row, logs in enumerate(log_probs(given.case.model, given.case.forget)):
        torch.testing.assert_close(given.losses.total[row], -logs.sum(), rtol=1e-10, atol=0)
        assert given.losses.tokens[row].item() == len(logs)
    assert given.scores.place.tolist() == [i for logs in log_probs(given.case.model, given.case.forget) for i in range(len(logs))]


def test_the_end_token_counts_as_part_of_the_answer(given: Forgetting) -> None:
    last = [int(row[row != -100][-1]) for row in given.case.forget.labels]
    assert last == [tiny_tokenizer().eos_token_id] * 3
