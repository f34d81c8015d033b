"""What happens to a KV cache between two forwards: rows that change places in beam search, tokens that are taken back.

    moves = watched(cache)       # a list that grows with every such move, for as long as the cache lives
    moves[-1]                    # ("crop", 3): the last three tokens were taken back

The cache gets a subclass of its own class whose methods note what they do, as modules do in `trace`: captures of earlier
forwards can then tell that their rows are no longer where they were.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from typing import Any

Move = tuple[str, int]  # the method, and how many tokens it took back
METHODS = ("reorder_cache", "batch_select_indices", "batch_repeat_interleave", "crop")

_install = threading.Lock()
_kinds: dict[type, type] = {}


def watched(cache: Any) -> list[Move]:
    """The list in which `cache`, from now on, notes each move of its rows or tokens; the same list every time."""
    kind = type(cache)
    if kind not in _kinds.values():
        with _install:
            if kind not in _kinds:
                noted = {name: _noting(name, getattr(kind, name)) for name in METHODS if hasattr(kind, name)}
                names = {"__module__": kind.__module__, "__qualname__": kind.__qualname__, "__doc__": kind.__doc__}
                _kinds[kind] = type(kind.__name__, (kind,), names | noted)
        cache.__class__ = _kinds[kind]
    return vars(cache).setdefault("_glassbox_moves", [])


def _noting(name: str, method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def noting(self: Any, *args: Any, **kwargs: Any) -> Any:
        before = self.get_seq_length() if name == "crop" else 0
        answer = method(self, *args, **kwargs)
        tokens = before - self.get_seq_length() if name == "crop" else 0
        if name != "crop" or tokens:
            vars(self).setdefault("_glassbox_moves", []).append((name, tokens))
        return answer

    return noting
