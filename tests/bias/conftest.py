"""A model of the shape of embedded/scenes with random weights, and folders of small models of other makes that see."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import transformers
from transformers import CLIPVisionConfig, CLIPVisionModel, PreTrainedTokenizerFast

from core.bias.forms import Words
from core.bias.letters import LETTERS
from core.zoo.scenes.language import new_model
from core.zoo.scenes.tower import SHAPE
from core.zoo.scenes.words import make_tokenizer


@pytest.fixture(scope="session")
def form() -> Words:
    """An untrained model of the shape of embedded/scenes, with weights large enough that answers differ."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        tower = CLIPVisionModel(CLIPVisionConfig(**SHAPE))
    model = new_model(tower, make_tokenizer(), seed=0).eval().requires_grad_(False)
    for parameter in model.model.language_model.layers.parameters():
        parameter.mul_(3 if parameter.dim() == 2 else 1)
    return Words(model, make_tokenizer())


def reading_tokenizer() -> PreTrainedTokenizerFast:
    """Every letter, sign and byte is a token of its own: it reads any text, and letters of options are single tokens."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    names = ["<pad>", "<s>", "</s>", "<image>", "<unk>", *sorted(pre_tokenizers.ByteLevel.alphabet()), *(f"Ġ{x}" for x in LETTERS)]
    vocabulary = {name: i for i, name in enumerate(names)}
    made = Tokenizer(models.BPE(vocabulary, [("Ġ", x) for x in LETTERS], unk_token="<unk>"))
    made.pre_tokenizer, made.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=made, bos_token="<s>", eos_token="</s>", pad_token="<pad>", unk_token="<unk>")


SEEING = ("llava", "qwen2_5_vl", "qwen3_vl")
TEXT = {"vocab_size": 320, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 3, "num_attention_heads": 4,
        "num_key_value_heads": 2, "max_position_embeddings": 1024, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}


def seeing_model(label: str) -> torch.nn.Module:
    """LLaVA-1.5, Qwen2.5-VL or Qwen3-VL with random weights; large enough that answers differ."""
    if label == "llava":
        shape = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 3, "num_attention_heads": 4}
        vision = CLIPVisionConfig(**shape, image_size=56, patch_size=14)
        config = transformers.LlavaConfig(text_config=transformers.LlamaConfig(**TEXT), vision_config=vision, image_token_id=3)
        kind = transformers.LlavaForConditionalGeneration
    else:
        vision = {"depth": 2, "hidden_size": 32, "num_heads": 4, "patch_size": 28, "intermediate_size": 64, "out_hidden_size": 32}
        if label == "qwen3_vl":
            vision |= {"deepstack_visual_indexes": [0], "num_position_embeddings": 16}
        rope = {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [1, 1, 2]}
        text = TEXT | {"rope_parameters": rope} | ({"head_dim": 8} if label == "qwen3_vl" else {})
        name = {"qwen2_5_vl": "Qwen2_5_VL", "qwen3_vl": "Qwen3VL"}[label]
        config = getattr(transformers, f"{name}Config")(text_config=text, vision_config=vision, image_token_id=3, vision_start_token_id=5,
                                                        vision_end_token_id=6)
        kind = getattr(transformers, f"{name}ForConditionalGeneration")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = kind(config)
        for parameter in model.parameters():
            if parameter.dim() > 1:
                torch.nn.init.normal_(parameter, 0.0, 0.15)
    return model.eval().requires_grad_(False)


@pytest.fixture(scope="session")
def seeing(tmp_path_factory) -> dict[str, Path]:
    """A folder each, as somebody would bring it."""
    folders = {}
    for label in SEEING:
        folders[label] = tmp_path_factory.mktemp("seeing") / label
        seeing_model(label).save_pretrained(folders[label])
        reading_tokenizer().save_pretrained(folders[label])
    return folders
