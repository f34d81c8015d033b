"""Where each architecture keeps the parts of a layer: one table, differences only.

    family_name("qwen2")                   # "llama": the name that experiments ask for, "other" for the rest
    family = family_of(model)              # by `model.config.model_type`; LabError for what cannot be traced
    family.layers(model)                   # [LlamaDecoderLayer, ...], the text tower of a vision-language model
    family.module(layer, "mlp_out")        # the module whose input or output is that part

Every family here is a pre-norm residual block: `mid = pre + attn(norm1(pre))`, `post = mid + mlp(norm2(mid))`.
"""

from __future__ import annotations

from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING, Literal, get_args

from core.engine.errors import LabError

if TYPE_CHECKING:
    from torch import nn

Part = Literal["resid_pre", "attn_out", "resid_mid", "mlp_out", "resid_post", "attn_weights"]
Role = Literal["layer", "attn", "norm2", "mlp"]
Side = Literal["input", "output"]
PARTS: tuple[Part, ...] = get_args(Part)

# part -> (module, its input or its output, position when that is a tuple)
PLACES: dict[Part, tuple[Role, Side, int]] = {
    "resid_pre": ("layer", "input", 0),
    "attn_out": ("attn", "output", 0),
    "attn_weights": ("attn", "output", 1),
    "resid_mid": ("norm2", "input", 0),
    "mlp_out": ("mlp", "output", 0),
    "resid_post": ("layer", "output", 0),
}


@dataclass(frozen=True)
class Family:
    """`layers_at` is a dotted path from the headless model; the other paths start at one layer."""

    name: str
    layers_at: str
    attn: str
    norm2: str
    mlp: str = "mlp"

    def layers(self, model: nn.Module) -> list[nn.Module]:
        """The residual blocks in the order they run; `model` may have a head, or be wrapped by peft."""
        return list(attrgetter(self.layers_at)(_headless(model)))

    def module(self, layer: nn.Module, part: Part) -> nn.Module:
        """The module of `layer` whose input or output is `part` (see `PLACES`)."""
        role = PLACES[part][0]
        return layer if role == "layer" else getattr(layer, getattr(self, role))


#                 name       layers_at                 attn         norm2                       model types
_TABLE = [
    (Family("llama", "layers", "self_attn", "post_attention_layernorm"), ("llama", "qwen2", "qwen3", "mistral")),
    (Family("gpt2", "h", "attn", "ln_2"), ("gpt2",)),
    (Family("llava", "language_model.layers", "self_attn", "post_attention_layernorm"), ("llava",)),
    (
        Family("qwen_vl", "language_model.layers", "self_attn", "post_attention_layernorm"),
        ("qwen2_vl", "qwen2_5_vl", "qwen3_vl"),
    ),
    (
        Family("qwen_vl", "layers", "self_attn", "post_attention_layernorm"),
        ("qwen2_vl_text", "qwen2_5_vl_text", "qwen3_vl_text"),
    ),
    (Family("clip", "encoder.layers", "self_attn", "layer_norm2"), ("clip_text_model", "clip_vision_model")),
    (Family("vit", "layers", "attention", "layernorm_after"), ("vit", "deit")),
]
FAMILIES: dict[str, Family] = {model_type: family for family, types in _TABLE for model_type in types}

# Two towers side by side have no one sequence of layers: such a model can be loaded, and each of its towers traced.
_TOWERS = {"clip": "Trace one of its two towers: model.text_model or model.vision_model."}


def family_name(model_type: object) -> str:
    """The family that a `model_type` belongs to, `other` when the table does not know it (it may still be loaded)."""
    if not isinstance(model_type, str):
        return "other"
    return model_type if model_type in _TOWERS else FAMILIES[model_type].name if model_type in FAMILIES else "other"


def family_of(model: nn.Module) -> Family:
    """The row of the table for this model; LabError if its architecture, or its text tower's, has none."""
    config = getattr(model, "config", None)
    model_type = getattr(config, "model_type", None)
    family = FAMILIES.get(model_type)
    if family is None:
        named = f"The architecture '{model_type}'" if model_type else f"A {type(model).__name__}"
        raise LabError(
            f"{named} cannot be traced.",
            _TOWERS.get(model_type, f"Architectures that can be: {', '.join(sorted(FAMILIES))}."),
        )
    if family.name == "llava":
        tower = config.text_config.model_type
        if getattr(FAMILIES.get(tower), "name", None) != "llama":
            raise LabError(
                f"A LLaVA model with a text tower of the architecture '{tower}' cannot be traced.",
                "Text towers that can be: llama, mistral, qwen2, qwen3.",
            )
    return family


def _headless(model: nn.Module) -> nn.Module:
    if hasattr(model, "get_base_model"):  # wrapped by peft
        model = model.get_base_model()
    return model.base_model
