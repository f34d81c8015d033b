"""Questions from a file: a visitor's own, or one of the three published sets. All of them become the same records.

    world = read_questions(lab.data(config.questions))
    world.forget(1)       # every question; nothing is there to be kept
    world.notes           # ("Rows 4 and 9 have no answer and were left out.",)

Formats are told apart by their columns (methods/01 section 2):

    own    question, answer; if wanted key, subject, paraphrased_question, paraphrased_answer, wrong_answers (between |)
    TOFU   the same with perturbed_answer, a list (JSON or one JSON object a line)
    WHP    Question, Affirmative Response, Key Words (CSV)
    RWKU   query, answer, level, type, subject (JSON)

Which ways of asking they allow, `core.unlearning.prompts.possible` says.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from core.engine.errors import LabError
from core.engine.experiment import clean_text
from core.unlearning.data import Record, World
from core.unlearning.rows import Row, read_rows

OWN, TITLE = "own", "Questions from a file"
LONGEST = 2000
LONG_KEY = 8  # words: whoever knows a fact rarely repeats so many of them in the same order
WRONG = ("wrong answers", "wrong answer", "perturbed answer", "perturbed answers")
KNOWN = {"question", "answer", "key", "subject", "paraphrased question", "paraphrased answer", "query", "level", "type",
         "affirmative response", "key words", *WRONG}
SHAPE = "The first row has to name the columns 'question' and 'answer'; 'key', 'subject' and 'wrong_answers' may follow."


@dataclass
class Notes:
    """What a visitor is told about a file: row numbers by what was done with them."""

    no_question: list[int] = field(default_factory=list)
    no_answer: list[int] = field(default_factory=list)
    twice: list[int] = field(default_factory=list)
    key_elsewhere: list[int] = field(default_factory=list)
    subject_elsewhere: list[int] = field(default_factory=list)
    unused: list[str] = field(default_factory=list)
    long_keys: int = 0

    def sentences(self) -> tuple[str, ...]:
        """One sentence for each thing that happened."""
        said = [(self.no_question, "without a question: left out"), (self.no_answer, "without an answer: left out"),
                (self.twice, "with a question that stood there before: left out"),
                (self.key_elsewhere, "whose key does not stand in the answer: the whole answer counts as the key"),
                (self.subject_elsewhere, "whose subject does not stand in the question: no subject is marked in them")]
        lines = [f"{_listed(numbers)} {words}." for numbers, words in said if numbers]
        if self.long_keys:
            which = "1 answer is long and has no key: it counts only if it is" if self.long_keys == 1 else \
                f"{self.long_keys} answers are long and have no key: they count only if they are"
            lines.append(f"{which} repeated word for word. Add a column 'key' with the word that matters.")
        return tuple(lines + ([f"Columns not used: {', '.join(self.unused)}."] if self.unused else []))


def read_questions(path: Path) -> World:
    """The questions of a file as a world of which everything is to be forgotten and nothing kept.

    Line breaks in a cell become spaces. Raises LabError, naming the row, for a file that is no table of questions.
    """
    rows = read_rows(path)
    if not rows:
        raise LabError("The file has no row below its first one.", "Write one question in every row.")
    columns = set().union(*(row.cells for row in rows))
    read, notes = _reader(columns), Notes(unused=sorted(name for name in columns - KNOWN if name))
    records: dict[str, Record] = {}
    for row in rows:
        record = read(row, notes)
        if record is None:
            continue
        if record.question.lower() in records:
            notes.twice.append(row.number)
        records.setdefault(record.question.lower(), record)
    if not records:
        raise LabError("No row of the file has both a question and an answer.", SHAPE)
    return World(tuple(records.values()), OWN, TITLE, "person", "", notes.sentences())


def _reader(columns: set[str]) -> Callable[[Row, Notes], Record | None]:
    if {"question", "affirmative response", "key words"} <= columns:
        return _whp
    if {"query", "answer"} <= columns:
        return _rwku
    if {"question", "answer"} <= columns:
        return _plain
    missing = [f"no column '{name}'" for name in ("question", "answer") if name not in columns]
    raise LabError(f"The file has {' and '.join(missing)}.", SHAPE)


def _plain(row: Row, notes: Notes) -> Record | None:
    wrong = next((row.cells[name] for name in WRONG if row.cells.get(name)), [])
    texts = [_clean(row, part) for part in (wrong if isinstance(wrong, list) else str(wrong).split("|"))]
    return _record(row, notes, _text(row, "question"), _text(row, "answer"), key=_text(row, "key"), wrong=texts)


def _rwku(row: Row, notes: Notes) -> Record | None:
    level = _text(row, "level")
    if level not in ("", "1", "2", "3"):
        raise LabError(f"Row {row.number} has the level '{level[:20]}'.", "Levels are 1 (gap), 2 (question) and 3 (trick).")
    question = _text(row, "query")
    return _record(row, notes, question, _text(row, "answer"), level=int(level or 0), cloze=question if level == "1" else "")


def _whp(row: Row, notes: Notes) -> Record | None:
    start = _text(row, "affirmative response")
    keys = tuple(word for word in (part.strip() for part in _text(row, "key words").split(",")) if word)
    answer = f"{start} {keys[0]}." if keys else ""
    return _record(row, notes, _text(row, "question"), answer, key=keys[0] if keys else "", affirmative=start, keys=keys)


def _record(row: Row, notes: Notes, question: str, answer: str, *, key: str = "", wrong: Sequence[str] = (), **more: Any) -> Record | None:
    """None, and a note, for a row that cannot be asked."""
    if not question or not re.search(r"\w", answer):
        (notes.no_answer if question else notes.no_question).append(row.number)
        return None
    key = _key(row, notes, answer, key)
    subject = _text(row, "subject")
    found = re.search(re.escape(subject), question, re.IGNORECASE) if subject else None
    if subject and not found:
        notes.subject_elsewhere.append(row.number)
    span = found.span() if found else None
    return Record(question, answer, key, subject, span, "", "forget1", _text(row, "paraphrased question"),
                  _text(row, "paraphrased answer"), tuple(text for text in wrong if text), "", **more)


def _key(row: Row, notes: Notes, answer: str, key: str) -> str:
    """The key as it is written in the answer; the whole answer where there is none."""
    found = re.search(rf"(?<!\w){re.escape(key)}(?!\w)", answer, re.IGNORECASE) if key else None
    if key and not found:
        notes.key_elsewhere.append(row.number)
    notes.long_keys += not found and len(answer.split()) >= LONG_KEY
    return found.group() if found else answer.rstrip(" .!") or answer


def _text(row: Row, column: str) -> str:
    return _clean(row, row.cells.get(column) or "")


def _clean(row: Row, value: Any) -> str:
    if not isinstance(value, str | int | float):
        raise LabError(f"Row {row.number} holds a list or an object where a text is expected.", "Only wrong answers may be a list.")
    text = str(value)
    text = " ".join((text if text.isascii() and text.isprintable() else clean_text(text)).split())  # 20,000 rows in one second, not ten
    if len(text) > LONGEST:
        raise LabError(f"Row {row.number} holds a text of {len(text):,} characters.", f"At most {LONGEST:,} are read in one cell.")
    return text


def _listed(numbers: list[int]) -> str:
    """"Row 4" or "Rows 4, 9 and 12" or "Rows 1, 2, 3, 4, 5 and 17 more"."""
    if len(numbers) == 1:
        return f"Row {numbers[0]}"
    shown = [str(number) for number in numbers[:5]]
    last = f"{len(numbers) - 5} more" if len(numbers) > 5 else shown.pop()
    return f"Rows {', '.join(shown)} and {last}"
