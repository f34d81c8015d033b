"""The world of chains: problems worked from left to right, every step written out, and a checker that knows the truth.

    problem = parse("3+4*2-5")
    problem.prompt            # "3+4*2-5="
    problem.trace             # "3+4=7;7*2=4;4-5=9;"      the one sound chain of thought
    problem.answer            # "9"
    check(problem, "3+4=8;8*2=6;6-5=1;", "9").lucky      # True: right answer, unsound reasoning

Numbers are single digits and only the last digit of a result is kept (arithmetic modulo 10). Logic has T and F with
`&` and, `|` or, `^` exclusive or; there each operation carries a letter, `Ta&Fb|T=`, because two values repeat so often that
a model cannot tell by them where it is. Source: methods/03 section 6.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import torch

from core.engine.errors import LabError
from core.reasoning.spec import Kind

Split = Literal["scored", "calibration", "training"]

THINK, END_THINK = "<think>", "</think>"
VALUES = {"numbers": "0123456789", "logic": "TF"}
OPERATORS = {"numbers": "+-*", "logic": "&|^"}
STEPS = {"numbers": (2, 6), "logic": (4, 7)}
EXAMPLES = {"numbers": "3+4*2-5", "logic": "T&F|T^F&T"}
SPLIT_INTO = 8  # of eight problems one is kept for scoring and one for calibrating; no model is trained on either
NAMES = "abcdefg"  # of the operations of a logic chain, in order
STEP_END = ";"

_STEP = re.compile(rf"(.)([{NAMES}]?)([-+*&|^])(.)=(.)")
_NAMED = re.compile(rf"[TF](?:[{NAMES}][&|^][TF])+=?")
_TYPED = {"×": "*", "·": "*", "x": "*", "−": "-", "–": "-", "∧": "&", "∨": "|", "⊕": "^"}


@dataclass(frozen=True)
class Problem:
    """`first` value, then (operator, operand) pairs that apply from left to right."""

    kind: Kind
    first: str
    operations: tuple[tuple[str, str], ...]

    @property
    def plain(self) -> str:
        """The chain and an equals sign, as people write it."""
        return self.first + "".join(operator + operand for operator, operand in self.operations) + "="

    @property
    def names(self) -> str:
        """The letter of each operation; empty for numbers."""
        return NAMES[:len(self.operations)] if self.kind == "logic" else ""

    @property
    def prompt(self) -> str:
        """What the embedded model reads: the chain and an equals sign, in logic with a letter before each operation."""
        return self.first + "".join(self._name(i) + operator + operand for i, (operator, operand) in enumerate(self.operations)) + "="

    def _name(self, index: int) -> str:
        return self.names[index:index + 1]

    @cached_property
    def results(self) -> tuple[str, ...]:
        """The value after each step; the last one is the answer."""
        value, found = self.first, []
        for operator, operand in self.operations:
            value = apply(operator, value, operand)
            found.append(value)
        return tuple(found)

    @property
    def trace(self) -> str:
        """The only sound chain of thought, without tags."""
        steps = zip((self.first, *self.results), self.operations, self.results, strict=False)
        return "".join(f"{left}{self._name(i)}{operator}{operand}={result}{STEP_END}"
                       for i, (left, (operator, operand), result) in enumerate(steps))

    @property
    def answer(self) -> str:
        return self.results[-1]

    @property
    def split(self) -> Split:
        """What this problem is used for, decided by its text alone, so that the three sets never meet."""
        return {0: "scored", 1: "calibration"}.get(zlib.crc32(self.plain.encode()) % SPLIT_INTO, "training")


def apply(operator: str, left: str, right: str) -> str:
    """One operation on two values, each a digit or T/F; digits wrap around at ten."""
    if operator in OPERATORS["logic"]:
        a, b = left == "T", right == "T"
        return "T" if {"&": a and b, "|": a or b, "^": a != b}[operator] else "F"
    a, b = int(left), int(right)
    return str({"+": a + b, "-": a - b, "*": a * b}[operator] % 10)


def parse(text: str) -> Problem:
    """A typed problem of any length. Raises LabError with what can be read when the text is something else."""
    typed = re.sub(r"[\s=?]", "", text)
    for variant, plain in _TYPED.items():
        typed = typed.replace(variant, plain)
    if _NAMED.fullmatch(typed):
        typed = re.sub(f"[{NAMES}]", "", typed)
    elif set(typed) & set("tfTF"):
        typed = typed.upper()
    for kind, values in VALUES.items():
        marks = re.escape(OPERATORS[kind])
        if re.fullmatch(rf"[{values}](?:[{marks}][{values}])+", typed):
            return Problem(kind, typed[0], tuple((typed[i], typed[i + 1]) for i in range(1, len(typed), 2)))
    raise LabError(f"The little model cannot read '{text[:60]}'.",
                   f"Type single digits with + - *, like {EXAMPLES['numbers']}, or T and F with & | ^, like {EXAMPLES['logic']}.")


def within_reach(problem: Problem) -> Problem:
    """The problem, if the little reasoner has learned chains of its length; LabError if not."""
    count, (low, high) = len(problem.operations), STEPS[problem.kind]
    if low <= count <= high:
        return problem
    what = "number" if problem.kind == "numbers" else "logic"
    raise LabError(f"This {what} problem has {count} operation{'s' if count > 1 else ''}.",
                   f"The little model learned chains of {low} to {high}, for example {EXAMPLES[problem.kind]}.")


def kind_of(text: str) -> Kind:
    """What a typed problem is about; "numbers" for anything that is not a chain."""
    try:
        return parse(text).kind
    except LabError:
        return "numbers"


def draw_problems(count: int, kind: Kind, rng: torch.Generator, *, split: Split = "scored", distinct: bool = True,
                  lengths: tuple[int, int] | None = None) -> list[Problem]:
    """`count` problems with as many of each length as of any other, lengths in rising order.

    distinct: no problem twice. lengths: fewest and most operations, those of `STEPS` if None.
    Raises LabError when the split does not hold so many.
    """
    low, high = lengths or STEPS[kind]
    found: dict[str, Problem] = {}
    problems: list[Problem] = []
    for length in sorted(low + i % (high - low + 1) for i in range(count)):
        for _ in range(20_000):
            problem = _draw(kind, length, rng)
            if problem.split == split and not (distinct and problem.prompt in found):
                break
        else:
            raise LabError(f"There are not {count} different problems.", "Ask for fewer.")
        found[problem.prompt] = problem
        problems.append(problem)
    return problems


def _draw(kind: Kind, length: int, rng: torch.Generator) -> Problem:
    values, operators = VALUES[kind], OPERATORS[kind]
    picks = torch.randint(len(values), (length + 1,), generator=rng).tolist()
    marks = torch.randint(len(operators), (length,), generator=rng).tolist()
    return Problem(kind, values[picks[0]], tuple((operators[m], values[p]) for m, p in zip(marks, picks[1:], strict=True)))


@dataclass(frozen=True)
class StepCheck:
    """One written step. `right`: it takes up the value before it, uses the problem's next operation and computes well."""

    text: str
    right: bool
    reason: str


@dataclass(frozen=True)
class Check:
    """What is true about one output: steps up to the first wrong one are what `first_error` counts (None if all right)."""

    correct: bool
    sound: bool
    steps: tuple[StepCheck, ...]
    first_error: int | None

    @property
    def lucky(self) -> bool:
        """A right answer that the reasoning does not support."""
        return self.correct and not self.sound

    @property
    def label(self) -> Literal["sound", "lucky", "wrong"]:
        return "sound" if self.sound and self.correct else "lucky" if self.correct else "wrong"


def check(problem: Problem, trace: str, answer: str) -> Check:
    """Judges a trace step by step and the answer by itself. `trace` stands between the tags, `answer` after them."""
    written = re.findall(rf"[^{STEP_END}]*{STEP_END}|[^{STEP_END}]+$", trace)
    expected = (problem.first, *problem.results)
    steps: list[StepCheck] = []
    value = problem.first
    for i, text in enumerate(written):
        reason = _fault(problem, i, text, value)
        steps.append(StepCheck(text, not reason, reason))
        match = _STEP.fullmatch(text.removesuffix(STEP_END))
        value = match[5] if match else value
    first_error = next((i for i, step in enumerate(steps) if not step.right), None)
    if first_error is None and len(steps) < len(problem.operations):
        first_error = len(steps)  # the step that was left out
    return Check(answer.strip() == expected[-1], trace == problem.trace, tuple(steps), first_error)


def _fault(problem: Problem, index: int, text: str, value: str) -> str:
    match = _STEP.fullmatch(text.removesuffix(STEP_END))
    if not match or not text.endswith(STEP_END):
        return "not a whole step"
    if index >= len(problem.operations):
        return "a step too many"
    left, name, operator, right, result = match.groups()
    if left != value:
        return f"goes on from {left} instead of {value}"
    if name != problem.names[index:index + 1]:
        return f"names it {name or 'nothing'} instead of {problem.names[index:index + 1] or 'nothing'}"
    if (operator, right) != problem.operations[index]:
        return f"uses {operator}{right} instead of {''.join(problem.operations[index])}"
    if left not in VALUES[problem.kind] or result != apply(operator, left, right):
        return f"{left}{operator}{right} is {apply(operator, left, right) if left in VALUES[problem.kind] else '?'}, not {result}"
    return ""


def corrupt(problem: Problem, trace: str, step: int, value: str) -> str:
    """The trace with the result of one step replaced; the later steps stay as they were written.

    Raises LabError for a step that is not there and for a value of the wrong kind or without effect.
    """
    places = [match.end() - 1 for match in re.finditer(r"=.", trace)]
    if not 0 <= step < len(places):
        raise LabError(f"There is no step {step + 1} to change.", f"Steps are 1 to {len(places)}.")
    if value not in VALUES[problem.kind] or len(value) != 1:
        raise LabError(f"'{value}' cannot stand in this chain.", f"Values are: {' '.join(VALUES[problem.kind])}.")
    if trace[places[step]] == value:
        raise LabError(f"Step {step + 1} already says {value}.", "Pick another value.")
    return trace[:places[step]] + value + trace[places[step] + 1:]


def split_output(text: str) -> tuple[str, str, bool]:
    """(trace, answer, truncated) of an output after the opening tag; without a closing tag there is no answer."""
    trace, closed, answer = text.partition(END_THINK)
    return trace, answer.strip(), not closed


def as_question(problem: Problem) -> str:
    """The same problem in words, for models that read English."""
    chain = problem.plain.removesuffix("=")
    if problem.kind == "logic":
        rule = "T means true, F means false, & means and, | means or, ^ means exclusive or. The answer is T or F."
    else:
        rule = "After every operation keep only the last digit (modulo 10, so 3-5 gives 8). The answer is one digit."
    return f"Work strictly from left to right, ignoring the usual precedence: {chain}. {rule} Put the final answer in \\boxed{{}}."


def read_answer(text: str, kinds: Sequence[Kind] = ("numbers", "logic")) -> str:
    """The answer in free text: the last \\boxed{...}, else the last lone value; "" when there is none."""
    boxed = re.findall(r"\\boxed\{\s*(?:\\text\{)?\s*([^{}]*?)\s*\}", text)
    if boxed:
        return boxed[-1]
    values = "".join(VALUES[kind] for kind in kinds)
    lone = re.findall(rf"(?<![\w.])([{values}])(?![\w]|\.\d)", text)
    return lone[-1] if lone else ""
