"""What one reader may see of all runs, and what they may change: the door of the notebook, as `door.py` is that of the pages.

    library = Library(records, Index(records), reader=None)      # None: whoever owns this machine sees everything
    library.rows(), library.lines(run_id)                        # LabError for what is somebody else's, as for what does not exist

A reader with a visitor's token sees the runs of that visitor, published ones and first views; "" sees the last two only.
"""

from __future__ import annotations

import os
import re
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from core.engine import outputs
from core.engine.errors import LabError
from core.engine.experiment import clean_text
from core.engine.index import Index, Row
from core.engine.records import Records, no_such_run
from core.engine.registry import find
from core.engine.stored import LONGEST_LABEL, LONGEST_NOTE, MOST_TAGS, PICTURE_FILE, RunRecord

REMEMBERED, LONGEST_TAG = 32, 30
Lines = list[dict[str, Any]]


class Library:
    """The runs as far as `reader` may see them."""

    def __init__(self, records: Records, index: Index, reader: str | None) -> None:
        self.records, self._index, self.reader = records, index, reader

    @property
    def owns_all(self) -> bool:
        """Whether this is who owns the machine."""
        return self.reader is None

    def rows(self) -> list[Row]:
        """What this reader may see, newest first; first views last. What others noted about theirs stays with them."""
        return [row if self._mine(row.visitors) else _without_notes(row) for row in self._index.rows()
                if row.published or self._mine(row.visitors)]

    def damaged(self) -> list[str]:
        """For the owner of the machine: the runs whose record cannot be read."""
        return self._index.damaged if self.owns_all else []

    def _mine(self, visitors: tuple[str, ...] | list[str]) -> bool:
        return self.reader is None or bool(self.reader) and self.reader in visitors

    def read(self, run_id: str) -> RunRecord:
        """The record of a run. Raises one and the same LabError for what is hidden and what does not exist."""
        run = self.records.read(run_id)
        if not (run.published or self._mine(run.visitors)):
            raise no_such_run()
        return run

    def may_change(self, run: RunRecord) -> bool:
        """Whether this reader may name, tag or annotate the run."""
        return not run.id.startswith("first-") and (self.reader is None or bool(self.reader) and run.owner == self.reader)

    def may_delete(self, run: RunRecord) -> bool:
        """Whether this reader may delete the run."""
        return not run.id.startswith("first-") and self._mine(run.visitors)

    def lines(self, run_id: str) -> Lines:
        """The events of a run; the last ones that were asked for stay in memory while their files stay the same."""
        run = self.read(run_id)
        log = self.records.folder(run_id) / "events.jsonl"
        stamp = (str(log), run.outcome, os.stat(log).st_size if log.is_file() else 0)
        with _lock:
            if stamp in _remembered:
                _remembered.move_to_end(stamp)
                return _remembered[stamp]
        lines = self.records.events(run_id)
        with _lock:
            _remembered[stamp] = lines
            while len(_remembered) > REMEMBERED:
                _remembered.popitem(last=False)
        return lines

    def picture(self, run_id: str, name: str) -> Path:
        """A picture of a run. Raises LabError when it has none of that name."""
        self.read(run_id)
        path = self.records.folder(run_id) / name
        if not re.fullmatch(PICTURE_FILE, name) or path.is_symlink() or not path.is_file():
            raise LabError("This run has no such picture.", "Open the run's page to see what it shows.")
        return path

    def describe(self, run_id: str, label: str, tags: list[str], note: str) -> None:
        """Writes what a run is called, its tags and what is to be remembered of it. Raises LabError for what is too long."""
        if not self.may_change(self.read(run_id)):
            raise LabError("Only who started this run can name it.", "Run it again to get one of your own.")
        label, note, tags = clean_text(label), clean_text(note), list(dict.fromkeys(filter(None, map(clean_text, tags))))
        for what, size, most in (("name", len(label), LONGEST_LABEL), ("note", len(note), LONGEST_NOTE)):
            if size > most:
                raise LabError(f"The {what} has {size} characters.", f"At most {most} fit.")
        if len(tags) > MOST_TAGS or any(len(tag) > LONGEST_TAG for tag in tags):
            raise LabError("Those are too many tags, or one is too long.", f"At most {MOST_TAGS} tags of {LONGEST_TAG} characters fit.")
        self.records.update(run_id, label=label, tags=tags, note=note)
        self._index.look_again()

    def delete(self, run_id: str) -> None:
        """Removes a run; one that others share stays with them. Raises LabError for a run that goes on, or is somebody else's."""
        if not self.may_delete(self.read(run_id)):
            raise LabError("This run cannot be deleted here.", "You can delete the runs that you started.")
        self.records.delete(run_id, self.reader)
        self._index.look_again()


_remembered: OrderedDict[tuple[str, str, int], Lines] = OrderedDict()
_lock = threading.Lock()


def _without_notes(row: Row) -> Row:
    """The row as others see it; what was noted stands in its text too, where a search would find it."""
    if not (row.label or row.tags or row.note):
        return row
    text = " ".join((row.id, row.title, row.name, row.outcome, row.headline, *(f"{name}={value}" for name, value in row.config.items())))
    return replace(row, label="", tags=(), note="", text=text.lower())


def declared(name: str) -> outputs.Outputs:
    """What an experiment says of its outputs; nothing once there is no such experiment any more."""
    try:
        return find(name).outputs
    except LabError:
        return ()


def title_of(name: str, kind: str, output: str) -> tuple[str, str]:
    """(title, unit) of an output as its page calls it; its bare name where nothing is declared."""
    said = declared(name)
    found = outputs.find(said, kind, output)
    group = next((one for one in said if isinstance(one, outputs.Group) and found in one.outputs), None)
    unit = found.unit or (group.y if group else "") if found else ""
    return found.title if found and "{}" not in found.name else output.replace("_", " "), unit


def in_order(name: str, numbers: list[str]) -> list[str]:
    """What the page of the experiment shows as its numbers comes first, what was said while it ran comes last."""
    looks = {one: said.look if (said := outputs.find(declared(name), "metric", one)) else "" for one in numbers}
    return sorted(numbers, key=lambda one: {"number": 0, "line": 2}.get(looks[one], 1))


def settings_that_differ(configs: list[Mapping[str, Any]]) -> list[str]:
    """The fields, in their order, that are not the same in all configs; one that some do not have counts as different."""
    names = dict.fromkeys(name for config in configs for name in config)
    return [name for name in names if any(name not in config or config[name] != configs[0].get(name) for config in configs)]


def cut(lines: Lines, share: float) -> Lines:
    """The first part of a run: `share` (0..1) of its events, as a replay shows them."""
    return lines[:max(1, round(len(lines) * share))] if lines else []


def curves(lines: Lines) -> dict[str, tuple[list[int], list[float | None]]]:
    """Every metric that was said at several steps: name -> (steps, values)."""
    found: dict[str, tuple[list[int], list[float | None]]] = {}
    for line in lines:
        if line["kind"] == "metric" and line["step"] is not None:
            steps, values = found.setdefault(line["name"], ([], []))
            steps.append(line["step"]), values.append(line["value"])
    return found


def numbers(lines: Lines) -> dict[str, float | None]:
    """The last value of every metric."""
    return {line["name"]: line["value"] for line in lines if line["kind"] == "metric"}


def last(lines: Lines, kind: str) -> dict[str, dict[str, Any]]:
    """The events of a kind that are shown in the end: the last of every name."""
    return {line["name"]: line for line in lines if line["kind"] == kind}


def outdated(run: RunRecord) -> str:
    """What to do with a run of another version of its experiment; "" for one of today's."""
    try:
        experiment = find(run.name)
    except LabError:
        return f"The experiment '{run.name}' does not exist any more: the record can be read, and not be computed again."
    if run.revision == experiment.revision:
        return ""
    return (f"It was computed by revision {run.revision} of the experiment, which is now at {experiment.revision}: its numbers may differ "
            "from today's. Run it again to compare like with like.")
