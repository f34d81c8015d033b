"""The method on Stable Diffusion's own classes: the same painter, with CLIP's text encoder where the lab's has a table of words.

    painter = stable_painter(pipeline)                      # of a StableDiffusionPipeline
    S, V = painter.prompts.vectors("sketch", "clock")       # hidden states 2 and -2, as the released code starts from
    pixels = painter.decode(painter.sample(latents, painter.prompt([("sketch", "clock")], S[None], V[None]), t_start=981, steps=50))

Latents that a place has noised go in as they are: the pipeline does the same with `latents=` and `prompt_embeds=` (methods/07, 2.7). The
lab ships no such model; of a size for pictures of 512 pixels it wants a graphics card.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from core.federated.painter import CLASS_AT, STYLE_AT, Painter


class StablePrompts(nn.Module):
    """Prompts through a tokenizer and CLIP's text encoder. Vectors replace its output, so nothing is added for their place."""

    def __init__(self, tokenizer: Any, encoder: nn.Module) -> None:
        super().__init__()
        self.tokenizer, self.encoder = tokenizer, encoder
        self.register_buffer("places", torch.zeros(tokenizer.model_max_length, encoder.config.hidden_size))

    @torch.no_grad()
    def of(self, pairs: Sequence[tuple[str, str]]) -> Tensor:
        """The context (n, 77, width) of "a STYLE style of a CLASS" for each (style, class); ("", "") is the empty prompt."""
        texts = [f"a {style} style of a {name}" if name else "" for style, name in pairs]
        ids = self.tokenizer(texts, padding="max_length", truncation=True, max_length=self.tokenizer.model_max_length, return_tensors="pt")
        return self.encoder(ids.input_ids)[0]

    def vectors(self, style: str, name: str) -> tuple[Tensor, Tensor]:
        """S and V (width,) to begin with: what the encoder gives for words of one token each."""
        states = self.of([(style, name)])[0]
        return states[STYLE_AT].clone(), states[CLASS_AT].clone()


def stable_painter(pipeline: Any, mark: str = "stable diffusion") -> Painter:
    """The parts of a StableDiffusionPipeline as a painter, frozen."""
    prompts = StablePrompts(pipeline.tokenizer, pipeline.text_encoder)
    for part in (pipeline.vae, pipeline.unet, prompts):
        part.eval().requires_grad_(False)
    return Painter(pipeline.vae, pipeline.unet, prompts, mark)
