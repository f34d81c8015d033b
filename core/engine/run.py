"""One run while it is alive: its lines in memory, its log on disk, and whoever is listening."""

from __future__ import annotations

import contextlib
import functools
import importlib.metadata
import logging
import platform
import re
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError

from core.engine import events, outputs
from core.engine.errors import LabError
from core.engine.events import Event, safe_labels, to_plain
from core.engine.records import Log, Records, end_line
from core.engine.stored import TAKEN_FILE

if TYPE_CHECKING:
    from core.engine.models import ModelStore

SILENT_S = 180.0  # so long a page counts as watching that was not heard of since: it may be asleep, or its link is down
HERE_S = 30.0
VERSIONED = ("torch", "transformers", "safetensors", "numpy", "gradio")


@functools.cache
def versions() -> dict[str, str]:
    """What the numbers of a run depend on besides its config."""
    found = {name: importlib.metadata.version(name) for name in VERSIONED}
    return found | {"python": platform.python_version(), "machine": f"{platform.system()} {platform.machine()}"}


class Run:
    """Written by the thread that computes, read by any number of others."""

    def __init__(self, run_id: str, name: str, key: str, seed: int, folder: Path, pinned: bool, visitor: str,
                 declared: outputs.Outputs = ()) -> None:
        self.id, self.name, self.key, self.seed, self.folder, self.pinned = run_id, name, key, seed, folder, pinned
        self.wanted_by, self.outputs = {visitor}, declared
        self.ended = threading.Event()
        self.cancelled = False
        self.keeping = self.keeps = True  # whether models are to be kept; False once one was made that was not
        self.parameters: dict[str, int] = {}
        self.revisions: dict[str, str] = {}
        self._reason, self._checked = "", set()
        self._log = Log(folder)
        self._lines: list[dict[str, Any]] = []
        self._news = threading.Condition()
        self._listeners: set[Callable[[], None]] = set()
        self._pages: dict[str, float] = {}  # page -> when it was heard of last
        self._watchers = 0
        self._seen = time.monotonic()
        self._began: float | None = None
        self._began_wall: float | None = None

    def begin(self) -> None:
        self._began, self._began_wall = time.monotonic(), time.time()

    def elapsed(self) -> float:
        """Seconds of computing so far, 0 while waiting."""
        return 0.0 if self._began is None else time.monotonic() - self._began

    def cancel(self, reason: str = "") -> None:
        self.cancelled, self._reason = True, reason

    def answers(self, keep: bool) -> bool:
        """Whether who asks for the same may join it; keep: with the models that it makes."""
        return (self.keeping or not keep) and not self.cancelled and not self.ended.is_set()

    def record(self, event: Event, models: ModelStore) -> None:
        """Writes an event to the log, then shows it to the watchers. Raises LabError when the disk refuses."""
        if not isinstance(event, Event):
            raise TypeError(f"an experiment yields events, not {type(event).__name__}")
        if isinstance(event, events.Keep) and not self.keeping:
            from core.engine.models import settle_generation

            self.keeps = False
            settle_generation(event.model)  # as keeping would: what it answers next must not differ
            return
        try:
            line = self._line({"kind": event.kind, **self._fields(event, models)})
            self._log.append(line)
        except (OSError, SafetensorError) as problem:
            logging.getLogger("glassbox").warning("run %s: %s", self.id, problem)
            raise LabError(f"The run could not be recorded any further: {getattr(problem, 'strerror', None) or problem}.",
                           "Free some space on the disk and run it again.") from None
        self._check(event)
        self._show(line)

    def _check(self, event: Event) -> None:
        """Somebody forgot to declare an output: whoever reads the log of the lab learns it, the visitor's run goes on."""
        name = getattr(event, "name", "")
        if name and self.outputs and (event.kind, name) not in self._checked:
            self._checked.add((event.kind, name))
            if outputs.find(self.outputs, event.kind, name) is None:
                logging.getLogger("glassbox").warning("%s says the %s '%s', which its spec does not declare", self.name, event.kind, name)

    def _fields(self, event: Event, models: ModelStore) -> dict[str, Any]:
        if isinstance(event, events.Keep):
            return self._keep(event, models)
        if isinstance(event, events.Picture):
            return self._picture(event)
        if isinstance(event, events.File):
            return self._file(event)
        if isinstance(event, events.Figure):
            return {"name": event.name, "figure": safe_labels(to_plain(event.figure))}
        return to_plain(event)

    def _keep(self, event: events.Keep, models: ModelStore) -> dict[str, Any]:
        if not re.fullmatch(r"[a-z0-9_-]{1,40}", event.name):
            raise ValueError(f"a kept model cannot be called {event.name!r}")
        models.save(event.model, self.folder / "models" / event.name, event.tokenizer)
        count = sum(p.numel() for p in event.model.parameters())
        return {"name": event.name, "ref": f"run/{self.id}/{event.name}", "parameters": count}

    def _picture(self, event: events.Picture) -> dict[str, Any]:
        words = re.sub(r"[^a-z0-9]+", "-", event.name.lower())[:60].strip("-")
        file = f"{words or 'picture'}-{len(self._lines)}.png"
        event.image.save(self.folder / file, pnginfo=event.image.info.get("pnginfo"))  # its settings, where it says some
        return {"name": event.name, "file": file, "alt": event.alt}

    def _file(self, event: events.File) -> dict[str, Any]:
        if not re.fullmatch(TAKEN_FILE, event.file):
            raise ValueError(f"a file to take away cannot be called {event.file!r}")
        (self.folder / event.file).write_bytes(event.data)
        return {"file": event.file, "size": len(event.data)}

    def _line(self, fields: dict[str, Any]) -> dict[str, Any]:
        return {"seq": len(self._lines), "t": round(self.elapsed(), 4), **fields}

    def _show(self, line: dict[str, Any]) -> None:
        with self._news:
            self._lines.append(line)
            if line["kind"] == "end":  # before anybody is woken, or watchers would wait for more
                self.ended.set()
            self._news.notify_all()
        for listener in list(self._listeners):
            try:
                listener()
            except Exception:  # the listener's server has gone, which is no reason to stop computing
                self._listeners.discard(listener)

    def finish(self, outcome: str, error: LabError, records: Records) -> None:
        """The outcome in the record, then the last line of the log: what lies between them can be told from the outcome."""
        reason, seconds = error.message or self._reason, round(self.elapsed(), 4)
        line = end_line(self._lines, outcome, reason, error.hint, seconds)
        started = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self._began_wall)) if self._began_wall else None
        changes = {"outcome": outcome, "error": reason, "hint": error.hint, "duration_s": seconds, "started": started,
                   "keeps": self.keeps}
        with contextlib.suppress(LabError):  # an outcome is worth writing, and remembering, although the record cannot be read now
            model = records.read(self.id).model
            changes["model"] = model and model.model_dump() | {"parameters": self.parameters.get(model.ref)}
        try:
            records.conclude(self.id, **changes, revisions=self.revisions)
        except (OSError, ValueError, LabError):
            logging.getLogger("glassbox").exception("run %s has no outcome on disk", self.id)
        finally:
            with contextlib.suppress(OSError):
                self._log.append(line)
            self._log.close()
            self._show(line)

    def since(self, since: int) -> list[dict[str, Any]]:
        self._seen = time.monotonic()
        return self._lines[max(0, since):]

    def watch(self, since: int, follow: bool) -> Iterator[dict[str, Any]]:
        since = max(0, since)
        with self._watching():
            while True:
                with self._news:
                    while follow and len(self._lines) <= since and not self.ended.is_set():
                        self._news.wait(timeout=1.0)
                    fresh = self._lines[since:]
                yield from fresh
                since += len(fresh)
                if not follow or self.ended.is_set() and since >= len(self._lines):
                    return

    def wait(self, timeout: float | None) -> bool:
        """Watches without looking; False when the time is over first."""
        with self._watching():
            return self.ended.wait(timeout)

    @contextlib.contextmanager
    def _watching(self) -> Iterator[None]:
        with self._news:
            self._watchers += 1
        try:
            yield
        finally:
            with self._news:
                self._watchers -= 1
                self._seen = time.monotonic()

    def listen(self, callback: Callable[[], None], page: str = "") -> Callable[[], None]:
        """See `Engine.listen`."""
        def stop() -> None:
            self._listeners.discard(callback)
            if page in self._pages:
                self._pages[page] = time.monotonic()
            else:
                self._seen = time.monotonic()

        self._listeners.add(callback)
        if page:
            self._pages[page] = time.monotonic()
        return stop

    def left(self, page: str) -> None:
        """A page says that it no longer watches."""
        if self._pages.pop(page, None) is not None:
            self._seen = time.monotonic()

    def unwatched_for(self) -> float:
        """Seconds since anybody looked; a page that fell silent counts as looking for a while."""
        if self._watchers or self._listeners:
            return 0.0
        last = max([self._seen, *(heard + SILENT_S for heard in list(self._pages.values()))])
        return max(0.0, time.monotonic() - last)

    def wanted(self) -> bool:
        """Whether somebody watches, or did just now."""
        return self.unwatched_for() < HERE_S
