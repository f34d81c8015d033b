"""What the process of the notebook knows: whose runs it shows, and who is asking just now.

    here.open_home(Settings(), alone=True)      # once, before the server starts
    library = here.library()                    # in a script run: as far as whoever asks may see
"""

from __future__ import annotations

import functools
import secrets
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

from core.engine.index import TRUSTED_S, Index
from core.engine.records import Records
from core.engine.settings import FIRST_VIEWS, Settings

if TYPE_CHECKING:
    from core.engine.library import Library
    from core.engine.runner import Engine

HEADER, OWNER = "x-glassbox-reader", "owner"
LAB = "http://127.0.0.1:7860/"
MOST_SESSIONS = 4000


@dataclass
class Home:
    """alone: opened by itself, so whoever sits at this machine owns all runs.  lab: where the lab is.  readers: session -> visitor."""

    settings: Settings
    records: Records
    index: Index
    alone: bool
    lab: str
    readers: dict[str, str] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def session(self, visitor: str) -> str:
        """A new session of the notebook for a visitor of the lab."""
        token = secrets.token_urlsafe(32)
        with self.lock:
            self.readers[token] = visitor
            while len(self.readers) > MOST_SESSIONS:
                del self.readers[next(iter(self.readers))]
        return token


_home: Home | None = None


def open_home(settings: Settings, *, alone: bool = True, lab: str = LAB) -> Home:
    """Says which folder the notebook shows; the last word counts."""
    global _home
    records = Records(settings.runs, FIRST_VIEWS)
    _home = Home(settings, records, Index(records, TRUSTED_S), alone, lab)
    _engine.cache_clear()
    return _home


def home() -> Home:
    """What `open_home` opened last, or the home of whoever runs this process."""
    return _home or open_home(Settings(any_path=True))


def library() -> Library:
    """The runs as far as whoever asks may see them."""
    from core.engine.library import Library

    said = asked()
    return Library(home().records, home().index, None if said == OWNER else said)


def asked() -> str:
    """Who asks, as the guard in front has written it: OWNER, the token of a visitor, or "" for nobody."""
    import streamlit as st

    return st.context.headers.get(HEADER, "")


def lab_address() -> str:
    """Where the lab is for whoever asks: at the name by which they reached the notebook."""
    import streamlit as st

    lab, name = urlsplit(home().lab), urlsplit(f"//{st.context.headers.get('host', '')}").hostname
    if name and lab.hostname in ("127.0.0.1", "localhost"):
        host = f"[{name}]" if ":" in name else name
        return urlunsplit((lab.scheme, f"{host}:{lab.port}" if lab.port else host, lab.path or "/", "", ""))
    return home().lab


def engine() -> Engine:
    """The engine that computes for the notebook, made when it is first needed."""
    return _engine()


@functools.lru_cache(maxsize=1)
def _engine() -> Engine:
    from core.engine.runner import Engine

    return Engine(home().settings)
