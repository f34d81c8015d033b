"""How much attention the picture gets: LMAR and the visual share, layer by layer (methods/06 section 3).

    with watching(model, rows, places) as seen:          # of an eager model of one's own: where the answer is said, per line
        hidden_states(model, batch, features)
    looks = read(seen, image, text, others)              # masks (lines, tokens) of keys
    looks.lmar()                                         # (layers,): mean over lines of attention per picture token / per question token

Each layer's weights are reduced to one vector per line inside the pass; layers x heads x tokens x tokens are never kept. The text is the
words of the question, without the first token, which soaks up attention, and without the role; `lmar_all` counts every key but the
picture's. Attention that falls on the picture need not cause the answer: T14 looks at that.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from core.engine.errors import LabError
from core.engine.families import family_of

TINY = 1e-8


@dataclass
class Looks:
    """Mean attention per key of a kind: image, text, others float (lines, layers); share: what all of the picture gets; maps float
    (lines, layers, picture tokens) or None."""

    image: Tensor
    text: Tensor
    others: Tensor
    share: Tensor
    maps: Tensor | None = None

    def ratios(self) -> Tensor:
        """(lines, layers): attention per picture token over attention per question token."""
        return self.image / (self.text + TINY)

    def lmar(self) -> Tensor:
        """(layers,): the mean of per-line ratios (eq. 2), not the ratio of means."""
        return self.ratios().mean(0)

    def geometric(self) -> Tensor:
        """(layers,): their geometric mean, which a few outliers move less."""
        return (self.ratios() + TINY).log().mean(0).exp()

    def lmar_all(self) -> Tensor:
        """(layers,): the same against every key that is not the picture's, the first token included."""
        return (self.image / (self.others + TINY)).mean(0)

    def balance_error(self) -> float:
        """B: mean over layers of |ln LMAR|; 0 is balanced."""
        return float(self.lmar().clamp(min=TINY).log().abs().mean())

    def mean(self) -> float:
        """Mean LMAR over layers."""
        return float(self.lmar().mean())


@contextmanager
def watching(model: nn.Module, rows: Tensor, places: Tensor) -> Iterator[list[Tensor]]:
    """Collects, per layer and call, attention from token `places[i]` of row `rows[i]`, mean over heads: float (lines, keys).

    The model must be nobody else's. Raises LabError for one that computes no attention maps.
    """
    layers, family = family_of(model).layers(model), family_of(model)
    if family.attention(layers[0]) != "eager":
        raise LabError("This model gives no attention maps.", "Load it with eager attention.")
    seen: list[Tensor] = []

    def take(module: nn.Module, inputs: tuple, output: tuple) -> None:
        if not isinstance(output, tuple) or len(output) < 2 or output[1] is None:
            raise LabError("This model gives no attention maps.", "Choose a LLaVA or Qwen-VL model.")
        seen.append(output[1][rows, :, places].mean(1).float())

    hooks = [family.module(layer, "attn_weights").register_forward_hook(take) for layer in layers]
    try:
        yield seen
    finally:
        for hook in hooks:
            hook.remove()


def read(seen: list[Tensor], image: Tensor, text: Tensor, others: Tensor, maps: bool = False) -> Looks:
    """seen: per layer (lines, keys), as `watching` gives them; image, text, others: bool (lines, keys), which keys are which.

    Raises LabError where no key belongs to a picture, or none to a question.
    """
    if not image.any(-1).all():
        raise LabError("There is no token of a picture here, so nothing can be compared.", "Show the model a picture.")
    if not text.any(-1).all():
        raise LabError("There is no question here, so nothing can be compared.", "Ask something about the picture.")
    weights = torch.stack(seen, 1)  # lines, layers, keys

    def mean(mask: Tensor) -> Tensor:
        m = mask[:, None].float()
        return (weights * m).sum(-1) / m.sum(-1).clamp(min=1)

    patches = int(image[0].sum())
    own = torch.stack([weights[i, :, image[i]] for i in range(len(image))]) if maps and bool((image.sum(-1) == patches).all()) else None
    return Looks(mean(image), mean(text), mean(others), (weights * image[:, None]).sum(-1), own)


def shared(looks: list[Looks]) -> Looks:
    """Several batches as one, without maps."""
    return Looks(*(torch.cat([getattr(one, name) for one in looks]) for name in ("image", "text", "others", "share")))
