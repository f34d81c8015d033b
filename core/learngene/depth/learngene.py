"""A learngene of vision transformers: two layers' worth of numbers, and a network of any depth from them.

    gene = Learngene(lab.load("embedded/learngene-letters").model)
    gene(pixels, depth=8)                       # the auxiliary model: (batch, classes), gradients reach both sets
    model = gene.expand(12)                     # an ordinary ViTForImageClassification with 12 independent layers

It is stored as a ViT with two layers, because that is exactly what it is made of: layer 0 holds the intercept, layer 1
the slope, the rest is shared by all descendants. So it is read by the same loader as every other model. Run as it
stands, that two-layer ViT would mean nothing; `config.learngene` tells the two apart: {"depth": of the auxiliary model, "epochs":
the passes that it took}.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call
from transformers import PreTrainedModel

from core.engine.errors import LabError
from core.engine.lab import Lab
from core.learngene.depth.expansion import coefficients, expand_blocks, line, twin
from core.learngene.vit import new_head, new_model, parts_of, read

INTERCEPT, SLOPE = 0, 1
STORED_EPOCHS = 100  # passes that the embedded learngenes took; their files do not say it


class Learngene:
    """`store` is the two-layer model; its parameters are what stage 1 trains. `depth` is the auxiliary model's.

    epochs: how many passes over the pictures it was trained for; None where nobody wrote it down.
    """

    def __init__(self, store: PreTrainedModel) -> None:
        about = getattr(store.config, "learngene", None)
        if not about or store.config.num_hidden_layers != 2:
            raise LabError("This model is not a learngene.", "Train one on the page, or use embedded/learngene-letters.")
        self.store, self.depth, self.epochs = store, int(about["depth"]), about.get("epochs")
        self.parts = parts_of(store)
        self.pooling = store.config.pooling
        self._template = [self.parts.blocks[INTERCEPT]]  # in a list: used for its code only

    @property
    def intercept(self) -> dict[str, Tensor]:
        """The first layer of every descendant, by parameter name (methods/09: theta_B). Each has the (*shape,) that it has in one block."""
        return dict(self.parts.blocks[INTERCEPT].named_parameters())

    @property
    def slope(self) -> dict[str, Tensor]:
        """What a layer's position adds, by parameter name (methods/09: theta_A). Each has the (*shape,) that it has in one block."""
        return dict(self.parts.blocks[SLOPE].named_parameters())

    def __call__(self, pixels: Tensor, depth: int | None = None, divisor: int | None = None) -> Tensor:
        """Logits (batch, classes) of the network of `depth` layers, the auxiliary model's if None."""
        hidden = self.parts.embeddings(pixels)
        for values in line(self.intercept, self.slope, coefficients(depth or self.depth, divisor)):
            hidden = functional_call(self._template[0], values, (hidden,))
        return read(self.parts, hidden, self.pooling)

    def expand(self, depth: int, classes: Sequence[str] | None = None) -> PreTrainedModel:
        """A descendant: every layer its own, embedding, norm and head copied; strict about every name.

        `classes` puts a fresh random head for another task in place (methods/09 section 4), drawn from the global generator.
        """
        blocks = expand_blocks(self._template[0], self.intercept, self.slope, depth)
        shared = {name: parameter.detach().clone() for name, parameter in self.store.named_parameters() if ".layers." not in name}
        model = twin(self.store, shared, {f"{self.store.base_model_prefix}.layers": blocks})
        config = copy.copy(self.store.config)  # what it holds is replaced, never changed in place
        config.num_hidden_layers, config.learngene = depth, None
        config._attn_implementation = self.store.config._attn_implementation
        for module in model.modules():
            if hasattr(module, "config"):
                module.config = config
        if classes is not None:
            new_head(model, classes)
        return model.eval()


def load_learngene(lab: Lab, ref: str, attention: str = "sdpa") -> Learngene:
    """The learngene called `ref`, for everybody to read."""
    gene = Learngene(lab.load(ref, attention=attention).model)
    if gene.epochs is None and ref.startswith("embedded/"):
        gene.epochs = STORED_EPOCHS
    return gene


def new_learngene(depth: int, width: int, heads: int, classes: Sequence[str], epochs: int | None = None) -> Learngene:
    """An untrained learngene, initialised as methods/09 section 2.2: both sets truncated normal, slope norms zero.

    epochs: the passes that it is going to be trained for.
    """
    store = new_model(2, width, heads, classes, pooling="patches")
    store.config.learngene = {"depth": depth} if epochs is None else {"depth": depth, "epochs": epochs}
    std = store.config.initializer_range
    with torch.no_grad():
        for block in parts_of(store).blocks:
            for module in block.modules():
                if isinstance(module, nn.Linear):
                    nn.init.trunc_normal_(module.weight, std=std, a=-2 * std, b=2 * std)
                    nn.init.zeros_(module.bias)
        for module in parts_of(store).blocks[SLOPE].modules():
            if isinstance(module, nn.LayerNorm):
                nn.init.zeros_(module.weight)
    return Learngene(store)


def freeze_slope(gene: Learngene) -> None:
    """Sets the slope to zero and keeps it there: every layer equal, the MiniViT-like rival (methods/09 section 6)."""
    for parameter in gene.slope.values():
        parameter.data.zero_()
        parameter.requires_grad_(False)
