"""What stands in the cells of a table of questions: texts, numbers, yes or no, lists of answers, or nothing at all.

    text(row, "answer")                 # "Porto"; "42" for 42.0; "Yes" for true; "" where nothing stands
    several(row, "possible answers")    # ["Porto", "Oporto"], also of a cell that holds such a list as text

`record` makes a question of a row, and notes what could not be used.
"""

from __future__ import annotations

import ast
import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from core.engine.errors import LabError
from core.engine.experiment import clean_text
from core.engine.rows import Row
from core.unlearning.data import Record
from core.unlearning.words import alone, find, fold, tokens

LONGEST = 2000
LONGEST_TEXT = 20_000  # of a text that is to be gone on with
LONG_KEY, LONG_SIGNS = 8, 16  # words, and signs without spaces: whoever knows a fact rarely repeats so many of them in the same order
FORGET, KEEP = "forget1", "retain"


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
    layout: str = ""
    letters: str = ""

    def sentences(self) -> tuple[str, ...]:
        """One sentence for each thing that happened."""
        said = [(self.no_question, "without a question: left out"), (self.no_answer, "without an answer: left out"),
                (self.twice, "with a question that stood there before: left out"),
                (self.key_elsewhere, "whose key does not stand in the answer: the whole answer counts as the key"),
                (self.subject_elsewhere, "whose subject does not stand in the question: no subject is marked in them")]
        lines = [f"Read as {self.layout}."] if self.layout else []
        if self.letters:
            lines.append(f"The file is not written in UTF-8: its letters were read as {self.letters}.")
        lines += [f"{listed(numbers)} {words}." for numbers, words in said if numbers]
        if self.long_keys:
            which = "1 answer is long and has no key: it counts only if it is" if self.long_keys == 1 else \
                f"{self.long_keys} answers are long and have no key: they count only if they are"
            lines.append(f"{which} repeated word for word. Add a column 'key' with the word that matters.")
        return tuple(lines + ([f"Columns not used: {', '.join(self.unused)}."] if self.unused else []))


def listed(numbers: list[int]) -> str:
    """"Row 4" or "Rows 4, 9 and 12" or "Rows 1, 2, 3, 4, 5 and 17 more"."""
    if len(numbers) == 1:
        return f"Row {numbers[0]}"
    shown = [str(number) for number in numbers[:5]]
    last = f"{len(numbers) - 5} more" if len(numbers) > 5 else shown.pop()
    return f"Rows {', '.join(shown)} and {last}"


def missing(value: Any) -> bool:
    """Nothing, not a number, or a text without anything in it. Zero and "no" are answers."""
    return value is None or (isinstance(value, float) and math.isnan(value)) or (isinstance(value, str) and not value.strip())


def text(row: Row, column: str, longest: int = LONGEST) -> str:
    """The cell as a text."""
    return clean(row, row.cells.get(column), longest)


def clean(row: Row, value: Any, longest: int = LONGEST) -> str:
    """One value as a text. Raises LabError, naming the row, for a list or an object, and for a text that is too long."""
    if missing(value):
        return ""
    if isinstance(value, bool):
        return "Yes" if value else "No"
    if not isinstance(value, str | int | float):
        raise LabError(f"Row {row.number} holds a list or an object where a text is expected.",
                       "Answers, wrong answers and choices may be lists; a question is one text.")
    said = str(int(value)) if isinstance(value, float) and value.is_integer() and abs(value) < 1e15 else str(value)
    said = " ".join((said if said.isascii() and said.isprintable() else clean_text(said)).split())  # 20,000 rows in one second, not ten
    if len(said) > longest:
        raise LabError(f"Row {row.number} holds a text of {len(said):,} characters.", f"At most {longest:,} are read in one cell.")
    return said


def several(row: Row, column: str, between: str = "") -> list[str]:
    """The texts of a cell that may hold a list, or a list written as text; parted at `between` where that is given."""
    value = row.cells.get(column)
    if isinstance(value, str):
        value = _as_list(value) or (value.split(between) if between else [value])
    elif isinstance(value, dict):
        value = value.get("text", list(value.values()))
    parts = value if isinstance(value, list) else [value]
    return list(dict.fromkeys(said for said in (clean(row, part) for part in parts) if said))


def _as_list(value: str) -> list[Any] | None:
    """What other programs write into a cell for a list: JSON, Python, or the signs of an array."""
    if not (value.startswith("[") and value.endswith("]")):
        return None
    for read in (json.loads, ast.literal_eval):
        try:
            found = read(value)
        except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
            continue
        if isinstance(found, list) and not (read is ast.literal_eval and len(found) == 1 and "\n" in value):
            return found
    quoted = re.findall(r"""'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)\"""", value)
    return [one or other for one, other in quoted] or None


def record(row: Row, notes: Notes, question: str, answers: Sequence[str], *, key: str = "", keys: Sequence[str] = (), subject: str = "",
           wrong: Sequence[str] = (), **more: Any) -> Record | None:
    """A question with its right answers, of which any counts; None, and a note, for a row that cannot be asked.

    key: the word that matters, as the table has it.  keys: all of them where the layout names several itself.
    """
    right = [answer for answer in answers if re.search(r"\w", answer)]
    if not question or not right:
        (notes.no_answer if question else notes.no_question).append(row.number)
        return None
    proof = tuple(keys) or _keys(row, notes, right, key, str(more.get("cloze", "")))
    found = find(subject, question, whole=False) if subject else None
    if subject and not found:
        notes.subject_elsewhere.append(row.number)
    made = Record(question, right[0], proof[0], subject, found.span() if found else None, "", FORGET,
                  text(row, "paraphrased question"), text(row, "paraphrased answer"),
                  tuple(said for said in dict.fromkeys(wrong) if said and fold(said) not in map(fold, right)), "", **more)
    return replace(made, keys=proof) if len(proof) > 1 else made


def _keys(row: Row, notes: Notes, right: Sequence[str], key: str, cloze: str) -> tuple[str, ...]:
    """What proves a right answer: the key as it is written in the answer, or every right answer as a whole."""
    found = find(key, right[0]) if key else None
    if found:
        return (found.text,)
    whole = tuple(answer.rstrip(" .!。！") or answer for answer in right)
    if key:
        notes.key_elsewhere.append(row.number)
        return whole
    notes.long_keys += all(_is_long(answer) for answer in whole) and not cloze
    return whole


def _is_long(answer: str) -> bool:
    words = tokens(answer)
    signs = sum(map(alone, (word[0] for word in words)))
    return len(words) - signs >= LONG_KEY or signs >= LONG_SIGNS
