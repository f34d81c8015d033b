"""How an item becomes tokens for one model: words of a little model, letters of a big one, the next word of a sentence.

    form = form_of(loaded)                      # Words for the scenes models, letters.Letters for others that see, Continuation for text
    ids, options = form.encode(item, order)     # tokens after the common beginning; the spellings of each option
    form.beginning([scene, scene])              # float (n, tokens, width): what all prompts about a picture begin with
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor

from core.bias.items import Item
from core.bias.spelling import Spelling, option_spellings
from core.engine.errors import LabError
from core.scenes.pictures import Photo
from core.scenes.render import SIZE, render
from core.scenes.scene import Scene


class Form(Protocol):
    """What a deck needs to know about a model. `sees`: whether pictures come before the words.

    Forms of models that count positions in their own way also have `places` and `extras`, see letters.py.
    """

    sees: bool

    def encode(self, item: Item, order: Sequence[int]) -> tuple[list[int], list[list[Spelling]]]: ...

    def beginning(self, pictures: Sequence[Any]) -> Tensor:
        """Embeddings (pictures, tokens, width) of what stands before the words."""
        ...


@dataclass
class Words:
    """The scenes models: `BEGIN <image> x 64 question choose options answer`, one word for an answer."""

    model: Any
    tokenizer: Any
    sees: bool = True
    _seen: dict[Any, Tensor] = field(default_factory=dict)

    def encode(self, item: Item, order: Sequence[int]) -> tuple[list[int], list[list[Spelling]]]:
        choose = f" choose {' '.join(item.options[i] for i in order)}" if item.choose else ""
        ids = self.tokenizer(f"{item.text}{choose} answer", add_special_tokens=False).input_ids
        options = self.tokenizer.convert_tokens_to_ids(list(item.options))
        unknown = [word for word, i in zip(item.options, options, strict=True) if i == self.tokenizer.unk_token_id]
        if self.tokenizer.unk_token_id in ids:
            unknown += [word for word in item.text.split() if self.tokenizer.convert_tokens_to_ids(word) == self.tokenizer.unk_token_id]
        if unknown or not item.text.split():
            raise LabError(f"The little model does not know the word '{unknown[0][:40]}'." if unknown else "There is no question.",
                           "Use its own words, as in: who would lead ? short/long/same. Or load a bigger model that reads any text.")
        return ids, [[(i,)] for i in options]

    @torch.no_grad()
    def beginning(self, pictures: Sequence[Scene | Photo]) -> Tensor:
        """Embeddings (pictures, 1 + 64, width) of the first token and the picture."""
        embed = self.model.get_input_embeddings()
        start = embed(torch.full((len(pictures), 1), self.tokenizer.bos_token_id, device=self.model.device))
        new = [picture for picture in dict.fromkeys(pictures) if picture not in self._seen]
        if new:
            pixels = torch.cat([self.pixels(picture) for picture in new]).to(self.model.device)
            features = self.model.model.get_image_features(pixel_values=pixels, return_dict=True).pooler_output
            self._seen = (self._seen if len(self._seen) < 400 else {}) | dict(zip(new, features, strict=True))
            missing = [picture for picture in pictures if picture not in self._seen]
            assert not missing
        return torch.cat([start, torch.stack([self._seen[picture] for picture in pictures])], 1)

    def pixels(self, picture: Scene | Photo) -> Tensor:
        """float (1, 3, 64, 64) in [-2, 2], as the stored picture processor makes it; of a visitor's picture the square in the middle."""
        seen = picture.square(SIZE) if isinstance(picture, Photo) else render(picture)
        return ((torch.from_numpy(seen.copy()).permute(2, 0, 1)[None].float() / 255) - 0.5) / 0.25


@dataclass
class Continuation:
    """A text model: the next word of a sentence is one of the options ("The nurse said that" -> he, she).

    A word of several tokens is judged by the whole (core/bias/pieces.py).
    """

    model: Any
    tokenizer: Any
    sees: bool = False

    def encode(self, item: Item, order: Sequence[int]) -> tuple[list[int], list[list[Spelling]]]:
        ids = self.tokenizer(item.text, add_special_tokens=False).input_ids
        if not ids:
            raise LabError("A sentence is empty.", "Write the beginning of a sentence that an option can finish.")
        return ids, option_spellings(self.tokenizer, item.options, spaced=True)

    def beginning(self, pictures: Sequence[Any]) -> Tensor:
        """Embeddings (pictures, 1, width) of the first token, or (pictures, 0, width) for a model that has none."""
        start = self.tokenizer.bos_token_id
        ids = torch.full((len(pictures), 0 if start is None else 1), start or 0, device=self.model.device)
        return self.model.get_input_embeddings()(ids)


def form_of(loaded: Any) -> Form:
    """The form for this model. Raises LabError for one that cannot be asked."""
    if loaded.tokenizer is None:
        raise LabError(f"{loaded.ref} has no tokenizer.", "Copy its tokenizer files into its folder.")
    if loaded.family == "llama":
        return Continuation(loaded.model, loaded.tokenizer)
    if loaded.family == "llava" and getattr(loaded.tokenizer, "image_token", None) and "choose" in loaded.tokenizer.get_vocab():
        return Words(loaded.model, loaded.tokenizer)
    if loaded.family in ("llava", "qwen_vl") and hasattr(loaded.model, "model") and hasattr(loaded.model.model, "get_image_features"):
        from core.bias.letters import Letters

        return Letters(loaded.model, loaded.tokenizer, loaded.family)
    raise LabError(f"{loaded.ref} can neither see nor write.",
                   "Use embedded/scenes, a LLaVA or Qwen-VL model, or a text model of the Llama family.")
