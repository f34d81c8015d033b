"""Scores as their authors run them, against the library's own generation."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from core.reasoning.data import draw_problems
from core.reasoning.energy import coe_scores
from core.reasoning.generations import drawn_certainty
from core.reasoning.metrics import score_all
from core.reasoning.reading import Reader
from core.reasoning.spec import COE
from tests.reasoning.conftest import reasoner


@pytest.mark.parametrize("new_tokens", [3, 9])
@pytest.mark.parametrize("kind", ["qwen2", "gpt2"])
def test_chain_of_embedding_as_published_is_the_mean_over_what_generate_reports(kind: str, new_tokens: int) -> None:
    """Their code takes states[step][layer][0][0] of every step of `generate`: of the first step that is the prompt's first token."""
    model, tokenizer = reasoner(kind)
    from core.reasoning.prompts import Form

    form = Form.of(tokenizer, model)
    ids, _ = form.ask("Why is the sky blue?")
    out = model.generate(ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=new_tokens, return_dict_in_generate=True,
                         output_hidden_states=True, pad_token_id=0)
    steps = torch.stack([torch.stack([layer[0, 0] for layer in step]) for step in out.hidden_states])
    theirs = {name: float(value) for name, value in coe_scores(steps.float().mean(0)).items()}
    reader = Reader(model, form)
    for _ in reader.generate(ids, new_tokens):
        pass
    written = reader.readings()[0]
    assert written.ids == out.sequences[0].tolist()
    reread = Reader(model, form).read(out.sequences, ids.shape[1]).readings()[0]
    for reading in (written, reread):
        ours, other = score_all(reading, coe="published"), score_all(reading)
        assert {name: ours[name] for name in COE} == pytest.approx(theirs, abs=2e-4)
        assert all(ours[name] != other[name] for name in COE) and {n: ours[n] for n in set(ours) - set(COE)} == pytest.approx(
            {n: other[n] for n in set(ours) - set(COE)}, nan_ok=True)


def test_certainty_of_drawn_outputs_is_near_minus_the_entropy_and_the_same_for_one_seed(chains) -> None:
    """Drawn from the model's own distribution, the mean of log p is the mean of minus the entropy, token by token."""
    model, form = chains
    problems = draw_problems(4, "numbers", torch.Generator().manual_seed(0))
    runs: list[list[float]] = [[], []]
    for into in runs:
        counts = list(drawn_certainty(model, form, problems, 3, torch.Generator().manual_seed(1), into))
        assert counts[-1] == 12
    assert runs[0] == runs[1] and len(runs[0]) == 4 and all(-math.log(len(form.tokenizer)) * 1.5 < value < 0 for value in runs[0])
    greedy = Reader(model, form, lens=False, chain=False)
    for _ in greedy.generate(form.ask(problems[0].prompt)[0], 20):
        pass
    assert np.mean(runs[0]) < float(greedy.readings()[0].stats.log_prob.mean())  # the likeliest tokens are likelier than drawn ones
