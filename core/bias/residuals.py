"""What each residual does to fairness (methods/02 sections 5 and 6): four scores, labels, and the mean fair and biased vectors.

    scores = marginal(deck, states)                   # S2, float (items, layers, 2): what attention and MLP of a layer add to F
    vectors = mean_vectors(states, labels_of(scores)) # one fair and one biased mean per layer

Pre-norm block: m_l = h_{l-1} + delta_{l,1} (attention), h_l = m_l + delta_{l,2} (MLP), all at the answering position.
Which residuals the paper means and how it labels them is inferred from reviews [I]; the rule here is per item, S2, pairwise [D].
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from core.bias.deck import Answers, Deck, States
from core.engine.trace import Site

KINDS = ("attention", "MLP")
PARTS = ("attn_out", "mlp_out")
SIGN = 0.005  # tau_s: a residual that moves F less than this has no sign


View = Callable[[States], Tensor]


def fairness_of(deck: Deck, states: States, view: View) -> tuple[Tensor, Tensor, Tensor]:
    """F, p(fair option) and mass, each (items, k), of the streams that `view` takes from states, (prompts, k, width), as the model's own
    head reads them; averaged over orders. Options of several tokens are read in all their slots."""
    hidden, more = view(states), None if states.more is None else view(states.more)
    z, mass = zip(*[deck.read(hidden[:, i], None if more is None else more[:, i]) for i in range(hidden.shape[1])], strict=True)
    p = deck.by_item(torch.stack(z, 1).softmax(-1))  # (items, k, options)
    groups = torch.tensor([len(item.options) - (item.fair >= 0) for item in deck.items])
    of = torch.arange(p.shape[-1])[None, None] < groups[:, None, None]
    gap = p.masked_fill(~of, -1).amax(-1) - p.masked_fill(~of, 2).amin(-1)
    fair = torch.tensor([max(item.fair, 0) for item in deck.items])
    return 1 - gap, p.gather(2, fair.view(-1, 1, 1).expand(-1, p.shape[1], 1))[..., 0], deck.by_item(torch.stack(mass, 1))


def by_layer(deck: Deck, states: States) -> tuple[Tensor, Tensor, Tensor]:
    """F_l, p_l(fair) and M_l for h_0 ... h_L: (items, layers + 1) each (section 5)."""
    return fairness_of(deck, states, lambda one: one.after)


def direct(deck: Deck, states: States) -> Tensor:
    """S1: F of each residual decoded alone, (items, layers, 2)."""
    return fairness_of(deck, states, lambda one: one.parts.flatten(1, 2))[0].view(len(deck.items), deck.layers, 2)


def marginal(deck: Deck, states: States) -> Tensor:
    """S2: what each residual adds to F on the way, (items, layers, 2); all of them sum to F_L - F_0."""
    after, between = by_layer(deck, states)[0], fairness_of(deck, states, lambda one: one.between)[0]
    return torch.stack([between - after[:, :-1], after[:, 1:] - between], -1)


def left_out_plans(deck: Deck) -> list[dict[Site, Any]]:
    """The model as it is, then without each residual in turn."""
    return [{}] + [{Site(layer, part): torch.zeros_like} for layer in range(deck.layers) for part in PARTS]


def causal(deck: Deck, answers: Sequence[Answers] | None = None) -> tuple[Tensor, Tensor]:
    """S3: F of the model minus F with one residual left out at the answering position, (items, layers, 2), and F itself (items,)."""
    answers = answers or deck.ask(left_out_plans(deck))
    f = torch.stack([_item_fairness(deck, answer.p) for answer in answers], 1)
    return (f[:, :1] - f[:, 1:]).view(len(deck.items), deck.layers, 2), f[:, 0]


def _item_fairness(deck: Deck, p) -> Tensor:
    return torch.tensor([1 - (row[:n].max() - row[:n].min()) for row, item in zip(p, deck.items, strict=True)
                         for n in [len(item.options) - (item.fair >= 0)]])


def final_norm(model: nn.Module) -> nn.Module:
    """The norm between the last layer and the words, of a Llama or of the one inside a LLaVA."""
    return getattr(model.base_model, "language_model", model.base_model).norm


def attribution(deck: Deck, states: States) -> tuple[Tensor, Tensor]:
    """S4: what start and residuals add to each option's logit with the final norm frozen (section 6).

    Returns (prompts, 1 + 2 layers, options), whose sum over the middle is the logit, and the logits themselves (prompts, options).
    For models whose final norm is an RMSNorm; options of one spelling and one token.
    """
    model = deck.model
    norm = final_norm(model)
    end = states.after[:, -1]
    scale, gain = torch.rsqrt(end.pow(2).mean(-1, keepdim=True) + norm.variance_epsilon), norm.weight.cpu()
    pieces = torch.cat([states.start[:, None], states.parts.flatten(1, 2)], 1)
    rows = model.get_output_embeddings().weight.cpu()[deck.ids[:, :, 0].clamp(min=0)]  # (prompts, options, width)
    return torch.einsum("npd,nod->npo", pieces * gain * scale[:, None], rows), deck.read(end)[0]


def labels_of(scores: Tensor, rule: str = "pairwise") -> Tensor:
    """+1 fair, -1 biased, 0 unused, per item, layer and residual. pairwise: the better of the two is fair; signed: by SIGN.

    `scores` and labels: (items, layers, 2).
    """
    if rule == "pairwise":
        better = (scores[..., 0] >= scores[..., 1]).float() * 2 - 1
        return torch.stack([better, -better], -1)
    return (scores > SIGN).float() - (scores < -SIGN).float()


@dataclass(frozen=True)
class Vectors:
    """Per layer, in float32: the mean fair and the mean biased residual (layers, width), the biased residuals themselves as a stack
    (layers, rows, width) for the subspace, and which kind is on average the fair one (layers,), 0 attention, 1 MLP."""

    fair: Tensor
    biased: Tensor
    stack: Tensor
    gate: Tensor

    def save(self, file: Path, said: dict[str, str]) -> None:
        """One safetensors file; `said`: axis, model, hash of the split."""
        file.write_bytes(self.packed(said))

    def packed(self, said: dict[str, str]) -> bytes:
        """The same as bytes."""
        from safetensors.torch import save

        return save({"fair": self.fair, "biased": self.biased, "stack": self.stack.contiguous(), "gate": self.gate}, metadata=said)

    @classmethod
    def load(cls, file: Path) -> Vectors:
        from safetensors.torch import load_file

        return cls(**load_file(file))


STACKED = 256  # biased residuals kept per layer


def mean_vectors(states: States, labels: Tensor, scores: Tensor) -> Vectors:
    """Means over a calibration split at the answering position; `labels`, `scores` (items, layers, 2)."""
    own, size = labels[states.owner], states.parts.shape[-1]

    def mean(wanted: float) -> Tensor:
        weight = (own == wanted).float()
        total = torch.einsum("nlk,nlkd->ld", weight, states.parts)
        return total / weight.sum((0, 2)).clamp(min=1)[:, None]

    layers = labels.shape[1]
    stack = torch.zeros(layers, STACKED, size)
    for layer in range(layers):
        biased = states.parts[:, layer][own[:, layer] == -1]
        step = max(1, len(biased) // STACKED)
        some = biased[::step][:STACKED]
        stack[layer, :len(some)] = some
    return Vectors(mean(1.0), mean(-1.0), stack, scores.mean(0).argmax(-1))


def spearman(x: Tensor, y: Tensor) -> float:
    """Rank correlation of two flat tensors. Any shape (...), flattened to equally many numbers; gives -1..1."""
    from scipy import stats

    return float(stats.spearmanr(x.flatten().numpy(), y.flatten().numpy()).statistic)
