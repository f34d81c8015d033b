"""Questions from a file: a visitor's own, or one of the published sets. All of them become the same records.

    world = read_questions(lab.data(config.questions))
    world.forget(1)       # every question, or those that the table says are to be forgotten
    world.retain          # what a second table, or a column of this one, says is to be kept
    world.notes           # ("Rows 4 and 9 have no answer and were left out.",)

Layouts are told apart by their columns, see `layouts.py`; which ways of asking they allow, `core.unlearning.prompts.possible` says.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from core.engine.errors import LabError
from core.engine.rows import Row, read_rows, read_table
from core.unlearning.cells import FORGET, KEEP, Notes
from core.unlearning.data import Record, World
from core.unlearning.layouts import SHAPE, kept, recognised, renamed, told_apart, unused
from core.unlearning.words import fold

OWN, TITLE = "own", "Questions from a file"


def read_questions(path: Path, keep: Path | None = None) -> World:
    """The questions of a file as a world; `keep`: a second file, of what is to be kept.

    Everything of the first file is to be forgotten, unless one of its columns says otherwise. Line breaks in a cell become spaces.
    Raises LabError, naming the row, for a file that is no table of questions.
    """
    found, said = _by_row(path)
    records, notes = list(found.values()), said.sentences()
    if keep is not None:
        others, more = _by_row(keep)
        asked = {fold(record.question) for record in records}
        more.twice += [number for number, record in others.items() if fold(record.question) in asked]
        records += [replace(record, split=KEEP) for record in others.values() if fold(record.question) not in asked]
        notes += tuple(f"What is to be kept: {sentence}" for sentence in more.sentences())
    if not any(record.split == FORGET for record in records):
        raise LabError("The table says that everything is to be kept.", "Mark at least one row with 'forget'.")
    return World(tuple(records), OWN, TITLE, "person", "", notes)


def read_as(path: Path) -> str:
    """The name of the published layout that a file has; "" for a table of one's own."""
    return recognised(_named(read_rows(path))[1]).name


def _named(rows: list[Row]) -> tuple[list[Row], set[str]]:
    """The rows with the two columns that every table needs under their usual names."""
    columns = set().union(*(row.cells for row in rows))
    names = renamed(columns)
    if names:
        rows = [replace(row, cells={names.get(name, name): value for name, value in row.cells.items()}) for row in rows]
    return rows, {names.get(name, name) for name in columns}


def _booleans(rows: list[Row]) -> list[Row]:
    """The rows with true and false for what a spreadsheet writes for them, if a column of answers holds nothing else."""
    said = {fold(answer) for row in rows if isinstance(answer := row.cells.get("answer"), str) and answer.strip()}
    if not said or not said <= {"true", "false"}:
        return rows
    return [replace(row, cells=row.cells | {"answer": fold(answer) == "true"}) if isinstance(answer := row.cells.get("answer"), str)
            and answer.strip() else row for row in rows]


def _by_row(path: Path) -> tuple[dict[int, Record], Notes]:
    """The questions by the number of their row, and what there is to say about the others."""
    table, letters = read_table(path)
    rows, columns = _named(_booleans(table))
    if not rows:
        raise LabError("The file has no row below its first one.", "Write one question in every row.")
    layout = recognised(columns)
    notes, column = Notes(unused=unused(layout, columns), layout=layout.name, letters=letters), told_apart(rows)
    found: dict[int, Record] = {}
    asked: set[str] = set()
    for row in rows:
        record = layout.read(row, notes)
        if record is None:
            continue
        if fold(record.question) in asked:
            notes.twice.append(row.number)
            continue
        asked.add(fold(record.question))
        found[row.number] = replace(record, split=KEEP) if column and kept(row, column) else record
    if not found:
        raise LabError("No row of the file has both a question and an answer.", SHAPE)
    return found, notes
