"""One tiny random model for every architecture in `families.FAMILIES`, and more where a row depends on the config.

    model = build("granite")           # eval mode, seeded; weights large enough to matter
    inputs = inputs_of(model)          # a left-padded batch, pictures, or noisy latents, as the model takes them
"""

from __future__ import annotations

from typing import Any

import torch
import transformers
from torch import nn

from tests.engine.tiny_models import IMAGE_SIZE, PATCH, TOKENS, VOCABULARY, inputs_for, tiny

WIDTH, LAYERS, HEADS = 32, 3, 4
_BASE = {"vocab_size": VOCABULARY, "hidden_size": WIDTH, "intermediate_size": 2 * WIDTH, "num_hidden_layers": LAYERS,
         "num_attention_heads": HEADS, "max_position_embeddings": 128} | TOKENS
_GROUPED = _BASE | {"num_key_value_heads": 2}
_HEAD = _GROUPED | {"head_dim": 8}
_EXPERTS = {"num_experts_per_tok": 2, "num_experts": 4, "num_local_experts": 4, "moe_intermediate_size": 16}
_VISION = {"hidden_size": WIDTH, "intermediate_size": 2 * WIDTH, "num_hidden_layers": LAYERS, "num_attention_heads": HEADS,
           "image_size": IMAGE_SIZE, "patch_size": PATCH}

# label -> (model type, class, config)
CAUSAL: dict[str, tuple[str, str, dict[str, Any]]] = {
    "llama": ("llama", "Llama", _GROUPED), "mistral": ("mistral", "Mistral", _HEAD), "qwen2": ("qwen2", "Qwen2", _GROUPED),
    "qwen3": ("qwen3", "Qwen3", _HEAD), "qwen3_moe": ("qwen3_moe", "Qwen3Moe", _HEAD | _EXPERTS),
    "smollm3": ("smollm3", "SmolLM3", _GROUPED),
    "phi3": ("phi3", "Phi3", _GROUPED), "olmo": ("olmo", "Olmo", _GROUPED), "gemma": ("gemma", "Gemma", _HEAD),
    "gpt_oss": ("gpt_oss", "GptOss", _HEAD | _EXPERTS),
    "gpt2": ("gpt2", "GPT2", {"vocab_size": VOCABULARY, "n_embd": WIDTH, "n_layer": LAYERS, "n_head": HEADS, "n_positions": 128} | TOKENS),
    "gpt_neox": ("gpt_neox", "GPTNeoX", _BASE), "gpt_neox sequential": ("gpt_neox", "GPTNeoX", _BASE | {"use_parallel_residual": False}),
    "opt": ("opt", "OPT", _BASE | {"ffn_dim": 64, "word_embed_proj_dim": WIDTH}),
    "opt post-norm": ("opt", "OPT", _BASE | {"ffn_dim": 64, "word_embed_proj_dim": 16, "do_layer_norm_before": False}),
    "falcon": ("falcon", "Falcon", _BASE | {"multi_query": True}),
    "falcon new": ("falcon", "Falcon", _BASE | {"new_decoder_architecture": True, "num_kv_heads": 2}),
    "falcon sequential": ("falcon", "Falcon", _BASE | {"parallel_attn": False, "alibi": True}),
    "stablelm": ("stablelm", "StableLm", _GROUPED),
    "stablelm parallel": ("stablelm", "StableLm", _GROUPED | {"use_parallel_residual": True}),
    "phi": ("phi", "Phi", _GROUPED), "cohere": ("cohere", "Cohere", _GROUPED), "cohere2": ("cohere2", "Cohere2", _HEAD),
    "gemma2": ("gemma2", "Gemma2", _HEAD), "gemma3_text": ("gemma3_text", "Gemma3", _HEAD), "olmo2": ("olmo2", "Olmo2", _GROUPED),
    "olmo3": ("olmo3", "Olmo3", _GROUPED), "glm4": ("glm4", "Glm4", _HEAD),
    "granite": ("granite", "Granite", _GROUPED | {"residual_multiplier": 0.3, "logits_scaling": 4.0, "embedding_multiplier": 3.0}),
}  # fmt: skip
ENCODERS = {
    "bert": "Bert", "roberta": "Roberta", "xlm-roberta": "XLMRoberta", "camembert": "Camembert", "distilbert": "DistilBert",
    "siglip_text_model": "SiglipText", "clip_text_model": "CLIPText",
}  # fmt: skip
PICTURES = {"siglip_vision_model": "SiglipVision", "clip_vision_model": "CLIPVision", "vit": "ViT", "deit": "DeiT", "dinov2": "Dinov2"}
VISION_LANGUAGE = ("llava", "qwen2_vl", "qwen2_5_vl", "qwen3_vl", "gemma3")
TEXT_TOWERS = ("qwen2_vl_text", "qwen2_5_vl_text", "qwen3_vl_text")
DIFFUSION = ("UNet2DConditionModel", "UNet2DModel", "DiTTransformer2DModel")
ALL = [*CAUSAL, *ENCODERS, *PICTURES, *VISION_LANGUAGE, *TEXT_TOWERS, *DIFFUSION]


def build(label: str, attention: str = "eager") -> nn.Module:
    """The model of a label in ALL."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = _made(label)
        with torch.no_grad():  # the usual 0.02 makes every block almost the identity, which hides mistakes
            for parameter in model.parameters():
                if parameter.dim() > 1:
                    parameter.normal_(0.0, 0.15)
    if hasattr(model, "set_attn_implementation"):
        model.set_attn_implementation(attention)
    return model.eval().requires_grad_(False)


def _made(label: str) -> nn.Module:
    if label in CAUSAL:
        _, name, config = CAUSAL[label]
        kind = getattr(transformers, f"{name}{'Text' if label == 'gemma3_text' else ''}Config")
        model = getattr(transformers, f"{name}LMHeadModel" if name == "GPT2" else f"{name}ForCausalLM")
        return model(kind(**config, attn_implementation="eager"))  # Falcon chooses its attention once, when it is built
    if label in ENCODERS or label in PICTURES:
        name = (ENCODERS | PICTURES)[label]
        config = _BASE if label in ENCODERS else _VISION
        if label == "distilbert":
            config = {"vocab_size": VOCABULARY, "dim": WIDTH, "hidden_dim": 64, "n_layers": LAYERS, "n_heads": HEADS, "pad_token_id": 0}
        return getattr(transformers, f"{name}Model")(getattr(transformers, f"{name}Config")(**config))
    if label in TEXT_TOWERS:
        return _made(label.removesuffix("_text")).model.language_model
    if label in DIFFUSION:
        return _diffusion(label)
    if label in ("llava", "qwen2_vl"):
        return tiny(label)
    return _vision_language(label)


def _vision_language(label: str) -> nn.Module:
    if label == "gemma3":
        vision = transformers.SiglipVisionConfig(**_VISION)
        config = transformers.Gemma3Config(text_config=transformers.Gemma3TextConfig(**_HEAD), vision_config=vision, mm_tokens_per_image=4)
        return transformers.Gemma3ForConditionalGeneration(config)
    rope = {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [1, 1, 2]}
    vision = {"depth": 2, "hidden_size": WIDTH, "num_heads": HEADS, "patch_size": PATCH, "intermediate_size": 64, "out_hidden_size": WIDTH}
    if label == "qwen3_vl":
        vision |= {"deepstack_visual_indexes": [0], "num_position_embeddings": 16}
    name = {"qwen2_5_vl": "Qwen2_5_VL", "qwen3_vl": "Qwen3VL"}[label]
    text = (_HEAD if label == "qwen3_vl" else _GROUPED) | {"rope_parameters": rope}
    config = getattr(transformers, f"{name}Config")(text_config=text, vision_config=vision, image_token_id=3)
    return getattr(transformers, f"{name}ForConditionalGeneration")(config)


def _diffusion(label: str) -> nn.Module:
    import diffusers

    if label == "DiTTransformer2DModel":
        return diffusers.DiTTransformer2DModel(num_attention_heads=2, attention_head_dim=8, in_channels=4, num_layers=LAYERS, sample_size=8,
                                               patch_size=2, norm_num_groups=4, num_embeds_ada_norm=10)
    shape = {"sample_size": 8, "in_channels": 4, "out_channels": 4, "block_out_channels": (16, 32), "layers_per_block": 1,
             "norm_num_groups": 4}
    if label == "UNet2DModel":
        return diffusers.UNet2DModel(**shape, down_block_types=("DownBlock2D", "AttnDownBlock2D"),
                                     up_block_types=("AttnUpBlock2D", "UpBlock2D"), attention_head_dim=8)
    return diffusers.UNet2DConditionModel(**shape, down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
                                          up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"), cross_attention_dim=16, attention_head_dim=8)


def inputs_of(label: str, model: nn.Module) -> dict[str, Any]:
    """A batch of two; texts with three tokens of padding in the first row."""
    generator = torch.Generator().manual_seed(1)
    if label in DIFFUSION:
        latents = {"timestep": torch.tensor([3, 7])} | (
            {"hidden_states": torch.randn(2, 4, 8, 8, generator=generator), "class_labels": torch.tensor([1, 2])}
            if label.startswith("DiT") else {"sample": torch.randn(2, 4, 8, 8, generator=generator)})
        crossed = {"encoder_hidden_states": torch.randn(2, 5, 16, generator=generator)}
        return latents | (crossed if label == "UNet2DConditionModel" else {})
    if label in PICTURES:
        return {"pixel_values": torch.randn(2, 3, IMAGE_SIZE, IMAGE_SIZE, generator=generator)}
    if label == "llava":
        return inputs_for(model, batch=2)
    ids = torch.randint(4, VOCABULARY, (2, 9), generator=generator)
    if label == "clip_text_model":
        ids[:, -1] = TOKENS["eos_token_id"]
    mask = torch.ones_like(ids)
    if label in CAUSAL:
        mask[0, :3] = 0
    elif label in ENCODERS and "text" not in label:
        mask[0, -3:] = 0
    return {"input_ids": ids, "attention_mask": mask}
