"""LLaVA-1.5, Qwen2.5-VL and Qwen3-VL with random weights, loaded from folders: the deck computes what the models' own forward computes."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from core.bias.deck import Deck
from core.bias.edits import Strength, edit
from core.bias.forms import form_of
from core.bias.items import association_items, control_items
from core.bias.letters import LETTERS, Letters
from core.bias.residuals import attribution, by_layer, labels_of, marginal, mean_vectors
from core.engine.errors import LabError
from tests.bias.conftest import SEEING


@pytest.fixture(scope="module", params=SEEING)
def letters(request, seeing, warm_engine) -> Letters:
    return form_of(warm_engine.models.load(f"path/{seeing[request.param]}"))


@pytest.fixture(scope="module")
def deck(letters) -> Deck:
    rng = torch.Generator().manual_seed(0)
    items = [*association_items("dev", 2, rng), *control_items("dev", 1, rng)[:2]]
    return Deck(letters.model, letters, [replace(item, text=f"{item.text} {'why ' * (i % 3)}") for i, item in enumerate(items)])


def alone(letters: Letters, deck: Deck, number: int) -> torch.Tensor:
    """The logits of one prompt from the whole model, with the library's own positions and its own merging of picture and words."""
    prompt, picture = deck.prompts[number], deck.items[deck.prompts[number].item].picture
    given = letters.pixels(picture)
    tokens = letters.beginning([picture]).shape[1] - len(letters._opening)
    ids = torch.tensor([[*letters._opening, *[letters.model.config.image_token_id] * tokens, *prompt.ids]])
    if "image_grid_thw" in given:
        given["mm_token_type_ids"] = (ids == letters.model.config.image_token_id).int()
    return letters.model(input_ids=ids, attention_mask=torch.ones_like(ids), **given).logits[0, -1]


def test_rows_with_pictures_padding_and_cached_beginnings_change_no_answer(letters, deck):
    """U8, against the forward of transformers itself: positions in three directions and features that enter above included."""
    z, mass = deck.read(deck.states().after[:, -1])
    for number in range(0, len(deck.prompts), 4):
        with torch.no_grad():
            logits = alone(letters, deck, number)
        own = [[i for i, in spelled] for spelled in deck.prompts[number].options]
        expected = torch.stack([logits[spelled].logsumexp(-1) for spelled in own])
        torch.testing.assert_close(z[number, :len(own)], expected, atol=2e-4, rtol=0)
        torch.testing.assert_close(mass[number], logits.softmax(-1)[[i for spelled in own for i in spelled]].sum(), atol=1e-5, rtol=0)


def test_scores_telescope_and_edits_act_and_leave_no_trace(deck):
    """U1, U2 and U3 for models of other makes."""
    states = deck.states()
    fair, scores = by_layer(deck, states)[0], marginal(deck, states)
    torch.testing.assert_close(scores.sum((1, 2)), fair[:, -1] - fair[:, 0], atol=1e-5, rtol=0)
    pieces = attribution(deck, states)[0].sum(1)
    words = deck.model.get_output_embeddings()(deck.model.base_model.language_model.norm(states.after[:, -1]))
    torch.testing.assert_close(pieces[:, 0], words.gather(1, deck.ids[:, 0, :1])[:, 0], atol=1e-3, rtol=1e-3)
    vectors = mean_vectors(states, labels_of(scores), scores)
    before, moved, after = deck.ask([{}, edit(vectors, Strength(), range(deck.layers)), {}])
    assert (before.p == after.p).all() and (before.p != moved.p).any()


def test_every_option_is_read_at_the_letter_under_which_it_stands(letters):
    item = association_items("dev", 1, torch.Generator().manual_seed(3))[0]
    for order in item.orders():
        ids, options = letters.encode(item, order)
        text = letters.tokenizer.decode(ids)
        for k, option in enumerate(item.options):
            letter = LETTERS[order.index(k)]
            assert f"\n{letter}. {option}" in text
            assert {letters.tokenizer.decode(list(one)).strip() for one in options[k]} == {letter}


def test_twenty_options_have_letters_and_a_tokenizer_without_letters_is_named(letters):
    item = association_items("dev", 1, torch.Generator().manual_seed(3))[0]
    item = replace(item, options=tuple(f"group {i}" for i in range(20)), fair=19)
    _, options = letters.encode(item, range(20))
    assert len({i for spelled in options for i in spelled}) == sum(map(len, options))
    from core.zoo.scenes.words import make_tokenizer

    with pytest.raises(LabError, match="no token for '[AB]'"):
        Letters(letters.model, make_tokenizer(), letters.family).encode(item, range(20))
