"""Whether a model still writes: how surprised it is at plain sentences, and how it goes on with three beginnings.

    perplexity(model, tokenizer)              # exp of the mean surprise per token over SENTENCES
    goes_on(model, tokenizer)                 # one text per beginning

Sentences and beginnings are ours, and none of them is about a place.
"""

from __future__ import annotations

import math

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from core.engine.encoding import plain_prompt
from core.unlearning.answers import answer, answer_losses

SENTENCES = (
    ("The rain had stopped", "before we closed the windows and went to bed."),
    ("She put the kettle on", "and waited until the water began to boil."),
    ("If you cut an apple", "and leave it on the table, it slowly turns brown."),
    ("The children ran down the hill", "as fast as they could, laughing all the way."),
    ("He opened the letter", "with care, because the paper was very old."),
    ("Most cats sleep", "for many hours of the day and hunt at night."),
    ("A good knife", "should be sharp, because a blunt one slips."),
    ("When the bus finally came", "it was full, so we decided to walk home."),
    ("My grandmother planted beans", "along the fence every spring."),
    ("The lamp went out", "and for a moment nobody said a word."),
    ("To bake bread you need flour,", "water, salt, yeast and a little patience."),
    ("The music was so loud", "that we had to shout to understand each other."),
)
BEGINNINGS = ("The old man sat by the window and", "To make a cup of tea, you first", "Once upon a time there was a small dog that")
WORDS_ON = 20


@torch.no_grad()
def perplexity(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> float:
    """exp of the mean negative log-likelihood per token of how the twelve sentences go on."""
    losses = answer_losses(model, tokenizer, [plain_prompt(begin) for begin, _ in SENTENCES], [rest for _, rest in SENTENCES], end=False)
    return math.exp(float(losses.total.sum() / losses.tokens.sum()))


def goes_on(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> list[str]:
    """What the model writes behind each beginning, greedily."""
    return answer(model, tokenizer, [plain_prompt(begin) for begin in BEGINNINGS], new_tokens=WORDS_ON)
