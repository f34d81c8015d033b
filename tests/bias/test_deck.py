"""The prepared deck computes what the whole model computes, and edits are what their names say."""

from __future__ import annotations

import pytest
import torch

from core.bias.deck import Deck
from core.bias.edits import MODES, Strength, directions, edit, group_difference, matrix, random_vectors, readout_null
from core.bias.items import association_items, control_items, occupation_items
from core.bias.residuals import Vectors, attribution, by_layer, causal, direct, labels_of, marginal, mean_vectors
from core.engine.errors import LabError
from core.engine.trace import Site


@pytest.fixture(scope="module")
def deck(form) -> Deck:
    rng = torch.Generator().manual_seed(0)
    items = association_items("calibration", 6, rng) + occupation_items("calibration", 3) + control_items("calibration", 2, rng)
    return Deck(form.model, form, items)


@pytest.fixture(scope="module")
def vectors(deck) -> Vectors:
    states = deck.states()
    scores = marginal(deck, states)
    return mean_vectors(states, labels_of(scores), scores)


def alone(form, deck, number):
    """The logits of one prompt from the whole model, as anybody would call it."""
    prompt = deck.prompts[number]
    ids = torch.tensor([[form.tokenizer.bos_token_id, *[form.model.config.image_token_id] * 64, *prompt.ids]])
    out = form.model(input_ids=ids, attention_mask=torch.ones_like(ids), pixel_values=form.pixels(deck.items[prompt.item].picture))
    return out.logits[0, -1]


def test_shared_rows_and_the_cached_beginning_change_no_answer(form, deck):
    """U8: a prompt in a full row, padded, with its beginning cached, against the same prompt alone in the model's own forward."""
    z, mass = deck.read(deck.states().after[:, -1])
    for number in range(0, len(deck.prompts), 5):
        logits = alone(form, deck, number)
        own = [spelled[0][0] for spelled in deck.prompts[number].options]
        torch.testing.assert_close(z[number, :len(own)], logits[own], atol=1e-4, rtol=0)
        torch.testing.assert_close(mass[number], logits.softmax(-1)[own].sum(), atol=1e-5, rtol=0)


def test_marginal_scores_telescope(deck):
    """U1"""
    states = deck.states()
    fair = by_layer(deck, states)[0]
    torch.testing.assert_close(marginal(deck, states).sum((1, 2)), fair[:, -1] - fair[:, 0], atol=1e-5, rtol=0)
    assert direct(deck, states).shape == (len(deck.items), 6, 2)


def test_attribution_sums_to_the_logits(deck):
    """U2"""
    pieces, logits = attribution(deck, deck.states())
    real = torch.isfinite(logits)
    torch.testing.assert_close(pieces.sum(1)[real], logits[real], atol=1e-4, rtol=1e-3)


def test_strength_zero_and_leaving_reproduce_the_model_bit_for_bit(deck, vectors):
    """U3"""
    plain, = deck.ask([{}])
    off, on, again = deck.ask([edit(vectors, Strength(biased=0.0, fair=0.0), range(6)), edit(vectors, Strength(), range(6)), {}])
    assert (off.p == plain.p).all() and (again.p == plain.p).all() and (on.p != plain.p).any()


@pytest.mark.parametrize("mode", ["ortho", "subspace"])
def test_the_operator_is_symmetric_with_the_stated_eigenvalues(vectors, mode):
    """U4"""
    strength = Strength(mode, 0.25, 0.5, k=3)
    down, up = directions(vectors, strength, 2)
    torch.testing.assert_close(down @ up, torch.zeros(len(down)), atol=1e-5, rtol=0)
    made = matrix(down, up, strength).double()
    values = torch.linalg.eigvalsh(made)
    torch.testing.assert_close(made, made.T)
    wanted = torch.ones(len(up)).double()
    wanted[:len(down)], wanted[-1] = 0.75, 1.5
    torch.testing.assert_close(values, wanted, atol=1e-5, rtol=0)


def test_every_mode_moves_the_answers_and_random_directions_have_the_same_form(deck, vectors):
    chance = random_vectors(vectors, torch.Generator().manual_seed(0))
    plans = [edit(which, Strength(mode), range(6)) for which in (vectors, chance) for mode in MODES]
    base, *moved = deck.ask([{}, *plans])
    assert all((one.p != base.p).any() for one in moved)
    assert [set(plan) for plan in plans[:4]] == [set(plan) for plan in plans[4:]]


def test_the_gate_scales_residuals_as_computed_by_hand(deck, vectors):
    """With attention kept and every MLP output doubled, the stream is what doubling inside the model gives."""
    doubled = {Site(5, "mlp_out"): lambda x: 2 * x}
    states = deck.states()
    by_hand = states.after[:, -1] + states.parts[:, 5, 1]
    answer, = deck.ask([doubled])
    p = deck.by_item(deck.read(by_hand)[0].softmax(-1)).numpy()
    assert abs(p - answer.p).max() < 1e-5


def test_leaving_out_a_residual_of_the_last_layer_is_subtracting_it(deck):
    states = deck.states()
    f = by_layer(deck, states)[0][:, -1]
    without, base = causal(deck)
    from core.bias.residuals import fairness_of

    expected = f - fairness_of(deck, states, lambda one: (one.after[:, -1] - one.parts[:, 5, 1])[:, None])[0][:, 0]
    torch.testing.assert_close(base, f, atol=1e-5, rtol=0)
    torch.testing.assert_close(without[:, 5, 1], expected, atol=1e-5, rtol=0)


def test_the_read_out_null_makes_groups_tie_by_construction(form, deck):
    short, long = form.tokenizer.convert_tokens_to_ids(["short", "long"])
    answer, = deck.ask([readout_null(form.model, [short, long])])
    own = [i for i, item in enumerate(deck.items) if item.family == "association"]
    assert abs(answer.p[own, 0] - answer.p[own, 1]).max() < 1e-5


def test_group_difference_takes_the_mean_gap_of_pairs_away(deck):
    h = deck.by_item(deck.states().after)[:12]
    plan = group_difference(h[::2], h[1::2], range(6))
    gap = (h[::2] - h[1::2]).mean(0)[6]
    moved = plan[Site(5, "resid_post")](h[:, 6])
    torch.testing.assert_close(moved @ gap / gap.norm(), torch.zeros(12), atol=1e-4, rtol=0)


def test_the_average_over_orders_does_not_depend_on_how_options_were_written(form):
    """U5: the same question with its options listed in another order has the same averaged probabilities."""
    from dataclasses import replace

    item = association_items("dev", 1, torch.Generator().manual_seed(3))[0]
    turned = replace(item, options=(*item.options[1:], item.options[0]), gold=1, fair=1)
    answer, = Deck(form.model, form, [item, turned]).ask([{}])
    assert abs(answer.p[0] - answer.p[1][[2, 0, 1]]).max() < 1e-5
    assert abs(answer.first[0] - answer.first[1][[2, 0, 1]]).max() > 1e-4  # a single order does depend on it


def test_vectors_saved_and_read_again_give_identical_answers(deck, vectors, tmp_path):
    """U9"""
    vectors.save(tmp_path / "v.safetensors", {"axis": "hair"})
    again = Vectors.load(tmp_path / "v.safetensors")
    one, other = deck.ask([edit(vectors, Strength("subspace"), range(6)), edit(again, Strength("subspace"), range(6))])
    assert (one.p == other.p).all()


def test_a_word_that_the_little_model_does_not_know_is_named(form):
    from dataclasses import replace

    item = association_items("dev", 1, torch.Generator().manual_seed(3))[0]
    with pytest.raises(LabError, match="'zebra'"):
        Deck(form.model, form, [replace(item, options=("zebra", "long", "same"))])


def test_what_it_says_freely_is_what_greedy_decoding_of_the_whole_model_says(form, deck, vectors):
    """The cached, shared rows against the model's own `generate`; and an edit acts on what is said."""
    from dataclasses import replace

    from core.bias.free import freely
    from core.bias.subject import Subject

    items = [replace(item, choose=False) for item in deck.items[::9]]
    who = Subject(form.model, form, ("test",))
    said = freely(who, items, {}, 5)
    for item, text in zip(items, said, strict=True):
        ids = form.tokenizer(f"{item.text} answer", add_special_tokens=False).input_ids
        ids = torch.tensor([[form.tokenizer.bos_token_id, *[form.model.config.image_token_id] * 64, *ids]])
        out = form.model.generate(input_ids=ids, attention_mask=torch.ones_like(ids), pixel_values=form.pixels(item.picture),
                                  do_sample=False, max_new_tokens=5, pad_token_id=form.tokenizer.pad_token_id)
        assert text == " ".join(form.tokenizer.decode(out[0, ids.shape[1]:], skip_special_tokens=True).split())
    assert freely(who, items, edit(vectors, Strength("literal", 1.0, 0.65), range(6)), 5) != said
    assert freely(who, items, {}, 5) == said
