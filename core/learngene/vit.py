"""Vision transformers of `transformers`, taken apart: embedding, blocks, final norm, head.

    model = new_model(depth=8, width=48, heads=3, classes=task.classes)
    parts = parts_of(model)                       # the same four names for ViT and DeiT
    scores = logits(model, pixels)                # (batch, classes)

`config.pooling` says what the head reads: "class" (the class token, as the library does it) or "patches" (the mean over
the normed picture tokens, as TLEG does it). Class and distillation tokens are never expanded (methods/09 sections 2.1, 7).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel, ViTConfig, ViTForImageClassification

from core.engine.errors import LabError
from core.learngene.spec import SIZE

PATCH, RATIO = 4, 2
NAMED = 8  # classes that a sentence lists


@dataclass(frozen=True)
class Parts:
    """`special`: how many tokens come before the picture's own (1 for ViT, 2 for DeiT)."""

    embeddings: nn.Module
    blocks: nn.ModuleList
    norm: nn.Module
    head: nn.Module
    special: int


def parts_of(model: PreTrainedModel) -> Parts:
    """The four parts of a ViT or DeiT classifier. Raises LabError for anything else."""
    known = getattr(model.config, "model_type", None) in ("vit", "deit")
    if not known or not isinstance(getattr(model, "classifier", None), nn.Linear):
        raise LabError(f"A {type(model).__name__} is not a picture classifier that can be taken apart here.",
                       "Use a ViTForImageClassification or DeiTForImageClassification.")
    base = model.base_model
    special = 2 if hasattr(base.embeddings, "distillation_token") else 1
    return Parts(base.embeddings, base.layers, base.layernorm, model.classifier, special)


def new_model(depth: int, width: int, heads: int, classes: Sequence[str], pooling: str = "class") -> ViTForImageClassification:
    """A random ViT for pictures of this lab; draws from the global generator.

    Weights have a standard deviation of 0.02 * sqrt(768 / width): at small widths the usual 0.02 learns too slowly
    (methods/09 section 9).
    """
    config = ViTConfig(
        hidden_size=width, num_hidden_layers=depth, num_attention_heads=heads, intermediate_size=RATIO * width,
        image_size=SIZE, patch_size=PATCH, num_channels=1, layer_norm_eps=1e-6,
        initializer_range=round(0.02 * (768 / width) ** 0.5, 4), id2label=dict(enumerate(classes)),
        label2id={name: i for i, name in enumerate(classes)}, pooling=pooling)
    config._attn_implementation = "sdpa"
    return ViTForImageClassification(config)


def classes_of(model: PreTrainedModel) -> tuple[str, ...]:
    """The names of the classes, in the order of the logits."""
    return tuple(model.config.id2label[i] for i in range(model.config.num_labels))


def read(parts: Parts, hidden: Tensor, pooling: str) -> Tensor:
    """Logits (batch, classes) from the last block's output: norm, then pool, then head."""
    normed = parts.norm(hidden)
    return parts.head(normed[:, parts.special:].mean(1) if pooling == "patches" else normed[:, 0])


def logits(model: PreTrainedModel, pixels: Tensor) -> Tensor:
    """What the model says about pictures (batch, 1, 16, 16): (batch, classes)."""
    if getattr(model.config, "pooling", "class") == "class":
        return model(pixels).logits
    parts = parts_of(model)
    hidden = model.base_model(pixels).last_hidden_state
    return parts.head(hidden[:, parts.special:].mean(1))


def new_head(model: PreTrainedModel, classes: Sequence[str]) -> None:
    """Puts a fresh random head for `classes` on a model, in place; draws from the global generator."""
    head = nn.Linear(model.config.hidden_size, len(classes))
    nn.init.trunc_normal_(head.weight, std=model.config.initializer_range)
    nn.init.zeros_(head.bias)
    put_head(model, head, classes)


def put_head(model: PreTrainedModel, head: nn.Linear, names: Sequence[str]) -> None:
    """Makes `head` the last layer, in place; its rows are called `names`."""
    model.classifier, model.num_labels = head, len(names)
    model.config.id2label = dict(enumerate(names))
    model.config.label2id = {name: i for i, name in enumerate(names)}


def check_pictures(model: PreTrainedModel, what: str) -> None:
    """Raises LabError unless `model` is a ViT or DeiT classifier that takes the pictures of this lab."""
    parts_of(model)
    config = model.config
    if config.num_channels != 1 or config.image_size != SIZE:
        raise LabError(f"The {what} takes pictures of {config.image_size} x {config.image_size} pixels in {config.num_channels} colours.",
                       f"The pictures here are {SIZE} x {SIZE} in one.")


def check_task(model: PreTrainedModel, classes: Sequence[str], what: str) -> None:
    """Raises LabError unless `model` takes the pictures of this lab and names exactly these classes."""
    check_pictures(model, what)
    if (known := classes_of(model)) != tuple(classes):
        raise LabError(f"The {what} was not taught these {len(classes)} classes; what it knows is {listed(known)}.",
                       "Choose the pictures that it was trained on, or a model that was trained on these.")


def listed(names: Sequence[str]) -> str:
    """The first names of classes, as a sentence says them."""
    return ", ".join(f"'{name}'" for name in names[:NAMED]) + (", ..." if len(names) > NAMED else "")


def parameters(module: nn.Module) -> int:
    """How many numbers the module stores."""
    return sum(parameter.numel() for parameter in module.parameters())


def tokens(config: ViTConfig) -> int:
    """Tokens a picture becomes, the class token included (DeiT: the distillation token too)."""
    return patches(config) + (2 if config.model_type == "deit" else 1)


def patches(config: ViTConfig) -> int:
    """Patches that a picture is cut into."""
    return (config.image_size // config.patch_size) ** 2


def block_macs(config: ViTConfig) -> int:
    """Multiply-adds of one block for one picture: N (4 D^2 + 2 r D^2) + 2 N^2 D (methods/09 section 7)."""
    n, width = tokens(config), config.hidden_size
    return n * (4 * width**2 + 2 * width * config.intermediate_size) + 2 * n**2 * width


def macs(config: ViTConfig, depth: int | None = None) -> int:
    """Multiply-adds of the whole classifier for one picture: patches, `depth` blocks, head."""
    embed = patches(config) * config.patch_size**2 * config.num_channels * config.hidden_size
    depth = config.num_hidden_layers if depth is None else depth
    return embed + depth * block_macs(config) + config.hidden_size * config.num_labels


def block_parameters(config: ViTConfig) -> int:
    """Numbers in one block, by formula: 4 D^2 + 4 D (attention), 2 r D^2 + (r + 1) D (MLP), 4 D (norms)."""
    width, inner = config.hidden_size, config.intermediate_size
    return 4 * width**2 + 4 * width + 2 * width * inner + inner + width + 4 * width


def look_closely(model: PreTrainedModel, pixels: Tensor, picture: int = 0) -> tuple[Tensor, list[Tensor]]:
    """Logits (batch, classes), and per block how much each patch of one picture of the batch is looked at: (side, side),
    averaged over heads and over the patches that look. The model must have been loaded or expanded with eager attention."""
    from core.engine.trace import sites, trace

    places = sites(model, "attn_weights")
    with torch.no_grad(), trace(model, capture=places) as acts:
        scores = logits(model, pixels)
    special = parts_of(model).special
    maps = [acts[place][picture, :, special:, special:].mean((0, 1)) for place in places]
    side = round(maps[0].shape[-1] ** 0.5)
    return scores, [given.reshape(side, side) for given in maps]
