"""What the reference promises of each architecture - audited, attacked - done to a tiny random model of it, against the library alone."""

from __future__ import annotations

import pytest
import torch

from core.engine.families import LANGUAGE, family_name
from core.engine.lens import read_layers
from core.unlearning.algorithms import ALGORITHMS
from core.unlearning.answers import answer_losses, encode_answers
from core.unlearning.audit.actpert import Cell, answers, perturb
from core.unlearning.prompts import Prompt, render
from core.unlearning.replies import reply
from core.unlearning.soft_tokens.attack import AttackSettings, attack, speak
from core.unlearning.soft_tokens.targets import encode_target
from core.unlearning.unlearn import unlearn
from tests.engine.row_models import CAUSAL, build
from tests.engine.tiny_models import tiny_tokenizer

FACTS = [Prompt("Where was the author born?", " The author was born.", "born"), Prompt("Who?", " The author.", "author")]


def by_hand(model, ids: list[int], border: int) -> float:
    """Mean NLL of what stands behind the border, from the library's own logits."""
    logp = model(input_ids=torch.tensor([ids]), use_cache=False).logits[0, border - 1:-1].float().log_softmax(-1)
    return -logp.gather(-1, torch.tensor(ids[border:])[:, None]).mean().item()


def test_every_family_that_is_said_to_be_audited_and_attacked_is_here() -> None:
    assert {family_name(kind) for kind, _, _ in CAUSAL.values()} == set(LANGUAGE)


@pytest.mark.parametrize("label", CAUSAL)
def test_a_model_of_it_is_asked_looked_into_made_to_forget_and_attacked(label: str) -> None:
    model, tokenizer = build(label), tiny_tokenizer()
    texts = [render(fact, tokenizer) for fact in FACTS]
    with torch.no_grad():
        encoded = encode_answers(tokenizer, texts, [fact.answer for fact in FACTS])
        losses = answer_losses(model, tokenizer, texts, [fact.answer for fact in FACTS])
        for row, mean in enumerate(losses.mean):
            ids = encoded.ids[row][encoded.mask[row].bool()].tolist()
            assert mean.item() == pytest.approx(by_hand(model, ids, len(ids) - int(losses.tokens[row])), abs=2e-4)
        depths = read_layers(model, encoded.ids[1:, -8:], positions=[-1])
        assert torch.allclose(depths[-1, 0].exp(), model(encoded.ids[1:, -8:]).logits[0, -1].float().softmax(-1), atol=1e-4)
    assert len(reply(model, tokenizer, FACTS).texts) == 2

    name = texts[0].text.index("author")
    shift = perturb(model, tokenizer, texts[:1], [(name, name + 6)], layers=[1, 2], rng=torch.Generator().manual_seed(0))
    assert shift.size[-1, 0].max() > 0
    assert len(answers(model, tokenizer, shift, [(0, Cell(1, "last", 2.0))], new_tokens=3)) == 1

    target = encode_target(tokenizer, "", "The author")
    *_, [attempt] = attack(model, [target], [[30, 31]], AttackSettings(steps=4))
    assert attempt.losses[-1] < attempt.losses[0]
    with torch.no_grad():  # the loss of the first step is that of the same tokens, read as words
        ids = [*target.before, 30, 31, *target.after, *target.completion]
        assert attempt.losses[0] == pytest.approx(by_hand(model, ids, len(ids) - len(target.completion)), abs=2e-4)
    assert len(speak(model, [attempt], "embedding", extra=1)[0]) == len(target.completion) + 1

    own = build(label).requires_grad_(True)
    steps = list(unlearn(own, model, tokenizer, FACTS[:1], FACTS[1:], ALGORITHMS["graddiff"], steps=2,
                         rng=torch.Generator().manual_seed(0), learning_rate=1e-3))
    assert steps[-1].number == 2 and steps[-1].forget > steps[0].forget
    assert steps[0].forget == pytest.approx(losses.mean[0].item(), abs=2e-4)
