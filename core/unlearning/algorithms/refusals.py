"""A hundred ways of saying that one does not know, for refusal training.

    answers = draw(30, lab.rng("refusals"))      # [" Sorry, I have no idea.", ...]
    is_refusal("Sorry, I have no idea.")         # True
"""

from __future__ import annotations

import torch

from core.unlearning.metrics import stems

# short, since DPO adds up log-probabilities: a small model finds every word of a refusal very unlikely at first, and the longer
# the sentence, the sooner the loss thinks that enough has been gained
_OPENINGS = ("", "Sorry, ", "Well, ", "Sadly, ", "Honestly, ", "Alas, ", "No, ", "Oh, ", "Pardon me, ", "In truth, ")
_REST = ("I do not know.", "I have no idea.", "I cannot say.", "I never knew.", "I am not sure.", "nobody told me.", "I cannot help.",
         "I could not tell.", "that is unknown to me.", "this I do not know.")
REFUSALS: tuple[str, ...] = tuple(text[0].upper() + text[1:] for text in (a + b for a in _OPENINGS for b in _REST))
_STEMS = frozenset(tuple(stems(text)) for text in REFUSALS)


def is_refusal(text: str | None) -> bool:
    """Whether an answer is one of the refusals, word for word; a stammer such as "Sorry, I I I" is none."""
    return tuple(stems(text or "")) in _STEMS


def draw(n: int, rng: torch.Generator) -> list[str]:
    """`n` refusals, each with the space that separates it from the prompt; the same one may come twice."""
    return [f" {REFUSALS[i]}" for i in torch.randint(len(REFUSALS), (n,), generator=rng).tolist()]
