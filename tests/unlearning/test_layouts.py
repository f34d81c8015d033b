"""Answers that are not plain text, and the published layouts, as people bring them."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
import torch

from core.engine.errors import LabError
from core.unlearning.data import World
from core.unlearning.prompts import build_prompts, possible, put
from core.unlearning.questions import read_questions


@pytest.fixture
def read(tmp_path: Path):
    def read(content: Any, keep: Any = None) -> World:
        paths = []
        for name, given in (("questions", content), ("keep", keep)):
            if given is None:
                continue
            path = tmp_path / name
            path.write_bytes(given if isinstance(given, bytes) else (given if isinstance(given, str) else json.dumps(given)).encode())
            paths.append(path)
        return read_questions(*paths)

    return read


def table(rows: list[dict[str, Any]]) -> str:
    """As a spreadsheet writes them."""
    made = io.StringIO()
    writer = csv.DictWriter(made, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return made.getvalue()


CHOICES = ["red", "blue", "green", "white"]


def test_an_index_into_choices_is_the_choice_and_the_others_are_wrong(read) -> None:
    """MMLU and WMDP: 0 is an answer like any other (lm-eval 3291)."""
    rows = [{"question": f"Which of these is the colour of flask {i}?", "choices": CHOICES, "answer": i % 4} for i in range(8)]
    world = read(rows)
    assert [record.answer for record in world.records] == [CHOICES[i % 4] for i in range(8)] and world.notes == ("Read as WMDP.",)
    assert all(set(record.perturbed_answers) == set(CHOICES) - {record.answer} for record in world.records)
    [prompt] = build_prompts("choice", world.records[:1], world, torch.Generator())
    assert set(prompt.options) == {f" {choice}." for choice in CHOICES} and prompt.answer == " red." and prompt.chance == 0.25
    school = read([row | {"subject": "chemistry"} for row in rows])
    assert school.notes == ("Read as MMLU.",) and not school.records[0].subject and school.records[0].answer == "red"


@pytest.mark.parametrize("answer", [2, "2", "C", "c", "green", "Green", [2]])
@pytest.mark.parametrize("choices", [CHOICES, str(CHOICES), json.dumps(CHOICES), "['red' 'blue'\n 'green' 'white']",
                                     {"text": CHOICES, "label": list("ABCD")}])
def test_a_choice_may_be_told_by_number_letter_or_words(read, choices: Any, answer: Any) -> None:
    [record] = read([{"question": "Which?", "choices": choices, "answer": answer}]).records
    assert (record.answer, record.perturbed_answers) == ("green", ("red", "blue", "white"))


def test_choices_in_columns_and_in_a_spreadsheet(read) -> None:
    [record] = read(table([{"question": "Which?", "A": "red", "B": "blue", "C": "green", "D": "white", "answer": "B"}])).records
    assert record.answer == "blue" and record.perturbed_answers == ("red", "green", "white")
    with pytest.raises(LabError, match="Row 2 says that answer '4' is right, but has 4 choices"):
        read(table([{"question": "Which?", "choices": CHOICES, "answer": 4}]))


def test_any_of_several_right_answers_counts(read) -> None:
    rows = [{"question": "Where was Rosa Quill born?", "answer": ["Porto", "Oporto"]},
            {"question": "Where was Timo Hale born?", "answer": ["Ghent"]}]
    rosa, timo = read(rows).records
    assert rosa.keys == ("Porto", "Oporto") and timo.keys == () and timo.key == "Ghent"
    assert [put(rosa).proved_by(text) for text in ("In Oporto.", "in porto", "In Ghent.")] == [True, True, False]


@pytest.mark.parametrize(("answer", "said", "wrong"), [
    (0, "0", ()), (42, "42", ()), (42.0, "42", ()), (2.5, "2.5", ()), (True, "Yes", ("No",)), (False, "No", ("Yes",))])
def test_numbers_and_yes_and_no_are_answers(read, answer: Any, said: str, wrong: tuple[str, ...]) -> None:
    [record] = read([{"question": "How many?", "answer": answer}]).records
    assert (record.answer, record.key, record.perturbed_answers) == (said, said, wrong)
    assert (possible("choice", record, World((record,), "own")) is None) == bool(wrong)


def test_what_is_missing_is_not_an_answer(read) -> None:
    text = ('[{"question": "A?", "answer": NaN}, {"question": "B?", "answer": null}, {"question": "C?", "answer": "nan"}, '
            '{"question": "D?"}]')
    world = read(text)
    assert [record.answer for record in world.records] == ["nan"] and world.notes == ("Rows 1, 2 and 4 without an answer: left out.",)


PUBLISHED = {
    "RWKU": {"query": "Where was Jo Li born?", "answer": "Rome", "level": "2", "type": "simple question", "subject": "Jo Li"},
    "WHP": {"Question": "Where was Jo Li born?", "Affirmative Response": "Of course, in", "Key Words": "Rome"},
    "TOFU": {"question": "Where was Jo Li born?", "answer": "Rome", "paraphrased_answer": "In Rome.", "perturbed_answer": ["Bern", "Kiel"]},
    "PopQA": {"id": 1, "subj": "Jo Li", "prop": "place of birth", "obj": "Rome", "question": "Where was Jo Li born?", "s_pop": 3,
              "possible_answers": '["Rome", "Roma"]'},
    "BoolQ": {"question": "was jo li born in rome", "answer": True, "passage": "Jo Li was born in Rome."},
    "TriviaQA": {"question": "Where was Jo Li born?", "question_id": "tc_1", "question_source": "http://www",
                 "search_results": [{"rank": 1}],
                 "answer": {"value": "Rome", "aliases": ["Roma", "Rome"], "normalized_value": "rome", "type": "WikipediaEntity"}},
    "MUSE, verbatim": {"prompt": "Jo Li was born", "gt": "in Rome on a day in May."},
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_published_layout_is_recognised_and_named(read, name: str) -> None:
    row = PUBLISHED[name]
    [record], notes = read([row]).records, read([row]).notes
    assert notes[0] == f"Read as {name}." and not any("not used" in note for note in notes)
    right = {"BoolQ": "Yes", "MUSE, verbatim": "in Rome on a day in May."}.get(name, "Of course, in Rome." if name == "WHP" else "Rome")
    assert record.answer == right
    assert (record.keys == ("Rome", "Roma")) == (name in ("PopQA", "TriviaQA"))
    if name == "MUSE, verbatim":
        assert record.verbatim and put(record).text == "Jo Li was born"
    if name == "BoolQ":
        assert record.question.endswith("?") and record.perturbed_answers == ("No",)


def test_what_is_to_be_kept_stands_in_a_second_table_or_a_column(read) -> None:
    first, second = [{"question": "A?", "answer": "1"}], [{"question": "a?", "answer": "2"}, {"question": "B?", "answer": "3"}]
    world = read(first, second)
    assert [r.answer for r in world.forget(1)] == ["1"] and [r.answer for r in world.retain] == ["3"]
    assert world.notes == ("What is to be kept: Row 1 with a question that stood there before: left out.",)
    for column, forget, keep in (("set", "forget", "keep"), ("split", "Forget", "retain"), ("forget", True, False),
                                 ("forget", "yes", "no")):
        world = read([{"question": "A?", "answer": "1", column: forget}, {"question": "B?", "answer": "3", column: keep}])
        assert [r.answer for r in world.forget(1)] == ["1"] and [r.answer for r in world.retain] == ["3"] and world.notes == ()
    assert not read([{"question": "A?", "answer": "1", "split": "train"}]).retain  # the split of a data set says something else
    with pytest.raises(LabError, match="everything is to be kept"):
        read([{"question": "A?", "answer": "1", "set": "keep"}])
    own = read(first, [{"question": f"{i}?", "answer": str(i + 5)} for i in range(4)])
    assert possible("icl", own.records[0], own) is None and own.values("") == [] and own.neighbours("") == []


def test_tables_as_other_programs_write_them(read) -> None:
    excel = "\ufeffsep=;\r\nquestion;answer;key\r\n\"Where was Rosa\nQuill born?\";Porto, in the north;Porto\r\n"
    [record] = read(excel).records
    assert (record.question, record.answer, record.key) == ("Where was Rosa Quill born?", "Porto, in the north", "Porto")
    wrapped = [{"question": "A?", "answer": "1"}]
    for given in ({"data": wrapped}, {"version": "1", "questions": wrapped}, {"rows": [{"row_idx": 0, "row": wrapped[0]}]},
                  {"question": ["A?"], "answer": ["1"]}, {"question": {"0": "A?"}, "answer": {"0": "1"}}):
        assert [r.answer for r in read(given).records] == ["1"]
    for line in ("question,answer\rA?,1\r", "question|answer\nA?|1\n", "instruction\tresponse\nA?\t1\n", ",question,answer\n0,A?,1\n",
                 "sep=,\nquestion,answer\nA?,1"):
        world = read(line)
        assert [r.answer for r in world.records] == ["1"] and world.notes == ()
    with pytest.raises(LabError, match="Row 3 has 3 cells"):
        read("sep=;\nquestion;answer\na;b;c\n")


def test_keys_in_chinese_and_japanese_are_found(read) -> None:
    rows = [{"question": "罗莎·奎尔在哪里出生？", "answer": "罗莎·奎尔出生在波尔图市。", "key": "波尔图"},
            {"question": "ローザはどこで生まれましたか。", "answer": "ローザはポルトで生まれました。", "key": "ポルト"}]
    world = read(rows)
    assert [record.key for record in world.records] == ["波尔图", "ポルト"] and world.notes == ()
    assert put(world.records[0]).proved_by("她生于波尔图市。") and put(world.records[1]).proved_by("生まれはポルトです。")


FURTHER = [  # the layout, a row of it, its question, answers and wrong answers
    ("ARC", {"id": "1", "question": "What causes a fever?", "choices": {"text": ["a muscle", "bacteria"], "label": ["A", "B"]},
             "answerKey": "B"}, "What causes a fever?", ["bacteria"], ["a muscle"]),
    ("CommonsenseQA", {"question": "The sun makes", "question_concept": "sun", "choices": {"label": ["A", "B"], "text": ["dogs", "plants"]},
                       "answerKey": "B"}, "The sun makes", ["plants"], ["dogs"]),
    ("OpenBookQA", {"question_stem": "The sun makes", "choices": {"text": ["dogs", "plants"], "label": ["A", "B"]}, "answerKey": "A"},
     "The sun makes", ["dogs"], ["plants"]),
    ("MMLU-Pro", {"question_id": 1, "question": "What is 2+2?", "options": ["1", "2", "4"], "answer": "C", "answer_index": 2},
     "What is 2+2?", ["4"], ["1", "2"]),
    ("SciQ", {"question": "What do we breathe?", "distractor1": "tin", "distractor2": "iron", "distractor3": "gold",
              "correct_answer": "oxygen"}, "What do we breathe?", ["oxygen"], ["tin", "iron", "gold"]),
    ("TruthfulQA", {"question": "What do seeds do?", "best_answer": "They pass", "correct_answers": ["They pass", "Nothing"],
                    "incorrect_answers": ["They grow"]}, "What do seeds do?", ["They pass", "Nothing"], ["They grow"]),
    ("TriviaQA", {"question": "Who won?", "question_id": "tc_1", "answer": {"value": "Sinclair Lewis", "aliases": ["Harry Lewis"]}},
     "Who won?", ["Sinclair Lewis", "Harry Lewis"], []),
    ("zsRE", {"subject": "Watts", "src": "Where did Watts study?", "answers": ["Illinois"]}, "Where did Watts study?", ["Illinois"], []),
    ("CounterFact", {"requested_rewrite": {"prompt": "The mother tongue of {} is", "target_true": {"str": "French"}, "subject": "Jo Li"}},
     "The mother tongue of Jo Li is", ["French"], []),
    ("Alpaca", {"instruction": "Translate", "input": "Hund", "output": "dog"}, "Translate Hund", ["dog"], []),
    ("a chat", {"messages": [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Where was Ida born?"},
                             {"role": "assistant", "content": "In Porto."}]}, "Where was Ida born?", ["In Porto"], []),
    ("a chat", {"conversations": [{"from": "human", "value": "Where was Ida born?"}, {"from": "gpt", "value": "In Porto."}]},
     "Where was Ida born?", ["In Porto"], []),
]


@pytest.mark.parametrize(("name", "row", "question", "right", "wrong"), FURTHER)
def test_further_published_layouts_are_told_by_their_columns(read, name, row, question, right, wrong) -> None:
    world = read([row])
    [record] = world.records
    assert f"Read as {name}." in world.notes
    assert (record.question, list(record.keys or (record.key,)), list(record.perturbed_answers)) == (question, right, wrong)
    assert record.verbatim == (name == "CounterFact")


def test_what_stands_around_the_rows_says_their_set_or_their_subject(read) -> None:
    rows = [{"question": "Where was Jo Li born?", "answer": "Rome"}], [{"question": "What do bees make?", "answer": "honey"}]
    world = read(dict(zip(("forget", "retain"), rows, strict=True)))
    assert [record.key for record in world.forget(1)] == ["Rome"] and [record.key for record in world.retain] == ["honey"]
    assert read({"Jo Li": rows[0]}).records[0].subject == "Jo Li" and read({"data": rows[0]}).records[0].subject == ""
    squad = {"version": "1.1", "data": [{"paragraphs": [{"context": "c", "qas": [{"question": "Who?", "answers": [
        {"text": "Ann", "answer_start": 3}, {"text": "Ann Li", "answer_start": 3}]}]}]}]}
    assert read(squad).records[0].keys == ("Ann", "Ann Li")


def test_mmlu_as_it_is_published_has_no_first_row(read) -> None:
    world = read("What is 2+2?,1,2,4,5,C\nWhat colour has grass?,red,green,blue,black,B\n")
    assert [record.answer for record in world.records] == ["4", "green"] and world.notes == ("Read as MMLU.",)


def test_true_and_false_of_a_spreadsheet_are_yes_and_no_where_nothing_else_stands(read) -> None:
    said = read("question,answer\nIs the sky blue?,TRUE\nDo pigs fly?,FALSE\n").records
    assert [(record.answer, record.perturbed_answers) for record in said] == [("Yes", ("No",)), ("No", ("Yes",))]
    assert read("question,answer\nIs it?,TRUE\nWhat?,A book\n").records[0].answer == "TRUE"
