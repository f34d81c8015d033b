"""ActPert against arithmetic by hand: plain forward calls, explicit hidden states, no cache, no trace."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from transformers import PreTrainedModel

from core.engine.models import LoadedModel
from core.unlearning.audit.actpert import (
    HIDDEN_NOISE,
    Cell,
    Push,
    answers,
    grid,
    grid_layers,
    hidden_noise,
    noise_scale,
    noised_answer,
    perturb,
    random_like,
    subject_span,
    subject_tokens,
)
from core.unlearning.data import World
from tests.engine.tiny_models import tiny, tiny_tokenizer

TEXTS = ["Question: Where was Ida Brandt born?\nAnswer:", "Question: Which pet does Felix Tanaka keep at home?\nAnswer:"]
SPANS = [(20, 30), (25, 37)]
DRAWS = 3


def by_hand(model: PreTrainedModel, ids: list[int], shaken: list[int], scale: float, noise: Tensor) -> list[Tensor]:
    """delta after each layer for one question, (tokens, width); the library's last hidden state is normed, so it is left out."""
    embeddings = model.get_input_embeddings()(torch.tensor([ids]))
    clean = model(inputs_embeds=embeddings, output_hidden_states=True).hidden_states[1:-1]
    total = [torch.zeros_like(state[0]) for state in clean]
    for eps in noise:
        moved = embeddings.clone()
        for place, t in enumerate(shaken):
            moved[0, t] += scale * eps[place]
        noised = model(inputs_embeds=moved, output_hidden_states=True).hidden_states[1:-1]
        total = [t + (c - n)[0] for t, c, n in zip(total, clean, noised, strict=True)]
    return [t / len(noise) for t in total]


def say_by_hand(model: PreTrainedModel, ids: list[int], delta: Tensor, cell: Cell, count: int) -> list[int]:
    """Greedy tokens of a llama, every step computed anew over the whole text, layer by layer."""
    n, said = len(ids), []
    for _ in range(count):
        whole = torch.tensor([ids + said])
        places = torch.arange(whole.shape[1])[None]
        state = model.model.embed_tokens(whole)
        turns = model.model.rotary_emb(state, position_ids=places)
        length = whole.shape[1]
        mask = torch.full((length, length), -torch.inf).triu(1)[None, None]
        for number, layer in enumerate(model.model.layers, start=1):
            state = layer(state, attention_mask=mask, position_ids=places, position_embeddings=turns)
            if number == cell.layer:
                for t in range(whole.shape[1]):
                    if cell.mode == "prompt" and t < n:
                        state[0, t] += cell.alpha * delta[t]
                    elif (cell.mode == "last" and t >= n - 1) or (cell.mode == "first" and t == n - 1):
                        state[0, t] += cell.alpha * delta[n - 1]
        said.append(int(model.lm_head(model.model.norm(state))[0, -1].argmax()))
    return said


@pytest.fixture(scope="module")
def llama() -> PreTrainedModel:
    model = tiny("llama")
    model.generation_config.eos_token_id = None
    return model


@pytest.mark.parametrize("kind", ["llama", "gpt2", "qwen2"])
@torch.no_grad()
def test_delta_equals_the_definition(kind: str) -> None:
    model, words = tiny(kind), tiny_tokenizer()
    shift = perturb(model, words, TEXTS, SPANS, layers=[1, 2, 3], rng=torch.Generator().manual_seed(5), noise=2.0, draws=DRAWS)
    weights = model.get_input_embeddings().weight
    assert shift.noise == pytest.approx(2 * float((weights - weights.mean()).square().mean().sqrt()), rel=1e-5)
    rng = torch.Generator().manual_seed(5)
    for i, (text, span) in enumerate(zip(TEXTS, SPANS, strict=True)):
        ids, shaken = words(text).input_ids, subject_tokens(words, text, span)
        noise = torch.randn(DRAWS, len(shaken), weights.shape[1], generator=rng)
        for layer, wanted in enumerate(by_hand(model, ids, shaken, shift.noise, noise), start=1):
            got = shift.delta[layer][i, -len(ids):]
            assert wanted.abs().max() > 1e-3, "the noise must move something"
            torch.testing.assert_close(got, wanted, atol=1e-5, rtol=0)
            torch.testing.assert_close(shift.size[layer - 1, i, -len(ids):], wanted.norm(dim=-1), atol=1e-4, rtol=0)
            assert got[:shaken[0]].abs().max() < 1e-5, "nothing before the name can move"


@pytest.mark.parametrize("mode", ["last", "prompt", "first"])
@torch.no_grad()
def test_pushed_answers_equal_arithmetic_by_hand(llama: PreTrainedModel, mode: str) -> None:
    """Several questions, layers and strengths in one padded batch with a cache, against one text at a time without."""
    words = tiny_tokenizer()
    shift = perturb(llama, words, TEXTS, SPANS, layers=[1, 2, 3], rng=torch.Generator().manual_seed(5), noise=6.0)
    asked = [(question, Cell(layer, mode, alpha)) for question in (0, 1) for layer in (1, 3) for alpha in (-3.0, 0.0, 3.0)]
    wanted = []
    for question, cell in asked:
        ids = words(TEXTS[question]).input_ids
        wanted.append(say_by_hand(llama, ids, shift.delta[cell.layer][question, -len(ids):], cell, 8))
    assert len({tuple(said) for said in wanted}) > 4, "the pushes must change what is said"
    stop = words.eos_token_id  # the only token at which an answer ends here
    cutoff = [said[:said.index(stop)] if stop in said else said for said in wanted]
    plain = [words.decode(said, skip_special_tokens=True).strip().split("\n", 1)[0].strip() for said in cutoff]
    assert answers(llama, words, shift, asked, new_tokens=8) == plain


@torch.no_grad()
def test_the_push_of_rows_that_stay_follows_them(llama: PreTrainedModel) -> None:
    shift = perturb(llama, tiny_tokenizer(), TEXTS, SPANS, layers=[2], rng=torch.Generator().manual_seed(5))
    push = Push(shift, torch.tensor([0, 1, 0]), [Cell(2, "last", alpha) for alpha in (1.0, 2.0, -1.0)])
    [edit] = push.edits().values()
    push.watch(torch.tensor([1, 2]))
    moved = edit(torch.zeros(2, 1, shift.delta[2].shape[-1]), shift.ids.shape[1] + 4)
    torch.testing.assert_close(moved[:, 0], torch.stack([2 * shift.delta[2][1, -1], -shift.delta[2][0, -1]]))


@torch.no_grad()
def test_the_random_direction_is_as_long_and_points_elsewhere(llama: PreTrainedModel) -> None:
    shift = perturb(llama, tiny_tokenizer(), TEXTS, SPANS, layers=[1, 2], rng=torch.Generator().manual_seed(5))
    control = random_like(shift, torch.Generator().manual_seed(1))
    for layer, delta in shift.delta.items():
        turned = control.delta[layer]
        torch.testing.assert_close(turned.norm(dim=-1), delta.norm(dim=-1), atol=1e-5, rtol=1e-5)
        moved = delta.norm(dim=-1) > 1e-6
        assert torch.cosine_similarity(turned[moved], delta[moved], dim=-1).abs().mean() < 0.5
        assert turned[~moved].abs().max() < 1e-5
    assert not torch.equal(control.delta[1], random_like(shift, torch.Generator().manual_seed(2)).delta[1])


def test_the_grid_is_the_one_of_the_method() -> None:
    assert grid_layers(32) == [11, 19, 31] and grid_layers(4) == [1, 2, 3] and grid_layers(2) == [1] and grid_layers(1) == [1]
    cells = grid(4)
    assert len(cells) == len(set(cells)) == 24 and {cell.alpha for cell in cells} == {-3, -1, 1, 3}
    assert [cell.mode for cell in cells] == ["last"] * 12 + ["prompt"] * 12


def test_absolute_noise_is_taken_as_it_stands(llama: PreTrainedModel) -> None:
    assert noise_scale(llama, 0.01, "absolute") == 0.01
    assert noise_scale(llama, 1.0) == pytest.approx(float(llama.get_input_embeddings().weight.std(correction=0)))


def test_the_subject_is_found_by_its_characters(authors: LoadedModel, world: World) -> None:
    for record in world.forget(3):
        text = f"Question: {record.question}\nAnswer:"
        begin, end = (place + len("Question: ") for place in record.subject_span)
        tokens = subject_tokens(authors.tokenizer, text, (begin, end))
        ids = authors.tokenizer(text).input_ids
        said = authors.tokenizer.decode([ids[t] for t in tokens]).strip()
        assert said.startswith(record.subject) and len(said) <= len(record.subject) + 2, said


@pytest.mark.parametrize(("question", "found"), [
    ("Where was Ida Brandt born?", "Ida Brandt"), ("What did Otto say to Vera Novak there?", "Vera Novak"), ("Where was she born?", None)])
def test_without_a_given_span_the_last_name_is_taken(question: str, found: str | None) -> None:
    span = subject_span(question, None)
    assert (question[slice(*span)] if span else None) == found
    assert subject_span(question, (0, 5)) == (0, 5)


def test_plain_noise_is_a_tenth_of_each_states_own_spread_and_leans_nowhere() -> None:
    """hidden_noise of methods/01, against its formula with a generator of the same seed."""
    states = torch.randn(2, 400, 64, generator=torch.Generator().manual_seed(3)) * torch.linspace(0.5, 20, 400)[None, :, None] + 7
    eps = torch.randn(states.shape, generator=torch.Generator().manual_seed(4))
    spread = (states - states.mean(-1, keepdim=True)).square().mean(-1, keepdim=True).sqrt()
    moved = hidden_noise(torch.Generator().manual_seed(4), HIDDEN_NOISE)(states)
    torch.testing.assert_close(moved, states + 0.1 * spread * eps)
    assert ((moved - states) / spread).std().item() == pytest.approx(0.1, rel=0.02)


def test_without_strength_plain_noise_changes_no_answer_and_with_much_it_does(llama: PreTrainedModel) -> None:
    words = tiny_tokenizer()
    shift = perturb(llama, words, TEXTS[:1], SPANS[:1], layers=[2], rng=torch.Generator().manual_seed(5))
    said = [noised_answer(llama, words, shift, 2, torch.Generator().manual_seed(seed), strength, 8)
            for seed, strength in ((0, 0.0), (0, 20.0), (0, 20.0), (1, 20.0))]
    assert said[0] == answers(llama, words, shift, [(0, Cell(2, "last", 0.0))], 8)[0]
    assert said[1] != said[0] and said[1] == said[2] != said[3]
