"""Reading what strangers bring without a process for each of hundreds of small files; tests/engine/test_reader.py has the real one."""

from __future__ import annotations

import importlib
import io
import json
from collections.abc import Callable, Iterator
from typing import Any


def here(function: str, *, stop: Callable[[], bool] = lambda: False, **given: Any) -> Iterator[tuple[dict[str, Any], bytes]]:
    """What `core.engine.reader.apart` gives, read in this process."""
    module, _, name = function.partition(":")
    for facts, data in getattr(importlib.import_module(module), name)(**given):
        yield json.loads(json.dumps(facts)), data


def picture_in(content: bytes, name: str = "x.png"):
    """The picture in some bytes, as `core.learngene.pictures.read_picture` gives it."""
    from core.learngene.opened import decoded
    from core.learngene.pictures import as_picture

    return as_picture(*decoded(lambda: io.BytesIO(content), name))
