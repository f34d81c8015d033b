"""Random-weight models of the real architectures, a few thousand parameters each.

    model = tiny("gpt2")                             # eval mode, seeded, the same weights every time
    inputs = inputs_for(model)                       # a batch that this kind of model takes
    folder = save(tiny("llama"), tmp_path / "llama") # safetensors + config + a tokenizer that matches the vocabulary
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPVisionConfig,
    CLIPVisionModel,
    DeiTConfig,
    DeiTModel,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    LlavaConfig,
    LlavaForConditionalGeneration,
    MistralConfig,
    MistralForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen2VLConfig,
    Qwen2VLForConditionalGeneration,
    Qwen3Config,
    Qwen3ForCausalLM,
    ViTConfig,
    ViTModel,
)

WIDTH, LAYERS, HEADS, VOCABULARY = 32, 4, 4, 320
PAD, BOS, EOS, IMAGE = 0, 1, 2, 3
TOKENS = {"pad_token_id": PAD, "bos_token_id": BOS, "eos_token_id": EOS}
IMAGE_SIZE, PATCH = 16, 8
PATCHES = (IMAGE_SIZE // PATCH) ** 2

_TEXT = {
    "vocab_size": VOCABULARY,
    "hidden_size": WIDTH,
    "intermediate_size": 2 * WIDTH,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": HEADS,
    "max_position_embeddings": 128,
}
_GROUPED = _TEXT | TOKENS | {"num_key_value_heads": HEADS // 2}
_VISION = {
    "hidden_size": WIDTH,
    "intermediate_size": 2 * WIDTH,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": HEADS,
    "image_size": IMAGE_SIZE,
    "patch_size": PATCH,
}


def _llama() -> PreTrainedModel:
    return LlamaForCausalLM(LlamaConfig(**_GROUPED))


def _qwen2() -> PreTrainedModel:
    return Qwen2ForCausalLM(Qwen2Config(**_GROUPED))


def _qwen3() -> PreTrainedModel:
    return Qwen3ForCausalLM(Qwen3Config(**_GROUPED, head_dim=WIDTH // HEADS))


def _mistral() -> PreTrainedModel:
    return MistralForCausalLM(MistralConfig(**_GROUPED, head_dim=WIDTH // HEADS, sliding_window=None))


def _gpt2() -> PreTrainedModel:
    config = GPT2Config(vocab_size=VOCABULARY, n_embd=WIDTH, n_layer=LAYERS, n_head=HEADS, n_positions=128, **TOKENS)
    return GPT2LMHeadModel(config)


def _clip_text() -> PreTrainedModel:
    return CLIPTextModel(CLIPTextConfig(**_TEXT, **TOKENS))


def _clip_vision() -> PreTrainedModel:
    return CLIPVisionModel(CLIPVisionConfig(**_VISION))


def _vit() -> PreTrainedModel:
    return ViTModel(ViTConfig(**_VISION))


def _deit() -> PreTrainedModel:
    return DeiTModel(DeiTConfig(**_VISION))


def _llava() -> PreTrainedModel:
    config = LlavaConfig(
        vision_config=CLIPVisionConfig(**_VISION),
        text_config=LlamaConfig(**_GROUPED),
        image_token_id=IMAGE,
        image_seq_length=PATCHES,
        vision_feature_layer=-2,
        vision_feature_select_strategy="default",
        **TOKENS,
    )
    return LlavaForConditionalGeneration(config)


def _qwen2_vl() -> PreTrainedModel:
    rope = {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [1, 1, 2]}
    text = _GROUPED | {"rope_parameters": rope}
    vision = {"depth": 2, "embed_dim": WIDTH, "hidden_size": WIDTH, "num_heads": HEADS, "patch_size": PATCH}
    return Qwen2VLForConditionalGeneration(Qwen2VLConfig(text_config=text, vision_config=vision, image_token_id=IMAGE))


BUILDERS: dict[str, Callable[[], PreTrainedModel]] = {
    "llama": _llama,
    "qwen2": _qwen2,
    "mistral": _mistral,
    "gpt2": _gpt2,
    "clip_text": _clip_text,
    "clip_vision": _clip_vision,
    "vit": _vit,
    "deit": _deit,
    "llava": _llava,
    "qwen2_vl": _qwen2_vl,
}
REASONING = {"qwen3": _qwen3}  # traced like qwen2, so only the tests of reasoning read it too
CAUSAL = ["llama", "qwen2", "mistral", "gpt2", "llava"]


def tiny(kind: str, *, attention: str = "sdpa", seed: int = 0) -> PreTrainedModel:
    """A model of `LAYERS` layers and width `WIDTH`: same seed, same weights; weights large enough to matter."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = (BUILDERS | REASONING)[kind]()
        with torch.no_grad():  # the usual 0.02 makes every block almost the identity, which hides mistakes
            for parameter in model.parameters():
                if parameter.dim() > 1:
                    parameter.normal_(0.0, 0.15)
    model.set_attn_implementation(attention)
    return model.eval().requires_grad_(False)


def inputs_for(model: PreTrainedModel, *, batch: int = 3, tokens: int = 9, seed: int = 1) -> dict[str, torch.Tensor]:
    """Random inputs of the right kind: `input_ids (batch, tokens)`, `pixel_values (batch, 3, 16, 16)`, or both."""
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(IMAGE + 1, VOCABULARY, (batch, tokens), generator=generator)
    pixels = torch.randn(batch, 3, IMAGE_SIZE, IMAGE_SIZE, generator=generator)
    kind = model.config.model_type
    if kind in ("clip_vision_model", "vit", "deit"):
        return {"pixel_values": pixels}
    if kind == "clip_text_model":
        ids[:, -1] = EOS
    mask = torch.ones_like(ids)
    if kind == "llava":
        pictures = torch.full((batch, PATCHES), IMAGE)
        ids = torch.cat([pictures, ids], dim=1)
        return {"input_ids": ids, "attention_mask": torch.ones_like(ids), "pixel_values": pixels}
    return {"input_ids": ids, "attention_mask": mask}


def tiny_tokenizer() -> PreTrainedTokenizerFast:
    """A byte-level BPE of at most `VOCABULARY` tokens: any text goes in and comes out again."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=["<pad>", "<s>", "</s>", "<image>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(["Where was the author born? In the old town by the sea."] * 4, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        bos_token="<s>",
        eos_token="</s>",
        padding_side="left",
    )


def save(model: PreTrainedModel, folder: Path, *, tokenizer: bool = True) -> Path:
    """Write `config.json`, `model.safetensors` and, unless told not to, a tokenizer; gives the folder back."""
    model.save_pretrained(folder)
    if tokenizer:
        tiny_tokenizer().save_pretrained(folder)
    return Path(folder)
