"""How the notebook says things: text of models and visitors as text, numbers as the lab writes them, errors as two sentences."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from typing import Any

import streamlit as st

from apps.lab.ui.words import number, when
from core.engine.errors import LabError
from core.engine.index import Row
from core.engine.stored import RunRecord

__all__ = ["number", "when"]


def plain(text: Any) -> str:
    """Any text so that Markdown shows it and does nothing with it."""
    visible = "".join(c if c.isprintable() or c == "\n" else "\ufffd" for c in str(text))
    return re.sub(r"([\\`*_{}\[\]()#+\-.!|~<>$:&^=])", r"\\\1", visible)


def called(run: Row | RunRecord) -> str:
    """What a run is called here: its own name, or when it was made and with which seed."""
    return run.label or f"{when(run.created)}, seed {run.seed}"


@contextlib.contextmanager
def sentences() -> Iterator[None]:
    """What the lab has to say about a wrong input stands on the page, and the rest of the page stays."""
    try:
        yield
    except LabError as error:
        st.error(f"{plain(error.message)} {plain(error.hint)}")
