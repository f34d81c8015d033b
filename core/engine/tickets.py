"""One-time tickets: how a visitor of the lab comes into the notebook, which is another server, as themselves.

    ticket = tickets.issue(home, visitor)      # the lab hands it to the browser
    tickets.redeem(home, ticket)               # the notebook: the visitor, once and within a minute; "" ever after

Only the ticket's hash lies on disk, and whoever removes that file first has redeemed it.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import secrets
import time
from pathlib import Path

from core.engine.errors import LabError
from core.engine.records import write_json
from core.engine.stored import parse, read_file

LASTS_S = 60.0
_TICKET, _VISITOR = re.compile(r"[A-Za-z0-9_-]{43}"), re.compile(r"[0-9a-f]{32}")


def issue(home: Path, visitor: str) -> str:
    """A ticket for a visitor's token. Raises LabError for nobody, and when the disk refuses."""
    if not _VISITOR.fullmatch(visitor):
        raise LabError("The lab does not know who asks.", "Allow its cookie in your browser and open the page again.")
    ticket, folder = secrets.token_urlsafe(32), home / "tickets"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        _sweep(folder)
        write_json(folder / _hash(ticket), {"visitor": visitor, "until": time.time() + LASTS_S})
    except OSError as error:
        raise LabError(f"The notebook cannot be opened: {error.strerror or error}.", "Free some space on the disk.") from None
    return ticket


def redeem(home: Path, ticket: str) -> str:
    """The visitor whose ticket it is, who cannot use it again; "" for one that is used up, too old, or none."""
    if not isinstance(ticket, str) or not _TICKET.fullmatch(ticket):
        return ""
    file = home / "tickets" / _hash(ticket)
    mine = file.with_name(f"{file.name}.{secrets.token_hex(4)}")
    try:
        file.rename(mine)  # of two who try at once, one finds nothing
        held = parse(read_file(mine))
        mine.unlink()
    except (OSError, ValueError):
        return ""
    fits = isinstance(held, dict) and isinstance(held.get("visitor"), str) and _VISITOR.fullmatch(held["visitor"])
    return held["visitor"] if fits and time.time() <= float(held.get("until", 0)) <= time.time() + LASTS_S else ""


def _hash(ticket: str) -> str:
    return hashlib.sha256(ticket.encode()).hexdigest()


def _sweep(folder: Path) -> None:
    for file in folder.iterdir():
        with contextlib.suppress(OSError):
            if time.time() - file.stat().st_mtime > 2 * LASTS_S:
                file.unlink()
