"""What runs leave behind: `runs/<id>/run.json`, an append-only `events.jsonl` flushed per event, and files.

A reader needs nothing but the folder: a killed process leaves a readable log whose outcome reads "interrupted". A folder
appears whole, under a hidden name first; what a killed process left under such a name is swept when the next lab starts.
Lists and comparisons load run.json files into an in-memory DuckDB that is locked before anything is asked.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import filelock
import psutil

from core.engine.errors import LabError
from core.engine.processes import alive
from core.engine.stored import LARGEST_LOG, PASSING, RunRecord, parse, read_file, read_line

RUN_ID = re.compile(r"[a-z0-9][a-z0-9-]{3,79}")
RESERVE, FINISHED, GRAVE, DRAFT, LOCK, LIGHT = ".reserve", ".finished", ".deleted-", ".new-", ".lock", ".light"
LONGEST_TURN_S = 20.0
DONE = ("finished", "cancelled", "failed", "interrupted")
CLOSED = "The program was closed while this run was going on."


def write_json(path: Path, value: Any) -> None:
    """Writes all or nothing: a reader sees the old file or the new one."""
    part = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}.part")
    try:
        with part.open("w", encoding="utf-8") as file:
            json.dump(value, file, ensure_ascii=False, allow_nan=False)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def read_events(path: Path, since: int = 0) -> list[dict[str, Any]]:
    """The whole lines of a log from number `since` on; what a crash cut short is left out.

    A damaged line stands in its place as an event of kind "damaged": power that fails may leave a torn block.
    """
    try:
        lines = read_file(path, LARGEST_LOG).split(b"\n")[:-1]
    except (FileNotFoundError, ValueError):
        return []
    since = max(0, since)
    return [read_line(line, since + i) for i, line in enumerate(lines[since:])]


def end_line(lines: list[dict[str, Any]], outcome: str, error: str, hint: str, seconds: float | None) -> dict[str, Any]:
    """The last line of a log; `seconds` None: as many as there were at the line before."""
    t = seconds if seconds is not None else lines[-1]["t"] if lines else 0.0
    return {"seq": len(lines), "t": t, "kind": "end", "outcome": outcome, "error": error, "hint": hint}


class Log:
    """The append-only event log of one run, one JSON line per event, on disk before anybody hears of it."""

    def __init__(self, folder: Path) -> None:
        self._file = (folder / "events.jsonl").open("ab", buffering=0)
        self._size = self._file.seek(0, os.SEEK_END)

    def append(self, line: dict[str, Any]) -> None:
        """Raises OSError when the disk is full; the log then still ends with a whole line."""
        data = json.dumps(line, ensure_ascii=False, allow_nan=False).encode(errors="replace") + b"\n"
        try:
            if self._file.write(data) != len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError:
            self._file.truncate(self._size)
            raise
        self._size += len(data)

    def close(self) -> None:
        self._file.close()


class Records:
    """Recorded runs under `root`, and the read-only ones that come with the lab under `shipped`.

    >>> records = Records(settings.runs, ASSETS / "first_views")
    >>> records.read("first-unlearning-auditor")["outcome"]
    """

    def __init__(self, root: Path, shipped: Path | None = None) -> None:
        self.root, self.shipped = root, shipped
        self._lock = threading.RLock()
        # entered only by who holds the other one
        self._between = filelock.FileLock(root / LOCK, timeout=LONGEST_TURN_S, thread_local=False, poll_interval=0.01)
        self._unwritten: dict[str, dict[str, Any]] = {}
        self._known: dict[str, tuple[tuple[int, int, int], bytes]] = {}

    def folder(self, run_id: str) -> Path:
        """Where a run lies. Raises LabError if there is none of that name."""
        if isinstance(run_id, str) and RUN_ID.fullmatch(run_id):
            found = self.shipped / run_id.removeprefix("first-") if self._ships(run_id) else self.root / run_id
            if (found / "run.json").is_file():
                return found
        raise no_such_run()

    def _ships(self, run_id: str) -> bool:
        return self.shipped is not None and run_id.startswith("first-")

    def create(self, run: dict[str, Any]) -> Path:
        """A new folder with its run.json and an empty log. Leaves nothing behind if the disk refuses."""
        folder, draft = self.root / run["id"], self.root / f"{DRAFT}{os.getpid()}-{run['id']}"
        try:
            draft.mkdir(parents=True)
            # Given back at the end, so that a full disk cannot keep the outcome from being written.
            (draft / RESERVE).write_bytes(b"\0" * 16384)
            (draft / "events.jsonl").touch()
            write_json(draft / "run.json", run)
            draft.rename(folder)
        except OSError as error:
            shutil.rmtree(draft, ignore_errors=True)
            raise LabError(f"The run could not be recorded: {error.strerror or error}.",
                           f"Free some space or choose another folder with GLASSBOX_HOME (now {self.root.parent}).") from error
        return folder

    def sweep(self) -> None:
        """Removes what killed processes left half made or half deleted."""
        with contextlib.suppress(OSError):
            for left in self.root.glob(f"{DRAFT}*"):
                maker = left.name.removeprefix(DRAFT).partition("-")[0]
                if not (maker.isdecimal() and psutil.pid_exists(int(maker))):
                    shutil.rmtree(left, ignore_errors=True)
            for left in self.root.glob(f"{GRAVE}*"):
                shutil.rmtree(left, ignore_errors=True)
            halves = {half.relative_to(self.root).parts[0] for kind in ("*/.*.part", "*/models/.part-*", f"*/{RESERVE}")
                      for half in self.root.glob(kind)}
            for run_id in halves:
                with contextlib.suppress(LabError), self._turn():  # what another lab is just writing is not half made
                    if self.read(run_id).outcome in DONE:
                        self._clear(self.root / run_id)

    @staticmethod
    def _clear(folder: Path) -> None:
        for half in folder.glob("models/.part-*"):
            shutil.rmtree(half, ignore_errors=True)
        for half in (*folder.glob(".*.part"), folder / RESERVE):
            half.unlink(missing_ok=True)

    def read(self, run_id: str) -> RunRecord:
        """run.json as it stands; a run whose process is gone reads "interrupted". Raises LabError for a damaged one."""
        folder = self.folder(run_id)
        try:
            return self._as_it_stands(RunRecord.of(read_file(folder / "run.json") if self._ships(run_id) else self._text(run_id)))
        except FileNotFoundError:  # deleted a moment ago
            raise no_such_run() from None
        except OSError as error:
            raise _unreadable(error) if error.errno in PASSING else _damaged() from None
        except ValueError:
            raise _damaged() from None

    def _as_it_stands(self, run: RunRecord) -> RunRecord:
        if changes := self._unwritten.get(run.id):
            run = RunRecord.model_validate(run.plain() | changes)
        if run.outcome not in DONE and not alive(run.pid, run.born):
            run = run.model_copy(update={"outcome": "interrupted", "error": CLOSED, "hint": "Run it again."})
        return run

    def update(self, run_id: str, **changes: Any) -> RunRecord:
        """Changes fields of run.json, all or nothing. Raises LabError for a first view, which is read-only, and a full disk."""
        try:
            return self._update(run_id, changes)
        except OSError as error:
            raise LabError(f"The run could not be changed: {error.strerror or error}.", "Free some space on the disk.") from error

    def _update(self, run_id: str, changes: dict[str, Any]) -> RunRecord:
        with self._turn():
            folder = self._own(run_id)
            run = RunRecord.model_validate(parse(read_file(folder / "run.json")) | changes)
            write_json(folder / "run.json", run.plain())
        return run

    @contextlib.contextmanager
    def _turn(self) -> Iterator[None]:
        """Nobody else changes a record meanwhile: no thread of this process, and no other process with the same home."""
        with self._lock:
            try:
                self._between.acquire()
            except filelock.Timeout:
                raise LabError("Another program keeps the records of this lab to itself.", "Close it, or try again in a minute.") from None
            except OSError as error:
                raise LabError(f"The records of this lab cannot be changed: {error.strerror or error}.",
                               f"Let the lab write into {self.root.parent}, or choose another folder with GLASSBOX_HOME.") from None
            try:
                yield
            finally:
                self._between.release()

    def _own(self, run_id: str) -> Path:
        folder = self.folder(run_id)
        if self._ships(run_id):
            raise LabError("A first view comes with the lab and cannot be changed or deleted.", "Run it again to get a run of your own.")
        return folder

    def publish(self, run_id: str, published: bool = True) -> RunRecord:
        """Lets everybody who has the link see a run, or only its visitors again."""
        return self.update(run_id, published=published)

    def join(self, run_id: str, visitor: str) -> RunRecord:
        """Adds a visitor who asked for the same numbers."""
        with self._turn():
            run = self.read(run_id)
            return run if visitor in run.visitors else self.update(run_id, visitors=[*run.visitors, visitor])

    def visible_to(self, run: RunRecord, visitor: str) -> bool:
        """Whether a visitor may see a run that was read: a first view, a published one, or one that they started or share."""
        return bool(run.published or visitor and visitor in run.visitors)

    def events(self, run_id: str, since: int = 0) -> list[dict[str, Any]]:
        """Logged events from `since` on. A run that ended without writing so gets its last line here."""
        run = self.read(run_id)  # before the log: what a dead process wrote cannot change any more
        try:
            lines = read_events(self.folder(run_id) / "events.jsonl")
        except OSError as error:
            raise _unreadable(error) from None
        if run.outcome in DONE and (not lines or lines[-1]["kind"] != "end"):
            lines.append(end_line(lines, run.outcome, run.error, run.hint, run.duration_s))
        return lines[max(0, since):]

    def list(self, visitor: str | None = None, name: str | None = None) -> list[RunRecord]:
        """Runs, newest first: all of them, or those that `visitor` started or shares. Damaged ones are passed over."""
        found = []
        for run_id in self.ids():
            with contextlib.suppress(OSError, ValueError):
                run = self._as_it_stands(RunRecord.of(self._text(run_id)))
                if run.id == run_id and (visitor is None or visitor in run.visitors) and name in (None, run.name):
                    found.append(run)
        return sorted(found, key=lambda run: run.created, reverse=True)

    def damaged(self) -> list[str]:
        """The ids of the runs whose run.json cannot be read."""
        found = []
        for run_id in sorted(self.ids()):
            try:
                self.read(run_id)
            except LabError:
                if (self.root / run_id / "run.json").exists():
                    found.append(run_id)
        return found

    def kept_by(self, visitor: str) -> int:
        """Bytes of the models that this visitor's runs keep."""
        return sum(file.stat().st_size for run in self.list(visitor) for file in (self.root / run.id / "models").glob("*/*"))

    def ids(self) -> list[str]:
        """The ids of all runs, damaged ones too, in no order; without those that come with the lab."""
        try:
            return [entry for entry in os.listdir(self.root) if RUN_ID.fullmatch(entry)]
        except FileNotFoundError:
            return []
        except OSError as error:
            raise _unreadable(error) from None

    def _text(self, run_id: str) -> bytes:
        """run.json as text, remembered while the file stays the same: thousands of runs are listed at every visit."""
        path = f"{self.root}/{run_id}/run.json"
        stat = os.stat(path)
        stamp = (stat.st_ino, stat.st_mtime_ns, stat.st_size)
        known = self._known.get(run_id)
        if known is None or known[0] != stamp:
            known = self._known[run_id] = (stamp, read_file(path))
        return known[1]

    def conclude(self, run_id: str, **changes: Any) -> None:
        """The last change of a run: its outcome, and the mark by which an equal request finds it.

        Raises OSError, ValueError or LabError if it cannot be written; this process then remembers it.
        """
        with contextlib.suppress(OSError):
            (self.folder(run_id) / RESERVE).unlink(missing_ok=True)
        try:
            run = self._update(run_id, changes)
        except (OSError, ValueError, LabError):
            self._unwritten[run_id] = changes
            raise
        if run.outcome == "finished":
            marks = self.root / FINISHED
            marks.mkdir(exist_ok=True)
            # a hint that may be torn: it is checked when it is used
            (marks / f"{run.key}{'' if run.keeps else LIGHT}").write_text(json.dumps(run_id))

    def finished(self, key: str, keep: bool = True) -> RunRecord | None:
        """The newest finished run of an equal request. keep: only one that has the models which it made."""
        for mark in (key,) if keep else (key, key + LIGHT):
            with contextlib.suppress(OSError, ValueError, LabError):
                run = self.read(parse(read_file(self.root / FINISHED / mark)))
                if run.outcome == "finished" and run.key == key and (run.keeps or not keep):
                    return run
        return None

    def delete(self, run_id: str, visitor: str | None = None) -> None:
        """Removes a run with all that it kept. With a visitor: only theirs, and what others share stays with them.

        Raises LabError for a run that still goes on, a first view, a run of somebody else, or a folder that may not be changed.
        """
        try:
            self._bury(run_id, visitor)
        except OSError as error:
            raise LabError(f"The run could not be deleted: {error.strerror or error}.",
                           f"Let the lab write into {self.root.parent}, or choose another folder with GLASSBOX_HOME.") from None
        for grave in self.root.glob(GRAVE + "*"):
            shutil.rmtree(grave, ignore_errors=True)

    def _bury(self, run_id: str, visitor: str | None) -> None:
        with self._turn():
            folder = self._own(run_id)
            if visitor is not None or not self._is_damaged(run_id):
                run = self.read(run_id)
                if run.outcome not in DONE:
                    raise LabError("This run is still going on.", "Stop it first, then delete it.")
                if visitor is not None:
                    if visitor not in run.visitors:
                        raise LabError("This run belongs to somebody else.", "You can delete the runs that you started.")
                    others = [other for other in run.visitors if other != visitor]
                    if others:
                        self.update(run_id, visitors=others, owner=others[0], published=run.published and run.owner != visitor)
                        return
            # Renamed first, so that a reader never meets half a record.
            folder.rename(self.root / f"{GRAVE}{run_id}")
            self._known.pop(run_id, None)
            self._unwritten.pop(run_id, None)

    def _is_damaged(self, run_id: str) -> bool:
        try:
            RunRecord.of(read_file(self.root / run_id / "run.json"))
        except ValueError:
            return True
        return False

    def metrics(self, run_id: str) -> dict[str, float]:
        """The last value of every metric."""
        return {line["name"]: line["value"] for line in self.events(run_id) if line["kind"] == "metric"}

    def database(self, visitor: str | None = None):
        """An in-memory DuckDB with tables `runs` and `metrics`, locked: it can read nothing but what is in it."""
        import duckdb

        base = duckdb.connect(":memory:")
        base.execute("CREATE TABLE runs (id TEXT, name TEXT, created TEXT, outcome TEXT, seed BIGINT, duration_s DOUBLE, config TEXT)")
        base.execute("CREATE TABLE metrics (run_id TEXT, name TEXT, step BIGINT, value DOUBLE)")
        runs, fields = self.list(visitor), ("id", "name", "created", "outcome", "seed", "duration_s")
        _insert(base, "runs", [[*(run[field] for field in fields), json.dumps(run.config)] for run in runs])
        for run in runs:
            lines = [line for line in self.events(run.id) if line["kind"] == "metric"]
            _insert(base, "metrics", [[run.id, line["name"], line["step"], line["value"]] for line in lines])
        base.execute("SET enable_external_access=false; SET lock_configuration=true")
        return base


def _insert(base: Any, table: str, rows: list[list[Any]]) -> None:
    """All rows in one statement, column by column, which is hundreds of times faster than row by row."""
    if rows:
        columns = [list(column) for column in zip(*rows, strict=True)]
        base.execute(f"INSERT INTO {table} SELECT {', '.join('unnest(?)' for _ in columns)}", columns)


def _unreadable(error: OSError) -> LabError:
    return LabError(f"The records of this lab cannot be read now: {error.strerror or error}.", "Try again in a minute.")


def _damaged() -> LabError:
    return LabError("The record of this run is damaged.", "Delete it, or press Run to get a new one.")


def no_such_run() -> LabError:
    """The one answer for a run that does not exist, and for one of somebody else: who asks cannot tell which."""
    return LabError("There is no such run here, it was deleted, or it belongs to somebody else who has not opened it.",
                    "Press Run to compute it yourself, or ask whoever made it to press 'Let others open this link'.")


def follow(records: Records, run_id: str, since: int) -> Iterator[dict[str, Any]]:
    """Event lines of a run that another process is computing, looked for four times a second."""
    while True:
        fresh = records.events(run_id, since)
        yield from fresh
        since += len(fresh)
        if fresh and fresh[-1]["kind"] == "end":
            return
        time.sleep(0.25)
