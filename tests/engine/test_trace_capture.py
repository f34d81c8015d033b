"""What is captured is what flowed: against the model's own report and against hooks set by hand, in every family."""

from __future__ import annotations

import pytest
import torch
from transformers import CLIPConfig, CLIPModel, LlavaConfig, LlavaForConditionalGeneration, PhiConfig

from core.engine.errors import LabError
from core.engine.families import FAMILIES, PARTS, family_name, family_of
from core.engine.families import LANGUAGE as SPEAKING
from core.engine.trace import Site, sites, trace
from tests.engine import tiny_models
from tests.engine.hand_hooks import LANGUAGE, PATHS, gap, hand_hooks, hook_count, part, result
from tests.engine.tiny_models import BUILDERS, LAYERS, WIDTH, inputs_for, tiny

FLOWING = [name for name in PARTS if name != "attn_weights"]
every_kind = pytest.mark.parametrize("kind", list(BUILDERS))


def test_every_tiny_model_has_an_oracle():
    assert set(PATHS) == set(BUILDERS)


@every_kind
@torch.no_grad()
def test_captures_equal_hooks_set_by_hand(kind):
    model = tiny(kind)
    inputs = inputs_for(model)
    with hand_hooks(model, kind) as seen, trace(model, capture=sites(model, *FLOWING)) as acts:
        model(**inputs)
    assert len(acts) == LAYERS * len(FLOWING)
    for site, value in acts.items():
        (expected,) = seen[site.layer, site.part]
        assert value.shape[-1] == WIDTH and gap(value, expected) <= 1e-6


@every_kind
@torch.no_grad()
def test_parts_add_up_to_the_residual_stream(kind):
    model = tiny(kind)
    with trace(model, capture=sites(model, *FLOWING)) as acts:
        model(**inputs_for(model))
    for layer in range(LAYERS):
        pre, attn, mid, mlp, post = (acts[Site(layer, name)] for name in FLOWING)
        assert gap(mid, pre + attn) <= 1e-6 and gap(post, mid + mlp) <= 1e-6
        assert gap(attn, torch.zeros_like(attn)) > 1e-2 and gap(mlp, torch.zeros_like(mlp)) > 1e-2


@every_kind
@torch.no_grad()
def test_hidden_states_are_resid_post_except_that_language_models_norm_the_last(kind):
    model = tiny(kind)
    with trace(model, capture=sites(model, "resid_pre", "resid_post")) as acts:
        reported = model(**inputs_for(model), output_hidden_states=True).hidden_states
    assert len(reported) == LAYERS + 1
    assert gap(acts[Site(0, "resid_pre")], reported[0]) <= 1e-6
    for layer in range(LAYERS - 1):
        assert gap(acts[Site(layer, "resid_post")], reported[layer + 1]) <= 1e-6
    last = acts[Site(LAYERS - 1, "resid_post")]
    if kind in LANGUAGE:
        assert gap(last, reported[-1]) > 1e-2
        last = part(model, kind, 0, "norm")(last)
    assert gap(last, reported[-1]) <= 1e-6


@every_kind
@torch.no_grad()
def test_attention_weights_equal_the_models_own(kind):
    model = tiny(kind, attention="eager")
    with trace(model, capture=sites(model, "attn_weights")) as acts:
        reported = model(**inputs_for(model), output_attentions=True).attentions
    assert len(reported) == LAYERS
    for layer in range(LAYERS):
        weights = acts[Site(layer, "attn_weights")]
        assert gap(weights, reported[layer]) <= 1e-6
        assert gap(weights.sum(-1), torch.ones(weights.shape[:-1])) <= 1e-5


@every_kind
def test_attention_weights_need_an_eager_model(kind):
    model = tiny(kind)
    with pytest.raises(LabError, match="eager"), trace(model, capture=[Site(0, "attn_weights")]):
        pass
    assert model.config._attn_implementation == "sdpa"


@every_kind
@torch.no_grad()
def test_tracing_changes_nothing_and_adds_no_hook(kind):
    model = tiny(kind)
    inputs = inputs_for(model)
    before, hooks = result(model(**inputs)), hook_count(model)
    with trace(model, capture=sites(model, *FLOWING)):
        during = result(model(**inputs))
        assert hook_count(model) == hooks
    assert torch.equal(before, during) and torch.equal(before, result(model(**inputs)))
    assert hook_count(model) == hooks


@pytest.mark.parametrize("kind", ["llama", "gpt2", "vit"])
def test_captures_keep_their_graph_when_gradients_are_on(kind):
    model = tiny(kind).requires_grad_(True)
    inputs = inputs_for(model)
    with hand_hooks(model, kind) as seen, trace(model, capture=[Site(1, "mlp_out")]) as acts:
        loss = result(model(**inputs)).square().mean()
    (gradient,) = torch.autograd.grad(loss, acts[Site(1, "mlp_out")], retain_graph=True)
    (expected,) = torch.autograd.grad(loss, seen[1, "mlp_out"][0])
    assert gradient.abs().max() > 0 and gap(gradient, expected) <= 1e-6
    with torch.no_grad(), trace(model, capture=[Site(1, "mlp_out")]) as acts:
        model(**inputs)
    assert not acts[Site(1, "mlp_out")].requires_grad


@every_kind
@torch.no_grad()
def test_stop_at_runs_nothing_above_the_layer(kind):
    model = tiny(kind)
    inputs = inputs_for(model)
    with trace(model, capture=sites(model, "resid_post")) as whole:
        model(**inputs)
    below = [Site(layer, "resid_post") for layer in range(2)]
    after = False
    with hand_hooks(model, kind) as seen, trace(model, capture=below, stop_at=1) as acts:
        model(**inputs)
        after = True
    assert not after
    assert all(torch.equal(acts[site], whole[site]) for site in below)
    assert len(seen[1, "attn_out"]) == 1 and not any(seen[layer, name] for layer in (2, 3) for name in FLOWING)
    assert torch.equal(model(**inputs)[0], model(**inputs)[0])  # and it runs to the end again


@torch.no_grad()
def test_the_outer_stop_leaves_both_blocks_and_the_inner_one_only_its_own():
    model = tiny("llama")
    inputs = inputs_for(model)
    reached = []
    with trace(model, capture=[Site(2, "resid_post")]) as outer:
        with trace(model, stop_at=0):
            model(**inputs)
            reached.append("inside")
        reached.append("between")
        model(**inputs)
    assert reached == ["between"] and outer[Site(2, "resid_post")].shape[0] == 3
    with trace(model, stop_at=1):
        with trace(model, capture=[Site(3, "resid_post")]) as inner:
            model(**inputs)
        reached.append("after the inner block")
    assert reached == ["between"] and not inner.calls(Site(3, "resid_post"))


@torch.no_grad()
def test_towers_of_composite_models_can_be_traced_each():
    llava = tiny("llava")
    tower = llava.model.vision_tower
    with trace(tower, capture=sites(tower, "resid_post")) as eyes, trace(llava, capture=sites(llava, "resid_post")) as text:
        llava(**inputs_for(llava))
    assert eyes[Site(0, "resid_post")].shape[1] == tiny_models.PATCHES + 1 != text[Site(0, "resid_post")].shape[1]
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_attention_heads": 4}
    text = sizes | {"vocab_size": 99, "num_hidden_layers": 3}
    vision = sizes | {"image_size": 16, "patch_size": 8, "num_hidden_layers": 2}
    clip = CLIPModel(CLIPConfig(text_config=text, vision_config=vision))
    with pytest.raises(LabError, match="text_model"), trace(clip):
        pass
    assert family_name("clip") == "clip"
    assert len(sites(clip.text_model, "resid_post")) == 3 and len(sites(clip.vision_model, "resid_post")) == 2


def test_what_cannot_be_traced_says_so():
    with pytest.raises(LabError, match="Linear"):
        family_of(torch.nn.Linear(2, 2))
    text_config = PhiConfig(vocab_size=99, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4)
    config = LlavaConfig(vision_config=tiny("clip_vision").config, text_config=text_config, image_seq_length=4)
    with torch.device("meta"):
        strange = LlavaForConditionalGeneration(config)
    with pytest.raises(LabError, match="phi"):
        family_of(strange)
    assert family_name("no-such-thing") == family_name(None) == family_name(["llama"]) == "other"
    assert {family_name(model_type) for model_type in FAMILIES} == {
        *SPEAKING, "gemma3", "llava", "qwen_vl", "clip", "siglip", "vit", "dinov2", "bert", "distilbert", "unet", "dit"}


@pytest.mark.parametrize(
    ("asked", "hint"),
    [
        ({"capture": [Site(LAYERS, "mlp_out")]}, "0 to 3"),
        ({"capture": [Site(-1, "mlp_out")]}, "0 to 3"),
        ({"capture": [Site(0, "mlp")]}, "resid_mid"),
        ({"capture": [Site(2, "mlp_out")], "stop_at": 1}, "layer 2 or later"),
        ({"stop_at": LAYERS}, "0 to 3"),
        ({"edit": {Site(0, "attn_weights"): lambda x: x}}, "eager"),
    ],
)
def test_impossible_sites_are_refused_with_what_is_allowed(asked, hint):
    model = tiny("llama")
    with pytest.raises(LabError) as caught, trace(model, **asked):
        pass
    assert hint in str(caught.value)


@torch.no_grad()
def test_reading_too_early_or_two_separate_forwards_is_explained():
    model = tiny("llama")
    site = Site(0, "mlp_out")
    with trace(model, capture=[site]) as acts:
        assert site in acts and Site(1, "mlp_out") not in acts
        with pytest.raises(LabError, match="Nothing has passed"):
            acts[site]
        model(**inputs_for(model))
        model(**inputs_for(model, seed=2))
    assert site in acts and len(acts.calls(site)) == 2
    with pytest.raises(LabError, match="do not continue"):
        acts[site]
