"""Every row of the table of architectures on a tiny random model: what its parts are, against the library's own states."""

from __future__ import annotations

import functools

import pytest
import torch
from torch import nn

from core.engine.errors import LabError
from core.engine.families import FAMILIES, LANGUAGE, family_name, family_of
from core.engine.lens import embedding_matrix, unembed
from core.engine.trace import Site, sites, trace
from tests.engine.hand_hooks import gap
from tests.engine.row_models import ALL, CAUSAL, DIFFUSION, PICTURES, TEXT_TOWERS, build, inputs_of
from tests.engine.unknown_causal import UNKNOWN

STREAM = ["resid_pre", "attn_out", "resid_mid", "mlp_out", "resid_post"]
HIDDEN = [label for label in ALL if label not in DIFFUSION and label not in TEXT_TOWERS]
row = functools.cache(build)
every_row = pytest.mark.parametrize("label", ALL)
every_causal = pytest.mark.parametrize("label", CAUSAL)


def parts_of(model: nn.Module) -> list:
    return [part for part in STREAM if part in family_of(model).places]


@torch.no_grad()
def traced(label: str, **edits):
    model = row(label)
    with trace(model, capture=sites(model, *parts_of(model)), **edits) as acts:
        output = model(**inputs_of(label, model), **({"output_hidden_states": True} if label in HIDDEN else {}))
    return model, acts, output


def test_every_row_is_walked():
    types = {label if label in DIFFUSION else row(label).config.model_type for label in ALL}
    assert types == set(FAMILIES)


@every_row
def test_the_declared_shape_rebuilds_what_leaves_every_layer(label):
    model, acts, _ = traced(label)
    family = family_of(model)
    for number, layer in enumerate(family.layers(model)):
        here = {part: acts[Site(number, part)] for part in parts_of(model)}
        with torch.no_grad():
            rebuilt = family.rebuilt(layer, here)
        assert set(rebuilt) == {"pre-norm": {"resid_mid", "resid_post"}, "post-norm": {"resid_mid", "resid_post"},
                                "parallel": {"resid_post"}, "open": set()}[family.shape]
        for part, value in rebuilt.items():
            assert here[part].abs().max() > 0.1 and gap(here[part], value) <= 2e-6 * float(value.abs().max().clamp(min=1))


@pytest.mark.parametrize("label", HIDDEN)
def test_what_leaves_a_layer_is_the_librarys_own_hidden_state(label):
    model, acts, output = traced(label)
    layers = len(family_of(model).layers(model))
    known = output.hidden_states
    assert len(known) == layers + 1 and torch.equal(known[0], acts[Site(0, "resid_pre")])
    for number in range(layers - 1):
        assert torch.equal(known[number + 1], acts[Site(number, "resid_post")])
    last = acts[Site(layers - 1, "resid_post")]
    if family_of(model).final_norm:
        with torch.no_grad():
            assert gap(unembed(model, last), output.logits) <= 1e-5
    elif "bert" in label:
        assert torch.equal(output.last_hidden_state, last)


@pytest.mark.parametrize("label", DIFFUSION)
@torch.no_grad()
def test_blocks_of_diffusion_models_are_what_their_modules_take_and_give(label):
    model, seen = row(label), {}
    blocks = [*model.transformer_blocks] if label.startswith("DiT") else [*model.down_blocks, model.mid_block, *model.up_blocks]

    def hook(block, args, kwargs, output):
        given = args[0] if args else kwargs["hidden_states"]
        seen[blocks.index(block)] = given, output[0] if isinstance(output, tuple) else output

    handles = [block.register_forward_hook(hook, with_kwargs=True) for block in blocks]
    _, acts, clean = traced(label)
    for handle in handles:
        handle.remove()
    assert len(seen) == len(blocks) == len(acts) // 2
    for number, (given, output) in seen.items():
        assert torch.equal(acts[Site(number, "resid_pre")], given) and torch.equal(acts[Site(number, "resid_post")], output)
    middle = len(blocks) // 2
    _, _, edited = traced(label, edit={Site(middle, "resid_post"): lambda x: x + torch.linspace(-1, 1, x.shape[-1])})
    assert gap(edited.sample, clean.sample) > 1e-3
    with pytest.raises(LabError, match="has no part 'attn_out'"):
        sites(model, "attn_out") and traced(label, edit={Site(0, "attn_out"): lambda x: x})


@pytest.mark.parametrize("label", [label for label in ALL if label not in DIFFUSION])
def test_edits_of_every_part_do_what_the_shape_says(label):
    model, clean, _ = traced(label)
    family = family_of(model)
    moved = {}
    for part in parts_of(model):
        _, acts, _ = traced(label, edit={Site(1, part): lambda x: x + torch.linspace(-1, 1, x.shape[-1])})
        asked = clean[Site(1, part)] + torch.linspace(-1, 1, clean[Site(1, part)].shape[-1])
        assert gap(acts[Site(1, part)], asked) <= 1e-5  # the capture is what was asked for
        moved[part] = gap(acts[Site(2, "resid_post")], clean[Site(2, "resid_post")])
    assert all(distance > 1e-3 for distance in moved.values()), moved
    off = {Site(1, "attn_out"): torch.zeros_like, Site(1, "mlp_out"): torch.zeros_like}
    _, acts, _ = traced(label, edit=off)
    if family.shape != "post-norm":  # without its branches a layer hands on what it was given
        assert gap(acts[Site(1, "resid_post")], acts[Site(1, "resid_pre")]) <= 1e-6
    if family.shape == "parallel":
        with pytest.raises(LabError, match="side by side"):
            traced(label, edit={Site(0, "resid_mid"): lambda x: x})


@pytest.mark.parametrize("label", [label for label in ALL if label not in (*DIFFUSION, *PICTURES, "siglip_text_model", "clip_text_model")])
@torch.no_grad()
def test_attention_weights_are_shares_of_the_tokens_looked_at(label):
    model = row(label)
    with trace(model, capture=[Site(1, "attn_weights")]) as acts:
        model(**inputs_of(label, model))
    weights = acts[Site(1, "attn_weights")]
    assert weights.shape[:2] == (2, model.config.get_text_config().num_attention_heads) and weights.shape[2] == weights.shape[3]
    total = weights[1].sum(-1)  # row 1 has no padding; GPT-OSS lets a head look at nothing
    assert (total <= 1 + 1e-5).all() and (gap(total, torch.ones_like(total)) <= 1e-5 or label == "gpt_oss")


@every_causal
@torch.no_grad()
def test_a_padded_row_of_a_batch_is_what_it_is_alone(label):
    model, acts, _ = traced(label)
    alone = {"input_ids": inputs_of(label, model)["input_ids"][:1, 3:]}
    with trace(model, capture=sites(model, "resid_post")) as expected:
        model(**alone)
    last = len(family_of(model).layers(model)) - 1
    site = Site(last, "resid_post")
    batch = acts[site]
    if label not in ("gpt2", "opt", "opt post-norm", "falcon sequential"):  # these count positions from the left edge or the mask
        assert gap(batch[:1, 3:], expected[site]) <= 2e-4
    assert batch.shape[1] == 9 and expected[site].shape[1] == 6


@every_causal
@torch.no_grad()
def test_generation_with_a_cache_reads_what_one_forward_reads(label):
    model, new = row(label), 4
    ids = inputs_of(label, model)["input_ids"]
    with trace(model, capture=sites(model, *parts_of(model))) as acts:
        sequences = model.generate(input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=new, min_new_tokens=new,
                                   do_sample=False, pad_token_id=0)
    with trace(model, capture=sites(model, *parts_of(model))) as expected:
        model(input_ids=sequences[:, :-1], attention_mask=torch.ones_like(sequences[:, :-1]), use_cache=False)
    for site in expected:
        assert len(acts.calls(site)) == new
        assert gap(acts[site], expected[site]) <= 5e-5 * float(expected[site].abs().max().clamp(min=1))


@every_causal
@torch.no_grad()
def test_the_input_layer_gives_what_soft_tokens_begin_as(label):
    model = row(label)
    ids = inputs_of(label, model)["input_ids"]
    assert torch.equal(model(input_ids=ids).logits, model(inputs_embeds=embedding_matrix(model)[ids]).logits)


def test_what_the_library_can_and_this_table_does_not_know_is_listed():
    """A new version of transformers brings new architectures: each gets a row, or is added to the list and refused by name."""
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

    assert set(MODEL_FOR_CAUSAL_LM_MAPPING_NAMES) - set(FAMILIES) == UNKNOWN

    class Strange(nn.Module):
        config = type("Config", (), {"model_type": "mamba"})

    with pytest.raises(LabError, match="'mamba' cannot be traced") as caught:
        family_of(Strange())
    assert "gpt_neox" in caught.value.hint and family_name("mamba") == "other"


def test_models_that_write_text_are_known_to_the_pages_that_read_text():
    assert {family_of(row(label)).name for label in CAUSAL} == set(LANGUAGE)
    assert {family_name(row(label).config.model_type) for label in CAUSAL} == set(LANGUAGE)
