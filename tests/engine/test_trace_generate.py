"""Under `generate` with a KV cache a trace reads and does what one forward over the whole text reads and does."""

from __future__ import annotations

import pytest
import torch
from transformers import DynamicCache

from core.engine.errors import LabError
from core.engine.trace import Site, sites, trace
from tests.engine.hand_hooks import gap
from tests.engine.tiny_models import CAUSAL, PAD, inputs_for, tiny

NEW = 5
PARTS = ["resid_pre", "attn_out", "resid_mid", "mlp_out", "resid_post"]
GENERATING = [*CAUSAL, "qwen2_vl"]
every_kind = pytest.mark.parametrize("kind", GENERATING)


def greedy(model, inputs, **more):
    settings = {"max_new_tokens": NEW, "min_new_tokens": NEW, "do_sample": False, "pad_token_id": PAD} | more
    return model.generate(**inputs, **settings)


def whole_text(inputs, sequences):
    """Inputs of one forward over everything but the last token, with the positions that `generate` gives."""
    new = sequences.shape[1] - inputs["input_ids"].shape[1] - 1
    mask = torch.cat([inputs["attention_mask"], torch.ones(len(sequences), new, dtype=torch.long)], dim=1)
    rest = {name: value for name, value in inputs.items() if name == "pixel_values"}
    positions = (mask.cumsum(-1) - 1).clamp(min=0)
    return {"input_ids": sequences[:, :-1], "attention_mask": mask, "position_ids": positions, "use_cache": False} | rest


@pytest.mark.parametrize(("kind", "padding"), [(kind, 0) for kind in GENERATING] + [(kind, 3) for kind in GENERATING if kind != "llava"])
@torch.no_grad()
def test_joined_captures_equal_one_forward_over_the_whole_text(kind, padding):
    model = tiny(kind)
    inputs = inputs_for(model)
    inputs["attention_mask"][0, :padding] = 0
    with trace(model, capture=sites(model, *PARTS)) as acts:
        sequences = greedy(model, inputs)
    full = whole_text(inputs, sequences)
    if kind == "qwen2_vl":
        full["position_ids"] = full["position_ids"].expand(3, -1, -1)
    with trace(model, capture=sites(model, *PARTS)) as expected:
        model(**full)
    prompt = inputs["input_ids"].shape[1]
    for site in expected:
        assert [call.shape[1] for call in acts.calls(site)] == [prompt] + [1] * (NEW - 1)
        real = full["attention_mask"].bool()
        assert gap(acts[site][real], expected[site][real]) <= 2e-5


@pytest.mark.parametrize("kind", CAUSAL)
@torch.no_grad()
def test_joined_attention_weights_equal_one_forward(kind):
    model = tiny(kind, attention="eager")
    inputs = inputs_for(model)
    with trace(model, capture=sites(model, "attn_weights")) as acts:
        sequences = greedy(model, inputs)
    with trace(model, capture=sites(model, "attn_weights")) as expected:
        model(**whole_text(inputs, sequences))
    assert all(gap(acts[site], expected[site]) <= 2e-5 for site in expected)


@every_kind
@torch.no_grad()
def test_an_edit_steers_cached_and_uncached_generation_alike(kind):
    model = tiny(kind)
    inputs = inputs_for(model)
    edit = {Site(1, "resid_post"): lambda x: x + 2 * torch.linspace(-1, 1, x.shape[-1])}
    clean = greedy(model, inputs)
    with trace(model, edit=edit):
        cached = greedy(model, inputs)
        uncached = greedy(model, inputs, use_cache=False)
    assert not torch.equal(clean, cached)
    assert torch.equal(cached, uncached)
    assert torch.equal(clean, greedy(model, inputs))


@pytest.mark.parametrize("kind", ["llama", "gpt2", "qwen2", "mistral"])
@torch.no_grad()
def test_offset_lets_an_edit_find_one_token_of_the_sequence(kind):
    """Zero the MLP at token 10 only, which with a cache is a call of its own: logits as in one uncached forward."""
    model = tiny(kind)
    inputs = inputs_for(model, tokens=14)
    target, site = 10, Site(1, "mlp_out")

    def plain(x):
        return torch.cat([x[:, :target], 0 * x[:, target : target + 1], x[:, target + 1 :]], dim=1)

    offsets = []

    def by_offset(x, offset):
        offsets.append(offset)
        here = torch.arange(offset, offset + x.shape[1]) == target
        return torch.where(here[None, :, None], 0, x)

    with trace(model, edit={site: plain}):
        expected = model(**inputs).logits
    assert gap(expected, model(**inputs).logits) > 1e-3
    cache, logits = DynamicCache(config=model.config), []
    with trace(model, edit={site: by_offset}, capture=[Site(0, "resid_pre")]) as acts:
        for start, end in ((0, 8), (8, 10), (10, 11), (11, 14)):
            step = {"input_ids": inputs["input_ids"][:, start:end], "attention_mask": inputs["attention_mask"][:, :end]}
            logits.append(model(**step, cache=cache).logits)
    assert offsets == [0, 8, 10, 11] and acts[Site(0, "resid_pre")].shape[1] == 14
    assert gap(torch.cat(logits, dim=1), expected) <= 2e-5


@torch.no_grad()
def test_generation_without_a_cache_is_listed_but_not_joined():
    model = tiny("llama")
    inputs = inputs_for(model)
    site = Site(0, "resid_post")
    with trace(model, capture=[site]) as acts:
        greedy(model, inputs, use_cache=False)
    assert [call.shape[1] for call in acts.calls(site)] == [9, 10, 11, 12, 13]
    with pytest.raises(LabError, match="5 forwards"):
        acts[site]


@torch.no_grad()
def test_stop_at_ends_generation_at_the_prompt():
    model = tiny("gpt2")
    reached = False
    with trace(model, capture=[Site(0, "resid_post")], stop_at=0) as acts:
        greedy(model, inputs_for(model))
        reached = True
    assert not reached and acts[Site(0, "resid_post")].shape[1] == 9
    assert greedy(model, inputs_for(model)).shape[1] == 9 + NEW


# ---- generation that moves rows or takes tokens back ----


@pytest.mark.parametrize("more", [{"num_beams": 3}, {"num_beams": 3, "num_return_sequences": 3}, {"num_beams": 2, "do_sample": True}])
@torch.no_grad()
def test_beams_change_places_so_their_captures_are_refused_by_name(more):
    model = tiny("llama")
    site = Site(2, "resid_post")
    with trace(model, capture=[site]) as acts:
        greedy(model, inputs_for(model, batch=2), **more)
    with pytest.raises(LabError, match="changed places between its 5 forwards, as in beam search"):
        acts[site]
    assert [call.shape[0] for call in acts.calls(site)] == [2 * more["num_beams"]] * NEW


@torch.no_grad()
def test_returned_sequences_without_beams_are_as_one_forward_gives_them():
    model = tiny("llama")
    site = Site(2, "resid_post")
    torch.manual_seed(0)
    with trace(model, capture=[site]) as acts:
        sequences = greedy(model, inputs_for(model, batch=2), do_sample=True, num_return_sequences=3)
    with trace(model, capture=[site]) as expected:
        model(input_ids=sequences[:, :-1], use_cache=False)
    assert sequences.shape[0] == 6 and not torch.equal(sequences[0], sequences[1])
    assert gap(acts[site], expected[site]) <= 2e-5


@pytest.mark.parametrize("how", ["assistant", "lookup"])
@torch.no_grad()
def test_tokens_an_assistant_proposed_in_vain_are_left_out(how):
    model = tiny("llama", attention="eager")
    helper = {"assistant_model": tiny("llama", seed=5)} if how == "assistant" else {"prompt_lookup_num_tokens": 3}
    ids = inputs_for(model, batch=1)["input_ids"].repeat(1, 2)  # repeated, so that looking up proposes something
    wanted = [Site(2, "resid_post"), Site(1, "attn_weights")]
    with trace(model, capture=wanted) as acts:
        sequences = greedy(model, {"input_ids": ids, "attention_mask": torch.ones_like(ids)}, max_new_tokens=8, min_new_tokens=None,
                           eos_token_id=-1, **helper)
    assert sum(call.shape[1] for call in acts.calls(wanted[0])) > sequences.shape[1] - 1  # something was proposed in vain
    with trace(model, capture=wanted) as expected:
        model(input_ids=sequences[:, :-1], use_cache=False)
    assert all(gap(acts[site], expected[site]) <= 2e-5 for site in wanted)


@torch.no_grad()
def test_rows_that_leave_the_batch_are_refused_and_listed():
    model = tiny("gpt2")
    inputs, cache, site = inputs_for(model), DynamicCache(config=model.config), Site(1, "mlp_out")
    with trace(model, capture=[site]) as acts:
        model(input_ids=inputs["input_ids"], cache=cache)
        assert acts[site].shape[0] == 3
        cache.batch_select_indices(torch.tensor([0, 2]))
        assert acts[site].shape[0] == 3  # one forward is what it is
        model(input_ids=inputs["input_ids"][:2, :1], cache=cache)
    with pytest.raises(LabError, match="changed places"):
        acts[site]
    assert [len(call) for call in acts.calls(site)] == [3, 2]
