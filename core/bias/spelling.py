"""By which tokens an option is recognised when it is what the model says next.

    he, she = option_tokens(tokenizer, ("he", "she"), spaced=True)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from core.engine.errors import LabError


def option_tokens(tokenizer: Any, options: Sequence[str], *, spaced: bool = False) -> list[list[int]]:
    """The tokens by which each option is recognised: its spellings with and without a space before, `|` between further ones.

    spaced: only those with a space, where every option has one, as a sentence goes on.
    Raises LabError for options that a model cannot tell apart by their first token, or that its tokenizer does not know.
    """
    found = [_spelled(tokenizer, option, whole=True, spaced=True) for option in options]
    if spaced and all(found) and len({i for tokens in found for i in tokens}) == sum(map(len, found)):
        return found
    found = [_spelled(tokenizer, option, whole=True) or _spelled(tokenizer, option, whole=False) for option in options]
    for i, option in enumerate(options):
        if not found[i]:
            raise LabError(f"This model has no token for '{option[:40]}'.", "Choose a word that it knows.")
        for j in range(i):
            if set(found[i]) & set(found[j]):
                found[i], found[j] = (_spelled(tokenizer, options[k], whole=False, spaced=True) for k in (i, j))
            if set(found[i]) & set(found[j]):
                raise LabError(f"'{options[j][:40]}' and '{option[:40]}' begin with the same piece for this model.",
                               "Choose words that begin differently.")
    return found


def in_pieces(tokenizer: Any, options: Sequence[str]) -> list[str]:
    """Options of which no spelling is one token: they count by their first piece, as would every word that begins so."""
    return [option for option in options if not _spelled(tokenizer, option, whole=True)]


def _spelled(tokenizer: Any, option: str, *, whole: bool, spaced: bool = False) -> list[int]:
    """First tokens of the spellings of an option; `whole`: only of spellings that are one token; `spaced`: only after a space."""
    found = set()
    for word in filter(None, (part.strip() for part in option.split("|"))):
        for text in (f" {word}",) if spaced or not whole else (f" {word}", word):
            ids = [i for i in tokenizer(text, add_special_tokens=False).input_ids if tokenizer.decode([i]).strip()]
            if ids and ids[0] != tokenizer.unk_token_id and (len(ids) == 1 or not whole):
                found.add(ids[0])
    return sorted(found)
