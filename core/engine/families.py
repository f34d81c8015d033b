"""Where each architecture keeps the parts of a layer: one table, differences only.

    family_name("qwen2")                   # "llama": the name that experiments ask for, "other" for the rest
    family = family_of(model)              # by `model.config.model_type`; LabError for what cannot be traced
    family.layers(model)                   # [LlamaDecoderLayer, ...], the text tower of a vision-language model
    family.module(layer, "mlp_out")        # the module whose input or output is that part

What the parts of a layer mean depends on the shape of its block, which each row declares:

    pre-norm    mid = pre + attn_out, post = mid + mlp_out. A branch that goes through a norm of its own (Gemma 2, OLMo 2,
                GLM-4) or is multiplied (Granite, DINOv2) counts as it is added: after the norm, times the number.
    parallel    post = pre + attn_out + mlp_out: both branches read the same, there is no middle (GPT-NeoX, Phi, Cohere, Falcon)
    post-norm   mid = norm(pre + attn_out), post = norm(mid + mlp_out): the stream is what the norms give (BERT, OPT-350m)
    open        only what enters and what leaves (blocks of diffusion models)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args

from core.engine.errors import LabError

if TYPE_CHECKING:
    from torch import Tensor, nn

Part = Literal["resid_pre", "attn_out", "resid_mid", "mlp_out", "resid_post", "attn_weights"]
Side = Literal["input", "output"]
Shape = Literal["pre-norm", "parallel", "post-norm", "open"]
PARTS: tuple[Part, ...] = get_args(Part)


class Place(NamedTuple):
    """Where a part is read: a path from the layer ("" is the layer itself), its input or output, the position in a tuple.

    scale: the layer's attribute by which it multiplies the value before adding it.  written: the layer writes into the
    tensor afterwards, so it is given a copy.
    """

    path: str
    side: Side = "output"
    index: int = 0
    scale: str = ""
    written: bool = False


@dataclass(frozen=True)
class Family:
    """`layers_at`, `final_norm`: paths from the headless model; `norms`: of a post-norm layer, from the layer."""

    name: str
    layers_at: str
    places: dict[Part, Place]
    shape: Shape = "pre-norm"
    final_norm: str = ""
    norms: tuple[str, str] = ("", "")

    def layers(self, model: nn.Module) -> list[nn.Module]:
        """The residual blocks in the order they run; `model` may have a head, or be wrapped by peft."""
        inner = _headless(model)
        found: list[nn.Module] = []
        for path in self.layers_at.split(" "):
            part = attrgetter(path)(inner)
            found += [] if part is None else [part] if path.endswith("mid_block") else list(part)
        return found

    def place(self, part: Part) -> Place:
        """Where `part` is; LabError for one that layers of this shape do not have."""
        if part not in self.places:
            why = ("computes attention and MLP side by side, so nothing stands between them" if self.shape == "parallel"
                   else "shows only what enters a block and what leaves it")
            raise LabError(f"A model of the family '{self.name}' has no part '{part}': it {why}.", f"Parts are: {', '.join(self.places)}.")
        return self.places[part]

    def module(self, layer: nn.Module, part: Part) -> nn.Module:
        """The module of `layer` whose input or output is `part` (see `place`)."""
        path = self.place(part).path
        return attrgetter(path)(layer) if path else layer

    def factor(self, layer: nn.Module, part: Part) -> float:
        """What `layer` multiplies this part by before adding it."""
        scale = self.place(part).scale
        return float(getattr(layer, scale)) if scale else 1.0

    def attention(self, layer: nn.Module) -> str:
        """The implementation that the attention of `layer` runs with; BERT keeps the config one module further in."""
        configs = (getattr(module, "config", None) for module in self.module(layer, "attn_weights").modules())
        return next(config._attn_implementation for config in configs if config is not None)

    def rebuilt(self, layer: nn.Module, acts: dict[Part, Tensor]) -> dict[Part, Tensor]:
        """What `resid_mid` and `resid_post` of a layer have to be, given its other parts: the declaration of the shape.

        All (batch, tokens, width).
        """
        if self.shape == "open":
            return {}
        if self.shape == "parallel":
            return {"resid_post": acts["resid_pre"] + acts["attn_out"] + acts["mlp_out"]}
        mid, post = acts["resid_pre"] + acts["attn_out"], acts["resid_mid"] + acts["mlp_out"]
        if self.shape == "post-norm":
            mid, post = (attrgetter(path)(layer)(value) for path, value in zip(self.norms, (mid, post), strict=True))
        return {"resid_mid": mid, "resid_post": post}


_ENDS: dict[Part, Place] = {"resid_pre": Place("", "input"), "resid_post": Place("")}


def _pre_norm(name: str, layers_at: str, attn: str, norm2: str, mlp: str = "mlp", *, final_norm: str = "", adds: tuple[str, str] = ("", ""),
              scale: str = "") -> Family:
    """A row; `adds`: the modules that the branches go through before they are added, `scale`: the number they are multiplied by."""
    places = _ENDS | {"attn_out": Place(adds[0] or attn, scale=scale), "resid_mid": Place(norm2, "input"),
                      "mlp_out": Place(adds[1] or mlp, scale=scale), "attn_weights": Place(attn, index=1)}
    return Family(name, layers_at, places, final_norm=final_norm)


def _parallel(name: str, layers_at: str, attn: str, *, final_norm: str, written: bool = False) -> Family:
    places = _ENDS | {"attn_out": Place(attn), "mlp_out": Place("mlp", written=written), "attn_weights": Place(attn, index=1)}
    return Family(name, layers_at, places, "parallel", final_norm)


def _post_norm(name: str, layers_at: str, *, attn: str, attn_out: str, mid: str, mlp_out: str, norms: tuple[str, str],
               final_norm: str = "") -> Family:
    places = _ENDS | {"attn_out": Place(attn_out), "resid_mid": Place(mid), "mlp_out": Place(mlp_out), "attn_weights": Place(attn, index=1)}
    return Family(name, layers_at, places, "post-norm", final_norm, norms)


def _open(name: str, layers_at: str) -> Family:
    return Family(name, layers_at, dict(_ENDS), "open")


@dataclass(frozen=True)
class Either:
    """A row whose config says which of two families a model is."""

    yes: Family
    no: Family
    asks: Callable[[Any], bool]

    @property
    def name(self) -> str:
        return self.yes.name


_GPT_NEOX = Either(
    _parallel("gpt_neox", "layers", "attention", final_norm="final_layer_norm"),
    _pre_norm("gpt_neox", "layers", "attention", "post_attention_layernorm", final_norm="final_layer_norm"),
    lambda config: config.use_parallel_residual)
_STABLELM = Either(
    _parallel("stablelm", "layers", "self_attn", final_norm="norm"),
    _pre_norm("stablelm", "layers", "self_attn", "post_attention_layernorm", final_norm="norm"),
    lambda config: config.use_parallel_residual)
_FALCON = Either(
    _parallel("falcon", "h", "self_attention", final_norm="ln_f", written=True),
    _pre_norm("falcon", "h", "self_attention", "post_attention_layernorm", final_norm="ln_f"),
    lambda config: config.parallel_attn or config.new_decoder_architecture)
_OPT = Either(
    _pre_norm("opt", "decoder.layers", "self_attn", "final_layer_norm", "fc2", final_norm="decoder.final_layer_norm"),
    _post_norm("opt", "decoder.layers", attn="self_attn", attn_out="self_attn", mid="self_attn_layer_norm", mlp_out="fc2",
               norms=("self_attn_layer_norm", "final_layer_norm"), final_norm="decoder.final_layer_norm"),  # which is None
    lambda config: config.do_layer_norm_before)

_SANDWICH = {"attn": "self_attn", "norm2": "pre_feedforward_layernorm", "adds": ("post_attention_layernorm", "post_feedforward_layernorm")}
_TOWER = ("language_model.layers", "self_attn", "post_attention_layernorm")
TABLE: list[tuple[Family | Either, tuple[str, ...]]] = [
    (_pre_norm("llama", "layers", "self_attn", "post_attention_layernorm", final_norm="norm"),
     ("llama", "mistral", "qwen2", "qwen3", "qwen3_moe", "smollm3", "phi3", "olmo", "gemma", "gpt_oss")),
    (_pre_norm("gpt2", "h", "attn", "ln_2", final_norm="ln_f"), ("gpt2",)),
    (_GPT_NEOX, ("gpt_neox",)),
    (_OPT, ("opt",)),
    (_FALCON, ("falcon",)),
    (_STABLELM, ("stablelm",)),
    (_parallel("phi", "layers", "self_attn", final_norm="final_layernorm"), ("phi",)),
    (_parallel("cohere", "layers", "self_attn", final_norm="norm"), ("cohere", "cohere2")),
    (_pre_norm("gemma2", "layers", final_norm="norm", **_SANDWICH), ("gemma2", "gemma3_text")),
    (_pre_norm("gemma3", "language_model.layers", final_norm="language_model.norm", **_SANDWICH), ("gemma3",)),
    (_pre_norm("olmo2", "layers", "self_attn", "mlp", final_norm="norm", adds=("post_attention_layernorm", "post_feedforward_layernorm")),
     ("olmo2", "olmo3")),
    (_pre_norm("glm4", "layers", "self_attn", "post_attention_layernorm", final_norm="norm",
               adds=("post_self_attn_layernorm", "post_mlp_layernorm")), ("glm4",)),
    (_pre_norm("granite", "layers", "self_attn", "post_attention_layernorm", final_norm="norm", scale="residual_multiplier"), ("granite",)),
    (_pre_norm("llava", *_TOWER, final_norm="language_model.norm"), ("llava",)),
    (_pre_norm("qwen_vl", *_TOWER, final_norm="language_model.norm"), ("qwen2_vl", "qwen2_5_vl", "qwen3_vl")),
    (_pre_norm("qwen_vl", "layers", "self_attn", "post_attention_layernorm"), ("qwen2_vl_text", "qwen2_5_vl_text", "qwen3_vl_text")),
    (_pre_norm("clip", "encoder.layers", "self_attn", "layer_norm2"), ("clip_text_model", "clip_vision_model")),
    (_pre_norm("siglip", "encoder.layers", "self_attn", "layer_norm2"), ("siglip_text_model", "siglip_vision_model")),
    (_pre_norm("vit", "layers", "attention", "layernorm_after"), ("vit", "deit")),
    (_pre_norm("dinov2", "encoder.layer", "attention", "norm2", adds=("layer_scale1", "layer_scale2")), ("dinov2",)),
    (_post_norm("bert", "encoder.layer", attn="attention", attn_out="attention.output.dense", mid="attention.output",
                mlp_out="output.dense", norms=("attention.output.LayerNorm", "output.LayerNorm")),
     ("bert", "roberta", "xlm-roberta", "camembert")),
    (_post_norm("distilbert", "transformer.layer", attn="attention", attn_out="attention", mid="sa_layer_norm", mlp_out="ffn",
                norms=("sa_layer_norm", "output_layer_norm")), ("distilbert",)),
    # of diffusers, which name their class and no model type
    (_open("unet", "down_blocks mid_block up_blocks"), ("UNet2DConditionModel", "UNet2DModel")),
    (_open("dit", "transformer_blocks"), ("DiTTransformer2DModel",)),
]
FAMILIES: dict[str, Family | Either] = {model_type: row for row, types in TABLE for model_type in types}
# families of models that write text and can be read, audited and attacked by the pages that ask for "a language model"
LANGUAGE = ("llama", "gpt2", "gpt_neox", "opt", "falcon", "stablelm", "phi", "cohere", "gemma2", "olmo2", "glm4", "granite")

# Two towers side by side have no one sequence of layers: such a model can be loaded, and each of its towers traced.
_TOWERS = dict.fromkeys(("clip", "siglip"), "Trace one of its two towers: model.text_model or model.vision_model.")


def family_name(model_type: object) -> str:
    """The family that a `model_type` belongs to, `other` when the table does not know it (it may still be loaded)."""
    if not isinstance(model_type, str):
        return "other"
    row = FAMILIES.get(model_type)
    return model_type if model_type in _TOWERS else row.name if row else "other"


def family_of(model: nn.Module) -> Family:
    """The row of the table for this model; LabError if its architecture, or its text tower's, has none."""
    config = getattr(model, "config", None)
    model_type = getattr(config, "model_type", None)
    family = FAMILIES.get(model_type or type(model).__name__)
    if family is None:
        named = f"The architecture '{model_type}'" if model_type else f"A {type(model).__name__}"
        raise LabError(
            f"{named} cannot be traced.",
            _TOWERS.get(model_type, f"Architectures that can be: {', '.join(sorted(FAMILIES))}."),
        )
    if isinstance(family, Either):
        return family.yes if family.asks(config) else family.no
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
    return getattr(model, "base_model", model)
