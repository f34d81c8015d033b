"""Edits: each is first proved to move the output, then compared with what hooks or arithmetic by hand give."""

from __future__ import annotations

import copy

import pytest
import torch
from accelerate.hooks import ModelHook, add_hook_to_module
from peft import LoraConfig, get_peft_model

from core.engine.errors import LabError
from core.engine.trace import Site, sites, trace
from tests.engine.hand_hooks import gap, hand_hooks, hook_count, part, result, same_state, state
from tests.engine.tiny_models import BUILDERS, inputs_for, tiny

LAYER = 1
EDITABLE = ["resid_pre", "attn_out", "resid_mid", "mlp_out", "resid_post"]
every_kind = pytest.mark.parametrize("kind", list(BUILDERS))
every_part = pytest.mark.parametrize("name", EDITABLE)


def change(x: torch.Tensor) -> torch.Tensor:
    return 0.5 * x.flip(-1) + 0.3


def run(model, inputs, edit=None):
    with trace(model, edit=edit or {}):
        return result(model(**inputs))


def moved(model, inputs, edit):
    """The output under an edit, after the proof that the edit does something."""
    clean, edited = run(model, inputs), run(model, inputs, edit)
    assert gap(clean, edited) > 1e-3
    return edited


@every_kind
@every_part
@torch.no_grad()
def test_an_edit_does_what_a_hook_by_hand_does(kind, name):
    model = tiny(kind)
    inputs = inputs_for(model)
    edited = moved(model, inputs, {Site(LAYER, name): change})
    if name == "resid_mid":  # no module puts it out: recompute the rest of the layer and put that in place
        with hand_hooks(model, kind) as seen:
            model(**inputs)
        mid = change(seen[LAYER, "resid_mid"][0])
        post = mid + part(model, kind, LAYER, "mlp")(part(model, kind, LAYER, "norm2")(mid))
        handle = part(model, kind, LAYER, "layer").register_forward_hook(lambda _m, _a, out: _like(out, post))
    elif name == "resid_pre":
        handle = part(model, kind, LAYER, "layer").register_forward_pre_hook(lambda _m, args: (change(args[0]), *args[1:]))
    else:
        module = part(model, kind, LAYER, {"attn_out": "attn", "mlp_out": "mlp", "resid_post": "layer"}[name])
        handle = module.register_forward_hook(lambda _m, _a, out: _like(out, change(out[0] if isinstance(out, tuple) else out)))
    try:
        expected = result(model(**inputs))
    finally:
        handle.remove()
    assert gap(edited, expected) <= 1e-5 * max(1.0, expected.abs().max().item())


def _like(output, value):
    return (value, *output[1:]) if isinstance(output, tuple) else value


@every_kind
@torch.no_grad()
def test_captures_see_the_edits_and_still_add_up(kind):
    model = tiny(kind)
    inputs = inputs_for(model)
    edit = {Site(LAYER, name): change for name in EDITABLE[:4]}
    moved(model, inputs, edit)
    with trace(model, capture=sites(model, *EDITABLE)) as clean:
        model(**inputs)
    with trace(model, capture=sites(model, *EDITABLE), edit=edit) as acts:
        model(**inputs)
    pre, attn, mid, mlp, post = (acts[Site(LAYER, name)] for name in EDITABLE)
    assert gap(pre, change(clean[Site(LAYER, "resid_pre")])) <= 1e-6
    assert gap(mid, pre + attn) <= 1e-5 and gap(post, mid + mlp) <= 1e-5
    assert gap(acts[Site(0, "resid_mid")], clean[Site(0, "resid_mid")]) == 0  # nothing flows backwards


@torch.no_grad()
def test_resid_mid_is_reached_through_attention_after_its_own_edit():
    """Both edits at once: mid = change(pre + (attn + 1)), as the order of the parts in a layer demands."""
    model = tiny("llama")
    inputs = inputs_for(model)
    edit = {Site(LAYER, "resid_mid"): change, Site(LAYER, "attn_out"): lambda x: x + 1}
    moved(model, inputs, edit)
    with trace(model, capture=sites(model, "resid_pre", "attn_out")) as clean:
        model(**inputs)
    with trace(model, capture=[Site(LAYER, "resid_mid")], edit=edit) as acts:
        model(**inputs)
    expected = change(clean[Site(LAYER, "resid_pre")] + clean[Site(LAYER, "attn_out")] + 1)
    assert gap(acts[Site(LAYER, "resid_mid")], expected) <= 1e-5


@torch.no_grad()
def test_the_models_own_hidden_states_report_edited_values():
    model = tiny("llama")
    inputs = inputs_for(model)
    moved(model, inputs, {Site(LAYER, "resid_post"): change})
    clean = model(**inputs, output_hidden_states=True).hidden_states
    with trace(model, edit={Site(LAYER, "resid_post"): change}):
        edited = model(**inputs, output_hidden_states=True).hidden_states
    assert gap(edited[LAYER + 1], change(clean[LAYER + 1])) <= 1e-6


@torch.no_grad()
def test_nested_traces_are_both_active_the_outer_edits_first():
    model = tiny("gpt2")
    inputs = inputs_for(model)
    site = Site(LAYER, "mlp_out")
    with trace(model, capture=[site]) as clean:
        model(**inputs)
    with trace(model, capture=[site], edit={site: lambda x: x + 1}) as outer:
        with trace(model, capture=[site], edit={site: lambda x: x * 2}) as inner:
            model(**inputs)
        model(**inputs)
    both, outer_only = outer.calls(site)
    assert gap(both, (clean[site] + 1) * 2) <= 1e-6 and torch.equal(both, inner[site])
    assert gap(outer_only, clean[site] + 1) == 0


@torch.no_grad()
def test_overlapping_blocks_of_two_generators_end_only_themselves():
    """Two experiments stepped in turns: the first to end must not switch off the edit of the second."""
    model = tiny("llama")
    inputs = inputs_for(model)
    clean = run(model, inputs)
    one, two = {Site(0, "mlp_out"): change}, {Site(2, "mlp_out"): change}
    only_two = moved(model, inputs, two)

    def steps(edit):
        with trace(model, edit=edit):
            while True:
                yield result(model(**inputs))

    first, second = steps(one), steps(two)
    next(first), next(second)
    first.close()
    assert torch.equal(next(second), only_two)
    second.close()
    assert torch.equal(run(model, inputs), clean)


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
@torch.no_grad()
def test_after_an_exception_no_edit_is_active_and_nothing_is_left(error):
    model = tiny("llama")
    inputs = inputs_for(model)
    edit = {Site(LAYER, "resid_post"): change}
    moved(model, inputs, edit)
    clean, hooks = run(model, inputs), hook_count(model)

    def fails(_x):
        raise error("in the middle of a forward")

    with pytest.raises(error), trace(model, edit=edit | {Site(2, "attn_out"): fails}):
        model(**inputs)
    with pytest.raises(error), trace(model, edit=edit):
        model(**inputs)
        raise error("in the block")
    assert torch.equal(result(model(**inputs)), clean) and hook_count(model) == hooks


@pytest.mark.parametrize("wrong", [lambda x: x[:1], lambda x: None, lambda x: x.double(), lambda x: x.sum(-1)])
@torch.no_grad()
def test_an_edit_that_gives_back_something_else_is_refused(wrong):
    model = tiny("llama")
    with pytest.raises(LabError, match="gave back"), trace(model, edit={Site(0, "mlp_out"): wrong}):
        model(**inputs_for(model))


@torch.no_grad()
def test_builtin_functions_and_optional_parameters_are_edits_of_one_argument():
    model = tiny("llama")
    inputs = inputs_for(model)
    zeroed = moved(model, inputs, {Site(0, "mlp_out"): torch.zeros_like})
    assert torch.equal(zeroed, run(model, inputs, {Site(0, "mlp_out"): lambda x, factor=0: x * factor}))


@torch.no_grad()
def test_a_copy_of_a_traced_model_is_a_model_of_its_own():
    model = tiny("llama")
    inputs = inputs_for(model)
    edit = {Site(LAYER, "resid_post"): change}
    edited, clean = moved(model, inputs, edit), run(model, inputs)
    with trace(model, edit=edit):
        twin = copy.deepcopy(model)
        assert torch.equal(result(twin(**inputs)), clean)
    with trace(twin, edit=edit):
        assert torch.equal(result(model(**inputs)), clean) and torch.equal(result(twin(**inputs)), edited)
    twin.model.layers[0].mlp.down_proj.weight.zero_()
    assert gap(run(twin, inputs), clean) > 1e-3 and torch.equal(run(model, inputs), clean)


@torch.no_grad()
def test_a_module_whose_forward_another_tool_has_replaced_is_refused():
    """Such a forward would be called instead of ours, and an edit would silently do nothing."""
    model = tiny("llama")
    moved(model, inputs_for(model), {Site(LAYER, "mlp_out"): change})
    model = tiny("llama")
    add_hook_to_module(model.model.layers[LAYER].mlp, ModelHook())
    with pytest.raises(LabError, match="Another tool"), trace(model, edit={Site(LAYER, "mlp_out"): change}):
        pass


@torch.no_grad()
def test_models_wrapped_by_peft_are_traced_and_their_adapters_seen():
    plain = tiny("llama")
    before = state(plain)
    wrapped = get_peft_model(copy.deepcopy(plain), LoraConfig(target_modules=["q_proj", "down_proj"], init_lora_weights=False)).eval()
    inputs = inputs_for(plain)
    with hand_hooks(wrapped.get_base_model(), "llama") as seen, trace(wrapped, capture=sites(wrapped, *EDITABLE)) as acts:
        wrapped(**inputs)
    assert all(gap(value, seen[site.layer, site.part][0]) <= 1e-6 for site, value in acts.items())
    with trace(plain, capture=sites(plain, "mlp_out")) as unadapted:
        plain(**inputs)
    assert gap(acts[Site(0, "mlp_out")], unadapted[Site(0, "mlp_out")]) > 1e-3
    moved(wrapped, inputs, {Site(LAYER, "mlp_out"): change})
    assert same_state(plain, before)


def test_gradients_flow_through_an_edit():
    """The derivative of the loss in the direction of a steering vector, against a central difference in float64."""
    model = tiny("gpt2").double()  # Llama norms in float32 whatever the weights are
    inputs = inputs_for(model)
    vector = torch.linspace(-1, 1, 32, dtype=torch.float64)
    site = Site(LAYER, "resid_post")

    def loss(strength):
        return run(model, inputs, {site: lambda x: x + strength * vector}).square().mean()

    strength = torch.tensor(0.3, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(loss(strength), strength)
    with torch.no_grad():
        expected = (loss(0.3 + 1e-5) - loss(0.3 - 1e-5)) / 2e-5
    assert abs(slope) > 1e-3 and slope.item() == pytest.approx(expected.item(), rel=1e-6)


def test_gradient_checkpointing_does_not_lose_an_edit():
    """A layer computed again during backward would run outside the block, without the edit."""
    gradients = []
    for checkpointing in (False, True):
        model = tiny("llama").requires_grad_(True)
        if checkpointing:
            model.activation_checkpointing_enable()
        model.train()  # no dropout in this architecture
        with trace(model, edit={Site(LAYER, "mlp_out"): change}):
            loss = result(model(**inputs_for(model))).square().mean()
        loss.backward()
        gradients.append(model.model.layers[LAYER].self_attn.q_proj.weight.grad)
    assert gradients[0].abs().max() > 1e-6 and gap(*gradients) <= 1e-6


@torch.no_grad()
def test_padding_and_batches_change_no_token_of_a_shorter_text():
    """A left-padded row, its captures and its edits, equal the same text alone."""
    for kind in ("llama", "qwen2", "mistral", "gpt2"):
        model = tiny(kind)
        inputs = inputs_for(model, batch=2, tokens=9)
        inputs["attention_mask"][0, :4] = 0
        inputs["position_ids"] = (inputs["attention_mask"].cumsum(-1) - 1).clamp(min=0)
        alone = {"input_ids": inputs["input_ids"][:1, 4:], "attention_mask": torch.ones(1, 5, dtype=torch.long)}
        edit = {Site(LAYER, "resid_mid"): change}
        moved(model, alone, edit)
        with trace(model, capture=sites(model, *EDITABLE), edit=edit) as padded:
            model(**inputs)
        with trace(model, capture=sites(model, *EDITABLE), edit=edit) as solo:
            model(**alone)
        assert all(gap(padded[site][:1, 4:], solo[site]) <= 2e-5 for site in solo)
