"""Which class a model folder is built with, and what its config promises, before anything is built."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from core.engine.errors import LabError
from core.engine.families import family_name
from core.engine.weights import Inspected, check_sizes
from core.papers import PAPERS

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel

OURS = {name: place for paper in PAPERS for name, place in paper.architectures.items()}  # model classes of the lab itself
FETCHES = ("backbone", "use_pretrained_backbone", "use_timm_backbone")  # by which a config may name another model


def architecture(ref: str, config: dict[str, Any]) -> type[PreTrainedModel]:
    """The class that a config names. Raises LabError for all but the families' and the library's own causal language models, and ours."""
    import transformers
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

    transformers.utils.logging.disable_progress_bar()
    named = config.get("architectures")
    name = named[0] if isinstance(named, list) and named else None
    if isinstance(name, str) and name in OURS and config.get("model_type") == (ours := _ours(name)).config_class.model_type:
        return ours
    try:
        kind = getattr(transformers, name) if isinstance(name, str) else None
    except Exception:  # unknown, or known and in need of a library that is not here
        kind = None
    known = isinstance(kind, type) and issubclass(kind, transformers.PreTrainedModel)
    allowed = known and (name in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.values() or family_name(config.get("model_type")) != "other")
    allowed = allowed and not any(config.get(key) for key in FETCHES)
    if not allowed or kind.config_class is None or kind.config_class.model_type != config.get("model_type"):
        raise LabError(
            f"The architecture of {ref} ({name or 'not named'}) is not one that this lab knows.",
            "Llama, Qwen, Mistral, GPT-2, LLaVA, CLIP and ViT models can be loaded.",
        )
    return kind


def _ours(name: str) -> type[PreTrainedModel]:
    module, _, kind = OURS[name].partition(":")
    return getattr(importlib.import_module(module), kind)


def promised_parameters(ref: str, kind: type[PreTrainedModel], config: PretrainedConfig, looked: Inspected) -> int:
    """How many parameters the config asks for, counted on torch's meta device, which allocates nothing."""
    import torch

    parts = [config, *(getattr(config, name, None) for name in config.sub_configs)]
    layers = max(getattr(part, "num_hidden_layers", None) or 0 for part in parts)
    if layers > looked.tensors:
        raise LabError(f"The config of {ref} names {layers} layers, its files hold {looked.tensors} tensors.", "Copy or download it again.")
    check_sizes(ref, parts, looked.widest)
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in kind(config).parameters())


def attention_of(kind: type[PreTrainedModel], wanted: str) -> str:
    """The attention asked for, or eager where this version of the library has no other for the architecture."""
    return "eager" if wanted == "sdpa" and not kind._supports_sdpa else wanted
