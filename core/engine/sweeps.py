"""What sweeps leave behind beside their runs: `sweeps/ID.json` says what was asked for and which run answers which cell.

    notes = Sweeps(home)
    sweep_id = notes.create("unlearning/audit", {"algorithm": ["ga", "npo"]}, [0, 1], 4, "sweep")
    notes.answer(sweep_id, 0, run_id)
    table = points(notes.read(sweep_id), rows)      # the numbers of its finished cells
    across(table, ["algorithm"], "final")           # mean and 95 % interval over seeds, for each value
    shares(table, ["algorithm", "steps"], "final")  # which setting matters
"""

from __future__ import annotations

import itertools
import json
import math
import re
import secrets
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field

from core.engine.errors import LabError
from core.engine.index import Row
from core.engine.records import write_json
from core.engine.stored import parse, read_file

_ID = r"^[a-z0-9][a-z0-9-]{3,79}$"
SEED, REST = "seed", "settings together, and what is left"
_writing = threading.Lock()


class Sweep(BaseModel):
    """One sweep. grid: field -> its values.  runs: cell -> run, the seed varying fastest.  size: how many cells there are."""

    id: str = Field(pattern=_ID)
    name: str
    grid: dict[str, list[Any]]
    seeds: list[int]
    size: int
    created: str
    owner: str = ""
    runs: dict[int, str] = {}


class Sweeps:
    """The sweeps of one home."""

    def __init__(self, home: Path) -> None:
        self._folder = home / "sweeps"

    def create(self, name: str, fields: Mapping[str, Sequence[Any]], seeds: Sequence[int], size: int, owner: str) -> str:
        """A new sweep that has no answers yet; gives its id. Raises LabError when the disk refuses."""
        now = datetime.now(UTC)
        grid = {field: [values] if isinstance(values, str) else list(values) for field, values in fields.items()}
        held = Sweep(id=f"{now:%Y%m%d-%H%M%S}-{secrets.token_hex(3)}", name=name, grid=grid, seeds=list(seeds), size=size,
                     created=now.isoformat(timespec="milliseconds"), owner=owner)
        self._write(held)
        return held.id

    def answer(self, sweep_id: str, cell: int, run_id: str) -> None:
        """Notes that a run answers a cell."""
        with _writing:
            held = self.read(sweep_id)
            self._write(held.model_copy(update={"runs": held.runs | {cell: run_id}}))

    def read(self, sweep_id: str) -> Sweep:
        """Raises LabError for one that does not exist, or is damaged."""
        if not re.fullmatch(_ID, sweep_id):
            raise LabError("There is no such sweep.", "Choose one from the list.")
        try:
            return Sweep.model_validate(parse(read_file(self._folder / f"{sweep_id}.json")))
        except (OSError, ValueError):
            raise LabError("There is no such sweep, or its note is damaged.", "Its runs stand among all others.") from None

    def list(self) -> list[Sweep]:
        """All sweeps that can be read, newest first."""
        found = []
        for file in self._folder.glob("*.json"):
            try:
                found.append(self.read(file.stem))
            except LabError:
                continue
        return sorted(found, key=lambda held: held.created, reverse=True)

    def delete(self, sweep_id: str) -> None:
        """Forgets a sweep; its runs stay."""
        (self._folder / f"{self.read(sweep_id).id}.json").unlink(missing_ok=True)

    def _write(self, held: Sweep) -> None:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            write_json(self._folder / f"{held.id}.json", held.model_dump(mode="json"))
        except OSError as error:
            raise LabError(f"The sweep could not be noted: {error.strerror or error}.", "Free some space on the disk.") from None


@dataclass(frozen=True)
class Point:
    """One finished cell: the values of its settings as text, its seed, its run and its last numbers."""

    settings: dict[str, str]
    seed: int
    run_id: str
    numbers: dict[str, float | None]


def points(held: Sweep, rows: Sequence[Row]) -> list[Point]:
    """The finished cells of a sweep, as far as the reader may see their runs."""
    by_id = {row.id: row for row in rows}
    combinations = list(itertools.product(*held.grid.values()))
    found = []
    for cell, run_id in sorted(held.runs.items()):
        row, place = by_id.get(run_id), cell // max(1, len(held.seeds))
        if row is not None and row.outcome == "finished" and place < len(combinations):
            settings = {field: text_of(value) for field, value in zip(held.grid, combinations[place], strict=True)}
            found.append(Point(settings, row.seed, run_id, {name: value for name, (value, _) in row.numbers.items()}))
    return found


def text_of(value: Any) -> str:
    """A value of a setting as one word."""
    return value if isinstance(value, str) else json.dumps(value)


def measured(table: Sequence[Point]) -> list[str]:
    """The numbers that some cell has, in the order in which they were said."""
    return list(dict.fromkeys(name for point in table for name, value in point.numbers.items() if value is not None))


@dataclass(frozen=True)
class Estimate:
    """Mean of one number over the seeds (and the other settings) of a cell; the interval is None below two values."""

    mean: float
    interval: tuple[float, float] | None
    runs: tuple[str, ...]


def across(table: Sequence[Point], fields: Sequence[str], number: str) -> dict[tuple[str, ...], Estimate]:
    """values of `fields` -> mean and two-sided 95 % Student-t interval of `number` over all finished cells that have these values."""
    from core.engine.claims import interval

    groups: dict[tuple[str, ...], list[Point]] = {}
    for point in table:
        if point.numbers.get(number) is not None:
            groups.setdefault(tuple(point.settings[field] for field in fields), []).append(point)
    found = {}
    for values, members in groups.items():
        mean, low, high = interval([point.numbers[number] for point in members])
        found[values] = Estimate(mean, (low, high) if len(members) > 1 else None, tuple(point.run_id for point in members))
    return found


def shares(table: Sequence[Point], fields: Sequence[str], number: str) -> dict[str, float] | None:
    """How the variance of `number` over all finished cells is shared out: each setting alone, the seed alone, and the rest.

    A setting's share is the sum of squares between the means of its values over the total one (eta squared). The shares add up to 1
    where every combination is finished; None where it is not, or nothing varies.
    """
    values = [(point, point.numbers[number]) for point in table if point.numbers.get(number) is not None]
    named = [*fields, SEED]
    held = {name: {_value(point, name) for point, _ in values} for name in named}
    places = {tuple(_value(point, name) for name in named) for point, _ in values}
    if len(values) < 2 or len(values) != len(places) or len(places) != math.prod(len(found) for found in held.values()):
        return None
    mean = math.fsum(value for _, value in values) / len(values)
    total = math.fsum((value - mean) ** 2 for _, value in values)
    if total <= 1e-12 * max(1.0, mean * mean):
        return None
    found = {}
    for name in named:
        groups = [[value for point, value in values if _value(point, name) == one] for one in held[name]]
        found[name] = math.fsum(len(group) * (math.fsum(group) / len(group) - mean) ** 2 for group in groups) / total
    return found | {REST: max(0.0, 1 - math.fsum(found.values()))}


def _value(point: Point, name: str) -> str:
    return str(point.seed) if name == SEED else point.settings[name]
