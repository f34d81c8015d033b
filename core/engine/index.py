"""A list of all runs that is there at once: `runs/.index.sqlite`, beside the records and made from nothing else.

    index = Index(records)
    index.rows()              # [Row, ...], newest first; only what has changed since is read again

It may be deleted at any time: it is made again from the records. Several programs may use one, each through its own `Index`.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.engine.errors import LabError
from core.engine.events import layers
from core.engine.records import DONE, Records
from core.engine.stored import LARGEST_LOG, RunRecord, read_file, read_line

FILE, VERSION = ".index.sqlite", 3
TRUSTED_S = 2.0  # so long an ended run is taken to be as it was: only another program could have renamed or published it
TEXTS = ("settings", "measured", "text")
_WANTED = (b'"kind": "metric"', b'"kind": "verdict"', b'"kind": "end"')


@dataclass(frozen=True, slots=True)
class Row:
    """One run in a few words.

    settings, measured: the config, and metric -> [last value, unit], as JSON: thousands of rows are held, and few are looked into.
    text: everything that a search looks into, in small letters.
    torn: lines of its log that could not be read, a cut-off last one among them.
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
    settings: str
    measured: str
    text: str
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
    def config(self) -> dict[str, Any]:
        """The settings as plain data."""
        return json.loads(self.settings)

    @property
    def numbers(self) -> dict[str, tuple[float | None, str]]:
        """metric -> (last value, unit)."""
        return {name: (value, unit) for name, (value, unit) in json.loads(self.measured).items()}


class Index:
    """The rows of one home. `rows` may be called from any thread.

    damaged: the runs whose record could not be read, when `rows` was called last.
    """

    def __init__(self, records: Records, trusted_s: float = 0.0) -> None:
        """trusted_s: seconds for which an ended run is not looked at again."""
        self._records, self._lock, self._trusted_s, self._looked = records, threading.Lock(), trusted_s, -1e9
        self._known: dict[str, tuple[str, Row]] = {}
        self._shipped: list[Row] | None = None
        self.damaged: list[str] = []
        self._read_stored = False

    def rows(self) -> list[Row]:
        """All runs, newest first, and after them the first views that come with the lab. Damaged ones are passed over."""
        with self._lock:
            if not self._read_stored:
                self._known, self._read_stored = self._stored(), True
            fresh = time.monotonic() - self._looked < self._trusted_s
            ids = self._records.ids()
            found = {run_id: stamp for run_id in ids if (stamp := self._stamp(run_id, fresh))}
            self._looked = self._looked if fresh else time.monotonic()
            gone = self._known.keys() - found.keys()
            changed = {run_id: row for run_id, stamp in found.items()
                       if self._known.get(run_id, ("",))[0] != stamp and (row := self._summary(run_id))}
            for run_id in gone:
                del self._known[run_id]
            self._known |= {run_id: (found[run_id], row) for run_id, row in changed.items()}
            if gone or changed:
                self._store(changed, gone)
            if self._shipped is None:
                from core.engine.first_views import pages  # late: it brings every experiment, and a server that opens needs none

                self._shipped = [row for page in pages() if (row := self._summary(f"first-{page}"))]
            self.damaged = [run_id for run_id in ids if run_id not in self._known]
            rows = sorted((row for _, row in self._known.values()), key=lambda row: row.created, reverse=True)
            return rows + self._shipped

    def look_again(self) -> None:
        """Whoever changes a record through this process says so."""
        self._looked = -1e9

    def _stamp(self, run_id: str, fresh: bool) -> str:
        """What changes whenever the row may have; "" for a run that is gone or damaged."""
        known = self._known.get(run_id)
        if fresh and known and known[1].outcome in DONE:
            return known[0]
        folder = f"{self._records.root}/{run_id}"
        try:
            stat = os.stat(f"{folder}/run.json")
            stamp = f"{stat.st_ino}-{stat.st_mtime_ns}-{stat.st_size}"
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
        return Row(run.id, run.name, run.title, run.paper, run.revision, run.seed, run.outcome, run.created, run.duration_s,
                   json.dumps(run.config), json.dumps(numbers), searched(run, headline), headline, torn, tuple(run.visitors),
                   run.owner, run.published, model, run.label, tuple(run.tags), run.note)

    # ---- the file ----

    @contextlib.contextmanager
    def _file(self) -> Iterator[sqlite3.Connection]:
        base = sqlite3.connect(self._records.root / FILE, timeout=5.0)
        try:
            base.execute(f"CREATE TABLE IF NOT EXISTS rows_{VERSION} (id TEXT PRIMARY KEY, stamp TEXT, "
                         "row TEXT, settings TEXT, measured TEXT, text TEXT) WITHOUT ROWID")
            with base:
                yield base
        finally:
            base.close()

    def _stored(self) -> dict[str, tuple[str, Row]]:
        try:
            if not (self._records.root / FILE).is_file():
                return {}
            with self._file() as base:
                return {run_id: (stamp, _row(row, *texts)) for run_id, stamp, row, *texts in base.execute(f"SELECT * FROM rows_{VERSION}")}
        except (sqlite3.Error, ValueError, TypeError, OSError):  # torn, of another program, or not to be written: made again
            with contextlib.suppress(OSError):
                (self._records.root / FILE).unlink(missing_ok=True)
            return {}

    def _store(self, changed: dict[str, Row], gone: set[str]) -> None:
        with contextlib.suppress(sqlite3.Error, OSError), self._file() as base:  # without a file the next program reads for longer
            base.executemany(f"INSERT OR REPLACE INTO rows_{VERSION} VALUES (?, ?, ?, ?, ?, ?)",
                             [(run_id, self._known[run_id][0], _held(row), row.settings, row.measured, row.text)
                              for run_id, row in changed.items()])
            base.executemany(f"DELETE FROM rows_{VERSION} WHERE id = ?", [(run_id,) for run_id in gone])


def _held(row: Row) -> str:
    """The short part of a row; its texts have columns of their own."""
    return json.dumps({name: getattr(row, name) for name in Row.__dataclass_fields__ if name not in TEXTS})


def _row(text: str, settings: str, measured: str, searched: str) -> Row:
    held = json.loads(text)
    return Row(**held | {"visitors": tuple(held["visitors"]), "tags": tuple(held["tags"])}, settings=settings, measured=measured,
               text=searched)


def searched(run: RunRecord, headline: str) -> str:
    """What a search looks into: number, question, settings, answer, and what its owner wrote."""
    said = (run.id, run.title, run.name, run.outcome, headline, run.label, *run.tags, run.note,
            *(f"{field}={value}" for field, value in run.config.items()))
    return " ".join(map(str, said)).lower()


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
