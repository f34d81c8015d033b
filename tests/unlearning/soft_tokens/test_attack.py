"""The attack against a gradient in closed form, against itself one at a time, and on models of other shapes."""

from __future__ import annotations

import math
import time

import pytest
import torch
from transformers import Gemma3ForCausalLM, Gemma3TextConfig, GemmaConfig, GemmaForCausalLM, LlamaConfig, LlamaForCausalLM

from benchmarks.soft_tokens import MB, most_held
from core.engine.claims import judge
from core.unlearning.soft_tokens.attack import AttackSettings, Attempt, attack, default_rate, embedding_matrix, speak
from core.unlearning.soft_tokens.claims import CLAIMS
from core.unlearning.soft_tokens.targets import Target, encode_target
from tests.engine.tiny_models import TOKENS, VOCABULARY, tiny, tiny_tokenizer
from tests.unlearning.soft_tokens.linear import ByHand, LinearModel, gradient

TARGET = Target((1,), (4, 5), (6, 7, 8))
SHAPE = {"vocab_size": VOCABULARY, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
         "num_key_value_heads": 2, "head_dim": 8, "max_position_embeddings": 128} | TOKENS


def last(model, targets, starts, settings) -> list[Attempt]:
    *_, attempts = attack(model, targets, starts, settings)
    return attempts


def states(model, target, start, settings) -> list[torch.Tensor]:
    """What is trained, after every step."""
    return [attempts[0].parameter.detach().clone() for attempts in attack(model, [target], [start], settings)]


@pytest.mark.parametrize("clear", [True, False])
def test_steps_follow_the_closed_form_gradient(clear: bool) -> None:
    model, rate = LinearModel(), 0.01
    adam, soft, piled = ByHand(rate), model.embed.weight[[2, 3]].clone(), 0.0
    seen = states(model, TARGET, [2, 3], AttackSettings(steps=3, learning_rate=rate, clear_gradients=clear))
    for state in seen[:-1]:  # yielded after the move; the last is settled on the best
        loss, slope = gradient(model, soft, [1], [4, 5], [6, 7, 8])
        piled = slope if clear else piled + slope
        soft = adam.move(soft, piled)
        assert torch.allclose(state, soft, rtol=0, atol=1e-12), loss


def test_vocabulary_space_moves_the_coefficients_of_a_mixture_of_words() -> None:
    model, rate = LinearModel(), 0.01
    seen = states(model, TARGET, [2, 3], AttackSettings(steps=2, space="vocabulary", learning_rate=rate))
    mixture = torch.eye(11, dtype=torch.float64)[[2, 3]]
    _, slope = gradient(model, mixture @ model.embed.weight, [1], [4, 5], [6, 7, 8])
    expected = ByHand(rate).move(mixture, slope @ model.embed.weight.T)
    assert torch.allclose(seen[0], expected, rtol=0, atol=1e-12)


def test_the_loss_is_the_mean_over_target_tokens_only() -> None:
    model = LinearModel()
    loss, _ = gradient(model, model.embed.weight[[2]], [1], [4, 5], [6, 7, 8])
    assert last(model, [TARGET], [[2]], AttackSettings(steps=0))[0].losses == pytest.approx([loss], abs=1e-12)


def test_an_attack_whose_time_is_over_ends_undecided_at_its_best_step() -> None:
    [attempt] = last(LinearModel(), [TARGET], [[2, 3]], AttackSettings(steps=50, learning_rate=1e-3, minutes=1e-9))
    assert (attempt.late, attempt.hit_at, len(attempt.losses)) == (True, None, 1)
    assert torch.equal(attempt.parameter, LinearModel().embed.weight[[2, 3]])


def test_a_text_whose_time_was_over_is_neither_held_nor_refuted() -> None:
    [rung] = [claim for claim in CLAIMS if claim.id == "05.R-400"]
    result = {"metrics": {"right tokens original, random text": 0.6, "undecided original, random text": 1.0}}
    assert judge(*rung.spread([result]), rung.threshold) == "undecided"
    assert judge(*rung.spread([{"metrics": {"right tokens original, random text": 0.6}}]), rung.threshold) is False


@pytest.mark.parametrize("kind", ["llama", "gpt2"])
def test_a_batch_is_the_same_as_one_at_a_time(kind: str) -> None:
    model, tokenizer = tiny(kind), tiny_tokenizer()
    targets = [encode_target(tokenizer, "Where was", "ab"), encode_target(tokenizer, "Where was the author born?", " In the town")]
    starts, settings = [[5, 6, 7], [8, 9]], AttackSettings(steps=12)
    together = last(model, targets, starts, settings)
    for target, start, attempt in zip(targets, starts, together, strict=True):
        alone = last(model, [target], [start], settings)[0]
        assert (alone.hit_at, alone.said) == (attempt.hit_at, attempt.said)
        assert alone.losses == pytest.approx(attempt.losses, abs=1e-3)
        assert torch.allclose(alone.parameter, attempt.parameter, atol=1e-2)


MODELS = {
    "llama": lambda: tiny("llama"), "gpt2 (tied)": lambda: tiny("gpt2"), "qwen2": lambda: tiny("qwen2"),
    "tied": lambda: _random(LlamaForCausalLM, LlamaConfig(**SHAPE, tie_word_embeddings=True)),
    "gemma (scales inside)": lambda: _random(GemmaForCausalLM, GemmaConfig(**SHAPE)),
    "gemma 3 (scales in the layer)": lambda: _random(Gemma3ForCausalLM, Gemma3TextConfig(**SHAPE)),
}


def _random(kind, config):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = kind(config)
        for weight in model.parameters():
            if weight.dim() > 1:
                weight.data.normal_(0, 0.15)
    return model.eval().requires_grad_(False)


@pytest.mark.parametrize("name", MODELS)
def test_what_succeeds_is_really_written(name: str) -> None:
    """Teacher-forced success and greedy generation agree, whatever the heads and the scaling."""
    model = MODELS[name]()
    targets = [Target((), (40, 41), (50, 51)), Target((), (42, 43, 44), (60, 61))]
    attempts = last(model, targets, [[30] * 6, [31] * 6], AttackSettings(steps=250))
    assert all(a.hit_at is not None for a in attempts), [a.accuracy for a in attempts]
    said = speak(model, attempts, "embedding", extra=2)
    assert [tuple(row[:2]) for row in said] == [(50, 51), (60, 61)]
    assert all(len(row) == 4 for row in said)


def test_a_soft_token_that_is_a_word_is_that_word() -> None:
    """Step 0 with the embeddings of real tokens is the ordinary model reading them: also where embeddings are scaled."""
    for name in ("llama", "gemma (scales inside)", "gemma 3 (scales in the layer)"):
        model = MODELS[name]()
        attempt = last(model, [Target((3,), (7,), (9, 10))], [[5, 6]], AttackSettings(steps=0))[0]
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([[3, 5, 6, 7, 9]])).logits[0, -2:]
        expected = torch.nn.functional.cross_entropy(logits, torch.tensor([9, 10])).item()
        assert attempt.losses[0] == pytest.approx(expected, abs=1e-5), name


def test_what_has_succeeded_stays_as_it_is() -> None:
    model = tiny("llama")
    easy = Target((), (40,), (int(_next(model, [30, 40])),))
    hard = Target((), (40,), (50, 51, 52, 53))
    seen = []
    for attempts in attack(model, [easy, hard], [[30], [30]], AttackSettings(steps=6)):
        seen.append((attempts[0].steps, attempts[0].parameter.detach().clone()))
    assert attempts[0].hit_at == 0 and [step for step, _ in seen] == [0] * len(seen)
    assert all(torch.equal(state, seen[0][1]) for _, state in seen) and len(attempts[1].losses) == 7


def _next(model, ids: list[int]) -> torch.Tensor:
    with torch.no_grad():
        return model(input_ids=torch.tensor([ids])).logits[0, -1].argmax()


def test_a_huge_learning_rate_keeps_the_best() -> None:
    model = tiny("gpt2")  # its norms subtract infinities; those of a Llama would survive them
    attempt = last(model, [Target((), (40, 41), (50, 51, 52))], [[30, 31]], AttackSettings(steps=40, learning_rate=1e30))[0]
    assert attempt.broken and math.isfinite(attempt.loss) and torch.isfinite(attempt.parameter).all()
    assert attempt.loss == attempt.losses[0] or attempt.loss in attempt.losses
    soft = attempt.parameter.detach()
    again = last(model, [attempt.target], [[30, 31]], AttackSettings(steps=0))[0]
    assert again.loss >= attempt.loss - 1e-6 and soft.shape == (2, 32)


def test_a_million_is_survived() -> None:
    """The rate that a visitor may type at most."""
    attempt = last(tiny("llama"), [Target((), (40, 41), (50, 51, 52))], [[30, 31]], AttackSettings(steps=10, learning_rate=1e6))[0]
    assert math.isfinite(attempt.loss) and torch.isfinite(attempt.parameter).all()


def test_the_model_is_left_alone() -> None:
    model = tiny("llama")
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    last(model, [TARGET], [[2, 3]], AttackSettings(steps=3))
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters())


def test_default_rate_scales_with_the_embeddings() -> None:
    matrix = embedding_matrix(tiny("llama"))
    assert default_rate(matrix, "embedding") == pytest.approx(0.4 * matrix.std().item())
    assert default_rate(2 * matrix, "embedding") == pytest.approx(0.8 * matrix.std().item())
    assert default_rate(matrix, "vocabulary") == 5e-3


def test_the_benchmark_sees_memory_that_is_given_back_before_the_end() -> None:
    def take_and_give() -> None:
        taken = torch.ones(16 * MB)  # 64 MB
        time.sleep(0.05)
        del taken

    assert 55 * MB < most_held(take_and_give) - most_held(lambda: None) < 120 * MB
