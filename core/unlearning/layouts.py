"""Tables of questions in the layouts in which they are published, told apart by the names of their columns.

    layout = recognised({"question", "choices", "answer"})
    layout.name                                       # "WMDP", as a visitor reads it
    layout.read(row, notes)                           # a Record, or None for a row that cannot be asked

    own          question, answer; if wanted key, subject, paraphrased_question, paraphrased_answer, wrong_answers (between |), choices
    TOFU         the same with perturbed_answer, a list
    MUSE         question, answer (knowledge); prompt, gt (verbatim: a text and how it goes on)
    WHP          Question, Affirmative Response, Key Words
    RWKU         query, answer, level, type, subject
    WMDP, MMLU   question, choices, answer as an index from 0; MMLU names the school subject beside it, or comes without a first row
    MMLU-Pro     question, options, answer as a letter, answer_index
    ARC          question, choices with label and text, answerKey; likewise CommonsenseQA, and OpenBookQA with question_stem
    SciQ         question, correct_answer, distractor1 to distractor3
    TruthfulQA   question, best_answer, correct_answers, incorrect_answers
    zsRE         src, answers, subject
    CounterFact  requested_rewrite: a text with a gap for the subject, and how it goes on
    PopQA        question, possible_answers, subj, obj
    BoolQ        question, passage, answer as true or false
    TriviaQA     question, answer as an object with a value and its aliases
    Alpaca       instruction, input, output
    chats        messages or conversations: a list of turns, of which the first question and what was answered to it count
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from core.engine.errors import LabError
from core.engine.rows import CHATS, Row
from core.unlearning.cells import LONGEST_TEXT, Notes, clean, missing, record, several, text
from core.unlearning.data import Record
from core.unlearning.words import fold

SHAPE = "The first row has to name the columns 'question' and 'answer'; 'key', 'subject' and 'wrong_answers' may follow."
WRONG = ("wrong answers", "wrong answer", "perturbed answer", "perturbed answers", "incorrect answers", "distractors")
CHOICES = ("choices", "options")
LETTERS = "abcdefgh"
ASKS, ANSWERS = ("user", "human"), ("assistant", "gpt", "model", "bot")
TOLD = ("set", "split", "part", "role", "forget")  # columns that may say what is to be forgotten and what kept
UNNAMED = ("", "unnamed: 0", "index")  # what programs add to a table that they write
# how other tables call the two columns that every table needs
SYNONYMS = {"question": ("prompt", "instruction", "input", "query", "questions", "q"),
            "answer": ("response", "output", "completion", "target", "answers", "correct answer", "answer key", "answerkey", "a")}


@dataclass(frozen=True)
class Layout:
    """name: as a visitor reads it, "" for a table of one's own.  needs: columns that tell it from others.  uses: those that are read."""

    name: str
    needs: frozenset[str]
    read: Callable[[Row, Notes], Record | None]
    uses: frozenset[str] = field(default_factory=frozenset)
    lacks: frozenset[str] = frozenset()


def _own(row: Row, notes: Notes) -> Record | None:
    choices = _choices(row)
    if choices:
        return _multiple(row, notes, choices, text(row, "subject"))
    wrong = [said for name in WRONG for said in several(row, name, "|")]
    answer = row.cells.get("answer")
    if isinstance(answer, dict):
        return _trivia(row, notes)
    right = several(row, "answer")
    if isinstance(answer, bool):
        wrong = wrong or ["No" if answer else "Yes"]
    return record(row, notes, text(row, "question"), right, key=text(row, "key"), subject=text(row, "subject"), wrong=wrong)


def _keyed(row: Row, notes: Notes) -> Record | None:
    cells = row.cells | {"question": row.cells.get("question", row.cells.get("question stem")), "answer": row.cells.get("answerkey")}
    return _school(replace(row, cells=cells), notes)


def _sciq(row: Row, notes: Notes) -> Record | None:
    wrong = [said for number in "123" if (said := text(row, f"distractor{number}"))]
    return record(row, notes, text(row, "question"), several(row, "correct answer"), wrong=wrong)


def _truthful(row: Row, notes: Notes) -> Record | None:
    right = [text(row, "best answer"), *several(row, "correct answers", ";")]
    return record(row, notes, text(row, "question"), list(dict.fromkeys(filter(None, right))), wrong=several(row, "incorrect answers", ";"))


def _zsre(row: Row, notes: Notes) -> Record | None:
    return record(row, notes, text(row, "src"), several(row, "answers"), subject=text(row, "subject"))


def _counterfact(row: Row, notes: Notes) -> Record | None:
    asked = row.cells.get("requested rewrite")
    told = asked if isinstance(asked, dict) else {}
    subject, true = clean(row, told.get("subject")), told.get("target_true")
    said = clean(row, true.get("str") if isinstance(true, dict) else true)
    return record(row, notes, clean(row, told.get("prompt")).replace("{}", subject), [said] if said else [], subject=subject, verbatim=True)


def _alpaca(row: Row, notes: Notes) -> Record | None:
    question = f"{text(row, 'instruction')} {text(row, 'input')}".strip()
    return record(row, notes, question, several(row, "output"))


def _chat(row: Row, notes: Notes) -> Record | None:
    """The first thing that somebody asked and the model answered; who speaks is called differently by each."""
    turns = next((value for name in CHATS if isinstance(value := row.cells.get(name), list)), [])
    said = [(str(turn.get("role", turn.get("from"))).lower(), clean(row, turn.get("content", turn.get("value"))))
            for turn in turns if isinstance(turn, dict)]
    at = next((i for i in range(len(said) - 1) if said[i][0] in ASKS and said[i + 1][0] in ANSWERS), None)
    if at is None:
        return record(row, notes, "", [])
    return record(row, notes, said[at][1], [said[at + 1][1]] if said[at + 1][1] else [])


def _choices(row: Row) -> list[str]:
    named = next((several(row, name, "|") for name in CHOICES if not missing(row.cells.get(name))), [])
    return named or [said for letter in LETTERS if (said := text(row, letter))]


def _multiple(row: Row, notes: Notes, choices: list[str], subject: str = "") -> Record | None:
    answer = row.cells.get("answer")
    if missing(answer):
        return record(row, notes, text(row, "question"), [])
    right = choices[_index(row, answer, choices)]
    return record(row, notes, text(row, "question"), [right], key=text(row, "key"), subject=subject,
                  wrong=[choice for choice in choices if choice != right])


def _index(row: Row, answer: Any, choices: list[str]) -> int:
    """Which of the choices is right: by number from 0, by letter, by the name a label gives it, or by its words."""
    labels = next((row.cells[name].get("label") for name in CHOICES if isinstance(row.cells.get(name), dict)), None)
    said = clean(row, answer[0] if isinstance(answer, list) and len(answer) == 1 else answer)
    if isinstance(labels, list) and said in map(str, labels):
        return list(map(str, labels)).index(said)
    folded = [fold(choice) for choice in choices]
    if not said.isdecimal() and fold(said) in folded:
        return folded.index(fold(said))
    if len(said) == 1 and said.lower() in LETTERS[:len(choices)]:
        return LETTERS.index(said.lower())
    if said.isdecimal() and int(said) < len(choices):
        return int(said)
    if fold(said) in folded:
        return folded.index(fold(said))
    raise LabError(f"Row {row.number} says that answer '{said[:20]}' is right, but has {len(choices)} choices.",
                   f"Numbers count from 0 to {len(choices) - 1}; a letter or the words of the choice will do as well.")


def _school(row: Row, notes: Notes) -> Record | None:
    """What stands under `subject` is a subject of study and no name in the question."""
    return _multiple(row, notes, _choices(row))


def _rwku(row: Row, notes: Notes) -> Record | None:
    level = text(row, "level")
    if level not in ("", "1", "2", "3"):
        raise LabError(f"Row {row.number} has the level '{level[:20]}'.", "Levels are 1 (gap), 2 (question) and 3 (trick).")
    question = text(row, "query")
    return record(row, notes, question, several(row, "answer"), subject=text(row, "subject"), level=int(level or 0),
                  cloze=question if level == "1" else "")


def _whp(row: Row, notes: Notes) -> Record | None:
    start = text(row, "affirmative response")
    keys = tuple(word for word in (part.strip() for part in text(row, "key words").split(",")) if word)
    return record(row, notes, text(row, "question"), [f"{start} {keys[0]}."] if keys else [], keys=keys, affirmative=start)


def _popqa(row: Row, notes: Notes) -> Record | None:
    right = [said for said in [text(row, "obj"), *several(row, "possible answers")] if said]
    return record(row, notes, text(row, "question"), list(dict.fromkeys(right)), subject=text(row, "subj"))


def _boolq(row: Row, notes: Notes) -> Record | None:
    question, answer = text(row, "question"), row.cells.get("answer", row.cells.get("label"))
    said = {"true": "Yes", "1": "Yes", "yes": "Yes", "false": "No", "0": "No", "no": "No"}.get(clean(row, answer).lower(), "")
    return record(row, notes, question if question.endswith("?") else f"{question}?", [said] if said else [],
                  wrong=["No" if said == "Yes" else "Yes"] if said else [])


def _trivia(row: Row, notes: Notes) -> Record | None:
    answer = row.cells.get("answer")
    known = answer if isinstance(answer, dict) else {}
    if not known.keys() & {"value", "aliases", "text"}:
        return record(row, notes, text(row, "question"), several(row, "answer") if not known else [clean(row, answer)])
    right = [clean(row, value) for value in [known.get("value"), *_as_given(known.get("aliases")), *_as_given(known.get("text"))]]
    return record(row, notes, text(row, "question"), list(dict.fromkeys(said for said in right if said)), subject=text(row, "subject"))


def _as_given(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _verbatim(row: Row, notes: Notes) -> Record | None:
    return record(row, notes, text(row, "prompt", LONGEST_TEXT), [text(row, "gt", LONGEST_TEXT)], verbatim=True)


_SHARED = frozenset({"question", "answer", "key", "subject", "paraphrased question", "paraphrased answer", *WRONG, *CHOICES, *TOLD,
                     *UNNAMED})
LAYOUTS = (
    Layout("WHP", frozenset({"question", "affirmative response", "key words"}), _whp),
    Layout("RWKU", frozenset({"query", "answer", "level"}), _rwku, frozenset({"type", "subject", *TOLD})),
    Layout("RWKU", frozenset({"query", "answer"}), _rwku, frozenset({"type", "subject", "level", *TOLD}), frozenset({"question"})),
    Layout("PopQA", frozenset({"question", "possible answers", "obj"}), _popqa, frozenset({"id",
        "subj", "prop", "subj id", "prop id", "obj id", "s aliases", "o aliases", "s uri", "o uri", "s wiki title", "o wiki title", "s pop",
        "o pop"})),
    Layout("BoolQ", frozenset({"question", "passage", "answer"}), _boolq, frozenset({"title"})),
    Layout("BoolQ", frozenset({"question", "passage", "label"}), _boolq),
    Layout("TriviaQA", frozenset({"question", "answer", "question source"}), _trivia,
           frozenset({"entity pages", "search results", "question id"})),
    Layout("MUSE, verbatim", frozenset({"prompt", "gt"}), _verbatim),
    Layout("TriviaQA", frozenset({"question", "answer", "question id"}), _trivia, lacks=frozenset({"choices", "options"})),
    Layout("MMLU-Pro", frozenset({"question", "options", "answer", "answer index"}), _school, frozenset({"category", "question id"})),
    Layout("CommonsenseQA", frozenset({"question", "choices", "answerkey", "question concept"}), _keyed, frozenset({"id"})),
    Layout("ARC", frozenset({"question", "choices", "answerkey"}), _keyed, frozenset({"id"})),
    Layout("OpenBookQA", frozenset({"question stem", "choices", "answerkey"}), _keyed, frozenset({"id"})),
    Layout("SciQ", frozenset({"question", "correct answer", "distractor1"}), _sciq, frozenset({"distractor2", "distractor3", "support"})),
    Layout("TruthfulQA", frozenset({"question", "best answer", "correct answers", "incorrect answers"}), _truthful,
           frozenset({"category", "type", "source"})),
    Layout("zsRE", frozenset({"src", "answers"}), _zsre, frozenset({"subject"})),
    Layout("CounterFact", frozenset({"requested rewrite"}), _counterfact),
    Layout("Alpaca", frozenset({"instruction", "input", "output"}), _alpaca),
    *(Layout("a chat", frozenset({name}), _chat) for name in CHATS),
    Layout("MMLU", frozenset({"question", *LETTERS[:4], "answer"}), _school, lacks=frozenset({"key", *WRONG, *CHOICES})),
    Layout("MMLU", frozenset({"question", "choices", "answer", "subject"}), _school),
    Layout("WMDP", frozenset({"question", "choices", "answer"}), _school, lacks=frozenset({"key", *WRONG})),
    Layout("TOFU", frozenset({"question", "answer", "perturbed answer"}), _own, _SHARED),
    Layout("", frozenset({"question", "answer"}), _own, _SHARED),
)


def recognised(columns: Iterable[str]) -> Layout:
    """The first layout that has all of its columns. Raises LabError that names what is missing."""
    columns = set(columns)
    for layout in LAYOUTS:
        if layout.needs <= columns and not layout.lacks & columns:
            return layout
    absent = [f"no column '{name}'" for name in ("question", "answer") if name not in columns]
    raise LabError(f"The file has {' and '.join(absent)}.", SHAPE)


def renamed(columns: set[str]) -> dict[str, str]:
    """What columns are called in a table that has neither a layout of its own nor 'question' and 'answer' by name."""
    if any(layout.needs <= columns for layout in LAYOUTS):
        return {}
    return {found: name for name, others in SYNONYMS.items() if name not in columns
            for found in [next((other for other in others if other in columns), None)] if found}


def unused(layout: Layout, columns: Iterable[str]) -> list[str]:
    """Columns that the layout does not know, of those with a name that somebody gave."""
    letters = set(LETTERS) if layout.read in (_own, _school) else set()
    return sorted(name for name in columns if name not in layout.needs | layout.uses | letters | set(UNNAMED) | set(TOLD))


def told_apart(rows: Iterable[Row]) -> str:
    """The column that says of every row whether it is to be forgotten or kept; "" where there is none."""
    rows = list(rows)
    for name in TOLD:
        values = [row.cells.get(name) for row in rows]
        said = {fold(str(value)) for value in values if not missing(value)}
        if said and said <= set(_ROLE_OF) | ({"yes", "no", "true", "false", "1", "0"} if name == "forget" else set()):
            return name
    return ""


_ROLE_OF = {**dict.fromkeys(("forget", "forgotten", "to forget", "unlearn", "remove", "delete"), False),
            **dict.fromkeys(("keep", "kept", "to keep", "retain", "retained", "remember", "stay"), True)}


def kept(row: Row, column: str) -> bool:
    """Whether this row is to be kept, as that column says; a row that says nothing is to be forgotten."""
    said = fold(clean(row, row.cells.get(column)))
    return _ROLE_OF.get(said, said in ("no", "0", "false"))
