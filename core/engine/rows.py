"""Rows of a table that somebody brought: CSV, JSON or one JSON object a line, read with suspicion.

    for row in read_rows(path):
        row.number, row.cells["question"]      # the row as a spreadsheet counts it, the header being row 1

Nothing in a cell is ever run: a formula or a piece of HTML is text like any other.
"""

from __future__ import annotations

import codecs
import csv
import io
import json
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.engine.code_pages import CODE_PAGES, code_page
from core.engine.errors import LabError
from core.engine.reader import apart

LARGEST = 20_000_000
MOST_COLUMNS, MOST_CELLS = 200, 500_000
MOST_ROWS = 20_000  # the published TOFU file has 4,000, RWKU's lists of probes up to 11,379
PIECE = 200
DELIMITERS = ",;\t|"
CHATS = ("messages", "conversations", "conversation")  # lists of turns: one row, not a table
MMLU = ("question", "a", "b", "c", "d", "answer")
SEPARATOR = re.compile(r'\s*"?sep=([^\r\n"])"?[^\S\r\n]*(?:\r\n|\r|\n)', re.IGNORECASE)
MARKS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
SAVE_AGAIN = "Save it again as 'CSV UTF-8', which every spreadsheet offers."


@dataclass(frozen=True)
class Row:
    """number: as a spreadsheet counts, for JSON the place in the list.  cells: by column name, lower case, spaces for underscores."""

    number: int
    cells: dict[str, Any]


def read_rows(path: Path) -> list[Row]:
    """All rows that are not blank, at most MOST_ROWS. Raises LabError in words, naming the row, for whatever is not a table."""
    return read_table(path)[0]


def read_table(path: Path) -> tuple[list[Row], str]:
    """`read_rows`, and in whose letters they were read: "Russian (Windows)"; "" for Unicode.

    They are read in a process of its own.
    """
    pieces = apart("core.engine.rows:pieces", path=str(Path(path).absolute()))
    rows, letters = [], ""
    for facts, _ in pieces:
        letters = letters or facts.get("letters", "")
        rows += [Row(number, cells) for number, cells in facts["rows"]]
    return rows, letters


def pieces(path: str) -> Iterator[tuple[dict[str, Any], bytes]]:
    """What the reading process says: some rows at a time."""
    text, letters = _decode(_bytes(Path(path)))
    rows = _all_rows(text)
    yield {"rows": [], "letters": letters}, b""
    for start in range(0, len(rows), PIECE):
        yield {"rows": [[row.number, row.cells] for row in rows[start:start + PIECE]]}, b""


def _all_rows(text: str) -> list[Row]:
    start = text.lstrip()[:1]
    rows: list[Row] = []
    cells = 0
    for row in (_json_rows(text) if start in ("[", "{") else _csv_rows(text)):
        if len(rows) == MOST_ROWS:
            raise LabError(f"The file has more than {MOST_ROWS:,} rows.", f"Keep the {MOST_ROWS:,} that matter most.")
        cells += len(row.cells)
        if cells > MOST_CELLS:
            raise LabError(f"The file has more than {MOST_CELLS:,} cells.", "Keep the rows and columns that matter most.")
        rows.append(row)
    return rows


def _bytes(path: Path) -> bytes:
    try:
        size = path.stat().st_size
        if size > LARGEST:
            raise LabError(f"The file has {size / 1e6:.0f} MB.",
                           f"At most {LARGEST // 10**6} MB are read; a thousand questions need less than 1.")
        data = path.read_bytes()
    except OSError:
        raise LabError(f"The file '{path.name}' cannot be read.", "Choose it again.") from None
    if not data.strip():
        raise LabError("The file is empty.", "It needs a first row with the names of the columns, and a question in every further row.")
    return data


def _decode(data: bytes) -> tuple[str, str]:
    """The text, and in whose letters it was read where nothing says so: a spreadsheet's plain "CSV" is in those of its system."""
    encoding, letters = next((name for mark, name in MARKS.items() if data.startswith(mark)), "utf-8"), ""
    if len(data) > 8 and not any(data[1:80:2]) and all(data[0:80:2]):  # UTF-16 without its mark, Latin letters at the beginning
        encoding = "utf-16-le"
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        row = data[:error.start].count(b"\n") + 1
        if b"\0" in data or encoding != "utf-8":
            raise _not_text() from None
        page = code_page([data], usual="cp1252")
        text, letters = data.decode(page, "replace"), CODE_PAGES.get(page, "")
        odd = (sign for sign in text[:10_000].rstrip("\x1a") if unicodedata.category(sign) in ("Cc", "Cn") and not sign.isspace())
        if "\ufffd" in text or any(odd):
            raise LabError(f"Row {row} holds a letter that is not written in UTF-8.", SAVE_AGAIN) from None
    if "\0" in text:
        raise _not_text()
    return text, letters


def _not_text() -> LabError:
    return LabError("This is not a text file.", "Bring a CSV or JSON file. A spreadsheet (.xlsx, .ods) is saved as 'CSV UTF-8' first.")


def _csv_rows(text: str) -> Iterator[Row]:
    named = SEPARATOR.match(text)
    if named:  # a first line by which spreadsheets tell each other what stands between the cells
        text = text[named.end():]
    header_line = re.split(r"[\r\n]", re.sub(r'"[^"]*"', "", text.lstrip()), maxsplit=1)[0]
    delimiter = named[1] if named else max(DELIMITERS, key=header_line.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=delimiter != " ", strict=True)
    header: list[str] = []
    number = 1 if named else 0
    try:
        for cells in reader:
            number += 1
            if not any(cell.strip() for cell in cells):
                continue
            if not header and _is_mmlu(cells):
                header = list(MMLU)
            if not header:
                header = _header(cells)
                continue
            extra = [cell for cell in cells[len(header):] if cell.strip()]
            if extra:
                raise LabError(f"Row {number} has {len(cells)} cells, but the first row names {len(header)} columns.",
                               f"A text that holds '{delimiter}' has to stand in \"double quotes\"." if delimiter != "\t"
                               else "Take the extra cells away.")
            yield Row(number, dict(zip(header, [*cells, *[""] * len(header)], strict=False)))
    except csv.Error as error:
        raise LabError(f"Row {number + 1} cannot be read as CSV: {error}.",
                       "Look for a double quote that is opened and not closed.") from None


def _is_mmlu(cells: list[str]) -> bool:
    """Whether a first row is already a question: MMLU is published without names, the letter of the right answer at the end."""
    return len(cells) == len(MMLU) and cells[-1].strip() in ("A", "B", "C", "D") and _plain(cells[0]) != "question"


def _header(cells: list[str]) -> list[str]:
    _check_columns(len(cells))
    names = [_plain(cell) for cell in cells]
    twice = next((name for name, times in Counter(names).items() if name and times > 1), None)
    if twice:
        raise LabError(f"The first row names the column '{twice}' twice.", "Give every column its own name.")
    return names


def _check_columns(count: int) -> None:
    if count > MOST_COLUMNS:
        raise LabError(f"The file has {count:,} columns.", f"At most {MOST_COLUMNS} are read; keep those with questions and answers.")


def _plain(name: str) -> str:
    """Column names are compared without case, underscores and spaces around them."""
    return " ".join(str(name).replace("_", " ").lower().split())


def _json_rows(text: str) -> Iterator[Row]:
    for number, item in enumerate(_unwrapped(_json_items(text)), start=1):
        if not isinstance(item, dict):
            raise LabError(f"Entry {number} of the file is not an object with names.",
                           'Each has to look like {"question": "...", "answer": "..."}.')
        _check_columns(len(item))
        yield Row(number, {_plain(name): value for name, value in item.items()})


def _told(rows: dict[str, list[dict[str, Any]]]) -> Iterator[dict[str, Any]]:
    """The rows of {"forget": [...], "retain": [...]} or {"Stephen King": [...]}: they stand under their set, or their subject."""
    for name, items in rows.items():
        for item in items:
            asked = " ".join(str(item.get(column, "")) for column in ("question", "query", "prompt"))
            named = {"subject": name} if name in asked else {} if len(rows) == 1 else {"set": name}
            yield named | (item["row"] if isinstance(item.get("row"), dict) else item)


def _paragraphs(items: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """SQuAD as it is published: texts with paragraphs, paragraphs with questions, questions with answers and where they stand."""
    for part in (part for item in items for part in item["paragraphs"] if isinstance(part, dict)):
        for asked in part.get("qas") or []:
            answers = [answer.get("text") for answer in asked.get("answers") or [] if isinstance(answer, dict)]
            yield {"question": asked.get("question"), "answer": answers}


def _unwrapped(items: Iterator[Any]) -> Iterator[Any]:
    """The rows inside what programs put around them: {"data": [...]}, {"rows": [{"row": {...}}]}, or a list for every column."""
    first = next(items, None)
    second = next(items, None)
    if isinstance(first, dict) and second is None and not {"question", "query"} & {
            _plain(name) for name, value in first.items() if isinstance(value, str)}:
        listed = {name: value for name, value in first.items()
                  if name not in CHATS and isinstance(value, list) and value and all(isinstance(v, dict) for v in value)}
        columns = {name: list(value.values()) if isinstance(value, dict) else value for name, value in first.items()}
        if len(listed) == 1 and all(isinstance(item.get("paragraphs"), list) for item in next(iter(listed.values()))):
            yield from _paragraphs(next(iter(listed.values())))
            return
        if listed:
            yield from _told(listed)
            return
        if {"question", "answer"} <= {_plain(name) for name in columns} and all(isinstance(value, list) for value in columns.values()):
            yield from (dict(zip(columns, values, strict=False)) for values in zip(*columns.values(), strict=False))
            return
    yield from (item for item in (first, second) if item is not None)
    yield from items


def _json_items(text: str) -> Iterator[Any]:
    """The items of one JSON list, or of one JSON value a line."""
    if text.lstrip().startswith("["):
        yield from _parse(text, 1)
        return
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            yield _parse(line, number)


def _parse(text: str, line: int) -> Any:
    """`line` is where the text begins."""
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        wrong = f"Line {line + error.lineno - 1} is not JSON: {error.msg.lower()}."
    except RecursionError:
        wrong = "The JSON in this file is nested too deeply."
    except ValueError:
        wrong = "The JSON in this file holds a number with thousands of digits."
    raise LabError(wrong, "A JSON file is one list of objects, or one object a line.")
