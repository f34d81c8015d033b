"""Options that a model writes in several tokens, judged by the whole: the mean log-probability of their tokens (methods/02 section 3).

    pieces = Pieces.of(spelled)                        # spelled[prompt][option]: its spellings, each a tuple of tokens
    z, mass = pieces.joined(z, whole, first, later)

The first token is read where the answer begins, as that of any option; every further one where those before it have been said. Such a
place is called a slot. An option of one token is its own mean, so options of different lengths stand on one scale.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from core.bias.spelling import Spelling


@dataclass(frozen=True)
class Pieces:
    """Spellings of several tokens: prompt, option, first, length, each long (spellings,); and slots: owner, its spelling, said, the
    token that is fed there, and next, the one that is looked for, each long (slots,)."""

    prompt: Tensor
    option: Tensor
    first: Tensor
    length: Tensor
    owner: Tensor
    said: Tensor
    next: Tensor

    @classmethod
    def of(cls, spelled: Sequence[Sequence[Sequence[Spelling]]]) -> Pieces:
        """From the spellings of every option of every prompt; those of one token are left out."""
        every = [(n, i, ids) for n, options in enumerate(spelled) for i, option in enumerate(options) for ids in option if len(ids) > 1]
        slots = [(s, *pair) for s, (*_, ids) in enumerate(every) for pair in zip(ids[:-1], ids[1:], strict=True)]
        rows = [(n, i, ids[0], len(ids)) for n, i, ids in every]
        return cls(*torch.tensor(rows, dtype=torch.long).view(-1, 4).T, *torch.tensor(slots, dtype=torch.long).view(-1, 3).T)

    def __len__(self) -> int:
        return len(self.prompt)

    def slots_of(self, prompt: int) -> list[list[int]]:
        """The slots of this prompt, one list a spelling, in the order in which they are said."""
        return [(self.owner == s).nonzero()[:, 0].tolist() for s in (self.prompt == prompt).nonzero()[:, 0].tolist()]

    def joined(self, z: Tensor, whole: Tensor, first: Tensor, later: Tensor) -> tuple[Tensor, Tensor]:
        """z (prompts, options), as a softmax over options takes it, and mass (prompts,), with these spellings added.

        z: logits of options of one token, -inf for others.  whole (prompts,): their normaliser.  first (spellings,), later (slots,):
        log-probabilities of the tokens.
        """
        if not len(self):
            return z, (z.logsumexp(-1) - whole).exp()
        single = (z - whole[:, None]).double()
        together = first.double().index_add(0, self.owner, later.double())
        mean, mass = single.exp(), single.exp().sum(-1)
        mean = mean.index_put((self.prompt, self.option), (together / self.length).exp(), accumulate=True)
        return mean.log().float(), mass.index_add(0, self.prompt, together.exp()).clamp(max=1).float()
