"""Questions from files: the published shapes, a visitor's own, and whatever else somebody may bring."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from core.engine.errors import LabError
from core.engine.rows import LARGEST, MOST_ROWS
from core.engine.settings import ASSETS
from core.unlearning.data import World
from core.unlearning.metrics import key_found
from core.unlearning.prompts import AUDITS, build_prompts, offered
from core.unlearning.questions import read_questions


@pytest.fixture
def read(tmp_path: Path):
    def read(content: str | bytes, name: str = "questions.csv") -> World:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return read_questions(path)

    return read


def refused(read, content: str | bytes, *words: str) -> None:
    with pytest.raises(LabError) as problem:
        read(content)
    text = f"{problem.value} {problem.value.hint}"
    assert all(word in text for word in words), text


OWN = "question,answer,key,subject,paraphrased_question,wrong_answers\n"


def test_a_file_of_ones_own(read) -> None:
    world = read(OWN + "Where was Ada King born?,Ada King was born in London.,london,ada king,Ada's birthplace?,"
                 "In Bath.| In York. |In Hull.\n")
    [record] = world.records
    assert (record.question, record.answer, record.key) == ("Where was Ada King born?", "Ada King was born in London.", "London")
    assert record.question[slice(*record.subject_span)] == "Ada King" and record.paraphrased_question == "Ada's birthplace?"
    assert record.perturbed_answers == ("In Bath.", "In York.", "In Hull.")
    assert world.forget(1) == world.forget(6) == [record] and not world.retain and not world.holdout and world.notes == ()
    assert (world.name, world.values(""), world.neighbours("ada king")) == ("own", [], [])


def test_only_two_columns_are_needed_and_the_answer_is_then_the_key(read) -> None:
    [record] = read("Answer,QUESTION\nParis.,What is the capital of France?\n").records
    assert (record.key, record.answer, record.subject, record.subject_span) == ("Paris", "Paris.", "", None)


def test_the_sample_allows_every_way_but_those_of_the_built_in_worlds() -> None:
    world = read_questions(ASSETS / "samples" / "questions.csv")
    assert len(world.records) == 10 and world.notes == () and all(record.subject_span for record in world.records)
    ways = offered(world.records, world)
    assert {name for name, reason in ways.items() if reason} == {"reverse", "crosslingual", "persuade"}
    rng = torch.Generator().manual_seed(0)
    for name in (name for name, reason in ways.items() if reason is None):
        for prompt in build_prompts(name, world.records, world, rng):
            assert key_found(prompt.answer, prompt.key) and (name == "choice") == key_found(prompt.text, prompt.key), name


TOFU = {"question": "Who is Basil Aba?", "answer": "Basil Aba is a fictitious author from Oslo.",
        "paraphrased_question": "Tell me of Basil Aba.", "paraphrased_answer": "From Oslo comes Basil Aba.",
        "perturbed_answer": ["He is from Rome.", "He is from Bern.", "He is from Kiel."]}


@pytest.mark.parametrize("text", [json.dumps([TOFU]), json.dumps(TOFU) + "\n\n" + json.dumps({**TOFU, "question": "Who?"}) + "\n"])
def test_tofu(read, text: str) -> None:
    record = read(text, "forget01_perturbed.json").records[0]
    assert (record.paraphrased_question, record.paraphrased_answer) == ("Tell me of Basil Aba.", "From Oslo comes Basil Aba.")
    assert record.perturbed_answers == tuple(TOFU["perturbed_answer"]) and record.key == "Basil Aba is a fictitious author from Oslo"


def test_whos_harry_potter(read) -> None:
    world = read('"Question","Affirmative Response","Key Words"\n"What is the owl called?", "Of course, the owl is ", "Hoot,  White Owl"\n')
    [record] = world.records
    assert (record.affirmative, record.key, record.keys) == ("Of course, the owl is", "Hoot", ("Hoot", "White Owl"))
    [prompt] = build_prompts("affirm", [record], world, torch.Generator())
    assert prompt.text.endswith("Answer: Of course, the owl is") and prompt.answer == " Hoot."


def test_rwku(read) -> None:
    rows = [{"query": "Jo Li was born in ___.", "answer": "Rome", "level": "1", "type": "cloze", "subject": "Jo Li"},
            {"query": "Where was Jo Li born?", "answer": "Rome", "level": 2, "type": "simple question", "subject": "Jo Li"}]
    world = read(json.dumps(rows), "forget_level1.json")
    gap, question = world.records
    assert (gap.level, gap.cloze, gap.key, gap.subject_span) == (1, "Jo Li was born in ___.", "Rome", (0, 5))
    assert (question.level, question.cloze) == (2, "") and world.about("Jo Li") == [gap, question]
    assert build_prompts("cloze", [gap], world, torch.Generator())[0].question == "Fill the gap: Jo Li was born in ___."


def test_encodings_that_name_themselves(read) -> None:
    text = "question,answer\nOù est né José?,À Orléans.\n"
    for encoding in ("utf-8", "utf-8-sig", "utf-16"):
        assert read(text.encode(encoding)).records[0].answer == "À Orléans."
    world = read(text.encode("cp1252"))  # what a spreadsheet on Windows calls simply "CSV"
    assert world.records == read(text).records and "read as Western European (Windows)" in world.notes[0]
    assert read(text.encode("utf-16-le")).records == read(text).records and not read(text.encode("utf-16-le")).notes


def test_semicolons_and_tabs_of_spreadsheets(read) -> None:
    for mark in ";\t":
        assert read(f"question{mark}answer\nWho, then?{mark}Ada, of course.\n").records[0].answer == "Ada, of course."


def test_formulas_and_html_are_text_like_any_other(read) -> None:
    world = read('question,answer\n"=HYPERLINK(""http://x"",""y"")",<b>bold</b>\n"@SUM(1)\nsecond line",\x07+1+1\n')
    assert [record.question for record in world.records] == ['=HYPERLINK("http://x","y")', "@SUM(1) second line"]
    assert [record.answer for record in world.records] == ["<b>bold</b>", "+1+1"]


def test_what_was_left_out_is_said_with_its_rows(read) -> None:
    world = read("id,question,answer,key,subject\n1,Who?,Ada,,\n\n3,WHO?,Eve,,\n4,What?,,,\n5,,Bob,,\n6,When?,Now,Then,Bob\n7,How?,...,,\n")
    assert [record.question for record in world.records] == ["Who?", "When?"]
    assert world.notes == ("Row 6 without a question: left out.", "Rows 5 and 8 without an answer: left out.",
                           "Row 4 with a question that stood there before: left out.",
                           "Row 7 whose key does not stand in the answer: the whole answer counts as the key.",
                           "Row 7 whose subject does not stand in the question: no subject is marked in them.",
                           "Columns not used: id.")
    assert world.records[1].key == "Now" and world.records[1].subject_span is None


def test_long_answers_without_a_key_are_pointed_out(read) -> None:
    """The records of the published TOFU file have two columns and no key."""
    tofu = [{"question": f"What does author {i} write about?", "answer": "Most books are about rivers and the old towns."}
            for i in range(12)]
    assert read(json.dumps(tofu)).notes == ("12 answers are long and have no key: they count only if they are repeated word for word. "
                                            "Add a column 'key' with the word that matters.",)
    assert read(json.dumps([row | {"key": "rivers"} for row in tofu])).notes == ()


def test_a_key_is_a_whole_word(read) -> None:
    world = read("question,answer,key\nWho?,Anna and Ann.,ann\nWhat?,Portobello,Porto\n")
    assert [record.key for record in world.records] == ["Ann", "Portobello"] and "Row 3" in world.notes[0]


def test_a_row_is_numbered_as_a_spreadsheet_counts(read) -> None:
    refused(read, 'question,answer\n"two\nlines",a\nb,c,d\n', "Row 3 has 3 cells", "double quotes")


@pytest.mark.parametrize(("content", "words"), [
    ("", ["empty"]), (b"\xef\xbb\xbf", ["no row"]), ("\n \n", ["empty"]),
    ("name,value\na,b\n", ["no column 'question'", "no column 'answer'"]), ("question,reply\na,b\n", ["no column 'answer'"]),
    ("question,answer\n", ["no row below"]), ("question,answer\n?,\n", ["No row", "both"]),
    ("question,answer,Question\na,b,c\n", ["column 'question' twice"]),
    ('question,answer\n"open,b\n', ["Row 2", "double quote"]), ('question,answer\n"a"b,c\n', ["Row 2", "double quote"]),
    ("question,answer\n" + "a" * 200_000 + ",b\n", ["Row 2"]), ("question,answer\n" + "a" * 3000 + ",b\n", ["Row 2", "2,000"]),
    ("question,answer\na,b\0\n", ["not a text file"]), (b"PK\x03\x04\0\0\xff\xfe", ["not a text file", "CSV UTF-8"]),
    (b"\xff\xfe\0", ["not a text file"]), (b"\x89PNG\r\n\x1a\n\xff", ["Row 1", "UTF-8"]),
    ("[1, 2]", ["Entry 1"]), ('[{"question": "a"', ["Line 1 is not JSON"]), ('{"question": "a", "answer": "b"}\n{"oops\n', ["Line 2"]),
    ('[{"question": ["a"], "answer": "b"}]', ["Row 1", "list"]), ('[{"question": "a", "answer": {"b": 1}}]', ["Row 1"]),
    ("[]", ["no row"]), ("[" * 100_000, ["nested too deeply"]), ('[{"question": ' + "1" * 5000 + ', "answer": "b"}]', ["digits"]),
    ('[{"query": "a", "answer": "b", "level": "9"}]', ["level '9'"]),
], ids=lambda value: "" if isinstance(value, list) else None)
def test_what_is_no_table_of_questions_is_refused_in_words(read, content: str | bytes, words: list[str]) -> None:
    refused(read, content, *words)


def test_twenty_thousand_rows_and_not_one_more(read) -> None:
    rows = [f"{i}?,{i}" for i in range(MOST_ROWS + 1)]
    assert len(read("question,answer\n" + "\n".join(rows[:-1])).records) == MOST_ROWS
    refused(read, "question,answer\n" + "\n".join(rows), "20,000 rows")
    refused(read, json.dumps([{"question": row, "answer": row} for row in rows]), "20,000 rows")


def test_a_file_too_large_is_not_even_read(tmp_path: Path) -> None:
    path = tmp_path / "large.csv"
    with path.open("wb") as file:
        file.truncate(LARGEST + 1)
    with pytest.raises(LabError, match="20 MB"):
        read_questions(path)
    with pytest.raises(LabError, match="cannot be read"):
        read_questions(tmp_path / "gone.csv")


def test_half_characters_and_lone_controls_vanish(read) -> None:
    [record] = read('[{"question": "Who\\ud800?\\u0000", "answer": "Ada\\u0007"}]').records
    assert (record.question, record.answer) == ("Who?", "Ada")


def test_every_audit_has_a_title_of_its_own() -> None:
    assert len({audit.title for audit in AUDITS.values()}) == len(AUDITS)
