"""What is known of one text once a model has read it: mean states per span, energies per token, how sure it was.

    reading = reader.readings()[0]               # see reading.py
    reading.path("think")                        # LayerPath of the thinking's mean state
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from core.reasoning.energy import LayerPath, path_of

# span -> the roles whose tokens it holds
SPANS = {"prompt": ("prompt",), "think": ("think",), "tagged": ("open", "think", "close"), "answer": ("answer",)}


@dataclass(frozen=True)
class TokenStats:
    """How sure the model was of each generated token, float (generated,): see `STATS` for the order."""

    max_prob: Tensor
    log_prob: Tensor
    entropy: Tensor
    free_energy: Tensor
    scaled_prob: Tensor


STATS = tuple(TokenStats.__dataclass_fields__)


@dataclass(frozen=True)
class Reading:
    """One text as the model saw it; tensors on the CPU, float32.

    ids: all tokens. roles: one of `prompts.ROLES` per token. means: span -> (layers + 1, width), raw states after each
    block; "published" is what Chain-of-Embedding's authors average: every generated token but the last, and the first token of the
    prompt. normed: span -> (width,), the last state after the final norm. Both lack empty spans.
    kinetic (tokens, layers), cosine (tokens, layers - 1): each token's own path, NaN where a token was not fed.
    stats: of the generated tokens, whose first is token number `prompt_tokens`.
    lens: mean logit-lens entropy of the thinking per layer, (layers + 1,) in [0, 1], None if not read.
    prefixes: the path of the running mean after each thinking token, and `ends` its last state as projected,
    (thinking tokens, n). steps: (first token, last + 1, path) of each step.
    """

    ids: list[int]
    roles: list[str]
    prompt_tokens: int
    truncated: bool
    means: dict[str, Tensor]
    normed: dict[str, Tensor]
    kinetic: Tensor
    cosine: Tensor
    stats: TokenStats
    lens: Tensor | None = None
    prefixes: LayerPath | None = None
    ends: Tensor | None = None
    steps: list[tuple[int, int, LayerPath]] = field(default_factory=list)

    def span(self, name: str) -> list[int]:
        """Positions of the tokens of a span; "all" is everything generated but tags and end token."""
        wanted = ("think", "answer") if name == "all" else SPANS[name]
        return [i for i, role in enumerate(self.roles) if role in wanted]

    def states(self, span: str = "think", *, last: str = "raw", embedding: bool = True) -> Tensor | None:
        """Mean states of a span, (layers + 1, width); None if the span is empty. last: raw | final_norm."""
        if span not in self.means:
            return None
        states = self.means[span]
        if last == "final_norm":
            states = torch.cat([states[:-1], self.normed[span].unsqueeze(0)])
        return states if embedding else states[1:]

    def path(self, span: str = "think", *, scale: float = 1.0, last: str = "raw", embedding: bool = True) -> LayerPath | None:
        """The layer path of a span's mean state; None if the span is empty."""
        states = self.states(span, last=last, embedding=embedding)
        if states is None:
            return None
        return path_of(states, self.lens.mean() if self.lens is not None and span in ("think", "tagged") else None, scale)
