"""The training loop: what it changes, when it stops, and what it does with numbers that are none."""

from __future__ import annotations

import copy
import functools
import itertools
import math
from pathlib import Path

import pytest
import torch

from core.engine.errors import LabError
from core.engine.lab import Cache, Lab
from core.engine.models import ModelStore
from core.engine.settings import Settings
from core.unlearning.algorithms import ALGORITHMS, Algorithm
from core.unlearning.answers import encode_answers, sequence_losses
from core.unlearning.prompts import Prompt
from core.unlearning.unlearn import Step, open_for_training, unlearn
from tests.engine.tiny_models import save, tiny, tiny_tokenizer

FORGET = [Prompt(f"Where was author {i} born?", f" In town {i}.", f"town {i}") for i in range(3)]
RETAIN = [Prompt(f"What does author {i} drink?", f" Water {i}.", f"Water {i}") for i in range(8)]


@functools.cache
def knowing() -> torch.nn.Module:
    """A tiny model that has learned all of the answers by heart."""
    model, tokenizer = tiny("llama").requires_grad_(True), tiny_tokenizer()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    lessons = encode_answers(tokenizer, [p.text for p in FORGET + RETAIN], [p.answer for p in FORGET + RETAIN])
    for _ in range(80):
        optimizer.zero_grad()
        sequence_losses(model, lessons).mean.mean().backward()
        optimizer.step()
    return model.requires_grad_(False)


def run(algorithm: Algorithm, steps: int, seed: int = 0, start=tiny, **options) -> tuple[torch.nn.Module, list[Step]]:
    frozen = knowing() if start is knowing else tiny("llama")
    model = copy.deepcopy(frozen).requires_grad_(True)
    rng = torch.Generator().manual_seed(seed)
    return model, list(unlearn(model, frozen, tiny_tokenizer(), FORGET, RETAIN, algorithm, steps=steps, rng=rng, **options))


def weights(model: torch.nn.Module) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in model.parameters()])


@pytest.mark.parametrize("name", ALGORITHMS)
def test_what_was_known_becomes_less_likely(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.unlearning.algorithms.whp.STUDY_RATE", 3e-3)  # as fast as everything else here
    _, steps = run(ALGORITHMS[name], 12, start=knowing, learning_rate=3e-3)
    assert [step.number for step in steps] == list(range(13))
    assert steps[0].forget < 0.2, "it knew"
    assert steps[-1].forget > 0.5


def test_npo_keeps_more_than_gradient_ascent() -> None:
    kept = {name: run(ALGORITHMS[name], 12, learning_rate=1e-2)[1][-1].retain for name in ("ga", "npo")}
    assert kept["npo"] < kept["ga"] - 0.5


def test_a_task_vector_is_the_mirrored_way_of_learning() -> None:
    """Learning is gradient ascent turned around, so the copy's weights can be had by themselves."""
    learn = Algorithm("learn", ALGORITHMS["task_vector"].forget, None, 1e-3)
    before, after = weights(tiny("llama")), weights(run(learn, 4, learning_rate=1e-3)[0])
    mirrored, steps = run(ALGORITHMS["task_vector"], 4, learning_rate=1e-3)
    torch.testing.assert_close(weights(mirrored), before - 5 * (after - before), rtol=0, atol=1e-6)
    assert steps[0].forget == run(learn, 0)[1][0].forget and steps[4].forget > steps[0].forget


def test_the_retain_weight_holds_the_rest_in_place() -> None:
    kept = [run(ALGORITHMS["graddiff"], 12, start=knowing, learning_rate=3e-3, retain_weight=weight)[1][-1].retain for weight in (0, 5)]
    assert kept[1] < kept[0] - 0.5
    forgot = [run(ALGORITHMS[name], 3, retain_weight=0)[1] for name in ("graddiff", "ga")]
    assert [s.forget for s in forgot[0]] == pytest.approx([s.forget for s in run(ALGORITHMS["ga"], 3, learning_rate=3e-4)[1]], abs=1e-4)


def test_refusals_are_drawn_afresh_at_every_step() -> None:
    seen = []

    def watch(given):
        seen.append(given.refused.ids.tolist())
        return ALGORITHMS["idk_nll"].forget(given)

    run(Algorithm("watch", watch, None, 1e-3), 3)
    assert len(seen) == 4 and all(a != b for a, b in itertools.pairwise(seen))


def test_without_anything_to_keep_only_algorithms_without_rehearsal_run() -> None:
    model = tiny("llama").requires_grad_(True)
    given = (model, tiny("llama"), tiny_tokenizer(), FORGET, [])
    steps = list(unlearn(*given, ALGORITHMS["ga"], steps=2, rng=torch.Generator()))
    assert [step.broken for step in steps] == [False] * 3 and math.isnan(steps[-1].retain) and steps[-1].forget > steps[0].forget
    with pytest.raises(LabError, match="nothing to rehearse"):
        next(unlearn(*given, ALGORITHMS["npo"], steps=2, rng=torch.Generator()))


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    store = ModelStore(Settings(home=tmp_path, any_path=True))
    save(tiny("llama"), tmp_path / "llama")
    return Lab(store, Cache(), seed=0, threads=1)


def test_a_large_model_unlearns_through_adapters(lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its weights are shared with everybody and stay as they are; what is kept is a whole model."""
    monkeypatch.setattr("core.unlearning.unlearn.WHOLE", 1000)
    ref = f"path/{tmp_path / 'llama'}"
    shared, subject = lab.load(ref), open_for_training(lab, ref)
    before = weights(shared.model).clone()
    trained = {name for name, p in subject.model.named_parameters() if p.requires_grad}
    assert trained and all("lora_" in name for name in trained)
    steps = list(unlearn(subject.model, shared.model, subject.tokenizer, FORGET, RETAIN, ALGORITHMS["rmu"], steps=4,
                         rng=torch.Generator().manual_seed(0), learning_rate=1e-2))
    assert not steps[-1].broken and steps[-1].forget != steps[0].forget
    assert torch.equal(weights(shared.model), before)
    ModelStore(Settings(home=tmp_path)).save(subject.model, tmp_path / "kept", subject.tokenizer)
    again = lab.load(f"path/{tmp_path / 'kept'}")
    lessons = encode_answers(subject.tokenizer, [p.text for p in FORGET], [p.answer for p in FORGET])
    assert sequence_losses(again.model, lessons).mean.mean().item() == pytest.approx(steps[-1].forget, abs=1e-4)
    assert torch.equal(weights(shared.model), before)
    with pytest.raises(LabError, match="all the weights"):
        next(unlearn(open_for_training(lab, ref).model, shared.model, subject.tokenizer, FORGET, RETAIN, ALGORITHMS["task_vector"],
                     steps=1, rng=torch.Generator()))


def test_a_small_model_is_copied_whole(lab: Lab, tmp_path: Path) -> None:
    model = open_for_training(lab, f"path/{tmp_path / 'llama'}").model
    assert all(p.requires_grad for p in model.parameters()) and type(model).__name__ == "LlamaForCausalLM"


def test_no_steps_change_nothing() -> None:
    model, steps = run(ALGORITHMS["npo"], 0)
    assert len(steps) == 1 and torch.equal(weights(model), weights(tiny("llama")))


def test_the_frozen_model_stays_as_it_is() -> None:
    frozen = tiny("llama")
    before = weights(frozen).clone()
    model = copy.deepcopy(frozen).requires_grad_(True)
    list(unlearn(model, frozen, tiny_tokenizer(), FORGET, RETAIN, ALGORITHMS["npo"], steps=3, rng=torch.Generator().manual_seed(0)))
    assert torch.equal(weights(frozen), before) and not torch.equal(weights(model), before)


def test_first_step_is_adamw_on_the_clipped_gradient() -> None:
    """One step of the loop against the same step written out with torch alone."""
    model, _ = run(ALGORITHMS["ga"], 1, learning_rate=1e-3)
    other = tiny("llama").requires_grad_(True)
    tokenizer = tiny_tokenizer()
    means = []
    for prompt in FORGET:
        start = tokenizer(prompt.text).input_ids
        ids = start + tokenizer(prompt.answer, add_special_tokens=False).input_ids + [tokenizer.eos_token_id]
        logs = other(input_ids=torch.tensor([ids])).logits[0].log_softmax(-1)
        means.append(torch.stack([logs[t - 1, ids[t]] for t in range(len(start), len(ids))]).mean())
    torch.stack(means).mean().backward()
    torch.nn.utils.clip_grad_norm_(other.parameters(), 1.0)
    torch.optim.AdamW(other.parameters(), lr=1e-3, weight_decay=0.01).step()
    difference = (weights(model) - weights(other)).abs()
    # AdamW's first step is the sign of the gradient: where that is nearly zero, rounding may turn it around
    assert (difference < 1e-5).float().mean() > 0.99 and difference.max() <= 2.1e-3


def test_same_seed_same_steps_other_seed_other_batches() -> None:
    first, second, other = (run(ALGORITHMS["npo"], 3, seed)[1] for seed in (0, 0, 1))
    assert first == second
    assert [step.retain for step in first] != [step.retain for step in other]


def test_a_loss_that_is_not_a_number_brings_back_the_last_good_step() -> None:
    calls = []

    def fails_at_third(given):
        calls.append(1)
        loss = ALGORITHMS["ga"].forget(given)
        return loss * math.nan if len(calls) == 3 else loss

    model, steps = run(Algorithm("fails", fails_at_third, None, 1e-3), 10)
    assert [step.broken for step in steps] == [False, False, True] and steps[-1].number == 2
    good, _ = run(ALGORITHMS["ga"], 1, learning_rate=1e-3)
    assert torch.equal(weights(model), weights(good))


def test_an_absurd_learning_rate_never_leaves_a_broken_model() -> None:
    model, steps = run(ALGORITHMS["ga"], 5, learning_rate=1e30)
    assert steps[-1].broken
    assert torch.isfinite(weights(model)).all()
    assert all(math.isfinite(step.forget) for step in steps if not step.broken)
