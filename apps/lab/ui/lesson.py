"""A lesson: a few steps, stored as data, that set the controls, ask for a guess, run, count the guesses and explain.

A lesson lies in its page's folder, `pages/ROUTE/lesson.json`; the same data make the page's lesson tab and the printable worksheet.
"""

from __future__ import annotations

import threading
from collections import Counter, OrderedDict
from pathlib import Path
from typing import Any

from markupsafe import escape
from pydantic import BaseModel, ConfigDict, Field

PAGES = Path(__file__).parents[1] / "pages"
LARGEST_CLASS = 2000


class Predict(BaseModel):
    """`right`: which choices are right, from 0; empty where every run decides for itself."""

    model_config = ConfigDict(extra="forbid")
    ask: str
    choices: list[str] = Field(min_length=2, max_length=5)
    right: list[int] = []


class Step(BaseModel):
    """`settings`: control values that "Set it up" applies and runs; `explain` appears when the run has ended, or after the guess
    where there is nothing to run."""

    model_config = ConfigDict(extra="forbid")
    heading: str
    say: list[str]
    settings: dict[str, Any] | None = None
    predict: Predict | None = None
    explain: list[str] = []


class Lesson(BaseModel):
    model_config = ConfigDict(extra="forbid")
    title: str
    aim: str
    minutes: int
    steps: list[Step] = Field(min_length=4, max_length=6)


def read_lesson(route: str) -> Lesson:
    """The lesson of a page. Raises FileNotFoundError when a built page has none."""
    return Lesson.model_validate_json((PAGES / route.replace("-", "_") / "lesson.json").read_text(encoding="utf-8"))


class Tally:
    """The guesses of everybody in the room, one per visitor and question, kept only while the lab is open."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._votes: dict[tuple[str, int], OrderedDict[str, int]] = {}

    def vote(self, route: str, step: int, visitor: str, choice: int) -> Counter[int]:
        """Counts a guess, replacing this visitor's earlier one, and gives choice -> count."""
        with self._lock:
            votes = self._votes.setdefault((route, step), OrderedDict())
            votes[visitor] = choice
            while len(votes) > LARGEST_CLASS:
                votes.popitem(last=False)
            return Counter(votes.values())

    def counts(self, route: str, step: int) -> Counter[int]:
        """choice -> count, as it stands."""
        with self._lock:
            return Counter(self._votes.get((route, step), {}).values())


def tally_html(predict: Predict, counts: Counter[int], own: int | None = None, *, revealed: bool = False) -> str:
    """The guesses as bars with numbers, `own` marked as this visitor's; `revealed`: with what was right."""
    most, total = max(counts.values(), default=0), sum(counts.values())
    rows = "".join(
        f'<li{_marks(predict, i, own, revealed)}><span class="gb-tally-word">{escape(choice)}{_word(predict, i, own, revealed)}</span>'
        f'<span class="gb-tally-bar" style="--share: {counts[i] / most if most else 0:.3f}"></span>'
        f'<span class="gb-tally-count">{counts[i]}</span></li>' for i, choice in enumerate(predict.choices))
    return (f'{_said(predict, own, revealed)}<p class="gb-quiet">{total} guess{"" if total == 1 else "es"} so far in this lab</p>'
            f'<ul class="gb-tally">{rows}</ul>')


def _marks(predict: Predict, choice: int, own: int | None, revealed: bool) -> str:
    right = " gb-tally--right" if revealed and choice in predict.right else ""
    return f' class="{"gb-tally--own" if choice == own else ""}{right}"'


def _word(predict: Predict, choice: int, own: int | None, revealed: bool) -> str:
    yours = " (your guess)" if choice == own else ""
    if not (revealed and predict.right):
        return yours
    return yours + (" <b>\u2713 right</b>" if choice in predict.right else " <b>\u2717</b>" if yours else "")


def _said(predict: Predict, own: int | None, revealed: bool) -> str:
    """Where a guess stands, in words."""
    if own is None:
        return ""
    if not revealed:
        return '<p role="status"><b>Your guess is locked.</b> The answer comes when the run has ended.</p>'
    if not predict.right:
        return '<p role="status"><b>Your own run decides here:</b> compare your guess with the picture above.</p>'
    return f'<p role="status"><b>{"You were right." if own in predict.right else "It came out differently."}</b></p>'


def paragraphs(lines: list[str]) -> str:
    return "".join(f"<p>{escape(line)}</p>" for line in lines)


def worksheet_html(route: str, question: str, static: str) -> str:
    """The lesson on paper: steps, room to write, and the explanations on a page of their own for the teacher.

    static: where our scripts and styles are.
    """
    lesson = read_lesson(route)
    steps = list(enumerate(lesson.steps, 1))
    tasks = "".join(f"<section><h2>{i}. {escape(step.heading)}</h2>{paragraphs(step.say)}{_guess(step)}"
                    "<p>What I saw:</p><div class='lines'></div></section>" for i, step in steps)
    answers = "".join(f"<h3>{i}. {escape(step.heading)}</h3>{paragraphs(step.explain)}" for i, step in steps if step.explain)
    return f"""<!doctype html><html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1"><title>Worksheet: {escape(lesson.title)}</title>
<link rel="stylesheet" href="{escape(static)}style.css"></head><body class="gb-worksheet">
<button type="button" class="gb-button gb-print" id="print">Print this worksheet</button><script src="{escape(static)}print.js"></script>
<h1>{escape(question)}</h1><p>{escape(lesson.aim)} (about {lesson.minutes} minutes)</p>
<p>Name: ____________________  Date: ______________</p>
{tasks}<section class="gb-answers"><h2>For the teacher</h2>{answers}</section></body></html>"""


def _guess(step: Step) -> str:
    if step.predict is None:
        return ""
    boxes = "".join(f"<li>{escape(choice)}</li>" for choice in step.predict.choices)
    return f"<p><b>{escape(step.predict.ask)}</b></p><ul class='boxes'>{boxes}</ul>"
