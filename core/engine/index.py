"""A list of all runs that is there at once: `runs/.index.sqlite`, beside the records and made from nothing else.

    index = Index(records)
    index.rows()              # [Row, ...], newest first; only what has changed since is read again

It may be deleted at any time: it is made again from the records. Several programs may use one, each through its own `Index`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import sqlite3
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.engine.errors import LabError
from core.engine.events import layers
from core.engine.first_views import pages
from core.engine.records import DONE, Records
from core.engine.stored import LARGEST_LOG, read_file, read_line

FILE, VERSION = ".index.sqlite", 2
_WANTED = (b'"kind": "metric"', b'"kind": "verdict"', b'"kind": "end"')


@dataclass(frozen=True, slots=True)
class Row:
    """One run in a few words.

    numbers: metric -> (last value, unit).  torn: lines of its log that could not be read, a cut-off last one among them.
    label, tags, note: what its owner wrote about it.
    """

    id: str
    name: str
    title: str
    paper: str
    revision: int
    seed: int
    outcome: str
    created: str
    duration_s: float | None
    config: dict[str, Any]
    numbers: dict[str, tuple[float | None, str]]
    headline: str
    torn: int
    visitors: tuple[str, ...]
    owner: str
    published: bool
    model: str
    label: str
    tags: tuple[str, ...]
    note: str

    @property
    def text(self) -> str:
        """Everything that a search looks into, in small letters."""
        said = (self.id, self.title, self.name, self.outcome, self.headline, self.label, *self.tags, self.note,
                *(f"{field}={value}" for field, value in self.config.items()))
        return " ".join(map(str, said)).lower()


class Index:
    """The rows of one home. `rows` may be called from any thread."""

    def __init__(self, records: Records) -> None:
        self._records, self._lock = records, threading.Lock()
        self._known: dict[str, tuple[str, Row]] = {}
        self._shipped: list[Row] | None = None
        self._read_stored = False

    def rows(self) -> list[Row]:
        """All runs, newest first, and after them the first views that come with the lab. Damaged ones are passed over."""
        with self._lock:
            if not self._read_stored:
                self._known, self._read_stored = self._stored(), True
            found = {run_id: stamp for run_id in self._records.ids() if (stamp := self._stamp(run_id))}
            gone = self._known.keys() - found.keys()
            changed = {run_id: row for run_id, stamp in found.items()
                       if self._known.get(run_id, ("",))[0] != stamp and (row := self._summary(run_id))}
            for run_id in gone:
                del self._known[run_id]
            self._known |= {run_id: (found[run_id], row) for run_id, row in changed.items()}
            if gone or changed:
                self._store(changed, gone)
            if self._shipped is None:
                self._shipped = [row for page in pages() if (row := self._summary(f"first-{page}"))]
            rows = sorted((row for _, row in self._known.values()), key=lambda row: row.created, reverse=True)
            return rows + self._shipped

    def _stamp(self, run_id: str) -> str:
        """What changes whenever the row may have; "" for a run that is gone or damaged."""
        folder = f"{self._records.root}/{run_id}"
        try:
            stat = os.stat(f"{folder}/run.json")
            stamp = f"{stat.st_ino}-{stat.st_mtime_ns}-{stat.st_size}"
            known = self._known.get(run_id)
            if known and known[1].outcome in DONE and known[0] == stamp:
                return stamp
            return self._moving(run_id, stamp, os.stat(f"{folder}/events.jsonl").st_size)
        except (OSError, LabError):
            return ""

    def _moving(self, run_id: str, stamp: str, said: int) -> str:
        """Of a run whose end was not seen yet: its log grows."""
        return stamp if self._records.read(run_id).outcome in DONE else f"{stamp}-{said}"

    def _summary(self, run_id: str) -> Row | None:
        try:
            run = self._records.read(run_id)
            numbers, headline, torn = summary(self._records.folder(run_id) / "events.jsonl", run.outcome in DONE)
        except (LabError, OSError):
            return None
        model = run.model.ref if run.model else ""
        return Row(run.id, run.name, run.title, run.paper, run.revision, run.seed, run.outcome, run.created, run.duration_s, run.config,
                   numbers, headline, torn, tuple(run.visitors), run.owner, run.published, model, run.label, tuple(run.tags), run.note)

    # ---- the file ----

    @contextlib.contextmanager
    def _file(self) -> Iterator[sqlite3.Connection]:
        base = sqlite3.connect(self._records.root / FILE, timeout=5.0)
        try:
            base.execute(f"CREATE TABLE IF NOT EXISTS rows_{VERSION} (id TEXT PRIMARY KEY, stamp TEXT, row TEXT) WITHOUT ROWID")
            with base:
                yield base
        finally:
            base.close()

    def _stored(self) -> dict[str, tuple[str, Row]]:
        try:
            if not (self._records.root / FILE).is_file():
                return {}
            with self._file() as base:
                return {run_id: (stamp, _row(text)) for run_id, stamp, text in base.execute(f"SELECT id, stamp, row FROM rows_{VERSION}")}
        except (sqlite3.Error, ValueError, TypeError, OSError):  # torn, of another program, or not to be written: made again
            with contextlib.suppress(OSError):
                (self._records.root / FILE).unlink(missing_ok=True)
            return {}

    def _store(self, changed: dict[str, Row], gone: set[str]) -> None:
        with contextlib.suppress(sqlite3.Error, OSError), self._file() as base:  # without a file the next program reads for longer
            base.executemany(f"INSERT OR REPLACE INTO rows_{VERSION} VALUES (?, ?, ?)",
                             [(run_id, self._known[run_id][0], json.dumps(dataclasses.asdict(row))) for run_id, row in changed.items()])
            base.executemany(f"DELETE FROM rows_{VERSION} WHERE id = ?", [(run_id,) for run_id in gone])


def _row(text: str) -> Row:
    held = json.loads(text)
    return Row(**held | {"visitors": tuple(held["visitors"]), "tags": tuple(held["tags"]),
                         "numbers": {name: tuple(value) for name, value in held["numbers"].items()}})


def summary(log: Path, ended: bool) -> tuple[dict[str, tuple[float | None, str]], str, int]:
    """(last value and unit of every metric, headline, unreadable lines) of a log; figures and tables are passed over unread."""
    try:
        *lines, rest = read_file(log, LARGEST_LOG).split(b"\n")
    except (OSError, ValueError):
        return {}, "", 0
    numbers: dict[str, tuple[float | None, str]] = {}
    headline, torn = "", int(ended and bool(rest))
    for place, line in enumerate(lines):
        if not line.endswith(b"}"):
            torn += 1
        elif any(word in line[:120] for word in _WANTED):
            said = read_line(line, place)
            torn += said["kind"] == "damaged"
            if said["kind"] == "metric":
                numbers[said["name"]] = (said["value"], said["unit"])
            elif said["kind"] == "verdict":
                headline = layers(said)["headline"]
    return numbers, headline, torn
