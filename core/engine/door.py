"""One visitor's door to the lab: the only way to runs, files and kept models for pages, API and MCP.

    door = Door(engine, token)
    run = door.start("unlearning/audit", {"algorithm": "npo"})
    door.read(run.id), door.report(run.id)      # LabError for what is somebody else's, as for what does not exist

A run is seen by who started it, by who asked for the same numbers, and by everybody once it is published. Only who started it
publishes or pins it. A file and a kept model are used by whom they belong to; a published run lends its kept models.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from core.engine import report
from core.engine.errors import LabError
from core.engine.experiment import Config
from core.engine.models import Offered
from core.engine.records import no_such_run
from core.engine.runner import Engine, RunHandle
from core.engine.stored import PICTURE_FILE, TAKEN_FILE, RunRecord

GB = 10**9
MOST_UNFINISHED = 6  # of one visitor
MOST_AT_ONCE = 120  # of all: each waits in a thread of its own
KEPT_FILES = ("model.safetensors", "config.json")  # of a kept model, for taking along
MOST_KEPT = 4 * GB  # what the runs of one visitor keep
MOST_PROBES = 8  # of one visitor, at the same time
_KEPT = re.compile(r"run/([a-z0-9][a-z0-9-]{3,79})/[a-z0-9_-]{1,40}")
_UPLOAD = re.compile(r"upload/[0-9a-f]{24}")
_probing: dict[str, int] = {}
_probing_lock = threading.Lock()


class HostOnly(LabError):
    """What only whoever sits at the computer of the lab may do."""


class Door:
    """What one visitor may do. `visitor` "" is nobody: sees what is published, and starts nothing.

    host: whether they sit at the computer of the lab.
    """

    def __init__(self, engine: Engine, visitor: str, host: bool = False) -> None:
        self._engine, self.visitor, self.host = engine, visitor, host

    # ---- to ask for something ----

    def start(self, name: str, config: Mapping[str, Any] | Config, *, seed: int = 0, fresh: bool = False,
              replace: bool = False) -> RunHandle:
        """See `Engine.start`. Raises LabError also for what is not this visitor's, and when they have too much going on."""
        if not self.visitor:
            raise LabError("The lab does not know who asks.", "Allow its cookie in your browser and open the page again.")
        self._check(config)
        self._check_room(replace)
        return self._engine.start(name, config, seed=seed, visitor=self.visitor, fresh=fresh, replace=replace)

    def probe(self, name: str, config: Mapping[str, Any] | Config, *, seed: int = 0) -> dict[str, Any]:
        """See `Engine.probe`."""
        self._check(config)
        with _probing_lock:
            if _probing.get(self.visitor, 0) >= MOST_PROBES and self.visitor:
                raise LabError("You have asked several questions at once.", "Wait for the first answers, then ask again.")
            _probing[self.visitor] = _probing.get(self.visitor, 0) + 1
        try:
            return self._engine.probe(name, config, seed=seed)
        finally:
            with _probing_lock:
                _probing[self.visitor] -= 1
                if not _probing[self.visitor]:
                    del _probing[self.visitor]

    def offered(self) -> list[Offered]:
        """See `ModelStore.offered`: what was got and what lies under --models is for everybody."""
        return self._engine.models.offered()

    def fingerprint(self, ref: str) -> str:
        """Of a model that this visitor may use."""
        self._check([ref])
        return self._engine.models.fingerprint(ref)

    def _check(self, given: Any) -> None:
        for text in _texts(given.model_dump(mode="json") if isinstance(given, Config) else given):
            if kept := _KEPT.fullmatch(text):
                self.read(kept[1])
            elif _UPLOAD.fullmatch(text):
                self._engine.uploads.about(text, self.visitor)

    def _check_room(self, replace: bool) -> None:
        mine, everybody = self._engine.unfinished(self.visitor), self._engine.unfinished()
        if mine >= MOST_UNFINISHED and not replace:
            raise LabError(f"{mine} of your runs are waiting or going on.", "Wait for one of them, or stop one.")
        if everybody >= MOST_AT_ONCE:
            raise LabError(f"{everybody} runs are waiting already.", "Try again in some minutes.")
        kept = self._engine.records.kept_by(self.visitor)
        if kept > MOST_KEPT:
            raise LabError(f"Your runs keep models of {kept / GB:.1f} GB.", f"Delete some: at most {MOST_KEPT / GB:.0f} GB are allowed.")

    # ---- runs ----

    def read(self, run_id: str) -> RunRecord:
        """A run that this visitor may see. Raises one and the same LabError for what is hidden and what does not exist."""
        run = self._engine.records.read(run_id)
        if not self._engine.records.visible_to(run, self.visitor):
            raise no_such_run()
        return run

    def _shared(self, run_id: str) -> RunRecord:
        run = self.read(run_id)
        if not self.visitor or self.visitor not in run.visitors:
            raise LabError("Only those who started a run can change it.", "Press Run to make one of your own.")
        return run

    def _own(self, run_id: str) -> RunRecord:
        run = self._shared(run_id)
        if run.owner != self.visitor:
            raise LabError("Only who started this run first can do that.", "Press 'Compute again' to make one of your own.")
        return run

    def is_mine(self, run: RunRecord) -> bool:
        """Whether this visitor started the run, or asked for the same numbers."""
        return bool(self.visitor) and self.visitor in run.visitors

    def is_owner(self, run: RunRecord) -> bool:
        """Whether this visitor was the first to start the run."""
        return bool(self.visitor) and self.visitor == run.owner

    def runs(self, name: str | None = None) -> list[RunRecord]:
        """This visitor's runs, newest first."""
        return self._engine.records.list(visitor=self.visitor, name=name) if self.visitor else []

    def state(self, run_id: str) -> dict[str, Any]:
        """See `Engine.state`, without what is nobody's business."""
        run, state = self.read(run_id), self._engine.state(run_id)
        return {field: value for field, value in state.items() if field in run.public() or field in ("place", "estimate_s")}

    def events(self, run_id: str, since: int = 0) -> list[dict[str, Any]]:
        """See `Engine.events`."""
        self.read(run_id)
        return self._engine.events(run_id, since)

    def watch(self, run_id: str, since: int = 0, *, follow: bool = True) -> Iterator[dict[str, Any]]:
        """See `Engine.watch`."""
        self.read(run_id)
        return self._engine.watch(run_id, since, follow=follow)

    def listen(self, run_id: str, callback: Callable[[], None], page: str = "") -> Callable[[], None]:
        """See `Engine.listen`."""
        self.read(run_id)
        return self._engine.listen(run_id, callback, f"{self.visitor} {page[:40]}" if page else "")

    def left(self, run_id: str, page: str) -> None:
        """See `Engine.left`."""
        self._engine.left(run_id, f"{self.visitor} {page[:40]}")

    def computes(self, run_id: str) -> bool:
        """See `Engine.computes`."""
        return self._engine.computes(run_id)

    def result(self, run_id: str) -> dict[str, Any]:
        """See `Engine.result`."""
        self.read(run_id)
        return self._engine.result(run_id)

    def cancel(self, run_id: str) -> dict[str, Any]:
        """Stops a run, or leaves one that others wait for: {outcome, left}."""
        self._shared(run_id)
        state = self._engine.cancel(run_id, self.visitor)
        return {"outcome": state["outcome"], "left": state.get("left", False)}

    def clear_line(self) -> int:
        """See `Engine.clear_line`. Raises HostOnly."""
        if not self.host:
            raise HostOnly("Only whoever sits at the computer of the lab can clear the line.", "Ask them, or wait for your turn.")
        return self._engine.clear_line(self.visitor)

    # ---- what can be got from outside: belongs to nobody, is seen by all and changed by the host ----

    def goods(self) -> list[dict[str, Any]]:
        """See `Shop.list`."""
        return self._engine.shop.list()

    def order(self, name: str, what: Literal["get", "stop", "remove"]) -> dict[str, Any]:
        """Begins to get something, stops that, or removes it; gives its state then. Raises HostOnly."""
        if not self.host:
            raise HostOnly("Only whoever sits at the computer of the lab can fetch or remove something.", "Ask them.")
        shop = self._engine.shop
        {"get": shop.start, "stop": shop.stop, "remove": shop.remove}[what](name)
        return shop.state(name)

    def pin(self, run_id: str, pinned: bool = True) -> None:
        """See `Engine.pin`."""
        self._own(run_id)
        self._engine.pin(run_id, pinned)

    def publish(self, run_id: str, published: bool = True) -> None:
        """Lets everybody who has the link see the run, or takes that back."""
        self._own(run_id)
        self._engine.records.publish(run_id, published)

    def delete(self, run_id: str) -> None:
        """Removes this visitor's run; one that others share stays with them."""
        self._shared(run_id)
        self._engine.delete(run_id, self.visitor)

    def picture(self, run_id: str, name: str) -> Path:
        """A picture of a run. Raises LabError when it has none of that name."""
        self.read(run_id)
        path = self._engine.records.folder(run_id) / name
        if not re.fullmatch(PICTURE_FILE, name) or path.is_symlink() or not path.is_file():
            raise LabError("This run has no such picture.", "Open the run's page to see what it shows.")
        return path

    def kept_file(self, run_id: str, name: str, file: str) -> Path:
        """Weights or config of what a run kept. Raises LabError when it kept nothing of that name."""
        self.read(run_id)
        path = self._engine.models.folder(f"run/{run_id}/{name}") / file
        if file not in KEPT_FILES or path.is_symlink() or not path.is_file():
            raise LabError("This run kept no such file.", f"There are: {', '.join(KEPT_FILES)}.")
        return path

    def taken(self, run_id: str, name: str) -> Path:
        """A file of a run that is there to be taken away. Raises LabError when it has none of that name."""
        self.read(run_id)
        path = self._engine.records.folder(run_id) / name
        if not re.fullmatch(TAKEN_FILE, name) or path.is_symlink() or not path.is_file():
            raise LabError("This run has no such file.", "A first view has none: press Run, and take yours away.")
        return path

    def report(self, run_id: str) -> str:
        """The run as one HTML page."""
        self.read(run_id)
        return report.html(self._engine.records, run_id)

    def data(self, run_id: str) -> dict[str, Any]:
        """The run as one JSON document."""
        self.read(run_id)
        return report.data(self._engine.records, run_id)

    def metrics_csv(self, run_id: str) -> str:
        """The run's metrics as a table."""
        self.read(run_id)
        return report.metrics_csv(self._engine.records, run_id)

    # ---- files ----

    def bring(self, source: Path, name: str) -> str:
        """Copies a file in, as this visitor's; gives its reference."""
        if not self.visitor:
            raise LabError("The lab does not know who asks.", "Allow its cookie in your browser and open the page again.")
        return self._engine.uploads.add(source, name, self.visitor)

    def brought(self, ref: str) -> dict[str, Any]:
        """{name, size} of this visitor's file."""
        return self._engine.uploads.about(ref, self.visitor)

    def take_away(self, ref: str) -> None:
        """Removes this visitor's file."""
        self._engine.uploads.delete(ref, self.visitor)

    @property
    def settings(self):
        return self._engine.settings


def _texts(value: Any) -> Iterator[str]:
    """Every string in plain data."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _texts(item)
