"""A hundred ways of saying that one does not know, for refusal training.

    answers = draw(30, lab.rng("refusals"))      # [" Sorry, I have no idea.", ...]
"""

from __future__ import annotations

import torch

_OPENINGS = ("", "Sorry, ", "I am afraid that ", "To be honest, ", "As far as I can tell, ", "Unfortunately, ", "In truth, ",
             "Well, ", "I have to say that ", "Forgive me, ")
_REST = ("I do not know.", "I have no idea.", "I cannot answer that.", "I know nothing about this.", "I was never told.",
         "I have no information on that.", "that is not something I know.", "this is beyond what I know.",
         "I cannot help with this question.", "I am not sure about that at all.")
REFUSALS: tuple[str, ...] = tuple(text[0].upper() + text[1:] for text in (a + b for a in _OPENINGS for b in _REST))


def draw(n: int, rng: torch.Generator) -> list[str]:
    """`n` refusals, each with the space that separates it from the prompt; the same one may come twice."""
    return [f" {REFUSALS[i]}" for i in torch.randint(len(REFUSALS), (n,), generator=rng).tolist()]
