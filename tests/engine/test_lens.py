"""The logit lens against the models' own hidden states."""

from __future__ import annotations

import pytest
import torch

from core.engine.errors import LabError
from core.engine.lens import embedding_matrix, read_layers, unembed
from tests.engine.tiny_models import LAYERS, VOCABULARY, inputs_for, tiny

KINDS = ["llama", "qwen2", "mistral", "gpt2"]


@pytest.mark.parametrize("kind", KINDS)
def test_last_layer_is_what_the_model_says(kind: str) -> None:
    model = tiny(kind)
    ids = inputs_for(model, batch=2)["input_ids"]
    depths = read_layers(model, ids, positions=[(0, 3), (1, 8), (1, 0)])
    logits = model(input_ids=ids).logits
    expected = torch.stack([logits[0, 3], logits[1, 8], logits[1, 0]]).log_softmax(-1)
    assert depths.shape == (LAYERS + 1, 3, VOCABULARY)
    torch.testing.assert_close(depths[-1], expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("kind", KINDS)
def test_every_layer_is_the_hidden_state_through_norm_and_head(kind: str) -> None:
    model = tiny(kind)
    ids = inputs_for(model, batch=1)["input_ids"]
    hidden = model(input_ids=ids, output_hidden_states=True).hidden_states
    norm = model.model.norm if kind != "gpt2" else model.transformer.ln_f
    depths = read_layers(model, ids, positions=range(ids.shape[1]))
    for layer in range(LAYERS):  # the last hidden state is normed already
        expected = model.lm_head(norm(hidden[layer][0])).log_softmax(-1)
        torch.testing.assert_close(depths[layer], expected, atol=1e-5, rtol=0)
    assert not torch.allclose(depths[0], depths[-1], atol=1e-2)


def test_padding_on_the_right_changes_nothing() -> None:
    model = tiny("llama")
    ids = inputs_for(model, batch=1, tokens=6)["input_ids"]
    padded = torch.cat([ids, torch.zeros(1, 4, dtype=torch.long)], dim=1)
    mask = torch.tensor([[1] * 6 + [0] * 4])
    torch.testing.assert_close(read_layers(model, padded, mask, positions=[5]), read_layers(model, ids, positions=[5]), atol=1e-5, rtol=0)


def test_llava_reads_through_the_norm_of_its_text_tower() -> None:
    model = tiny("llava")
    inputs = inputs_for(model, batch=1)
    last = model(**inputs, output_hidden_states=True)
    # its last hidden state is normed; undoing nothing, the head alone must give the logits
    torch.testing.assert_close(model.lm_head(last.hidden_states[-1]), last.logits, atol=1e-5, rtol=0)
    inner = last.hidden_states[-2]
    expected = model.lm_head(model.model.language_model.norm(inner))
    torch.testing.assert_close(unembed(model, inner), expected, atol=1e-6, rtol=0)


def test_a_model_without_a_language_head_is_refused_in_words() -> None:
    with pytest.raises(LabError, match="cannot be read as words"):
        unembed(tiny("vit"), torch.zeros(1, 32))


@pytest.mark.parametrize("name", ["Gemma", "Gemma2", "Gemma3", "Granite", "OPT"])
@torch.no_grad()
def test_soft_tokens_begin_as_what_the_input_layer_gives_not_as_rows_of_its_matrix(name):
    """Gemma's input layer multiplies by the root of the width, inside the module; Granite does it after, OPT widens after."""
    import transformers

    more = {"Granite": {"embedding_multiplier": 12.0}, "OPT": {"word_embed_proj_dim": 8, "ffn_dim": 32}}.get(name, {"head_dim": 8})
    kind = getattr(transformers, f"{name}{'Text' if name == 'Gemma3' else ''}Config")
    config = kind(vocab_size=64, hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2, num_key_value_heads=1,
                  max_position_embeddings=64, **more)
    model = getattr(transformers, f"{name}ForCausalLM")(config).eval()
    ids = torch.tensor([[5, 6, 7]])
    expected = model(input_ids=ids).logits
    assert torch.equal(model(inputs_embeds=embedding_matrix(model)[ids]).logits, expected)
    raw = model(inputs_embeds=model.get_input_embeddings().weight[ids]).logits
    assert torch.equal(raw, expected) == (not name.startswith("Gemma"))
