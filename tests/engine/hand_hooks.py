"""The oracle of the trace tests: ordinary torch hooks on module paths written out by hand.

    with hand_hooks(model, "gpt2") as seen:
        model(**inputs)
    seen[2, "mlp_out"]                       # a list with one tensor per forward

Nothing here comes from `core.engine.families`, so a wrong row there does not go unnoticed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

# kind: (path of a layer, attention, second norm, mlp, final norm)
PATHS = {
    "llama": ("model.layers.{}", "self_attn", "post_attention_layernorm", "mlp", "model.norm"),
    "qwen2": ("model.layers.{}", "self_attn", "post_attention_layernorm", "mlp", "model.norm"),
    "mistral": ("model.layers.{}", "self_attn", "post_attention_layernorm", "mlp", "model.norm"),
    "gpt2": ("transformer.h.{}", "attn", "ln_2", "mlp", "transformer.ln_f"),
    "clip_text": ("encoder.layers.{}", "self_attn", "layer_norm2", "mlp", "final_layer_norm"),
    "clip_vision": ("encoder.layers.{}", "self_attn", "layer_norm2", "mlp", "post_layernorm"),
    "vit": ("layers.{}", "attention", "layernorm_after", "mlp", "layernorm"),
    "deit": ("layers.{}", "attention", "layernorm_after", "mlp", "layernorm"),
    "llava": (
        "model.language_model.layers.{}", "self_attn", "post_attention_layernorm", "mlp", "model.language_model.norm",
    ),
    "qwen2_vl": (
        "model.language_model.layers.{}", "self_attn", "post_attention_layernorm", "mlp", "model.language_model.norm",
    ),
}  # fmt: skip
LANGUAGE = ["llama", "qwen2", "mistral", "gpt2", "llava", "qwen2_vl"]  # their last hidden state is after the final norm


def part(model: nn.Module, kind: str, layer: int, name: str) -> nn.Module:
    """`name`: layer, attn, norm2, mlp, or norm for the model's final norm."""
    paths = dict(zip(("layer", "attn", "norm2", "mlp", "norm"), PATHS[kind], strict=True))
    if name == "norm":
        return model.get_submodule(paths["norm"])
    path = paths["layer"].format(layer)
    return model.get_submodule(path if name == "layer" else f"{path}.{paths[name]}")


def _first(value: Tensor | tuple) -> Tensor:
    return value[0] if isinstance(value, tuple) else value


@contextmanager
def hand_hooks(model: nn.Module, kind: str) -> Iterator[dict[tuple[int, str], list[Tensor]]]:
    """Everything that passes the parts of every layer while the block runs."""
    seen: dict[tuple[int, str], list[Tensor]] = defaultdict(list)
    handles = []

    def watch_input(module: nn.Module, key: tuple[int, str]) -> None:
        def hook(_module: nn.Module, args: tuple, kwargs: dict) -> None:
            seen[key].append(args[0] if args else kwargs["hidden_states"])

        handles.append(module.register_forward_pre_hook(hook, with_kwargs=True))

    def watch_output(module: nn.Module, key: tuple[int, str]) -> None:
        handles.append(module.register_forward_hook(lambda _module, _args, output: seen[key].append(_first(output))))

    for layer in range(model_layers(model)):
        watch_input(part(model, kind, layer, "layer"), (layer, "resid_pre"))
        watch_output(part(model, kind, layer, "attn"), (layer, "attn_out"))
        watch_input(part(model, kind, layer, "norm2"), (layer, "resid_mid"))
        watch_output(part(model, kind, layer, "mlp"), (layer, "mlp_out"))
        watch_output(part(model, kind, layer, "layer"), (layer, "resid_post"))
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()


def model_layers(model: nn.Module) -> int:
    config = model.config
    return getattr(config, "text_config", config).num_hidden_layers


def result(output: object) -> Tensor:
    """The logits of a language model, the last hidden state of an encoder."""
    logits = getattr(output, "logits", None)
    return output.last_hidden_state if logits is None else logits


def gap(one: Tensor, other: Tensor) -> float:
    """Largest absolute difference; a shape mismatch fails."""
    assert one.shape == other.shape
    return (one - other).abs().max().item()


def hook_count(model: nn.Module) -> int:
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) + len(m._backward_hooks) for m in model.modules())


def state(model: nn.Module) -> dict[str, Tensor]:
    """A copy of all weights, to see afterwards whether anything changed."""
    return {name: value.clone() for name, value in model.state_dict().items()}


def same_state(model: nn.Module, before: dict[str, Tensor]) -> bool:
    return all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
