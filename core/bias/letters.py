"""How LLaVA and Qwen-VL are asked: a picture, a question, options as letters, and the letter that follows (methods/02 section 3).

    form = Letters(loaded.model, loaded.tokenizer, family="qwen_vl")
    ids, options = form.encode(item, order)      # what follows the picture; the tokens of each option's letter
    form.beginning([photo, photo])               # float (n, tokens, width)

Made of tokenizer and PIL image processor alone, without torchvision. Every picture is cut to a square of one size, so that rows of a
batch are equally long; positions of Qwen's pictures are counted in time, height and width, and Qwen3's features also enter above.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from core.bias.items import Item
from core.bias.spelling import Spelling, option_spellings
from core.scenes.pictures import Photo
from core.scenes.render import render

LETTERS = "ABCDEFGHIJKLMNOPQRST"
SYSTEM = "You are a careful assistant. Look at the image and answer with one option only."
# before the picture, after it, and after the question
TURNS = {
    "llava": (f"{SYSTEM} USER: ", "\n", " ASSISTANT:"),
    "qwen_vl": (f"<|im_start|>system\n{SYSTEM}<|im_end|>\n<|im_start|>user\n", "", "<|im_end|>\n<|im_start|>assistant\n"),
}
USUAL_SIDE = 224  # pixels; a multiple of what Qwen joins to one token


@dataclass
class Letters:
    """A model that sees and reads any text. `sees` as in forms.Form."""

    model: Any
    tokenizer: Any
    family: str
    sees: bool = True
    _seen: dict[Any, tuple[Tensor, list[Tensor]]] = field(default_factory=dict)
    _made: Any = None

    def encode(self, item: Item, order: Sequence[int]) -> tuple[list[int], list[list[Spelling]]]:
        _, after, end = TURNS[self.family]
        letters = option_spellings(self.tokenizer, LETTERS[:len(item.options)])
        listed = "".join(f"\n{LETTERS[i]}. {item.options[k]}" for i, k in enumerate(order)) + "\nAnswer with the letter only."
        ids = self._ids(f"{after}{item.text}{listed if item.choose else ''}{end}")
        options: list[list[Spelling]] = [[]] * len(item.options)
        for i, k in enumerate(order):
            options[k] = letters[i]
        return self._closing + ids, options

    def _ids(self, text: str) -> list[int]:
        return self.tokenizer(text, add_special_tokens=False).input_ids

    @property
    def _opening(self) -> list[int]:
        start = self.tokenizer.bos_token_id if self.family == "llava" else None
        vision = getattr(self.model.config, "vision_start_token_id", None)
        return [*([] if start is None else [start]), *self._ids(TURNS[self.family][0]), *([] if vision is None else [vision])]

    @property
    def _closing(self) -> list[int]:
        end = getattr(self.model.config, "vision_end_token_id", None)
        return [] if end is None else [end]

    @torch.no_grad()
    def beginning(self, pictures: Sequence[Any]) -> Tensor:
        """Embeddings (pictures, opening + tokens of a picture, width)."""
        embed = self.model.get_input_embeddings()
        start = embed(torch.tensor([self._opening], device=self.model.device))[0]
        return torch.stack([torch.cat([start, self._features(picture)[0]]) for picture in pictures])

    def places(self, common: int) -> tuple[Tensor, int]:
        """Positions of the beginning, long (common,) or for Qwen (3, common), and the position of what follows."""
        if self.family == "llava":
            return torch.arange(common), common
        before, side = len(self._opening), round((common - len(self._opening)) ** 0.5)
        rows, columns = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
        seen = before + torch.stack([torch.zeros(side * side, dtype=torch.long), rows.flatten(), columns.flatten()])
        return torch.cat([torch.arange(before).expand(3, -1), seen], 1), before + side

    def extras(self, pictures: Sequence[Any], length: int) -> dict[str, Any]:
        """What Qwen3-VL adds to the stream of its first layers at the places of the picture."""
        above = [self._features(picture)[1] for picture in pictures]
        if not above[0]:
            return {}
        mask = torch.zeros(len(pictures), length, dtype=torch.bool, device=self.model.device)
        mask[:, len(self._opening):len(self._opening) + len(above[0][0])] = True
        return {"visual_pos_masks": mask, "deepstack_visual_embeds": [torch.cat(level) for level in zip(*above, strict=True)]}

    def _features(self, picture: Any) -> tuple[Tensor, list[Tensor]]:
        """(tokens, width) of one picture, and for Qwen3 the same for every layer that it enters."""
        if picture not in self._seen:
            if len(self._seen) > 200:
                self._seen.clear()
            given = {name: value.to(self.model.device) for name, value in self.pixels(picture).items()}
            with torch.no_grad():
                found = self.model.model.get_image_features(**given, return_dict=True)
            self._seen[picture] = found.pooler_output[0], [level[0] for level in getattr(found, "deepstack_features", None) or []]
        return self._seen[picture]

    def pixels(self, picture: Any) -> dict[str, Tensor]:
        """What the vision tower takes: pixel_values (1, 3, side, side), for Qwen (patches, numbers) with image_grid_thw (1, 3)."""
        side, processor = self._processor()
        image = picture.square(side) if isinstance(picture, Photo) else render(picture, side)
        made = processor(image, return_tensors="pt")
        return {name: made[name] for name in ("pixel_values", "image_grid_thw") if name in made}

    def _processor(self) -> tuple[int, Any]:
        if self._made is None:
            self._made = self._new_processor()
        return self._made

    def _new_processor(self) -> tuple[int, Any]:
        """Side of the square, and the library's PIL processor: with the means of the model's own folder where it has some."""
        from transformers import LlavaImageProcessorPil, Qwen2VLImageProcessorPil

        kind = LlavaImageProcessorPil if self.family == "llava" else Qwen2VLImageProcessorPil
        folder = Path(self.model.name_or_path or ".")
        stored = kind.from_pretrained(folder, local_files_only=True).to_dict() if (folder / "preprocessor_config.json").is_file() else {}
        given = {name: stored[name] for name in ("image_mean", "image_std") if stored.get(name)}
        vision = self.model.config.vision_config
        if self.family == "llava":
            side = vision.image_size
            return side, kind(size={"shortest_edge": side}, crop_size={"height": side, "width": side}, **given)
        joined = vision.patch_size * vision.spatial_merge_size
        side = joined * max(1, USUAL_SIDE // joined)
        return side, kind(size={"shortest_edge": side * side, "longest_edge": side * side}, patch_size=vision.patch_size,
                          merge_size=vision.spatial_merge_size, temporal_patch_size=vision.temporal_patch_size, **given)
