"""What runs leave behind: `runs/<id>/run.json`, an append-only `events.jsonl` flushed per event, and files.

A reader needs nothing but the folder: a killed process leaves a readable log whose outcome reads "interrupted".
Lists and comparisons load run.json files into an in-memory DuckDB that is locked before anything is asked.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil

from core.engine.errors import LabError

RUN_ID = re.compile(r"[a-z0-9][a-z0-9-]{3,79}")
RESERVE, FINISHED = ".reserve", ".finished"
DONE = ("finished", "cancelled", "failed", "interrupted")


def write_json(path: Path, value: Any) -> None:
    """Writes all or nothing: a reader sees the old file or the new one."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("w", encoding="utf-8") as file:
            json.dump(value, file, ensure_ascii=False, allow_nan=False)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def read_events(path: Path, since: int = 0) -> list[dict[str, Any]]:
    """The whole lines of a log from number `since` on; a line cut short by a crash is left out."""
    try:
        lines = path.read_bytes().split(b"\n")[:-1]
    except FileNotFoundError:
        return []
    return [json.loads(line) for line in lines[since:]]


def this_process() -> dict[str, Any]:
    """What a run remembers of the process that computes it."""
    return {"pid": os.getpid(), "born": psutil.Process().create_time()}


def alive(pid: int, born: float) -> bool:
    """Whether the process that started a run still exists (pid numbers are used again, birth times are not)."""
    try:
        return abs(psutil.Process(pid).create_time() - born) < 1.0
    except psutil.Error:
        return False


class Log:
    """The append-only event log of one run, one JSON line per event, on disk before anybody hears of it."""

    def __init__(self, folder: Path) -> None:
        self._file = (folder / "events.jsonl").open("ab", buffering=0)

    def append(self, line: dict[str, Any]) -> None:
        """Raises OSError when the disk is full; the log then still ends with a whole line."""
        data = json.dumps(line, ensure_ascii=False, allow_nan=False).encode() + b"\n"
        start = self._file.seek(0, os.SEEK_END)
        try:
            if self._file.write(data) != len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError:
            with contextlib.suppress(OSError):
                self._file.truncate(start)
            raise

    def close(self) -> None:
        self._file.close()


class Records:
    """Recorded runs under `root`, and the read-only ones that come with the lab under `shipped`.

    >>> records = Records(settings.runs, ASSETS / "first_views")
    >>> records.read("first-unlearning-auditor")["outcome"]
    """

    def __init__(self, root: Path, shipped: Path | None = None) -> None:
        self.root, self.shipped = root, shipped

    def folder(self, run_id: str) -> Path:
        """Where a run lies. Raises LabError if there is none of that name."""
        if isinstance(run_id, str) and RUN_ID.fullmatch(run_id):
            if run_id.startswith("first-") and self.shipped is not None:
                found = self.shipped / run_id.removeprefix("first-")
            else:
                found = self.root / run_id
            if (found / "run.json").is_file():
                return found
        raise LabError("There is no such run here, or it was deleted.", "Open the page without 'run=' and press Run.")

    def create(self, run: dict[str, Any]) -> Path:
        """A new folder with its run.json. Leaves nothing behind if the disk refuses."""
        folder = self.root / run["id"]
        try:
            folder.mkdir(parents=True)
            write_json(folder / "run.json", run)
            # Given back at the end, so that a full disk cannot keep the outcome from being written.
            (folder / RESERVE).write_bytes(b"\0" * 16384)
        except OSError as error:
            shutil.rmtree(folder, ignore_errors=True)
            raise LabError(f"The run could not be recorded: {error.strerror or error}.",
                           f"Free some space or choose another folder with GLASSBOX_HOME (now {self.root.parent}).") from error
        return folder

    def read(self, run_id: str) -> dict[str, Any]:
        """run.json as it stands; a run whose process is gone reads "interrupted"."""
        run = json.loads((self.folder(run_id) / "run.json").read_text(encoding="utf-8"))
        if run["outcome"] not in DONE and not alive(run["pid"], run["born"]):
            run["outcome"] = "interrupted"
        return run

    def update(self, run_id: str, **changes: Any) -> dict[str, Any]:
        """Changes fields of run.json, all or nothing."""
        folder = self.folder(run_id)
        run = json.loads((folder / "run.json").read_text(encoding="utf-8")) | changes
        write_json(folder / "run.json", run)
        return run

    def events(self, run_id: str, since: int = 0) -> list[dict[str, Any]]:
        """Logged events from `since` on. An interrupted run ends with the line that its process could not write."""
        folder = self.folder(run_id)
        lines = read_events(folder / "events.jsonl")
        if self.read(run_id)["outcome"] == "interrupted" and (not lines or lines[-1]["kind"] != "end"):
            t = lines[-1]["t"] if lines else 0.0
            lines.append({"seq": len(lines), "t": t, "kind": "end", "outcome": "interrupted",
                          "error": "The program was closed while this run was going on.", "hint": "Run it again."})
        return lines[since:]

    def list(self, visitor: str | None = None, name: str | None = None) -> list[dict[str, Any]]:
        """Runs, newest first: all of them, or those that `visitor` started or shares."""
        found = []
        for folder in self.root.glob("*/run.json") if self.root.is_dir() else ():
            try:
                run = self.read(folder.parent.name)
            except (LabError, OSError, ValueError):
                continue
            if (visitor is None or visitor in run["visitors"]) and name in (None, run["name"]):
                found.append(run)
        return sorted(found, key=lambda run: run["created"], reverse=True)

    def conclude(self, run_id: str, **changes: Any) -> None:
        """The last change of a run: its outcome, and the mark by which an equal request finds it."""
        (self.folder(run_id) / RESERVE).unlink(missing_ok=True)
        run = self.update(run_id, **changes)
        if run["outcome"] == "finished":
            marks = self.root / FINISHED
            marks.mkdir(exist_ok=True)
            (marks / run["key"]).write_text(run_id)

    def finished(self, key: str) -> dict[str, Any] | None:
        """The newest finished run of an equal request."""
        try:
            return self.read((self.root / FINISHED / key).read_text())
        except (OSError, LabError):
            return None

    def delete(self, run_id: str) -> None:
        """Removes a run with all that it kept."""
        folder = self.folder(run_id)
        if self.shipped is not None and folder.is_relative_to(self.shipped):
            raise LabError("A first view comes with the lab and cannot be deleted.")
        # Renamed first, so that a reader never meets half a record.
        grave = self.root / f".deleted-{run_id}"
        folder.rename(grave)
        shutil.rmtree(grave)

    def metrics(self, run_id: str) -> dict[str, float]:
        """The last value of every metric."""
        return {line["name"]: line["value"] for line in self.events(run_id) if line["kind"] == "metric"}

    def database(self, visitor: str | None = None):
        """An in-memory DuckDB with tables `runs` and `metrics`, locked: it can read nothing but what is in it."""
        import duckdb

        base = duckdb.connect(":memory:")
        base.execute("CREATE TABLE runs (id TEXT, name TEXT, created TEXT, outcome TEXT, seed BIGINT, duration_s DOUBLE, config TEXT)")
        base.execute("CREATE TABLE metrics (run_id TEXT, name TEXT, step BIGINT, value DOUBLE)")
        for run in self.list(visitor):
            base.execute("INSERT INTO runs VALUES (?, ?, ?, ?, ?, ?, ?)",
                         [run["id"], run["name"], run["created"], run["outcome"], run["seed"], run["duration_s"], json.dumps(run["config"])])
            rows = [[run["id"], e["name"], e["step"], e["value"]] for e in self.events(run["id"]) if e["kind"] == "metric"]
            if rows:
                base.executemany("INSERT INTO metrics VALUES (?, ?, ?, ?)", rows)
        base.execute("SET enable_external_access=false; SET lock_configuration=true")
        return base


def follow(records: Records, run_id: str, since: int) -> Iterator[dict[str, Any]]:
    """Event lines of a run that another process is computing, looked for four times a second."""
    while True:
        fresh = records.events(run_id, since)
        yield from fresh
        since += len(fresh)
        if fresh and fresh[-1]["kind"] == "end":
            return
        time.sleep(0.25)
