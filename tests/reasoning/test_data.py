"""The world of chains: the truth, the checker, and that no problem is used for two things."""

from __future__ import annotations

import re

import pytest
import torch

from core.engine.errors import LabError
from core.reasoning.data import (
    EXAMPLES,
    STEPS,
    as_question,
    check,
    corrupt,
    draw_problems,
    parse,
    read_answer,
    split_output,
    within_reach,
)


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def python_answer(prompt: str) -> str:
    """An independent reading of a chain: Python's own arithmetic and logic, one operation at a time."""
    tokens = re.findall(r"[^=]", prompt)
    value = tokens[0]
    for operator, operand in zip(tokens[1::2], tokens[2::2], strict=True):
        if operator in "+-*":
            value = str(eval(f"{value}{operator}{operand}") % 10)  # digits and one sign, drawn by ourselves
        else:
            value = "T" if eval(f"{value == 'T'} {operator} {operand == 'T'}") else "F"
    return value


@pytest.mark.parametrize("kind", ["numbers", "logic"])
def test_answers_are_those_of_python(kind):
    for problem in draw_problems(200, kind, rng()):
        assert problem.answer == python_answer(problem.plain)
        assert problem.trace.count(";") == len(problem.operations)
        assert check(problem, problem.trace, problem.answer).label == "sound"


def test_example_of_the_method():
    problem = parse("3 + 4 × 2 - 5 = ?")
    assert (problem.prompt, problem.trace, problem.answer) == ("3+4*2-5=", "3+4=7;7*2=4;4-5=9;", "9")


def test_operations_of_logic_carry_letters_and_are_read_with_and_without():
    problem = parse("t & f | T ^ F")
    assert (problem.plain, problem.prompt) == ("T&F|T^F=", "Ta&Fb|Tc^F=")
    assert problem.trace == "Ta&F=F;Fb|T=T;Tc^F=T;" and problem.answer == "T"
    assert parse(problem.prompt) == parse(problem.plain) == problem
    assert parse("3+4").prompt == parse("3+4").plain == "3+4="
    assert check(problem, problem.trace, "T").label == "sound"
    swapped = check(problem, "Ta&F=F;Fc|T=T;Tc^F=T;", "T")
    assert swapped.first_error == 1 and swapped.steps[1].reason == "names it c instead of b"
    assert check(problem, "T&F=F;F|T=T;T^F=T;", "T").steps[0].reason == "names it nothing instead of a"
    assert corrupt(problem, problem.trace, 1, "F") == "Ta&F=F;Fb|T=F;Tc^F=T;"


@pytest.mark.parametrize("kind", ["numbers", "logic"])
def test_short_problems_can_be_drawn(kind):
    drawn = draw_problems(20, kind, rng(), split="training", distinct=False, lengths=(1, 3))
    assert {len(problem.operations) for problem in drawn} == {1, 2, 3}


@pytest.mark.parametrize("kind", ["numbers", "logic"])
def test_drawn_problems_are_distinct_balanced_and_of_their_split(kind):
    low, high = STEPS[kind]
    lengths = high - low + 1
    drawn = draw_problems(40 * lengths, kind, rng(1))
    assert len({problem.prompt for problem in drawn}) == len(drawn)
    assert [len(p.operations) for p in drawn] == sorted(40 * list(range(low, high + 1)))
    assert {problem.split for problem in drawn} == {"scored"}
    others = draw_problems(40 * lengths, kind, rng(1), split="calibration")
    others += draw_problems(200, kind, rng(1), split="training", distinct=False)
    assert not {p.prompt for p in drawn} & {p.prompt for p in others}


def test_too_many_problems_are_refused():
    with pytest.raises(LabError):
        draw_problems(3000, "logic", rng())


def test_lucky_is_right_without_being_sound():
    problem = parse("3+4*2-5")
    found = check(problem, "3+4=8;8*2=6;6-5=1;", "9")
    assert found.lucky and found.label == "lucky" and found.first_error == 0
    assert [step.right for step in found.steps] == [False, True, True]


@pytest.mark.parametrize(("trace", "first", "reason"), [
    ("3+4=7;7*3=1;1-5=6;", 1, "uses *3 instead of *2"),
    ("3+4=7;7*2=4;9-5=4;", 2, "goes on from 9 instead of 4"),
    ("3+4=7;7*2=5;5-5=0;", 1, "7*2 is 4, not 5"),
    ("3+4=7;72=4;4-5=9;", 1, "not a whole step"),
    ("3+4=7;7*2=4;4-5=9;9+1=0;", 3, "a step too many"),
    ("3+4=7;7*2=4;4-5=9", 2, "not a whole step"),
])
def test_checker_names_the_fault(trace, first, reason):
    found = check(parse("3+4*2-5"), trace, "9")
    assert not found.sound and found.first_error == first
    assert found.steps[first].reason == reason


def test_missing_steps_and_empty_traces_are_unsound():
    assert check(parse("3+4*2-5"), "3+4=7;7*2=4;", "9").first_error == 2
    assert check(parse("3+4*2-5"), "", "9").first_error == 0


def test_sound_steps_with_another_answer_are_wrong():
    found = check(parse("3+4*2-5"), "3+4=7;7*2=4;4-5=9;", "8")
    assert found.sound and not found.correct and found.label == "wrong"


@pytest.mark.parametrize("text", ["", "hello", "3+", "12+3", "3+T", "3/4", "T+F", "3", "T", "<b>3+4</b>", "T&F" * 30])
def test_what_cannot_be_read_gets_a_sentence(text):
    with pytest.raises(LabError) as error:
        parse(text)
    assert error.value.hint


@pytest.mark.parametrize(("text", "message", "hint"), [
    ("T&F|T^F", "This logic problem has 3 operations.", "The little model learned chains of 4 to 7, for example T&F|T^F&T."),
    ("T&F|T^F&T|F^T&F|F", "This logic problem has 8 operations.", "The little model learned chains of 4 to 7, for example T&F|T^F&T."),
    ("3+4", "This number problem has 1 operation.", "The little model learned chains of 2 to 6, for example 3+4*2-5."),
    ("3+4*2-5+1*2-3+4", "This number problem has 7 operations.", "The little model learned chains of 2 to 6, for example 3+4*2-5."),
])
def test_a_chain_of_a_length_that_was_not_learned_is_read_but_not_followed(text, message, hint):
    problem = parse(text)  # its truth is known for any model
    assert problem.answer == python_answer(problem.plain)
    with pytest.raises(LabError) as error:
        within_reach(problem)
    assert (error.value.message, error.value.hint) == (message, hint)


@pytest.mark.parametrize("kind", ["numbers", "logic"])
def test_the_examples_can_be_followed(kind):
    assert within_reach(parse(EXAMPLES[kind])).kind == kind


def test_corruption_changes_one_result_and_nothing_else():
    problem = parse("3+4*2-5")
    assert corrupt(problem, problem.trace, 1, "0") == "3+4=7;7*2=0;4-5=9;"
    for step, value in ((3, "0"), (-1, "0"), (1, "4"), (1, "T"), (1, "")):
        with pytest.raises(LabError):
            corrupt(problem, problem.trace, step, value)


def test_output_without_closing_tag_has_no_answer():
    assert split_output("3+4=7;</think>7") == ("3+4=7;", "7", False)
    assert split_output("3+4=7;3+4") == ("3+4=7;3+4", "", True)


@pytest.mark.parametrize(("text", "answer"), [
    (r"So the answer is \boxed{9}.", "9"), (r"\boxed{3} no, \boxed{ 7 }", "7"), (r"\boxed{\text{T}}", "T"), ("It is 4.", "4"),
    ("I do not know", ""), ("3.14 and 2", "2"), ("that is 12", ""),
])
def test_answers_in_free_text(text, answer):
    assert read_answer(text) == answer


def test_question_in_words_contains_the_chain():
    assert "3+4*2-5" in as_question(parse("3+4*2-5")) and "boxed" in as_question(parse("T&F|T")) and "T&F|T" in as_question(parse("T&F|T"))
