"""By which tokens an option is recognised when it is what the model says next.

    he, she = option_spellings(tokenizer, ("he", "she"), spaced=True)      # he: [(id,)]

A spelling is the tokens of one way to write an option. Where a model has a token for each whole option, those tokens count and nothing
else; otherwise all options are asked for with all tokens of all their spellings, one after the other (core/bias/pieces.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from core.engine.errors import LabError

Spelling = tuple[int, ...]


def option_spellings(tokenizer: Any, options: Sequence[str], *, spaced: bool = False) -> list[list[Spelling]]:
    """The spellings of each option, with and without a space before, `|` between further ones; a single token where there is one.

    spaced: only those with a space, where every option has one, as a sentence goes on.
    Raises LabError for options that are the same for this model, or that its tokenizer does not know.
    """
    found = [_spelled(tokenizer, option, whole=True, spaced=True) for option in options]
    if spaced and all(found) and len({one for spellings in found for one in spellings}) == sum(map(len, found)):
        return found
    whole = not in_pieces(tokenizer, options)
    found = [_spelled(tokenizer, option, whole=whole) for option in options]
    for i, option in enumerate(options):
        if not found[i]:
            raise LabError(f"This model has no token for '{option[:40]}'.", "Choose a word that it knows.")
        for j in range(i):
            if set(found[i]) & set(found[j]):
                found[i], found[j] = (_spelled(tokenizer, options[k], whole=False) for k in (i, j))
            if set(found[i]) & set(found[j]):
                raise LabError(f"'{options[j][:40]}' and '{option[:40]}' are the same for this model.", "Choose words that differ.")
    return found


def in_pieces(tokenizer: Any, options: Sequence[str]) -> list[str]:
    """Options of which no spelling is one token: they are asked for piece by piece."""
    return [option for option in options if not _spelled(tokenizer, option, whole=True)]


def _spelled(tokenizer: Any, option: str, *, whole: bool, spaced: bool = False) -> list[Spelling]:
    """Spellings of an option; `whole`: those that are one token; otherwise, or with `spaced`, those after a space alone."""
    found = set()
    for word in filter(None, (part.strip() for part in option.split("|"))):
        for text in (f" {word}",) if spaced or not whole else (f" {word}", word):
            ids = tuple(i for i in tokenizer(text, add_special_tokens=False).input_ids if tokenizer.decode([i]).strip())
            if ids and tokenizer.unk_token_id not in ids and (len(ids) == 1 or not whole):
                found.add(ids)
    return sorted(found)
